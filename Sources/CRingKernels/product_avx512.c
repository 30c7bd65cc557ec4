// Matrix products with AVX-512: vpmullq and vpmulld multiply whole elements.
//
// A processor of the kind Zen 5 starts two of them a cycle, as many as of any other multiplication
// (vpmuludq, vpmadd52luq, vpdpbusd), and no other needs one only. So promises that elements are
// small change nothing here.

#include "products.h"

#if LODGE_X86

#include <immintrin.h>

#define TARGET __attribute__((target("avx512f,avx512dq")))
#define INLINE TARGET __attribute__((always_inline)) static inline
#define ROWS 8
#define VECTORS 3
#define FEW 4
#define FEW_COLUMNS 4

static size_t no_bytes(size_t count, size_t depth, int bits) {
  (void)count, (void)depth, (void)bits;
  return 0;
}

// MASK: the type of masks; BITS: of a lane.
#define LODGE_OPERATIONS(BITS, MASK)                                                               \
  typedef __m512i NAME(vector);                                                                    \
  typedef __m512i NAME(operand);                                                                   \
  typedef __m512i NAME(accumulator);                                                               \
  INLINE __m512i NAME(load)(const ELEMENT *from) { return _mm512_loadu_si512(from); }              \
  INLINE __m512i NAME(load_first)(const ELEMENT *from, size_t count) {                             \
    return _mm512_maskz_loadu_epi##BITS((MASK)((1u << count) - 1), from);                          \
  }                                                                                                \
  INLINE void NAME(store)(ELEMENT *to, __m512i x) { _mm512_storeu_si512(to, x); }                  \
  INLINE void NAME(store_first)(ELEMENT *to, __m512i x, size_t count) {                            \
    _mm512_mask_storeu_epi##BITS(to, (MASK)((1u << count) - 1), x);                                \
  }                                                                                                \
  INLINE __m512i NAME(add)(__m512i x, __m512i y) { return _mm512_add_epi##BITS(x, y); }            \
  INLINE ELEMENT NAME(sum)(__m512i x) { return (ELEMENT)_mm512_reduce_add_epi##BITS(x); }          \
  INLINE __m512i NAME(zero)(void) { return _mm512_setzero_si512(); }                               \
  INLINE __m512i NAME(prepare)(__m512i x) { return x; }                                            \
  INLINE __m512i NAME(prepare_narrow)(__m512i x) { return x; }                                     \
  INLINE void NAME(multiply_add)(__m512i *total, __m512i x, __m512i y) {                           \
    *total = _mm512_add_epi##BITS(*total, _mm512_mullo_epi##BITS(x, y));                           \
  }                                                                                                \
  INLINE __m512i NAME(value)(__m512i total) { return total; }

#define ELEMENT uint64_t
#define LANES 8
#define NAME(name) name##_64
#define LOW_HALVES 0, 8, 1, 9, 2, 10, 3, 11
#define HIGH_HALVES 4, 12, 5, 13, 6, 14, 7, 15
LODGE_OPERATIONS(64, __mmask8)
INLINE __m512i broadcast_64(const uint64_t *x) { return _mm512_set1_epi64((long long)*x); }
#include "product_template.h"

const lodge_product_arm lodge_product_avx512_64 = {
    .group = VECTORS * LANES,
    .wide_block = 96,
    .depth_block = 512,
    .narrow_block = 64,
    .group_bytes = group_bytes_64,
    .narrow_bytes = no_bytes,
    .pack_wide = pack_64,
    .in_place_rows = 128,
    .multiply = multiply_64,
    .multiply_few = multiply_few_64,
    .few = 4,
};

#undef ELEMENT
#undef LANES
#undef NAME
#undef LOW_HALVES
#undef HIGH_HALVES

#define ELEMENT uint32_t
#define LANES 16
#define NAME(name) name##_32
#define LOW_HALVES 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23
#define HIGH_HALVES 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31
LODGE_OPERATIONS(32, __mmask16)
INLINE __m512i broadcast_32(const uint32_t *x) { return _mm512_set1_epi32((int)*x); }
#include "product_template.h"

const lodge_product_arm lodge_product_avx512_32 = {
    .group = VECTORS * LANES,
    .wide_block = 192,
    .depth_block = 512,
    .narrow_block = 64,
    .group_bytes = group_bytes_32,
    .narrow_bytes = no_bytes,
    .pack_wide = pack_32,
    .in_place_rows = 128,
    .multiply = multiply_32,
    .multiply_few = multiply_few_32,
    .few = 4,
};

#endif
