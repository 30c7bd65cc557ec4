// AES-256 in counter mode with VAES: four blocks a register.

#include "kernels.h"

#if LODGE_X86

#include <immintrin.h>
#include <string.h>

#define TARGET __attribute__((target("avx512f,avx512dq,avx512vl,avx512bw,vaes,aes")))
#define INLINE TARGET __attribute__((always_inline)) static inline

// The next four words of the schedule from those eight words before and what `assist` makes of the
// last four.
INLINE __m128i next_key(__m128i before, __m128i assist) {
  before = _mm_xor_si128(before, _mm_slli_si128(before, 4));
  before = _mm_xor_si128(before, _mm_slli_si128(before, 8));
  return _mm_xor_si128(before, assist);
}

TARGET void lodge_aes256_expand_vaes(const uint8_t *key, lodge_aes256_schedule *schedule) {
  __m128i *keys = (__m128i *)schedule->bytes;
  __m128i even = _mm_loadu_si128((const __m128i *)key);
  __m128i odd = _mm_loadu_si128((const __m128i *)key + 1);
  _mm_storeu_si128(keys, even);
  _mm_storeu_si128(keys + 1, odd);
#define LODGE_EVEN(i, constant)                                                                    \
  even = next_key(even, _mm_shuffle_epi32(_mm_aeskeygenassist_si128(odd, constant), 0xff));        \
  _mm_storeu_si128(keys + (i), even);
#define LODGE_ODD(i)                                                                               \
  odd = next_key(odd, _mm_shuffle_epi32(_mm_aeskeygenassist_si128(even, 0), 0xaa));                \
  _mm_storeu_si128(keys + (i), odd);
  LODGE_EVEN(2, 1)
  LODGE_ODD(3)
  LODGE_EVEN(4, 2)
  LODGE_ODD(5)
  LODGE_EVEN(6, 4)
  LODGE_ODD(7)
  LODGE_EVEN(8, 8)
  LODGE_ODD(9)
  LODGE_EVEN(10, 16)
  LODGE_ODD(11)
  LODGE_EVEN(12, 32)
  LODGE_ODD(13)
  LODGE_EVEN(14, 64)
#undef LODGE_EVEN
#undef LODGE_ODD
}

// Blocks from number `block` on, 4 `count` of them.
INLINE void stream(const __m128i *keys, const int count, uint64_t block, uint8_t *out) {
  const __m512i order = _mm512_broadcast_i32x4(
      _mm_set_epi8(8, 9, 10, 11, 12, 13, 14, 15, 7, 6, 5, 4, 3, 2, 1, 0));
  const __m512i key = _mm512_broadcast_i32x4(_mm_loadu_si128(keys));
  __m512i state[8];
  for (int i = 0; i < count; i++) {
    const long long n = (long long)block + 4 * i;
    const __m512i counters = _mm512_set_epi64(n + 3, 0, n + 2, 0, n + 1, 0, n, 0);
    state[i] = _mm512_xor_si512(_mm512_shuffle_epi8(counters, order), key);
  }
#pragma clang loop unroll(full)
  for (int round = 1; round < 14; round++) {
    const __m512i next = _mm512_broadcast_i32x4(_mm_loadu_si128(keys + round));
    for (int i = 0; i < count; i++) state[i] = _mm512_aesenc_epi128(state[i], next);
  }
  const __m512i last = _mm512_broadcast_i32x4(_mm_loadu_si128(keys + 14));
  for (int i = 0; i < count; i++)
    _mm512_storeu_si512(out + 64 * i, _mm512_aesenclast_epi128(state[i], last));
}

TARGET void lodge_aes256_stream_vaes(const lodge_aes256_schedule *schedule, uint64_t offset,
                                     size_t count, uint8_t *out) {
  enum { MOST = 512 };
  const __m128i *keys = (const __m128i *)schedule->bytes;
  uint64_t block = offset / 16;
  size_t skipped = offset % 16;
  uint8_t part[MOST] = {0};
  while (count > 0) {
    size_t made = MOST, taken = MOST;
    if (skipped == 0 && count >= MOST) {
      stream(keys, 8, block, out);
    } else {
      // A part of what is made in as few registers as it takes.
      const size_t needed = skipped + count;
      if (needed <= 64) {
        stream(keys, 1, block, part);
        made = 64;
      } else if (needed <= 256) {
        stream(keys, 4, block, part);
        made = 256;
      } else {
        stream(keys, 8, block, part);
      }
      taken = made - skipped < count ? made - skipped : count;
      memcpy(out, part + skipped, taken);
      skipped = 0;
    }
    out += taken;
    count -= taken;
    block += made / 16;
  }
  // What was made and not taken belongs to nobody.
  memset(part, 0, sizeof part);
  __asm__ volatile("" : : "r"(part) : "memory");
}

#endif
