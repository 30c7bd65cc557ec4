// Bit-sliced AES-128 (FIPS 197): bit b of byte p of 64 blocks is one word, planes[b][p].

#include "kernels.h"

#include <string.h>

typedef uint64_t planes[8][16];

// The product of two elements of GF(2^8) modulo x^8 + x^4 + x^3 + x + 1.
static uint8_t field_product(uint8_t x, uint8_t y) {
  uint8_t result = 0;
  for (int bit = 0; bit < 8; bit++) {
    result ^= (uint8_t)(x & -((y >> bit) & 1));
    x = (uint8_t)((x << 1) ^ (0x1b & -(x >> 7)));
  }
  return result;
}

// The S-box by its definition: inverse (x^254), then the affine map.
static uint8_t substitute(uint8_t x) {
  uint8_t inverse = x;
  for (int step = 0; step < 6; step++)
    inverse = field_product(field_product(inverse, inverse), x);
  inverse = field_product(inverse, inverse);
  uint8_t result = 0x63;
  for (int shift = 0; shift < 5; shift++)
    result ^= (uint8_t)(inverse << shift | inverse >> (8 - shift));
  return result;
}

void lodge_aes128_expand(const uint8_t *key, lodge_aes128_schedule *schedule) {
  uint8_t *bytes = schedule->bytes;
  memcpy(bytes, key, 16);
  uint8_t constant = 1;
  for (int i = 16; i < 176; i += 4) {
    uint8_t word[4];
    memcpy(word, bytes + i - 4, 4);
    if (i % 16 == 0) {
      const uint8_t first = word[0];
      word[0] = substitute(word[1]) ^ constant;
      word[1] = substitute(word[2]);
      word[2] = substitute(word[3]);
      word[3] = substitute(first);
      constant = field_product(constant, 2);
    }
    for (int j = 0; j < 4; j++) bytes[i + j] = bytes[i - 16 + j] ^ word[j];
  }
}

// rows[i] bit j becomes rows[j] bit i.
static void transpose(uint64_t rows[64]) {
  uint64_t mask = 0x00000000ffffffff;
  for (int width = 32; width > 0; width >>= 1, mask ^= mask << width)
    for (int i = 0; i < 64; i = ((i | width) + 1) & ~width) {
      const uint64_t swap = ((rows[i] >> width) ^ rows[i | width]) & mask;
      rows[i] ^= swap << width;
      rows[i | width] ^= swap;
    }
}

static void slice(const uint64_t *blocks, planes state) {
  for (int half = 0; half < 2; half++) {
    uint64_t rows[64];
    for (int i = 0; i < 64; i++) rows[i] = blocks[2 * i + half];
    transpose(rows);
    for (int i = 0; i < 64; i++) state[i % 8][8 * half + i / 8] = rows[i];
  }
}

static void unslice(const planes state, uint64_t *blocks) {
  for (int half = 0; half < 2; half++) {
    uint64_t rows[64];
    for (int i = 0; i < 64; i++) rows[i] = state[i % 8][8 * half + i / 8];
    transpose(rows);
    for (int i = 0; i < 64; i++) blocks[2 * i + half] = rows[i];
  }
}

static void add_round_key(planes state, const uint8_t *key) {
  for (int b = 0; b < 8; b++)
    for (int p = 0; p < 16; p++) state[b][p] ^= -(uint64_t)((key[p] >> b) & 1);
}

// The S-box as the circuit of Boyar and Peralta, "A depth-16 circuit for the AES S-box" (2011).
static void substitute_planes(planes state) {
  for (int p = 0; p < 16; p++) {
    const uint64_t x0 = state[7][p], x1 = state[6][p], x2 = state[5][p], x3 = state[4][p];
    const uint64_t x4 = state[3][p], x5 = state[2][p], x6 = state[1][p], x7 = state[0][p];
    const uint64_t y14 = x3 ^ x5, y13 = x0 ^ x6, y9 = x0 ^ x3, y8 = x0 ^ x5, t0 = x1 ^ x2;
    const uint64_t y1 = t0 ^ x7, y4 = y1 ^ x3, y12 = y13 ^ y14, y2 = y1 ^ x0, y5 = y1 ^ x6;
    const uint64_t y3 = y5 ^ y8, t1 = x4 ^ y12, y15 = t1 ^ x5, y20 = t1 ^ x1, y6 = y15 ^ x7;
    const uint64_t y10 = y15 ^ t0, y11 = y20 ^ y9, y7 = x7 ^ y11, y17 = y10 ^ y11;
    const uint64_t y19 = y10 ^ y8, y16 = t0 ^ y11, y21 = y13 ^ y16, y18 = x0 ^ y16;
    const uint64_t t2 = y12 & y15, t3 = y3 & y6, t4 = t3 ^ t2, t5 = y4 & x7, t6 = t5 ^ t2;
    const uint64_t t7 = y13 & y16, t8 = y5 & y1, t9 = t8 ^ t7, t10 = y2 & y7, t11 = t10 ^ t7;
    const uint64_t t12 = y9 & y11, t13 = y14 & y17, t14 = t13 ^ t12, t15 = y8 & y10;
    const uint64_t t16 = t15 ^ t12, t17 = t4 ^ t14, t18 = t6 ^ t16, t19 = t9 ^ t14;
    const uint64_t t20 = t11 ^ t16, t21 = t17 ^ y20, t22 = t18 ^ y19, t23 = t19 ^ y21;
    const uint64_t t24 = t20 ^ y18, t25 = t21 ^ t22, t26 = t21 & t23, t27 = t24 ^ t26;
    const uint64_t t28 = t25 & t27, t29 = t28 ^ t22, t30 = t23 ^ t24, t31 = t22 ^ t26;
    const uint64_t t32 = t31 & t30, t33 = t32 ^ t24, t34 = t23 ^ t33, t35 = t27 ^ t33;
    const uint64_t t36 = t24 & t35, t37 = t36 ^ t34, t38 = t27 ^ t36, t39 = t29 & t38;
    const uint64_t t40 = t25 ^ t39, t41 = t40 ^ t37, t42 = t29 ^ t33, t43 = t29 ^ t40;
    const uint64_t t44 = t33 ^ t37, t45 = t42 ^ t41;
    const uint64_t z0 = t44 & y15, z1 = t37 & y6, z2 = t33 & x7, z3 = t43 & y16, z4 = t40 & y1;
    const uint64_t z5 = t29 & y7, z6 = t42 & y11, z7 = t45 & y17, z8 = t41 & y10, z9 = t44 & y12;
    const uint64_t z10 = t37 & y3, z11 = t33 & y4, z12 = t43 & y13, z13 = t40 & y5;
    const uint64_t z14 = t29 & y2, z15 = t42 & y9, z16 = t45 & y14, z17 = t41 & y8;
    const uint64_t t46 = z15 ^ z16, t47 = z10 ^ z11, t48 = z5 ^ z13, t49 = z9 ^ z10;
    const uint64_t t50 = z2 ^ z12, t51 = z2 ^ z5, t52 = z7 ^ z8, t53 = z0 ^ z3, t54 = z6 ^ z7;
    const uint64_t t55 = z16 ^ z17, t56 = z12 ^ t48, t57 = t50 ^ t53, t58 = z4 ^ t46;
    const uint64_t t59 = z3 ^ t54, t60 = t46 ^ t57, t61 = z14 ^ t57, t62 = t52 ^ t58;
    const uint64_t t63 = t49 ^ t58, t64 = z4 ^ t59, t65 = t61 ^ t62, t66 = z1 ^ t63;
    const uint64_t s3 = t53 ^ t66, t67 = t64 ^ t65;
    state[7][p] = t59 ^ t63;
    state[6][p] = t64 ^ ~s3;
    state[5][p] = t55 ^ ~t67;
    state[4][p] = s3;
    state[3][p] = t51 ^ t66;
    state[2][p] = t47 ^ t65;
    state[1][p] = t56 ^ ~t62;
    state[0][p] = t48 ^ ~t60;
  }
}

// Byte p = row + 4 column comes from column + row.
static void shift_rows(const planes state, planes result) {
  for (int b = 0; b < 8; b++)
    for (int p = 0; p < 16; p++) result[b][p] = state[b][(p + 4 * (p % 4)) % 16];
}

// b_r = 2 (a_r + a_{r+1}) + a_{r+1} + a_{r+2} + a_{r+3} in every column.
static void mix_columns(const planes state, planes result) {
  for (int b = 0; b < 8; b++)
    for (int p = 0; p < 16; p++) {
      const int column = p & ~3, n1 = column | ((p + 1) & 3), n2 = column | ((p + 2) & 3);
      const int n3 = column | ((p + 3) & 3);
      uint64_t sum = state[b][n1] ^ state[b][n2] ^ state[b][n3];
      if (b > 0) sum ^= state[b - 1][p] ^ state[b - 1][n1];
      if (b == 0 || b == 1 || b == 3 || b == 4) sum ^= state[7][p] ^ state[7][n1];
      result[b][p] = sum;
    }
}

static void encrypt64(const lodge_aes128_schedule *schedule, uint64_t *blocks) {
  planes state, shifted;
  slice(blocks, state);
  add_round_key(state, schedule->bytes);
  for (int round = 1; round < 10; round++) {
    substitute_planes(state);
    shift_rows(state, shifted);
    mix_columns(shifted, state);
    add_round_key(state, schedule->bytes + 16 * round);
  }
  substitute_planes(state);
  shift_rows(state, shifted);
  add_round_key(shifted, schedule->bytes + 160);
  unslice(shifted, blocks);
}

void lodge_aes128_encrypt_portable(const lodge_aes128_schedule *schedule, uint64_t *blocks,
                                   size_t count) {
  size_t done = 0;
  for (; done + 64 <= count; done += 64) encrypt64(schedule, blocks + 2 * done);
  if (done < count) {
    uint64_t rest[128] = {0};
    memcpy(rest, blocks + 2 * done, 16 * (count - done));
    encrypt64(schedule, rest);
    memcpy(blocks + 2 * done, rest, 16 * (count - done));
  }
}
