// Both directions, portable and with F16C; which one runs is decided by the processor.

#include "CFloatKernels.h"

#define from_bits lodge_float_from_bits
#define to_bits lodge_bits_from_float

void lodge_floats_from_halves_portable(const uint16_t *source, float *target, size_t count) {
  for (size_t i = 0; i < count; i++) target[i] = lodge_float_from_half(source[i]);
}

void lodge_halves_from_floats_portable(const float *source, uint16_t *target, size_t count) {
  for (size_t i = 0; i < count; i++) {
    uint32_t bits = to_bits(source[i]);
    uint32_t sign = bits >> 16 & 0x8000u;
    bits &= 0x7fffffffu;
    uint32_t half;
    if (bits > 0x7f800000u) {
      // NaN keeps its upper fraction bits and becomes quiet, as the instruction does it.
      half = 0x7e00u | (bits >> 13 & 0x3ffu);
    } else if (bits >= 0x477ff000u) {
      half = 0x7c00u;
    } else if (bits < 0x38800000u) {
      // Subnormal: adding 1/2 leaves multiples of 2^-24, rounded to even, in the last bits.
      half = to_bits(from_bits(bits) + 0.5f) - 0x3f000000u;
    } else {
      // Normal: rebias by 112, and round the 13 bits that go to even.
      half = (bits - 0x38000000u + 0xfffu + (bits >> 13 & 1u)) >> 13;
    }
    target[i] = (uint16_t)(sign | half);
  }
}

#if defined(__x86_64__)

#include <immintrin.h>

__attribute__((target("avx,f16c"))) static void floats_from_halves_f16c(
    const uint16_t *source, float *target, size_t count) {
  size_t i = 0;
  for (; i + 8 <= count; i += 8) {
    __m128i halves = _mm_loadu_si128((const __m128i *)(source + i));
    _mm256_storeu_ps(target + i, _mm256_cvtph_ps(halves));
  }
  lodge_floats_from_halves_portable(source + i, target + i, count - i);
}

__attribute__((target("avx,f16c"))) static void halves_from_floats_f16c(
    const float *source, uint16_t *target, size_t count) {
  size_t i = 0;
  for (; i + 8 <= count; i += 8) {
    __m128i halves = _mm256_cvtps_ph(_mm256_loadu_ps(source + i), _MM_FROUND_TO_NEAREST_INT);
    _mm_storeu_si128((__m128i *)(target + i), halves);
  }
  lodge_halves_from_floats_portable(source + i, target + i, count - i);
}

static int has_f16c(void) {
  __builtin_cpu_init();
  return __builtin_cpu_supports("avx") && __builtin_cpu_supports("f16c");
}

void lodge_floats_from_halves(const uint16_t *source, float *target, size_t count) {
  (has_f16c() ? floats_from_halves_f16c : lodge_floats_from_halves_portable)(source, target, count);
}

void lodge_halves_from_floats(const float *source, uint16_t *target, size_t count) {
  (has_f16c() ? halves_from_floats_f16c : lodge_halves_from_floats_portable)(source, target, count);
}

#else

void lodge_floats_from_halves(const uint16_t *source, float *target, size_t count) {
  lodge_floats_from_halves_portable(source, target, count);
}

void lodge_halves_from_floats(const float *source, uint16_t *target, size_t count) {
  lodge_halves_from_floats_portable(source, target, count);
}

#endif
