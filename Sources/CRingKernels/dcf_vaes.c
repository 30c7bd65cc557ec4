// Comparison functions with VAES: four blocks a register, up to twelve registers at once.

#include "kernels.h"

#if LODGE_X86

#include <immintrin.h>

#define TARGET __attribute__((target("avx512f,avx512dq,avx512vl,avx512bw,vaes")))
#define INLINE TARGET __attribute__((always_inline)) static inline
#define BATCH 16
#define WIDTH 4

INLINE void encrypt_group(const lodge_aes128_schedule *schedule, const int count,
                          uint64_t *blocks) {
  const __m128i *keys = (const __m128i *)schedule->bytes;
  __m512i state[12];
  const __m512i first = _mm512_broadcast_i32x4(_mm_loadu_si128(keys));
  const __m512i last = _mm512_broadcast_i32x4(_mm_loadu_si128(keys + 10));
  for (int i = 0; i < count; i++)
    state[i] = _mm512_xor_si512(_mm512_loadu_si512(blocks + 8 * i), first);
#pragma clang loop unroll(full)
  for (int round = 1; round < 10; round++) {
    const __m512i key = _mm512_broadcast_i32x4(_mm_loadu_si128(keys + round));
    for (int i = 0; i < count; i++) state[i] = _mm512_aesenc_epi128(state[i], key);
    // Keeps the order: left alone, the compiler finishes one state after the other.
    for (int i = 0; i < count; i++) __asm__ volatile("" : "+v"(state[i]));
  }
  for (int i = 0; i < count; i++)
    _mm512_storeu_si512(blocks + 8 * i, _mm512_aesenclast_epi128(state[i], last));
}

// Encrypts in place; `count` is a constant multiple of 16 except in tests.
INLINE void encrypt(const lodge_aes128_schedule *schedule, void *blocks, const int count) {
  uint64_t *words = blocks;
  int i = 0;
  if (count % 48 == 0)
    for (; i < count; i += 48) encrypt_group(schedule, 12, words + 2 * i);
  for (; i + 32 <= count; i += 32) encrypt_group(schedule, 8, words + 2 * i);
  for (; i + 16 <= count; i += 16) encrypt_group(schedule, 4, words + 2 * i);
  for (; i + 4 <= count; i += 4) encrypt_group(schedule, 1, words + 2 * i);
  if (i < count) {
    uint64_t rest[8] = {0};
    __builtin_memcpy(rest, words + 2 * i, 16 * (size_t)(count - i));
    encrypt_group(schedule, 1, rest);
    __builtin_memcpy(words + 2 * i, rest, 16 * (size_t)(count - i));
  }
}

#include "dcf_template.h"

TARGET void lodge_aes128_encrypt_vaes(const lodge_aes128_schedule *schedule, uint64_t *blocks,
                                      size_t count) {
  encrypt(schedule, blocks, (int)count);
}

TARGET void lodge_dcf_generate_vaes(const lodge_aes128_schedule *schedule,
                                const lodge_dcf_layout *layout, size_t count,
                                const uint64_t *alphas, const uint64_t *betas,
                                const uint64_t *roots0, const uint64_t *roots1, uint8_t *keys) {
  generate(schedule, layout, count, alphas, betas, roots0, roots1, keys);
}

TARGET void lodge_dcf_evaluate_vaes(const lodge_aes128_schedule *schedule,
                                const lodge_dcf_layout *layout, int party, size_t first,
                                size_t count, size_t points_per_key, const uint8_t *keys,
                                const uint64_t *roots, const uint64_t *points, uint64_t *out) {
  evaluate(schedule, layout, party, first, count, points_per_key, keys, roots, points, out);
}

TARGET void lodge_point_generate_vaes(const lodge_aes128_schedule *schedule,
                                  const lodge_dcf_layout *layout, size_t count,
                                  const uint64_t *alphas, const uint64_t *betas,
                                  const uint64_t *roots0, const uint64_t *roots1, uint8_t *keys) {
  generate_points(schedule, layout, count, alphas, betas, roots0, roots1, keys);
}

TARGET void lodge_point_evaluate_vaes(const lodge_aes128_schedule *schedule,
                                  const lodge_dcf_layout *layout, int party, size_t first,
                                  size_t count, size_t points_per_key, const uint8_t *keys,
                                  const uint64_t *roots, const uint64_t *points, uint64_t *out) {
  evaluate_points_of(schedule, layout, party, first, count, points_per_key, keys, roots, points,
                     out);
}

TARGET void lodge_point_sum_vaes(const lodge_aes128_schedule *schedule,
                             const lodge_dcf_layout *layout, int party, size_t count,
                             const uint8_t *keys, const uint64_t *roots, const uint64_t *cells,
                             const lodge_point_tables *tables, void *scratch, uint64_t *out) {
  sum_points(schedule, layout, party, count, keys, roots, cells, tables, scratch, out);
}

#endif
