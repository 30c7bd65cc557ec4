// Eight tile registers of 16 rows of 64 bytes, as the AMX arm uses them: the instructions, or with
// LODGE_MODEL_TILES a model of them in plain C.
//
//   tile_zero(t), tile_load(t, from), tile_store(t, to)      whole tiles, rows of 64 bytes in a row
//   tile_multiply_uu, _su, _us, _ss(c, a, b)                 c[i][j] += sum over k < 64 of
//       a[i][k] b[k / 4][4 j + k % 4], with bytes of a and of b unsigned or signed, mod 2^32
//   tiles_begin, tiles_end                                   before and after their use by a thread
//
// Register numbers are constants. Functions that use tiles begin with LODGE_TILES.
#pragma once

#include "kernels.h"

#if !LODGE_MODEL_TILES

#include <immintrin.h>

#define LODGE_TILES
#define tile_zero(t) _tile_zero(t)
#define tile_load(t, from) _tile_loadd((t), (from), 64)
#define tile_store(t, to) _tile_stored((t), (to), 64)
#define tile_multiply_uu(c, a, b) _tile_dpbuud((c), (a), (b))
#define tile_multiply_su(c, a, b) _tile_dpbsud((c), (a), (b))
#define tile_multiply_us(c, a, b) _tile_dpbusd((c), (a), (b))
#define tile_multiply_ss(c, a, b) _tile_dpbssd((c), (a), (b))

__attribute__((target("amx-tile"))) static void tiles_begin(void) {
  struct {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
  } configuration = {.palette = 1};
  for (int t = 0; t < 8; t++) {
    configuration.row_bytes[t] = 64;
    configuration.rows[t] = 16;
  }
  _tile_loadconfig(&configuration);
}

__attribute__((target("amx-tile"))) static void tiles_end(void) { _tile_release(); }

#else

#include <string.h>

typedef struct {
  union {
    uint8_t bytes[16][64];
    uint32_t words[16][16];
  } registers[8];
} lodge_tiles;

#define LODGE_TILES lodge_tiles tiles;
#define tile_zero(t) memset(&tiles.registers[t], 0, 1024)
#define tile_load(t, from) memcpy(&tiles.registers[t], (from), 1024)
#define tile_store(t, to) memcpy((to), &tiles.registers[t], 1024)
#define tile_multiply_uu(c, a, b) tile_multiply(&tiles, (c), (a), (b), 0, 0)
#define tile_multiply_su(c, a, b) tile_multiply(&tiles, (c), (a), (b), 0x80, 0)
#define tile_multiply_us(c, a, b) tile_multiply(&tiles, (c), (a), (b), 0, 0x80)
#define tile_multiply_ss(c, a, b) tile_multiply(&tiles, (c), (a), (b), 0x80, 0x80)

// Bytes with the bit `sign` set are negative.
static void tile_multiply(lodge_tiles *tiles, int c, int a, int b, int a_sign, int b_sign) {
  int16_t factors[16][64];
  for (int row = 0; row < 16; row++)
    for (int k = 0; k < 64; k++) {
      const int byte = tiles->registers[b].bytes[row][k];
      factors[row][k] = (int16_t)(byte - 2 * (byte & b_sign));
    }
  for (int i = 0; i < 16; i++)
    for (int row = 0; row < 16; row++)
      for (int u = 0; u < 4; u++) {
        const int byte = tiles->registers[a].bytes[i][4 * row + u];
        const int factor = byte - 2 * (byte & a_sign);
        for (int j = 0; j < 16; j++)
          tiles->registers[c].words[i][j] += (uint32_t)(factor * factors[row][4 * j + u]);
      }
}

static void tiles_begin(void) {}
static void tiles_end(void) {}

#endif
