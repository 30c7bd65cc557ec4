// The table of arms and the choice by processor.

#include "kernels.h"

#if LODGE_X86

#include <cpuid.h>
#include <stdatomic.h>
#include <string.h>

#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

// Asks the processor for 8-bit products on tiles and Linux for the right to use tiles, which it
// gives to a process once and for all.
static int may_use_tiles(void) {
#if defined(__linux__)
  enum { TILE_BITS = (1 << 24) | (1 << 25), REQUEST_PERMISSION = 0x1023, TILE_DATA = 18 };
  unsigned a, b, c, d;
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || (d & TILE_BITS) != TILE_BITS) return 0;
  return syscall(SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA) == 0;
#else
  return 0;
#endif
}

// Whether the tiles of this processor compute what the portable arm does, on a product with edges
// on all sides and bytes of all kinds.
static int tiles_are_right(void) {
  enum { ROWS = 37, COLUMNS = 41, INNER = 131 };
  uint64_t a[ROWS * INNER], b[COLUMNS * INNER], c[2][ROWS * COLUMNS], state = 1;
  for (int i = 0; i < ROWS * INNER; i++) a[i] = state = state * 0x5851f42d4c957f2d + 1;
  for (int i = 0; i < COLUMNS * INNER; i++) b[i] = state = state * 0x5851f42d4c957f2d + 1;
  const lodge_operand left = {.elements = a, .row_stride = INNER, .column_stride = 1, .bits = 64};
  for (int bits = 64; bits >= 16; bits -= 48) {
    for (int i = 0; i < COLUMNS * INNER; i++) b[i] = (uint64_t)((int64_t)b[i] >> (64 - bits));
    const lodge_operand right = {
        .elements = b, .row_stride = 1, .column_stride = INNER, .bits = bits};
    const int arms[2] = {LODGE_ARM_PORTABLE, LODGE_ARM_AMX};
    for (int i = 0; i < 2; i++)
      if (lodge_multiply(arms[i], 64, 0, ROWS, 0, COLUMNS, INNER, &left, &right, c[i], COLUMNS, 0))
        return 0;
    if (memcmp(c[0], c[1], sizeof c[0]) != 0) return 0;
  }
  return 1;
}

static int amx_available(void) {
  // 0: not known yet. Threads that ask at the same time find the same answer.
  static atomic_int known;
  int answer = atomic_load(&known);
  if (answer == 0) {
    const int is_right = lodge_arm_available(LODGE_ARM_AVX512) &&
                         __builtin_cpu_supports("avx512vbmi") && may_use_tiles() &&
                         tiles_are_right();
    answer = is_right ? 1 : -1;
    atomic_store(&known, answer);
  }
  return answer > 0;
}
#endif

int lodge_arm_available(int arm) {
  switch (arm) {
  case LODGE_ARM_PORTABLE:
  case LODGE_ARM_AMX_MODEL:
    return 1;
#if LODGE_X86
  case LODGE_ARM_AVX2:
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("aes");
  case LODGE_ARM_AVX512:
    return lodge_arm_available(LODGE_ARM_AVX2) && __builtin_cpu_supports("avx512f") &&
           __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vl");
  case LODGE_ARM_AMX:
    return amx_available();
#endif
  default:
    return 0;
  }
}

size_t lodge_point_scratch_nodes(const lodge_dcf_layout *layout, const lodge_point_tables *tables) {
  const int depth = layout->levels - layout->tail_bits;
  size_t count = 1, most = 1;
  for (int level = 1; level <= depth; level++) {
    count *= 2;
    most = count > most ? count : most;
    if (layout->middle_levels >> level & 1)
      count = lodge_point_groups(layout, tables->window, level);
  }
  return most;
}

size_t lodge_point_scratch_bytes(const lodge_dcf_layout *layout, const lodge_point_tables *tables) {
  // States twice and values of nodes, and the states of one key.
  const size_t nodes = lodge_point_scratch_nodes(layout, tables);
  return 16 * (3 * LODGE_LARGEST_BATCH * nodes + nodes + LODGE_LARGEST_BATCH);
}

lodge_kernels lodge_kernels_of(int arm) {
  lodge_kernels result = {
      .aes128_encrypt = lodge_aes128_encrypt_portable,
      .dcf_generate = lodge_dcf_generate_portable,
      .dcf_evaluate = lodge_dcf_evaluate_portable,
      .point_generate = lodge_point_generate_portable,
      .point_evaluate = lodge_point_evaluate_portable,
      .point_sum = lodge_point_sum_portable,
  };
#if LODGE_X86
  if (arm == LODGE_ARM_AMX_MODEL) return result;
  if (arm >= LODGE_ARM_AVX2) {
    result.aes128_encrypt = lodge_aes128_encrypt_aesni;
    result.dcf_generate = lodge_dcf_generate_aesni;
    result.dcf_evaluate = lodge_dcf_evaluate_aesni;
    result.point_generate = lodge_point_generate_aesni;
    result.point_evaluate = lodge_point_evaluate_aesni;
    result.point_sum = lodge_point_sum_aesni;
  }
  // The first processors with AVX-512 have no VAES; they keep AES-NI.
  if (arm >= LODGE_ARM_AVX512 && __builtin_cpu_supports("vaes")) {
    result.aes128_encrypt = lodge_aes128_encrypt_vaes;
    result.dcf_generate = lodge_dcf_generate_vaes;
    result.dcf_evaluate = lodge_dcf_evaluate_vaes;
    result.point_generate = lodge_point_generate_vaes;
    result.point_evaluate = lodge_point_evaluate_vaes;
    result.point_sum = lodge_point_sum_vaes;
  }
#else
  (void)arm;
#endif
  return result;
}

const lodge_word_kernels *lodge_word_kernels_of(int arm) {
#if LODGE_X86
  if (arm == LODGE_ARM_AVX512 || arm == LODGE_ARM_AMX) return &lodge_words_avx512;
  if (arm == LODGE_ARM_AVX2) return &lodge_words_avx2;
#else
  (void)arm;
#endif
  return &lodge_words_portable;
}

lodge_aes256_kernels lodge_aes256_kernels_available(void) {
  lodge_aes256_kernels result = {0};
#if LODGE_X86
  if (lodge_arm_available(LODGE_ARM_AVX512) && __builtin_cpu_supports("vaes")) {
    result.expand = lodge_aes256_expand_vaes;
    result.stream = lodge_aes256_stream_vaes;
  }
#endif
  return result;
}
