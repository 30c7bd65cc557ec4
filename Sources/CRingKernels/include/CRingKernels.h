// Kernels mod 2^64 with run-time dispatch: matrix products and distributed comparison functions.
#pragma once

#include <stddef.h>
#include <stdint.h>

// Arms, slowest first. An arm exists in the binary on x86-64 only, except the portable one, and may
// be called only where lodge_arm_available says so.
enum {
  LODGE_ARM_PORTABLE = 0,
  LODGE_ARM_AVX2 = 1,
  LODGE_ARM_AVX512 = 2,
  LODGE_ARM_COUNT = 3,
};

// C (+)= product, all row-major with row strides in elements.
typedef void lodge_product(size_t rows, size_t columns, size_t inner, const uint64_t *a,
                           size_t a_stride, const uint64_t *b, size_t b_stride, uint64_t *c,
                           size_t c_stride, int accumulate);

// The kernels of one arm; everything that differs between processors is reached through here.
typedef struct {
  const char *name;
  // a is [rows, inner], b is [columns, inner].
  lodge_product *multiply_transposed;
  // a is [rows, inner], b is [inner, columns].
  lodge_product *multiply;
} lodge_kernels;

int lodge_arm_available(int arm);
const char *lodge_arm_name(int arm);

void lodge_multiply_transposed(int arm, size_t rows, size_t columns, size_t inner,
                               const uint64_t *a, size_t a_stride, const uint64_t *b,
                               size_t b_stride, uint64_t *c, size_t c_stride, int accumulate);

void lodge_multiply(int arm, size_t rows, size_t columns, size_t inner, const uint64_t *a,
                    size_t a_stride, const uint64_t *b, size_t b_stride, uint64_t *c,
                    size_t c_stride, int accumulate);
