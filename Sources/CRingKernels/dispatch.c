// The table of arms and the choice by processor.

#include "kernels.h"

static const lodge_kernels table[LODGE_ARM_COUNT] = {
    [LODGE_ARM_PORTABLE] = {"portable", lodge_multiply_transposed_portable,
                            lodge_multiply_portable},
#if LODGE_X86
    [LODGE_ARM_AVX2] = {"avx2", lodge_multiply_transposed_avx2, lodge_multiply_avx2},
    [LODGE_ARM_AVX512] = {"avx512", lodge_multiply_transposed_avx512, lodge_multiply_avx512},
#else
    [LODGE_ARM_AVX2] = {"avx2", 0, 0},
    [LODGE_ARM_AVX512] = {"avx512", 0, 0},
#endif
};

int lodge_arm_available(int arm) {
  switch (arm) {
  case LODGE_ARM_PORTABLE:
    return 1;
#if LODGE_X86
  case LODGE_ARM_AVX2:
    return __builtin_cpu_supports("avx2") != 0;
  case LODGE_ARM_AVX512:
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq");
#endif
  default:
    return 0;
  }
}

const char *lodge_arm_name(int arm) {
  return arm >= 0 && arm < LODGE_ARM_COUNT ? table[arm].name : "unknown";
}

void lodge_multiply_transposed(int arm, size_t rows, size_t columns, size_t inner,
                               const uint64_t *a, size_t a_stride, const uint64_t *b,
                               size_t b_stride, uint64_t *c, size_t c_stride, int accumulate) {
  table[arm].multiply_transposed(rows, columns, inner, a, a_stride, b, b_stride, c, c_stride,
                                 accumulate);
}

void lodge_multiply(int arm, size_t rows, size_t columns, size_t inner, const uint64_t *a,
                    size_t a_stride, const uint64_t *b, size_t b_stride, uint64_t *c,
                    size_t c_stride, int accumulate) {
  table[arm].multiply(rows, columns, inner, a, a_stride, b, b_stride, c, c_stride, accumulate);
}
