// Operations on arrays of words, which the compiler turns into vector instructions of an arm.
//
// The including file defines TARGET, which every function begins with, and KERNELS, the name of the
// table of operations.

#include <string.h>

#include "kernels.h"

#define INLINE TARGET __attribute__((always_inline)) static inline

INLINE uint64_t low_bits(int bits) { return UINT64_MAX >> (64 - bits); }

TARGET static void mask(const uint64_t *restrict share, const uint64_t *restrict mask, size_t count,
                        int ring_bits, int shift, uint64_t one, int bits,
                        uint64_t *restrict out) {
  const uint64_t ring = low_bits(ring_bits), kept = low_bits(bits);
  for (size_t i = 0; i < count; i++)
    out[i] = (((share[i] & ring) >> shift) + one + mask[i]) & kept;
}

// 64 elements fill `bits` words: groups of as many begin with a word.
enum { GROUP = 64, WIDEST = 56 };

// Up to 56 bits from any bit of a byte on end before the last bit of the 8 bytes from there on.
INLINE void pack_group(const uint64_t *words, size_t count, int bits, uint64_t *out) {
  uint8_t bytes[8 * GROUP + 8];
  uint64_t pending = 0;
  size_t place = 0, bit = 0;
  for (size_t i = 0; i < count; i++) {
    pending |= words[i] << (bit & 7);
    memcpy(bytes + place, &pending, 8);
    bit += (size_t)bits;
    pending >>= 8 * ((bit >> 3) - place);
    place = bit >> 3;
  }
  memset(bytes + place, 0, 8);
  memcpy(bytes + place, &pending, 8);
  memcpy(out, bytes, (bit + 63) / 64 * 8);
}

TARGET static void pack(const uint64_t *words, size_t count, int bits, uint64_t *out) {
  if (bits <= WIDEST) {
    for (size_t i = 0; i < count; i += GROUP) {
      pack_group(words + i, count - i < GROUP ? count - i : GROUP, bits, out);
      out += bits;
    }
    return;
  }
  uint64_t pending = 0;
  int filled = 0;
  for (size_t i = 0; i < count; i++) {
    pending |= words[i] << filled;
    filled += bits;
    if (filled >= 64) {
      *out++ = pending;
      filled -= 64;
      pending = filled == 0 ? 0 : words[i] >> (bits - filled);
    }
  }
  if (filled > 0) *out = pending;
}

// Elements from number `first` on, one at a time.
INLINE void add_packed_rest(const uint64_t *packed, size_t first, size_t count, int bits,
                            uint64_t *out) {
  for (size_t i = first; i < count; i++) {
    const size_t bit = i * (size_t)bits;
    const int offset = (int)(bit % 64);
    uint64_t word = packed[bit / 64] >> offset;
    if (offset + bits > 64) word |= packed[bit / 64 + 1] << (64 - offset);
    out[i] = (out[i] + word) & low_bits(bits);
  }
}

TARGET static void add_packed(const uint64_t *packed, size_t count, int bits, uint64_t *out) {
  size_t done = 0;
  if (bits <= WIDEST) {
    // Eight elements begin with a byte and end where the next eight begin.
    const uint8_t *bytes = (const uint8_t *)packed;
    const size_t byte_count = (count * (size_t)bits + 63) / 64 * 8;
    size_t place[8];
    int offset[8];
    for (int k = 0; k < 8; k++) {
      place[k] = (size_t)(k * bits) / 8;
      offset[k] = k * bits % 8;
    }
    const uint64_t kept = low_bits(bits);
    for (size_t start = 0; done + 8 <= count && start + place[7] + 8 <= byte_count;
         done += 8, start += (size_t)bits) {
      uint64_t words[8];
      for (int k = 0; k < 8; k++) memcpy(words + k, bytes + start + place[k], 8);
      for (int k = 0; k < 8; k++)
        out[done + k] = (out[done + k] + (words[k] >> offset[k])) & kept;
    }
  }
  add_packed_rest(packed, done, count, bits, out);
}

TARGET static void view(const uint64_t *restrict opened, size_t count, int shift, int bits,
                        uint64_t *restrict base, uint64_t *restrict lift) {
  const uint64_t offset = (uint64_t)1 << (bits - 2), ring = low_bits(bits);
  const uint64_t shifted = offset >> shift;
  for (size_t i = 0; i < count; i++) {
    const uint64_t word = (opened[i] + offset) & ring;
    base[i] = (word >> shift) - shifted;
    // A lift of 2^64 is none.
    lift[i] = (1 - (word >> (bits - 1))) << (bits - shift - 1) << 1;
  }
}

TARGET static void scale(const uint64_t *restrict x, size_t count, uint64_t factor,
                         uint64_t constant, uint64_t *restrict out) {
  for (size_t i = 0; i < count; i++) out[i] = factor * x[i] + constant;
}

TARGET static void add_runs(const uint64_t *restrict x, size_t run, size_t run_count,
                            uint64_t factor, uint64_t *restrict out) {
  if (run == 1) {
    for (size_t i = 0; i < run_count; i++) out[i] += factor * x[i];
    return;
  }
  for (size_t j = 0; j < run_count; j++) {
    const uint64_t word = factor * x[j];
    for (size_t i = j * run; i < (j + 1) * run; i++) out[i] += word;
  }
}

TARGET static void add_row(const uint64_t *restrict x, size_t width, size_t row_count,
                           uint64_t *restrict out) {
  for (size_t j = 0; j < row_count; j++)
    for (size_t i = 0; i < width; i++) out[j * width + i] += x[i];
}

TARGET static void sum_runs(const uint64_t *restrict x, size_t run, size_t run_count,
                            uint64_t *restrict out) {
  for (size_t j = 0; j < run_count; j++) {
    uint64_t sum = 0;
    for (size_t i = j * run; i < (j + 1) * run; i++) sum += x[i];
    out[j] = sum;
  }
}

#include "masked_template.h"
#include "pieces_template.h"

INLINE uint64_t widened(int16_t half) { return (uint64_t)(int64_t)half; }

TARGET static uint64_t dot_halves(const int16_t *restrict halves, const uint64_t *restrict words,
                                  size_t count) {
  uint64_t sum = 0;
  for (size_t i = 0; i < count; i++) sum += words[i] * widened(halves[i]);
  return sum;
}

TARGET static void add_halves(const int16_t *restrict halves, size_t count, uint64_t factor,
                              uint64_t *restrict out) {
  for (size_t i = 0; i < count; i++) out[i] += factor * widened(halves[i]);
}

TARGET static void widen_halves(const int16_t *restrict halves, size_t count,
                                uint64_t *restrict out) {
  for (size_t i = 0; i < count; i++) out[i] = widened(halves[i]);
}

const lodge_word_kernels KERNELS = {
    .mask = mask,
    .pack = pack,
    .add_packed = add_packed,
    .view = view,
    .share = share,
    .multiply = multiply,
    .polynomial = polynomial,
    .scale = scale,
    .add_runs = add_runs,
    .add_row = add_row,
    .sum_runs = sum_runs,
    .cell_sums = cell_sums,
    .step_sums = step_sums,
    .dot_halves = dot_halves,
    .add_halves = add_halves,
    .widen_halves = widen_halves,
};
