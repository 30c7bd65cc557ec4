// Distributed comparison functions, many instances in step; shared by the arms.
//
// Boyle, Chandran, Gilboa, Gupta, Ishai, Kumar, Rathee, "Function secret sharing for mixed-mode and
// fixed-point secure computation" (2021), section 3: f(x) = beta if x < alpha, else 0, with values
// in (Z_2^64)^payload. Keys hold the low bytes of values, which is all that the low bytes of sums
// depend on. The tree ends `tail_bits` levels early: a node there has a value for every place below
// it. Point functions, f(x) = beta if x = alpha, else 0, have the same trees without values on the
// way. The generator is H(s, i) = pi(s ^ i) ^ s ^ i with AES under a fixed key as pi.
//
// The including file defines INLINE, TARGET, BATCH (instances in step), WIDTH (blocks a register, 1
// or 4) and encrypt(schedule, block *, constant count), which applies pi in place. Seeds and the
// bits of alpha are secret: nothing below branches on them or uses them as an address.
//
// A node's state is its seed with the control bit in bit 0; sums and totals add up the values on
// the way to it.

#include <string.h>

// Element 0 is the low word of the little-endian block.
typedef uint64_t block __attribute__((vector_size(16)));

// The second argument of H. Seeds have bit 0 clear, so every constant is even.
enum {
  SEED_LEFT = 0,
  SEED_RIGHT = 2,
  VALUE_LEFT = 4,
  VALUE_RIGHT = 8,
  // Of point keys, whose levels have no values.
  MIDDLE = 4,
  LEAF = 12,
  SECOND_VALUE = 2,
  NEXT_PLACE = 16,
};

INLINE block load_block(const void *from) {
  block result;
  memcpy(&result, from, 16);
  return result;
}

INLINE block low_word(uint64_t x) { return (block){x, 0}; }
INLINE block all(uint64_t x) { return (block){x, x}; }
INLINE block without_bit(block x) { return x & (block){~(uint64_t)1, ~(uint64_t)0}; }
// x, of which the compiler knows nothing any more: what it knows to be a bit or a mask it may test
// and jump on.
INLINE uint64_t hidden(uint64_t x) {
  __asm__("" : "+r"(x));
  return x;
}
// All ones where `bit` is 1, zero where it is 0.
INLINE uint64_t mask_of(uint64_t bit) { return hidden(-bit); }

// Zeros what the compiler may not leave out.
INLINE void wipe(void *memory, size_t byte_count) {
  memset(memory, 0, byte_count);
  __asm__ volatile("" : : "r"(memory) : "memory");
}

INLINE uint64_t load_word(const uint8_t *from) {
  uint64_t result;
  memcpy(&result, from, 8);
  return result;
}

enum { GROUP = BATCH / WIDTH };

// WIDTH blocks side by side.
typedef uint64_t wide __attribute__((vector_size(16 * WIDTH)));

INLINE wide load_wide(const void *from) {
  wide result;
  memcpy(&result, from, sizeof result);
  return result;
}

#if WIDTH == 1
INLINE wide repeated(block x) { return x; }
INLINE wide low_in_both(wide x) { return __builtin_shufflevector(x, x, 0, 0); }
INLINE wide high_in_both(wide x) { return __builtin_shufflevector(x, x, 1, 1); }
INLINE wide in_low_words(const uint64_t *words) { return low_word(words[0]); }
INLINE wide blocks_of(const block *blocks, const uint16_t *numbers) { return blocks[numbers[0]]; }
#else
typedef uint64_t half_wide __attribute__((vector_size(32)));
INLINE wide repeated(block x) { return __builtin_shufflevector(x, x, 0, 1, 0, 1, 0, 1, 0, 1); }
INLINE wide low_in_both(wide x) { return __builtin_shufflevector(x, x, 0, 0, 2, 2, 4, 4, 6, 6); }
INLINE wide high_in_both(wide x) { return __builtin_shufflevector(x, x, 1, 1, 3, 3, 5, 5, 7, 7); }
INLINE wide in_low_words(const uint64_t *words) {
  half_wide low;
  memcpy(&low, words, sizeof low);
  return __builtin_shufflevector(low, (half_wide){0}, 0, 4, 1, 5, 2, 6, 3, 7);
}
INLINE wide joined(block a, block b, block c, block d) {
  const half_wide low = __builtin_shufflevector(a, b, 0, 1, 2, 3);
  const half_wide high = __builtin_shufflevector(c, d, 0, 1, 2, 3);
  return __builtin_shufflevector(low, high, 0, 1, 2, 3, 4, 5, 6, 7);
}
INLINE wide blocks_of(const block *blocks, const uint16_t *numbers) {
  return joined(blocks[numbers[0]], blocks[numbers[1]], blocks[numbers[2]], blocks[numbers[3]]);
}
#endif

INLINE wide one_bit(void) { return repeated(low_word(1)); }
// All ones in both words of a block whose low word has bit 0 set, else zero.
INLINE wide mask_of_bit(wide x) { return -(low_in_both(x) & repeated(all(1))); }
INLINE wide chosen(wide mask, wide if_set, wide if_clear) {
  return if_clear ^ ((if_set ^ if_clear) & mask);
}
INLINE wide negated_if(wide mask, wide x) { return (x ^ mask) - mask; }

// Where the parts of a key lie: control bits, the values of the last places, those of middle
// levels, then level by level a value and a seed correction. The seed corrections come last: a
// whole word can be read wherever a value begins.
typedef struct {
  int depth, word_bytes, gamma_words;
  unsigned middle_levels;
  size_t leaves, value_bytes, middle, path, level_bytes, key_bytes;
} key_parts;

enum { COMPARES, EQUALS };

// Where the value of middle level `level` lies.
INLINE size_t middle_place(const key_parts *parts, int level) {
  const int before = __builtin_popcount(parts->middle_levels & ((1u << level) - 1));
  return parts->middle + (size_t)(parts->gamma_words * before * parts->word_bytes);
}

INLINE key_parts parts_of(const int kind, const int payload, const lodge_dcf_layout *layout) {
  key_parts parts = {.depth = layout->levels - layout->tail_bits,
                     .word_bytes = layout->word_bytes,
                     .gamma_words = layout->gamma_words};
  parts.leaves = (size_t)(parts.depth + 7) / 8;
  parts.value_bytes = (size_t)(payload * layout->word_bytes);
  parts.middle = parts.leaves + (parts.value_bytes << layout->tail_bits);
  parts.middle_levels = layout->middle_levels;
  parts.path = middle_place(&parts, parts.depth + 1);
  parts.level_bytes = (kind == COMPARES ? parts.value_bytes : 0) + 16;
  parts.key_bytes = parts.path + (size_t)parts.depth * parts.level_bytes;
  return parts;
}

INLINE int batch_count(size_t first, size_t total) {
  return total - first < BATCH ? (int)(total - first) : BATCH;
}

#include "dcf_generation.h"

#include "dcf_evaluation.h"

#include "point_evaluation.h"

#include "point_summation.h"
