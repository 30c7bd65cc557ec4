// Kernels mod 2^64 with run-time dispatch: matrix products and distributed comparison functions.
#pragma once

#include <stddef.h>
#include <stdint.h>

// Only what Swift must not see as optional says so.
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wnullability-completeness"

// Arms, slowest first. An arm exists in the binary on x86-64 only, except the portable one, and may
// be called only where lodge_arm_available says so.
enum {
  LODGE_ARM_PORTABLE = 0,
  LODGE_ARM_AVX2 = 1,
  LODGE_ARM_AVX512 = 2,
  LODGE_ARM_COUNT = 3,
};

// Round keys of AES-128, from lodge_aes128_expand.
typedef struct {
  uint8_t bytes[176];
} lodge_aes128_schedule;

// C (+)= product, all row-major with row strides in elements.
typedef void lodge_product(size_t rows, size_t columns, size_t inner, const uint64_t *a,
                           size_t a_stride, const uint64_t *b, size_t b_stride, uint64_t *c,
                           size_t c_stride, int accumulate);

// Encrypts blocks of two little-endian words in place.
typedef void lodge_encryption(const lodge_aes128_schedule *schedule, uint64_t *blocks,
                              size_t count);

// Comparison keys: f(x) = beta if x < alpha, else 0, for x and alpha of `levels` bits (1 to 63) and
// beta of `payload` words (1 to 3). One key, all little-endian, without padding:
//   u64 control word: bit l corrects the right control bit of level l
//   levels times: 16-byte seed correction (its bit 0 corrects the left control bit),
//                 payload x u64 value correction
//   payload x u64 leaf correction
// Both parties hold the same key; each has its own 16-byte root, bit 0 of which is ignored.
typedef void lodge_dcf_generation(const lodge_aes128_schedule *schedule, size_t count, int levels,
                                  int payload, const uint64_t *alphas, const uint64_t *betas,
                                  const uint64_t *roots0, const uint64_t *roots1, uint8_t *keys);

// Evaluates points first ..< first + count of all; point q belongs to key q / points_per_key. keys,
// roots and points are those of all keys, out is that of point `first` and has payload words a
// point. The outputs of party 0 and party 1 add up to f(x).
typedef void lodge_dcf_evaluation(const lodge_aes128_schedule *schedule, int party, size_t first,
                                  size_t count, size_t points_per_key, int levels, int payload,
                                  const uint8_t *keys, const uint64_t *roots,
                                  const uint64_t *points, uint64_t *out);

// The kernels of one arm; everything that differs between processors is reached through here.
typedef struct {
  // a is [rows, inner], b is [columns, inner].
  lodge_product *_Nonnull multiply_transposed;
  // a is [rows, inner], b is [inner, columns].
  lodge_product *_Nonnull multiply;
  lodge_encryption *_Nonnull aes128_encrypt;
  lodge_dcf_generation *_Nonnull dcf_generate;
  lodge_dcf_evaluation *_Nonnull dcf_evaluate;
} lodge_kernels;

int lodge_arm_available(int arm);

// The kernels of an available arm.
lodge_kernels lodge_kernels_of(int arm);

void lodge_aes128_expand(const uint8_t *key, lodge_aes128_schedule *schedule);

#pragma clang diagnostic pop
