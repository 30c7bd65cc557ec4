// Matrix products with AVX2, which has no multiplier of 64 bits.
//
// x y = xl yl + 2^32 (xh yl + xl yh) mod 2^64: the two sums are kept apart and joined at the end, the
// second modulo 2^32 or as a sum of its halves.
// With x of at most 32 bits and signs, and y = yl + 2^32 yh for a signed yl, two products are
// enough: x y = x yl + 2^32 x yh.

#include "products.h"

#if LODGE_X86

#include <immintrin.h>

#define TARGET __attribute__((target("avx2")))
#define INLINE TARGET __attribute__((always_inline)) static inline

static size_t no_bytes(size_t count, size_t depth, int bits) {
  (void)count, (void)depth, (void)bits;
  return 0;
}

// Elements of 64 bits, in three variants.

#define ELEMENT uint64_t
#define LANES 4
#define ROWS 2
#define VECTORS 2
#define FEW 2
#define FEW_COLUMNS 2
#define LOW_HALVES 0, 4, 1, 5
#define HIGH_HALVES 2, 6, 3, 7

typedef struct {
  __m256i low, high;
} words;
typedef struct {
  __m256i low, cross;
} sums;

INLINE __m256i first_words(size_t count) {
  return _mm256_cmpgt_epi64(_mm256_set1_epi64x((long long)count), _mm256_setr_epi64x(0, 1, 2, 3));
}
// A multiplication reads the lower half of each word only: half of an element is loaded everywhere.
INLINE __m256i half_words(const char *from) {
  int half;
  __builtin_memcpy(&half, from, 4);
  return _mm256_set1_epi32(half);
}
INLINE __m256i rounding(void) { return _mm256_set1_epi64x(0x80000000); }

// What the three variants have in common.
#define LODGE_OPERATIONS                                                                           \
  typedef __m256i NAME(vector);                                                                    \
  typedef words NAME(operand);                                                                     \
  typedef sums NAME(accumulator);                                                                  \
  INLINE __m256i NAME(load)(const uint64_t *from) {                                                \
    return _mm256_loadu_si256((const __m256i *)from);                                              \
  }                                                                                                \
  INLINE __m256i NAME(load_first)(const uint64_t *from, size_t count) {                            \
    return _mm256_maskload_epi64((const long long *)from, first_words(count));                     \
  }                                                                                                \
  INLINE void NAME(store)(uint64_t *to, __m256i x) { _mm256_storeu_si256((__m256i *)to, x); }      \
  INLINE void NAME(store_first)(uint64_t *to, __m256i x, size_t count) {                           \
    _mm256_maskstore_epi64((long long *)to, first_words(count), x);                                \
  }                                                                                                \
  INLINE __m256i NAME(add)(__m256i x, __m256i y) { return _mm256_add_epi64(x, y); }                \
  INLINE uint64_t NAME(sum)(__m256i x) {                                                           \
    const __m128i half =                                                                           \
        _mm_add_epi64(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1));                  \
    return (uint64_t)_mm_cvtsi128_si64(_mm_add_epi64(half, _mm_unpackhi_epi64(half, half)));       \
  }                                                                                                \
  INLINE sums NAME(zero)(void) {                                                                   \
    return (sums){_mm256_setzero_si256(), _mm256_setzero_si256()};                                 \
  }                                                                                                \
  INLINE __m256i NAME(value)(sums total) {                                                         \
    /* If the compiler saw that the shift drops half of every product, it would multiply by words. */ \
    __asm__("" : "+x"(total.cross));                                                               \
    return LODGE_VALUE(total);                                                                     \
  }

// Both operands of the whole ring: products across halves count modulo 2^32, so that one
// multiplication of 32-bit lanes makes both, of an operand whose halves are exchanged.
#define NAME(name) name##_64
#define LODGE_VALUE(total)                                                                         \
  _mm256_add_epi64(                                                                                \
      (total).low,                                                                                 \
      _mm256_add_epi64(_mm256_slli_epi64((total).cross, 32),                                       \
                       _mm256_and_si256((total).cross, _mm256_set1_epi64x(~0xffffffffll))))
LODGE_OPERATIONS
#undef LODGE_VALUE
INLINE words prepare_64(__m256i x) { return (words){x, _mm256_shuffle_epi32(x, 0xb1)}; }
INLINE words prepare_narrow_64(__m256i x) { return (words){x, x}; }
INLINE words broadcast_64(const uint64_t *x) {
  const __m256i all = _mm256_set1_epi64x((long long)*x);
  return (words){all, all};
}
INLINE void multiply_add_64(sums *total, words x, words y) {
  total->low = _mm256_add_epi64(total->low, _mm256_mul_epu32(x.low, y.low));
  total->cross = _mm256_add_epi32(total->cross, _mm256_mullo_epi32(x.low, y.high));
}
#include "product_template.h"
#undef NAME

// The narrow operand has at most 32 bits.
#define LODGE_VALUE(total) _mm256_add_epi64((total).low, _mm256_slli_epi64((total).cross, 32))
#define NAME(name) name##_narrow
LODGE_OPERATIONS
INLINE words prepare_narrow(__m256i x) {
  return (words){x, _mm256_srli_epi64(_mm256_add_epi64(x, rounding()), 32)};
}
INLINE words prepare_narrow_narrow(__m256i x) { return (words){x, x}; }
INLINE words broadcast_narrow(const uint64_t *x) {
  const __m256i low = half_words((const char *)x);
  return (words){low, low};
}
INLINE void multiply_add_narrow(sums *total, words x, words y) {
  total->low = _mm256_add_epi64(total->low, _mm256_mul_epi32(x.low, y.low));
  total->cross = _mm256_add_epi64(total->cross, _mm256_mul_epi32(x.low, y.high));
}
#include "product_template.h"
#undef NAME

// The wide operand has at most 32 bits.
#define NAME(name) name##_wide
LODGE_OPERATIONS
INLINE words prepare_wide(__m256i x) { return (words){x, x}; }
INLINE words prepare_narrow_wide(__m256i x) { return prepare_narrow(x); }
INLINE words broadcast_wide(const uint64_t *x) {
  return prepare_narrow(_mm256_set1_epi64x((long long)*x));
}
INLINE void multiply_add_wide(sums *total, words x, words y) {
  total->low = _mm256_add_epi64(total->low, _mm256_mul_epi32(x.low, y.low));
  total->cross = _mm256_add_epi64(total->cross, _mm256_mul_epi32(x.high, y.low));
}
#include "product_template.h"
#undef NAME

static void multiply_64_promised(const lodge_strip *narrow, const lodge_strip *wide, void *c,
                                 size_t row_step, size_t column_step, int accumulate) {
  lodge_strip_product *const product = narrow->bits <= 32 ? multiply_narrow
                                       : wide->bits <= 32 ? multiply_wide
                                                          : multiply_64;
  product(narrow, wide, c, row_step, column_step, accumulate);
}

static void multiply_few_64_promised(const lodge_strip *narrow, const lodge_strip *wide, void *c,
                                     size_t row_step, size_t column_step, int accumulate) {
  lodge_strip_product *const product = narrow->bits <= 32 ? multiply_few_narrow
                                       : wide->bits <= 32 ? multiply_few_wide
                                                          : multiply_few_64;
  product(narrow, wide, c, row_step, column_step, accumulate);
}

const lodge_product_arm lodge_product_avx2_64 = {
    .group = VECTORS * LANES,
    .wide_block = 96,
    .depth_block = 512,
    .narrow_block = 64,
    .group_bytes = group_bytes_64,
    .narrow_bytes = no_bytes,
    .pack_wide = pack_64,
    .in_place_rows = 32,
    .multiply = multiply_64_promised,
    .multiply_few = multiply_few_64_promised,
    .few = 32,
};

#undef ELEMENT
#undef LANES
#undef ROWS
#undef VECTORS
#undef FEW
#undef FEW_COLUMNS
#undef LOW_HALVES
#undef HIGH_HALVES

// Elements of 32 bits: vpmulld.

#define ELEMENT uint32_t
#define LANES 8
#define ROWS 6
#define VECTORS 2
#define FEW 2
#define FEW_COLUMNS 4
#define NAME(name) name##_32
#define LOW_HALVES 0, 8, 1, 9, 2, 10, 3, 11
#define HIGH_HALVES 4, 12, 5, 13, 6, 14, 7, 15

typedef __m256i vector_32;
typedef __m256i operand_32;
typedef __m256i accumulator_32;

INLINE __m256i first_32(size_t count) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)count),
                            _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
INLINE __m256i load_32(const uint32_t *from) {
  return _mm256_loadu_si256((const __m256i *)from);
}
INLINE __m256i load_first_32(const uint32_t *from, size_t count) {
  return _mm256_maskload_epi32((const int *)from, first_32(count));
}
INLINE void store_32(uint32_t *to, __m256i x) { _mm256_storeu_si256((__m256i *)to, x); }
INLINE void store_first_32(uint32_t *to, __m256i x, size_t count) {
  _mm256_maskstore_epi32((int *)to, first_32(count), x);
}
INLINE __m256i add_32(__m256i x, __m256i y) { return _mm256_add_epi32(x, y); }
INLINE uint32_t sum_32(__m256i x) {
  __m128i half = _mm_add_epi32(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1));
  half = _mm_add_epi32(half, _mm_unpackhi_epi64(half, half));
  return (uint32_t)_mm_cvtsi128_si32(_mm_add_epi32(half, _mm_shuffle_epi32(half, 1)));
}
INLINE __m256i zero_32(void) { return _mm256_setzero_si256(); }
INLINE __m256i prepare_32(__m256i x) { return x; }
INLINE __m256i prepare_narrow_32(__m256i x) { return x; }
INLINE __m256i broadcast_32(const uint32_t *x) { return _mm256_set1_epi32((int)*x); }
INLINE void multiply_add_32(__m256i *total, __m256i x, __m256i y) {
  *total = _mm256_add_epi32(*total, _mm256_mullo_epi32(x, y));
}
INLINE __m256i value_32(__m256i total) { return total; }
#include "product_template.h"

const lodge_product_arm lodge_product_avx2_32 = {
    .group = VECTORS * LANES,
    .wide_block = 192,
    .depth_block = 512,
    .narrow_block = 64,
    .group_bytes = group_bytes_32,
    .narrow_bytes = no_bytes,
    .pack_wide = pack_32,
    .in_place_rows = 32,
    .multiply = multiply_32,
    .multiply_few = multiply_few_32,
    .few = 4,
};

#endif
