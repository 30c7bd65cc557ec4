// Comparison functions with AES-NI: eight blocks at once hide the latency of a round.

#include "kernels.h"

#if LODGE_X86

#include <immintrin.h>

#define TARGET __attribute__((target("avx2,aes")))
#define INLINE TARGET __attribute__((always_inline)) static inline
#define BATCH 16
#define WIDTH 1

INLINE void encrypt_group(const lodge_aes128_schedule *schedule, const int count, __m128i *blocks) {
  const __m128i *keys = (const __m128i *)schedule->bytes;
  __m128i state[8];
  const __m128i first = _mm_loadu_si128(keys), last = _mm_loadu_si128(keys + 10);
  for (int i = 0; i < count; i++) state[i] = _mm_xor_si128(_mm_loadu_si128(blocks + i), first);
#pragma clang loop unroll(full)
  for (int round = 1; round < 10; round++) {
    const __m128i key = _mm_loadu_si128(keys + round);
    for (int i = 0; i < count; i++) state[i] = _mm_aesenc_si128(state[i], key);
    // Keeps the order: left alone, the compiler finishes one state after the other.
    for (int i = 0; i < count; i++) __asm__ volatile("" : "+x"(state[i]));
  }
  for (int i = 0; i < count; i++)
    _mm_storeu_si128(blocks + i, _mm_aesenclast_si128(state[i], last));
}

// Encrypts in place; `count` is a constant multiple of eight except in tests.
INLINE void encrypt(const lodge_aes128_schedule *schedule, void *blocks, const int count) {
  int i = 0;
  for (; i + 8 <= count; i += 8) encrypt_group(schedule, 8, (__m128i *)blocks + i);
  for (; i < count; i++) encrypt_group(schedule, 1, (__m128i *)blocks + i);
}

#include "dcf_template.h"

TARGET void lodge_aes128_encrypt_aesni(const lodge_aes128_schedule *schedule, uint64_t *blocks,
                                       size_t count) {
  encrypt(schedule, blocks, (int)count);
}

TARGET void lodge_dcf_generate_aesni(const lodge_aes128_schedule *schedule,
                                const lodge_dcf_layout *layout, size_t count,
                                const uint64_t *alphas, const uint64_t *betas,
                                const uint64_t *roots0, const uint64_t *roots1, uint8_t *keys) {
  generate(schedule, layout, count, alphas, betas, roots0, roots1, keys);
}

TARGET void lodge_dcf_evaluate_aesni(const lodge_aes128_schedule *schedule,
                                const lodge_dcf_layout *layout, int party, size_t first,
                                size_t count, size_t points_per_key, const uint8_t *keys,
                                const uint64_t *roots, const uint64_t *points, uint64_t *out) {
  evaluate(schedule, layout, party, first, count, points_per_key, keys, roots, points, out);
}

TARGET void lodge_point_generate_aesni(const lodge_aes128_schedule *schedule,
                                  const lodge_dcf_layout *layout, size_t count,
                                  const uint64_t *alphas, const uint64_t *betas,
                                  const uint64_t *roots0, const uint64_t *roots1, uint8_t *keys) {
  generate_points(schedule, layout, count, alphas, betas, roots0, roots1, keys);
}

TARGET void lodge_point_evaluate_aesni(const lodge_aes128_schedule *schedule,
                                  const lodge_dcf_layout *layout, int party, size_t first,
                                  size_t count, size_t points_per_key, const uint8_t *keys,
                                  const uint64_t *roots, const uint64_t *points, uint64_t *out) {
  evaluate_points_of(schedule, layout, party, first, count, points_per_key, keys, roots, points,
                     out);
}

TARGET void lodge_point_sum_aesni(const lodge_aes128_schedule *schedule,
                             const lodge_dcf_layout *layout, int party, size_t count,
                             const uint8_t *keys, const uint64_t *roots, const uint64_t *cells,
                             const lodge_point_tables *tables, void *scratch, uint64_t *out) {
  sum_points(schedule, layout, party, count, keys, roots, cells, tables, scratch, out);
}

#endif
