// Matrix products mod 2^64 with AVX-512: vpmullq multiplies eight 64-bit lanes.

#include "kernels.h"

#if LODGE_X86

#include <immintrin.h>

#define TARGET __attribute__((target("avx512f,avx512dq")))
#define INLINE TARGET __attribute__((always_inline)) static inline
#define LANES 8
#define ROWS 8
#define VECTORS 3
#define TRANSPOSED_ROWS 4
#define TRANSPOSED_COLUMNS 4

typedef __m512i vector;
typedef __m512i operand;
typedef __m512i accumulator;

INLINE vector load(const uint64_t *from) { return _mm512_loadu_si512(from); }
INLINE vector load_first(const uint64_t *from, size_t count) {
  return _mm512_maskz_loadu_epi64((__mmask8)((1u << count) - 1), from);
}
INLINE void store_first(uint64_t *to, vector x, size_t count) {
  _mm512_mask_storeu_epi64(to, (__mmask8)((1u << count) - 1), x);
}
INLINE vector add(vector x, vector y) { return _mm512_add_epi64(x, y); }
INLINE uint64_t sum(vector x) { return (uint64_t)_mm512_reduce_add_epi64(x); }

INLINE accumulator zero(void) { return _mm512_setzero_si512(); }
INLINE operand prepare(vector x) { return x; }
INLINE operand broadcast(uint64_t x) { return _mm512_set1_epi64((long long)x); }
INLINE void multiply_add(accumulator *total, operand x, operand y) {
  *total = _mm512_add_epi64(*total, _mm512_mullo_epi64(x, y));
}
INLINE vector value(accumulator total) { return total; }

#include "product_template.h"

TARGET void lodge_multiply_transposed_avx512(size_t rows, size_t columns, size_t inner,
                                             const uint64_t *a, size_t a_stride,
                                             const uint64_t *b, size_t b_stride, uint64_t *c,
                                             size_t c_stride, int accumulate) {
  multiply_transposed(rows, columns, inner, a, a_stride, b, b_stride, c, c_stride, accumulate);
}

TARGET void lodge_multiply_avx512(size_t rows, size_t columns, size_t inner, const uint64_t *a,
                                  size_t a_stride, const uint64_t *b, size_t b_stride,
                                  uint64_t *c, size_t c_stride, int accumulate) {
  multiply(rows, columns, inner, a, a_stride, b, b_stride, c, c_stride, accumulate);
}

#endif
