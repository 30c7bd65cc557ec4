// Conversions of floating-point elements: halves to and from single precision, with F16C where the
// processor has it, and single precision to fixed point.

#ifndef LODGE_FLOAT_KERNELS_H
#define LODGE_FLOAT_KERNELS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline float lodge_float_from_bits(uint32_t bits) {
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

static inline uint32_t lodge_bits_from_float(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}

/// The value of one half, exactly; infinities and NaN stay what they are.
static inline float lodge_float_from_half(uint16_t half) {
  uint32_t magnitude = half & 0x7fffu;
  // With exponent and fraction moved into place the value is too small by 2^112, for subnormal
  // halves as well; the product is exact.
  uint32_t finite =
      lodge_bits_from_float(lodge_float_from_bits(magnitude << 13) * 0x1p112f);
  // Exponent 31 means infinity or NaN: 255 in single precision.
  uint32_t special = magnitude >= 0x7c00u ? 0x7f800000u : 0;
  return lodge_float_from_bits(finite | special | (uint32_t)(half & 0x8000u) << 16);
}

/// target[i] = the value of the half source[i], as `lodge_float_from_half` has it.
void lodge_floats_from_halves(const uint16_t *source, float *target, size_t count);
/// The same without special instructions.
void lodge_floats_from_halves_portable(const uint16_t *source, float *target, size_t count);

/// target[i] = the half that is nearest to source[i], ties to even.
void lodge_halves_from_floats(const float *source, uint16_t *target, size_t count);
/// The same without special instructions.
void lodge_halves_from_floats_portable(const float *source, uint16_t *target, size_t count);

/// Largest magnitude among the bits of `count` floats, signs left out: infinities and NaN have 2^31 - 2^23
/// or more.
uint32_t lodge_largest_magnitude(const float *source, size_t count);

/// Largest of `count` halves or bfloat16, as words, signs left out: infinities and NaN of halves have
/// 0x7c00 or more, of bfloat16 0x7f80 or more.
uint16_t lodge_largest_word(const uint16_t *source, size_t count);

/// rows[r] += the sum of the squares of row r of the matrix `source`, row-major; where `columns` is not
/// NULL, columns[c] += that of column c, and largest[c] becomes the largest of itself and the
/// column's magnitudes.
void lodge_measure_rows(
    const float *source, size_t row_count, size_t column_count, double *rows, double *columns,
    float *largest);

/// The smallest and the largest of `count` > 0 finite numbers.
void lodge_float_range(const float *source, size_t count, float *smallest, float *largest);

/// What the results of `lodge_fixed_from_floats` need of the ring.
typedef struct {
  /// The bits below the sign that some result uses: ones where it differs from its sign.
  uint64_t used_bits;
  /// Whether some scaled value was 2^51 or more; the results are then meaningless.
  int is_large;
} lodge_fixed_range;

/// target[i] = source[i] * columns[i] * factor * scale, rounded to the nearest integer, ties to even,
/// in two's complement; products are of double precision, in this order. `columns` may be NULL for
/// ones; `scale` is a power of two.
lodge_fixed_range lodge_fixed_from_floats(
    const float *source, const float *columns, double factor, double scale, uint64_t *target,
    size_t count);

#endif
