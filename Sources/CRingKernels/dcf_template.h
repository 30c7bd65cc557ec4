// Distributed comparison functions, many instances in step; shared by the arms.
//
// Boyle, Chandran, Gilboa, Gupta, Ishai, Kumar, Rathee, "Function secret sharing for mixed-mode
// and fixed-point secure computation" (2021), section 3: f(x) = beta if x < alpha, else 0, with
// values in (Z_2^64)^payload. The generator is H(s, i) = pi(s ^ i) ^ s ^ i with AES under a fixed
// key as pi.
//
// The including file defines INLINE, TARGET, BATCH (instances in step), WIDTH (blocks a register, 1
// or 4) and encrypt(schedule, block *, constant count), which applies pi in place. Seeds and the bits
// of alpha are secret: nothing below branches on them or uses them as an address.

#include <string.h>

// Element 0 is the low word of the little-endian block.
typedef uint64_t block __attribute__((vector_size(16)));

// The second argument of H. Seeds have bit 0 clear, so every constant is even.
enum {
  SEED_LEFT = 0,
  SEED_RIGHT = 2,
  VALUE_LEFT = 4,
  VALUE_RIGHT = 8,
  LEAF = 12,
  SECOND_VALUE = 2,
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

INLINE uint64_t negated_if(uint64_t mask, uint64_t x) { return (x ^ mask) - mask; }

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

// H of `count` inputs, in place.
INLINE void hash(const lodge_aes128_schedule *schedule, const int count, block *blocks) {
  block inputs[12 * BATCH];
  for (int i = 0; i < count; i++) inputs[i] = blocks[i];
  encrypt(schedule, blocks, count);
  for (int i = 0; i < count; i++) blocks[i] ^= inputs[i];
}

// Word `word` of the value whose first block is values[0] and whose second is values[BATCH].
INLINE uint64_t value_word(const block *values, int word) {
  return word < 2 ? values[0][word] : values[BATCH][0];
}

// Keys number first ..< first + count (at most BATCH).
INLINE void generate_batch(const lodge_aes128_schedule *schedule, const int payload, size_t first,
                           int count, int levels, const uint64_t *alphas, const uint64_t *betas,
                           const uint64_t *roots0, const uint64_t *roots1, uint8_t *keys) {
  const int value_blocks = payload > 2 ? 2 : 1;
  const int party_blocks = 2 + 2 * value_blocks;
  const size_t level_stride = 16 + 8 * (size_t)payload;
  const size_t key_stride = 8 + (size_t)levels * level_stride + 8 * (size_t)payload;
  block seeds[2][BATCH];
  // sums[w]: what the parties' values on the path to alpha add up to so far (V_alpha).
  uint64_t bits[2][BATCH], controls[BATCH], alpha[BATCH], beta[3][BATCH], sums[3][BATCH] = {{0}};
  for (int j = 0; j < BATCH; j++) {
    const size_t index = first + (j < count ? (size_t)j : 0);
    seeds[0][j] = without_bit(load_block(roots0 + 2 * index));
    seeds[1][j] = without_bit(load_block(roots1 + 2 * index));
    bits[0][j] = 0;
    bits[1][j] = 1;
    controls[j] = 0;
    alpha[j] = alphas[index];
    for (int w = 0; w < payload; w++) beta[w][j] = betas[index * (size_t)payload + (size_t)w];
  }
  // For each party: left seeds, right seeds, left values, right values.
  block blocks[12 * BATCH];
  for (int level = 0; level < levels; level++) {
    for (int b = 0; b < 2; b++)
      for (int j = 0; j < BATCH; j++) {
        const block seed = seeds[b][j];
        block *to = blocks + b * party_blocks * BATCH + j;
        to[0] = seed ^ low_word(SEED_LEFT);
        to[BATCH] = seed ^ low_word(SEED_RIGHT);
        for (int v = 0; v < value_blocks; v++) {
          to[(2 + v) * BATCH] = seed ^ low_word(VALUE_LEFT + SECOND_VALUE * (uint64_t)v);
          to[(2 + value_blocks + v) * BATCH] =
              seed ^ low_word(VALUE_RIGHT + SECOND_VALUE * (uint64_t)v);
        }
      }
    hash(schedule, 2 * party_blocks * BATCH, blocks);
    for (int j = 0; j < BATCH; j++) {
      const uint64_t bit = (alpha[j] >> (levels - 1 - level)) & 1;
      const uint64_t right = mask_of(bit);
      const block *of0 = blocks + j, *of1 = of0 + party_blocks * BATCH;
      const block left0 = of0[0], right0 = of0[BATCH], left1 = of1[0], right1 = of1[BATCH];
      // The path to alpha is kept, the sibling is lost.
      const block keep0 = left0 ^ ((left0 ^ right0) & all(right));
      const block keep1 = left1 ^ ((left1 ^ right1) & all(right));
      const block lose = left0 ^ right0 ^ keep0 ^ left1 ^ right1 ^ keep1;
      const uint64_t left_bit = ((left0[0] ^ left1[0]) & 1) ^ bit ^ 1;
      const uint64_t right_bit = ((right0[0] ^ right1[0]) & 1) ^ bit;
      const block correction = without_bit(lose);
      const uint64_t bit0 = bits[0][j], bit1 = bits[1][j], sign = mask_of(bit1);

      uint64_t values[3];
      for (int w = 0; w < payload; w++) {
        const uint64_t left_value0 = value_word(of0 + 2 * BATCH, w);
        const uint64_t left_value1 = value_word(of1 + 2 * BATCH, w);
        const uint64_t right_value0 = value_word(of0 + (2 + value_blocks) * BATCH, w);
        const uint64_t right_value1 = value_word(of1 + (2 + value_blocks) * BATCH, w);
        const uint64_t keep_value = (left_value0 - left_value1) & ~right;
        const uint64_t keep_value2 = (right_value0 - right_value1) & right;
        const uint64_t keep_difference = keep_value + keep_value2;
        const uint64_t lose_difference =
            (left_value0 - left_value1) + (right_value0 - right_value1) - keep_difference;
        // x < alpha is decided where alpha goes right and x goes left.
        const uint64_t plain = (beta[w][j] & right) - lose_difference - sums[w][j];
        values[w] = negated_if(sign, plain);
        sums[w][j] += keep_difference + plain;
      }

      const block kept = correction ^ low_word((left_bit & ~right) | (right_bit & right));
      const block child0 = keep0 ^ (kept & all(mask_of(bit0)));
      const block child1 = keep1 ^ (kept & all(mask_of(bit1)));
      bits[0][j] = child0[0] & 1;
      bits[1][j] = child1[0] & 1;
      seeds[0][j] = without_bit(child0);
      seeds[1][j] = without_bit(child1);
      controls[j] |= right_bit << level;
      if (j < count) {
        uint8_t *to = keys + (first + (size_t)j) * key_stride + 8 + (size_t)level * level_stride;
        const block stored = correction ^ low_word(left_bit);
        memcpy(to, &stored, 16);
        memcpy(to + 16, values, 8 * (size_t)payload);
      }
    }
  }
  for (int b = 0; b < 2; b++)
    for (int j = 0; j < BATCH; j++)
      for (int v = 0; v < value_blocks; v++)
        blocks[(b * value_blocks + v) * BATCH + j] =
            seeds[b][j] ^ low_word(LEAF + SECOND_VALUE * (uint64_t)v);
  hash(schedule, 2 * value_blocks * BATCH, blocks);
  for (int j = 0; j < count; j++) {
    uint8_t *key = keys + (first + (size_t)j) * key_stride;
    memcpy(key, &controls[j], 8);
    for (int w = 0; w < payload; w++) {
      const uint64_t difference =
          value_word(blocks + value_blocks * BATCH + j, w) - value_word(blocks + j, w);
      const uint64_t leaf = negated_if(mask_of(bits[1][j]), difference - sums[w][j]);
      memcpy(key + 8 + (size_t)levels * level_stride + 8 * w, &leaf, 8);
    }
  }
}

INLINE int batch_count(size_t first, size_t total) {
  return total - first < BATCH ? (int)(total - first) : BATCH;
}

TARGET static void generate(const lodge_aes128_schedule *schedule, size_t total, int levels,
                            int payload, const uint64_t *alphas, const uint64_t *betas,
                            const uint64_t *roots0, const uint64_t *roots1, uint8_t *keys) {
  for (size_t first = 0; first < total; first += BATCH) {
    const int count = batch_count(first, total);
    if (payload == 1)
      generate_batch(schedule, 1, first, count, levels, alphas, betas, roots0, roots1, keys);
    else if (payload == 2)
      generate_batch(schedule, 2, first, count, levels, alphas, betas, roots0, roots1, keys);
    else
      generate_batch(schedule, 3, first, count, levels, alphas, betas, roots0, roots1, keys);
  }
}

#include "dcf_evaluation.h"
