// Single precision to fixed point; the compiler makes a variant for each width of vectors.

#include "CFloatKernels.h"

#include <math.h>

#pragma STDC FP_CONTRACT OFF

#if defined(__x86_64__)
#define LODGE_CLONES __attribute__((target_clones("default", "avx2", "avx512f")))
#else
#define LODGE_CLONES
#endif

// Adding 3 * 2^51 leaves the rounded integer in the low bits of the number's fraction.
#define SHIFT 0x1.8p52
#define SHIFT_BITS 0x4338000000000000ull

static inline uint64_t fixed(double value, uint64_t *used, uint64_t *large) {
  double shifted = value + SHIFT;
  uint64_t word;
  memcpy(&word, &shifted, sizeof word);
  word -= SHIFT_BITS;
  *used |= word ^ (uint64_t)((int64_t)word >> 63);
  *large |= !(fabs(value) < 0x1p51);
  return word;
}

LODGE_CLONES uint32_t lodge_largest_magnitude(const float *source, size_t count) {
  uint32_t largest = 0;
  for (size_t i = 0; i < count; i++) {
    uint32_t magnitude = lodge_bits_from_float(source[i]) & 0x7fffffffu;
    largest = magnitude > largest ? magnitude : largest;
  }
  return largest;
}

LODGE_CLONES uint16_t lodge_largest_word(const uint16_t *source, size_t count) {
  uint16_t largest = 0;
  for (size_t i = 0; i < count; i++) {
    uint16_t magnitude = source[i] & 0x7fffu;
    largest = magnitude > largest ? magnitude : largest;
  }
  return largest;
}

LODGE_CLONES lodge_fixed_range lodge_fixed_from_floats(
    const float *source, const float *columns, double factor, double scale, uint64_t *target,
    size_t count) {
  uint64_t used = 0, large = 0;
  if (columns) {
    for (size_t i = 0; i < count; i++) {
      target[i] = fixed((double)source[i] * columns[i] * factor * scale, &used, &large);
    }
  } else {
    for (size_t i = 0; i < count; i++) {
      target[i] = fixed((double)source[i] * factor * scale, &used, &large);
    }
  }
  return (lodge_fixed_range){used, large != 0};
}
