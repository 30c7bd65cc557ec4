// Matrix products mod 2^64 in plain C; the reference for the other arms.

#include "kernels.h"

void lodge_multiply_transposed_portable(size_t rows, size_t columns, size_t inner,
                                        const uint64_t *a, size_t a_stride, const uint64_t *b,
                                        size_t b_stride, uint64_t *c, size_t c_stride,
                                        int accumulate) {
  for (size_t i = 0; i < rows; i++) {
    const uint64_t *x = a + i * a_stride;
    uint64_t *z = c + i * c_stride;
    size_t j = 0;
    for (; j + 4 <= columns; j += 4) {
      const uint64_t *y = b + j * b_stride;
      uint64_t sum[4] = {0, 0, 0, 0};
      for (size_t p = 0; p < inner; p++)
        for (int u = 0; u < 4; u++) sum[u] += x[p] * y[u * b_stride + p];
      for (int u = 0; u < 4; u++) z[j + u] = (accumulate ? z[j + u] : 0) + sum[u];
    }
    for (; j < columns; j++) {
      uint64_t sum = 0;
      for (size_t p = 0; p < inner; p++) sum += x[p] * b[j * b_stride + p];
      z[j] = (accumulate ? z[j] : 0) + sum;
    }
  }
}

void lodge_multiply_portable(size_t rows, size_t columns, size_t inner, const uint64_t *a,
                             size_t a_stride, const uint64_t *b, size_t b_stride, uint64_t *c,
                             size_t c_stride, int accumulate) {
  for (size_t i = 0; i < rows; i++) {
    const uint64_t *x = a + i * a_stride;
    uint64_t *restrict z = c + i * c_stride;
    if (!accumulate)
      for (size_t j = 0; j < columns; j++) z[j] = 0;
    for (size_t p = 0; p < inner; p++) {
      const uint64_t factor = x[p];
      const uint64_t *y = b + p * b_stride;
      for (size_t j = 0; j < columns; j++) z[j] += factor * y[j];
    }
  }
}
