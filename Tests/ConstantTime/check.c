// Runs the kernels on secrets, for what must not depend on them: which instructions are executed,
// and at which addresses. Linked with the objects that the tools are linked with.
//
//   check memcheck ARM   under valgrind: secrets are undefined, a jump or an address that depends on
//                        one is an error; what is secret stays so in keys and shares
//   check leak ARM       the same with one jump on a secret: an error, or memcheck sees nothing
//   check trace ARM      steps through every instruction and compares the addresses of those executed
//                        for several secrets; for arms that memcheck cannot run
//   check times ARM      nanoseconds a key for random and constant thresholds, medians
//
// Exit status 2 where the processor (under valgrind: the one valgrind shows) has no such arm.

#define _GNU_SOURCE
#include "CRingKernels.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <ucontext.h>
#include <valgrind/memcheck.h>

// Not a multiple of the instances in step; few, as a step of one instruction takes 50 us in places.
enum { KEYS = 17, TIMED_KEYS = 512, LEVELS = 3, TIMED_LEVELS = 32, SIZE = 17, REPETITIONS = 101 };
// Points of one key, enough for every arm to walk to them together.
enum { WALKED_POINTS = 66, WALKED_LEVELS = 5 };
enum { KEY_BYTES = 8 + 2 * 8 * 3 + 2 * 8 + TIMED_LEVELS * (16 + 8 * 3) };

static lodge_aes128_schedule schedule;
static lodge_kernels kernels;
static int arm;

static struct secrets {
  uint64_t alphas[TIMED_KEYS], betas[5 * TIMED_KEYS], roots[2][2 * TIMED_KEYS];
  uint64_t left[SIZE * SIZE], right[SIZE * SIZE];
} secrets;
static uint64_t points[KEYS];
static uint8_t keys[TIMED_KEYS * KEY_BYTES];
static uint64_t shares[3 * WALKED_POINTS], product[SIZE * SIZE];
// Points and cells are public, and so are tables.
static uint64_t pairs[4 * 4 << LEVELS], sums[6 * KEYS];
_Alignas(64) static uint8_t scratch[1 << 16];

static void fill(uint64_t *words, size_t count, uint64_t state) {
  for (size_t i = 0; i < count; i++) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    words[i] = state ^ state >> 29;
  }
}

// Trees that end 1, 2 and 0 levels early, with words of 8, 6 and 5 bytes.
static lodge_dcf_layout layout_of(int levels, int payload) {
  static const int word_bytes[] = {8, 6, 5}, tail_bits[] = {1, 2, 0};
  return (lodge_dcf_layout){.levels = levels,
                            .payload = payload,
                            .word_bytes = word_bytes[payload - 1],
                            .tail_bits = tail_bits[payload - 1]};
}

static void generate(int count, int levels, int payload) {
  const lodge_dcf_layout layout = layout_of(levels, payload);
  kernels.dcf_generate(&schedule, &layout, (size_t)count, secrets.alphas, secrets.betas,
                       secrets.roots[0], secrets.roots[1], keys);
}

// Everything that reads secrets, in turn; `step` is of 0 ..< STEPS.
enum { PAYLOADS = 3, PRODUCTS = 3, STEPS = 5 * PAYLOADS + 1 + PRODUCTS };
static int run(int step) {
  if (step < PAYLOADS) {
    generate(KEYS, LEVELS, step + 1);
    return 0;
  }
  if (step < 2 * PAYLOADS) {
    // Points are public: which place below a node is corrected is not hidden.
    const lodge_dcf_layout layout = layout_of(LEVELS, step - PAYLOADS + 1);
    for (int party = 0; party < 2; party++)
      kernels.dcf_evaluate(&schedule, &layout, party, 0, KEYS, 1, keys, secrets.roots[party],
                           points, shares);
    return 0;
  }
  if (step < 3 * PAYLOADS) {
    // Nor which nodes points share.
    const lodge_dcf_layout layout = layout_of(WALKED_LEVELS, step - 2 * PAYLOADS + 1);
    uint64_t walked[WALKED_POINTS];
    for (int i = 0; i < WALKED_POINTS; i++) walked[i] = (uint64_t)(90 + 3 * i / 2);
    kernels.dcf_evaluate(&schedule, &layout, 1, 0, WALKED_POINTS, WALKED_POINTS, keys,
                         secrets.roots[1], walked, shares);
    return 0;
  }
  if (step < 4 * PAYLOADS) {
    lodge_dcf_layout layout = layout_of(LEVELS, step - 3 * PAYLOADS + 1);
    layout.middle_levels = 1u << 1 | 1u << 2;
    layout.tail_bits = layout.tail_bits > 1 ? 1 : layout.tail_bits;
    kernels.point_generate(&schedule, &layout, KEYS, secrets.alphas, secrets.betas,
                           secrets.roots[0], secrets.roots[1], keys);
    return 0;
  }
  if (step < 5 * PAYLOADS) {
    const int payload = step - 4 * PAYLOADS + 1;
    lodge_dcf_layout layout = layout_of(LEVELS, payload);
    layout.middle_levels = 1u << 1 | 1u << 2;
    layout.tail_bits = layout.tail_bits > 1 ? 1 : layout.tail_bits;
    uint64_t places[KEYS];
    for (int i = 0; i < KEYS; i++) places[i] = points[i] >> (64 - LEVELS);
    const int block_count = ((payload << layout.tail_bits) + 1) / 2;
    lodge_point_product products[4];
    for (int b = 0; b < block_count; b++) products[b] = (lodge_point_product){b, {0, 1}};
    const lodge_point_tables all = {.product_count = (size_t)block_count,
                                    .products = products,
                                    .table_count = 2,
                                    .pairs = pairs,
                                    .end = 1,
                                    .window = 1,
                                    .left_groups = 1,
                                    .sides = 3};
    if (lodge_point_scratch_bytes(&layout, &all) > sizeof scratch) return 1;
    for (int party = 0; party < 2; party++)
      kernels.point_sum(&schedule, &layout, party, KEYS, keys, secrets.roots[party], places, &all,
                        scratch, sums);
    return 0;
  }
  if (step == 5 * PAYLOADS) {
    const lodge_dcf_layout layout = layout_of(LEVELS, 1);
    for (int party = 0; party < 2; party++)
      kernels.point_evaluate(&schedule, &layout, party, 0, KEYS, 1, keys, secrets.roots[party],
                             points, shares);
    return 0;
  }
  // Whole elements by whole elements, by those of 16 bits, and one row.
  const int kind = step - 5 * PAYLOADS - 1;
  const lodge_operand left = {
      .elements = secrets.left, .row_stride = SIZE, .column_stride = 1, .bits = 64};
  const lodge_operand right = {.elements = secrets.right,
                               .row_stride = 1,
                               .column_stride = SIZE,
                               .bits = kind == 1 ? 16 : 64};
  return lodge_multiply(arm, 64, 0, kind == 2 ? 1 : SIZE, 0, SIZE, SIZE, &left, &right, product,
                        SIZE, 0);
}

static int memcheck(int leaks) {
  fill((uint64_t *)&secrets, sizeof secrets / 8, 1);
  VALGRIND_MAKE_MEM_UNDEFINED(&secrets, sizeof secrets);
  for (int step = 0; step < STEPS; step++)
    if (run(step)) return 1;
  if (leaks && secrets.alphas[0] & 1) puts("leaked");
  // What comes out defined was not followed.
  uint64_t undefined;
  const void *results[] = {keys, shares, sums, product};
  for (int i = 0; i < 4; i++)
    if (VALGRIND_GET_VBITS(results[i], &undefined, 8) != 1 || !undefined) return 5;
  return 0;
}

static volatile uint64_t executed, path;
static void count_instruction(int number, siginfo_t *info, void *context) {
  (void)number, (void)info;
  const ucontext_t *machine = context;
#if defined(__x86_64__)
  const uint64_t address = (uint64_t)machine->uc_mcontext.gregs[REG_RIP];
#else
  const uint64_t address = 0;
#endif
  // Not those of the C library, whose heap remembers earlier calls.
  extern const char __executable_start, etext;
  if (address < (uint64_t)&__executable_start || address >= (uint64_t)&etext) return;
  executed++;
  path = (path ^ address) * 0x9e3779b97f4a7c15u;
  path ^= path >> 31;
}

static void single_steps(int on) {
#if defined(__x86_64__)
  // The trap flag, past the red zone.
  if (on)
    __asm__ volatile("sub $128, %%rsp\n pushfq\n orq $0x100, (%%rsp)\n popfq\n add $128, %%rsp" ::
                         : "cc", "memory");
  else
    __asm__ volatile(
        "sub $128, %%rsp\n pushfq\n andq $~0x100, (%%rsp)\n popfq\n add $128, %%rsp" ::
            : "cc", "memory");
#else
  (void)on;
#endif
}

// One copy, so that what is traced is at the same addresses every time.
__attribute__((noinline)) static int traced(int step) {
  executed = path = 0;
  single_steps(1);
  const int failed = run(step);
  single_steps(0);
  return failed;
}

static int trace(void) {
  struct sigaction action = {.sa_sigaction = count_instruction, .sa_flags = SA_SIGINFO};
  if (sigaction(SIGTRAP, &action, 0)) return 1;
  int different = 0;
  for (int step = 0; step < STEPS; step++) {
    uint64_t first = 0, count = 0;
    // Once for what is done at first only.
    if (run(step)) return 1;
    for (int secret = 0; secret < 3; secret++) {
      if (secret < 2)
        memset(&secrets, -secret, sizeof secrets);
      else
        fill((uint64_t *)&secrets, sizeof secrets / 8, (uint64_t)secret);
      if (traced(step) || executed < 500) return 1;
      if (secret == 0) first = path, count = executed;
      if (path != first || executed != count) {
        printf("step %d: %llu instructions, and for other secrets other ones or %llu\n", step,
               (unsigned long long)count, (unsigned long long)executed);
        different = 1;
      }
    }
  }
  return different ? 6 : 0;
}

static double nanoseconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static int ascending(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static int times(void) {
  static const char *names[] = {"random", "zeros", "ones", "0101"};
  static double taken[4][REPETITIONS], more[REPETITIONS];
  fill((uint64_t *)&secrets, sizeof secrets / 8, 1);
  uint64_t thresholds[4][TIMED_KEYS];
  fill(thresholds[0], TIMED_KEYS, 2);
  for (int i = 0; i < TIMED_KEYS; i++)
    thresholds[1][i] = 0, thresholds[2][i] = ~(uint64_t)0, thresholds[3][i] = 0x5555555555555555;
  for (int repetition = 0; repetition < REPETITIONS; repetition++)
    for (int kind = 0; kind < 4; kind++) {
      memcpy(secrets.alphas, thresholds[kind], sizeof thresholds[kind]);
      const double start = nanoseconds();
      generate(TIMED_KEYS, TIMED_LEVELS, 1);
      taken[kind][repetition] = (nanoseconds() - start) / TIMED_KEYS;
    }
  for (int kind = 3; kind >= 0; kind--) {
    for (int i = 0; i < REPETITIONS; i++) more[i] = taken[kind][i] - taken[0][i];
    qsort(more, REPETITIONS, sizeof *more, ascending);
    qsort(taken[kind], kind ? REPETITIONS : 0, sizeof *more, ascending);
    if (kind == 0) qsort(taken[0], REPETITIONS, sizeof *more, ascending);
    printf("%s: %.1f ns a key, %.1f more than random ones in the median pair\n", names[kind],
           taken[kind][REPETITIONS / 2], more[REPETITIONS / 2]);
  }
  return 0;
}

int main(int count, char **arguments) {
  if (count != 3) return 1;
  arm = atoi(arguments[2]);
  if (!lodge_arm_available(arm)) return 2;
  kernels = lodge_kernels_of(arm);
  const uint8_t key[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  lodge_aes128_expand(key, &schedule);
  fill(points, KEYS, 3);
  fill(pairs, sizeof pairs / 8, 4);
  if (!strcmp(arguments[1], "memcheck")) return memcheck(0);
  if (!strcmp(arguments[1], "leak")) return memcheck(1);
  if (!strcmp(arguments[1], "trace")) return trace();
  if (!strcmp(arguments[1], "times")) return times();
  return 1;
}
