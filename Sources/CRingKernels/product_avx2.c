// Matrix products mod 2^64 with AVX2, which has only 32-bit multipliers.
//
// x y = xl yl + 2^32 (xh yl + xl yh) mod 2^64: the two sums are kept apart and joined at the end.

#include "kernels.h"

#if LODGE_X86

#include <immintrin.h>

#define TARGET __attribute__((target("avx2")))
#define INLINE TARGET __attribute__((always_inline)) static inline
#define LANES 4
#define ROWS 2
#define VECTORS 2
#define TRANSPOSED_ROWS 2
#define TRANSPOSED_COLUMNS 2

typedef __m256i vector;
typedef struct {
  __m256i low, high;
} operand;
typedef struct {
  __m256i low, cross;
} accumulator;

INLINE vector load(const uint64_t *from) { return _mm256_loadu_si256((const __m256i *)from); }
INLINE __m256i first_lanes(size_t count) {
  return _mm256_cmpgt_epi64(_mm256_set1_epi64x((long long)count), _mm256_setr_epi64x(0, 1, 2, 3));
}
INLINE vector load_first(const uint64_t *from, size_t count) {
  return _mm256_maskload_epi64((const long long *)from, first_lanes(count));
}
INLINE void store_first(uint64_t *to, vector x, size_t count) {
  _mm256_maskstore_epi64((long long *)to, first_lanes(count), x);
}
INLINE vector add(vector x, vector y) { return _mm256_add_epi64(x, y); }
INLINE uint64_t sum(vector x) {
  const __m128i half = _mm_add_epi64(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1));
  return (uint64_t)_mm_cvtsi128_si64(_mm_add_epi64(half, _mm_unpackhi_epi64(half, half)));
}

INLINE accumulator zero(void) {
  return (accumulator){_mm256_setzero_si256(), _mm256_setzero_si256()};
}
INLINE operand prepare(vector x) { return (operand){x, _mm256_srli_epi64(x, 32)}; }
INLINE operand broadcast(uint64_t x) {
  return (operand){_mm256_set1_epi64x((long long)x), _mm256_set1_epi64x((long long)(x >> 32))};
}
INLINE void multiply_add(accumulator *total, operand x, operand y) {
  total->low = _mm256_add_epi64(total->low, _mm256_mul_epu32(x.low, y.low));
  total->cross = _mm256_add_epi64(total->cross, _mm256_mul_epu32(x.high, y.low));
  total->cross = _mm256_add_epi64(total->cross, _mm256_mul_epu32(x.low, y.high));
}
INLINE vector value(accumulator total) {
  return _mm256_add_epi64(total.low, _mm256_slli_epi64(total.cross, 32));
}

#include "product_template.h"

TARGET void lodge_multiply_transposed_avx2(size_t rows, size_t columns, size_t inner,
                                           const uint64_t *a, size_t a_stride, const uint64_t *b,
                                           size_t b_stride, uint64_t *c, size_t c_stride,
                                           int accumulate) {
  multiply_transposed(rows, columns, inner, a, a_stride, b, b_stride, c, c_stride, accumulate);
}

TARGET void lodge_multiply_avx2(size_t rows, size_t columns, size_t inner, const uint64_t *a,
                                size_t a_stride, const uint64_t *b, size_t b_stride, uint64_t *c,
                                size_t c_stride, int accumulate) {
  multiply(rows, columns, inner, a, a_stride, b, b_stride, c, c_stride, accumulate);
}

#endif
