// The table of arms and the choice by processor.

#include "kernels.h"

#if LODGE_X86
static int has_vaes(void) {
  return __builtin_cpu_supports("vaes") && __builtin_cpu_supports("avx512vl") &&
         __builtin_cpu_supports("avx512bw");
}
#endif

int lodge_arm_available(int arm) {
  switch (arm) {
  case LODGE_ARM_PORTABLE:
    return 1;
#if LODGE_X86
  case LODGE_ARM_AVX2:
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("aes");
  case LODGE_ARM_AVX512:
    return lodge_arm_available(LODGE_ARM_AVX2) && __builtin_cpu_supports("avx512f") &&
           __builtin_cpu_supports("avx512dq");
#endif
  default:
    return 0;
  }
}

lodge_kernels lodge_kernels_of(int arm) {
  lodge_kernels result = {
      .multiply_transposed = lodge_multiply_transposed_portable,
      .multiply = lodge_multiply_portable,
      .aes128_encrypt = lodge_aes128_encrypt_portable,
      .dcf_generate = lodge_dcf_generate_portable,
      .dcf_evaluate = lodge_dcf_evaluate_portable,
  };
#if LODGE_X86
  if (arm >= LODGE_ARM_AVX2) {
    result.multiply_transposed = lodge_multiply_transposed_avx2;
    result.multiply = lodge_multiply_avx2;
    result.aes128_encrypt = lodge_aes128_encrypt_aesni;
    result.dcf_generate = lodge_dcf_generate_aesni;
    result.dcf_evaluate = lodge_dcf_evaluate_aesni;
  }
  if (arm >= LODGE_ARM_AVX512) {
    result.multiply_transposed = lodge_multiply_transposed_avx512;
    result.multiply = lodge_multiply_avx512;
  }
  // The first processors with AVX-512 have no VAES; they keep AES-NI.
  if (arm >= LODGE_ARM_AVX512 && has_vaes()) {
    result.aes128_encrypt = lodge_aes128_encrypt_vaes;
    result.dcf_generate = lodge_dcf_generate_vaes;
    result.dcf_evaluate = lodge_dcf_evaluate_vaes;
  }
#else
  (void)arm;
#endif
  return result;
}
