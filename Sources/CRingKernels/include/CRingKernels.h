// Kernels mod 2^64 with run-time dispatch: matrix products and distributed comparison functions.
#pragma once

#include <stddef.h>
#include <stdint.h>

// Only what Swift must not see as optional says so.
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wnullability-completeness"

// Arms, slowest first. An arm exists in the binary on x86-64 only, except the portable one, and may
// be used only where lodge_arm_available says so. The arms above AVX-512 differ from it in their
// matrix products only.
enum {
  LODGE_ARM_PORTABLE = 0,
  LODGE_ARM_AVX2 = 1,
  LODGE_ARM_AVX512 = 2,
  LODGE_ARM_AMX = 3,
  // The program of the AMX arm on tile registers in plain C. It runs everywhere and is slow: tests
  // execute the AMX arm through it where there is no AMX.
  LODGE_ARM_AMX_MODEL = 4,
};

// Round keys of AES-128, from lodge_aes128_expand.
typedef struct {
  uint8_t bytes[176];
} lodge_aes128_schedule;

// Round keys of AES-256.
typedef struct {
  uint8_t bytes[240];
} lodge_aes256_schedule;

// Writes elements [row, row + rows) x [column, column + columns) of a matrix to `block`, row-major
// without gaps. May be called from several threads at once.
typedef void lodge_producer(void *_Nonnull context, size_t row, size_t column, size_t rows,
                            size_t columns, void *_Nonnull block);

// One factor of a product: a matrix in memory, or one that is made block by block when the product
// needs it.
typedef struct {
  // Element (i, j) is elements[i * row_stride + j * column_stride]; one of the strides is 1.
  const void *elements;
  size_t row_stride, column_stride;
  // Used instead of `elements` where not null. It makes blocks of the factor if column_stride is 1,
  // of its transpose if row_stride is 1; the other stride is 0.
  lodge_producer *produce;
  void *context;
  // What the caller promises of the elements: those of the whole ring (its bits), or integers of
  // 8, 16, 24 or 32 bits, sign-extended to the ring. The bits above must be there: arms are free to
  // read them or not.
  int bits;
} lodge_operand;

// Rows first_row ..< first_row + rows and columns first_column ..< first_column + columns of C = A
// B or, where `accumulate`, of C += A B, modulo 2^ring_bits (64 or 32; elements have 8 or 4 bytes).
// `result` is element (0, 0) of the whole C, which has `stride` elements a row. Every block of a
// produced operand is asked for once, except that where both are, those of A are asked for once
// every few hundred columns. Takes less than 2 MB from the heap. Returns 0, or -1 where that is not
// to be had and C is undefined.
int lodge_multiply(int arm, int ring_bits, size_t first_row, size_t rows, size_t first_column,
                   size_t columns, size_t inner, const lodge_operand *a, const lodge_operand *b,
                   void *result, size_t stride, int accumulate);

// Encrypts blocks of two little-endian words in place.
typedef void lodge_encryption(const lodge_aes128_schedule *schedule, uint64_t *blocks,
                              size_t count);

// What decides the bytes of a comparison key: f(x) = beta if x < alpha, else 0, for x and alpha of
// `levels` bits and beta of `payload` words.
typedef struct {
  int levels;              // 1 to 63
  int payload;             // 1 to 3, of point keys to 9
  int word_bytes;          // 1 to 8: values are numbers modulo 2^(8 word_bytes)
  int tail_bits;           // below `levels` and at most 6
  unsigned middle_levels;  // bit l: level l of a point key has values; of 1 to levels - tail_bits
  int gamma_words;         // of each of these values: 2, 4 or 6, of keys without them 0
} lodge_dcf_layout;

// One comparison key, all little-endian, without padding, depth = levels - tail_bits:
//   ceil(depth / 8) control bytes: bit l corrects the right control bit of level l
//   2^tail_bits times payload x word_bytes: value corrections of the places below the last node
//   depth times: payload x word_bytes value correction, 16-byte seed correction (its bit 0 corrects
//                the left control bit)
// Both parties hold the same key; each has its own 16-byte root, bit 0 of which is ignored. All
// words of betas have 64 bits, of which word_bytes count.
typedef void lodge_dcf_generation(const lodge_aes128_schedule *schedule,
                                  const lodge_dcf_layout *layout, size_t count,
                                  const uint64_t *alphas, const uint64_t *betas,
                                  const uint64_t *roots0, const uint64_t *roots1, uint8_t *keys);

// Evaluates points first ..< first + count of all; point q belongs to key q / points_per_key. keys,
// roots and points are those of all keys, out is that of point `first` and has payload words a
// point, below 2^(8 word_bytes). The outputs of party 0 and party 1 add up to f(x). Points are
// public, seeds and control bits are not. Many consecutive points of one key are walked to
// together, in whatever order; where they ascend or descend but for a few places, most of their
// paths are shared.
typedef void lodge_dcf_evaluation(const lodge_aes128_schedule *schedule,
                                  const lodge_dcf_layout *layout, int party, size_t first,
                                  size_t count, size_t points_per_key, const uint8_t *keys,
                                  const uint64_t *roots, const uint64_t *points, uint64_t *out);

// A point key: f(x) = beta if x = alpha, else 0, of the same layout but for the value corrections
// of the levels, which it has none of but for middle levels, whose nodes are groups of cells:
// behind the places of the last nodes stand, from the top, the value corrections of their nodes on
// the way to alpha, gamma_words words gamma each. Where there are some, gamma follows beta in `betas`.
// Arguments otherwise as of comparison keys.
typedef lodge_dcf_generation lodge_point_generation;

// Evaluates point keys with one payload word; arguments as of comparison keys.
typedef lodge_dcf_evaluation lodge_point_evaluation;

// Products of outputs with public tables. A last node has 2^tail_bits times payload output words,
// place by place, in blocks of two; `tables` says which sum words 0 and 1 of block `block` go to,
// or -1.
typedef struct {
  int block;
  int tables[2];
} lodge_point_product;

// Tables for all nodes. With M = 2^(levels - tail_bits) nodes they have, for every residue of a
// cell modulo 2^tail_bits and every product, 2 M pairs of words: pair m is what words 0 and 1 of
// node n's block are multiplied with where n - (cell >> tail_bits) = m modulo M.
//
// Cell minus alpha is i modulo 2^levels. At every middle level the groups that may hold one of
// `window` alphas, from that on where i is `end` - 1, are taken node by node: from the one on that
// holds it, as many as hold so many wherever they begin. At the first level the groups behind them,
// up to number `left_groups`, have smaller i, and the rest have larger ones; further down those
// before the first and behind the last have larger and smaller ones. Each such side has one line.
typedef struct {
  size_t product_count;                  // ascending blocks
  const lodge_point_product *products;
  size_t table_count;
  const uint64_t *pairs;
  int cell_bits;                         // of a place, below its cell
  int end, window;
  int left_groups;                       // that of the first middle level's groups, or more
  int sides;                             // bit 0: those of negative i count, bit 1: the others
} lodge_point_tables;

// Groups of middle level `level` that hold `window` cells, wherever they begin.
static inline size_t lodge_point_groups(const lodge_dcf_layout *layout, int window, int level) {
  const int group_bits = layout->levels - level;
  const size_t most = (size_t)1 << level;
  const size_t count = (((size_t)window + ((size_t)1 << group_bits) - 2) >> group_bits) + 1;
  return count < most ? count : most;
}

// For every key the sums over the outputs of its groups, table_count words, and then, where there is
// gamma, for each of both sides P and U: with gamma = (1, r) U is 1 and P is x = place - r, not
// reduced, where alpha is on that side, and both are 0 elsewhere. Further pairs (t, t r) of gamma
// give the same times t. `places`, cell by `cell_bits`, are public. `scratch`,
// aligned to 64 bytes, holds what lodge_point_scratch_bytes says and is zero afterwards.
typedef void lodge_point_summation(const lodge_aes128_schedule *schedule,
                                   const lodge_dcf_layout *layout, int party, size_t count,
                                   const uint8_t *keys, const uint64_t *roots,
                                   const uint64_t *places, const lodge_point_tables *tables,
                                   void *scratch, uint64_t *out);

size_t lodge_point_scratch_bytes(const lodge_dcf_layout *layout, const lodge_point_tables *tables);
// Nodes of a key that are held at once.
size_t lodge_point_scratch_nodes(const lodge_dcf_layout *layout, const lodge_point_tables *tables);

// The kernels of one arm; everything that differs between processors is reached through here.
typedef struct {
  lodge_encryption *_Nonnull aes128_encrypt;
  lodge_dcf_generation *_Nonnull dcf_generate;
  lodge_dcf_evaluation *_Nonnull dcf_evaluate;
  lodge_point_generation *_Nonnull point_generate;
  lodge_point_evaluation *_Nonnull point_evaluate;
  lodge_point_summation *_Nonnull point_sum;
} lodge_kernels;

// x = base + sum over parts of coefficient * part, with a public base and shared parts: an opened
// value has the part `mask` with coefficient -1; a view has `top` with the public coefficient
// `lift` besides, which are null elsewhere.
typedef struct {
  const uint64_t *base, *mask, *top, *lift;
} lodge_masked;

// Piecewise linear functions: what an output's slope and intercept gain where x falls below a knot,
// [outputs, knots]. Comparisons look at windows of levels + 1 bits.
typedef struct {
  size_t outputs, knots;
  int levels;
  const uint64_t *slopes, *intercepts;
} lodge_pieces;

// Operations on arrays of words mod 2^64, `count` elements each. `out` overlaps no operand.
typedef struct {
  // (((share mod 2^ring_bits) >> shift) + one + mask) mod 2^bits; shift < 64.
  void (*_Nonnull mask)(const uint64_t *share, const uint64_t *mask, size_t count, int ring_bits,
                        int shift, uint64_t one, int bits, uint64_t *out);
  // The lowest `bits` (1 to 63) of each, without gaps, filled up with zeros to a whole word. The
  // bits above are zero.
  void (*_Nonnull pack)(const uint64_t *words, size_t count, int bits, uint64_t *out);
  // out = (out + packed) mod 2^bits, for what `pack` gives.
  void (*_Nonnull add_packed)(const uint64_t *packed, size_t count, int bits, uint64_t *out);
  // Base and lift of the view of opened words of `bits` bits, shifted right by `shift` (both < 64
  // but for bits == 64): with c = word + 2^(bits - 2) mod 2^bits, the base is (c >> shift) -
  // (2^(bits - 2) >> shift) and the lift (1 - (c >> (bits - 1))) << (bits - shift).
  void (*_Nonnull view)(const uint64_t *opened, size_t count, int shift, int bits, uint64_t *base,
                        uint64_t *lift);
  // factor * base + the parts times their coefficients.
  void (*_Nonnull share)(const lodge_masked *x, size_t count, uint64_t factor, uint64_t *out);
  // Shares of x y for run_count runs of `run` elements of x; y has one element a run. products[2 i
  // + j] are shares of part i of x times part j of y. `factor` is 1 at one party and 0 at the
  // other.
  void (*_Nonnull multiply)(const lodge_masked *x, const lodge_masked *y,
                            const uint64_t *const products[4], size_t run, size_t run_count,
                            uint64_t factor, uint64_t *out);
  // Shares of sum over k of coefficients[k] x^k, fewer than 16 of them, at least 1. masks[i] and
  // tops[i] are shares of mask^i, for i > 0, and of top * mask^i.
  void (*_Nonnull polynomial)(const lodge_masked *x, const uint64_t *coefficients,
                              size_t coefficient_count, const uint64_t *const *masks,
                              const uint64_t *const *tops, size_t count, uint64_t factor,
                              uint64_t *out);
  // factor * x + constant.
  void (*_Nonnull scale)(const uint64_t *x, size_t count, uint64_t factor, uint64_t constant,
                         uint64_t *out);
  // out += factor * x, x having one element for each of run_count runs of `run` elements of out.
  void (*_Nonnull add_runs)(const uint64_t *x, size_t run, size_t run_count, uint64_t factor,
                            uint64_t *out);
  // out += x, x being one row of `width` elements for all rows of out.
  void (*_Nonnull add_row)(const uint64_t *x, size_t width, size_t row_count, uint64_t *out);
  // The sum of each of run_count runs of `run` elements.
  void (*_Nonnull sum_runs)(const uint64_t *x, size_t run, size_t run_count, uint64_t *out);
  // Elements have `word_count` words of four numbers modulo 2^16 each, of which cell_count count, a
  // power of two; number (n - cell) modulo cell_count belongs to place n. out is [bounds,
  // elements]: the sums modulo 2^16 of the numbers of places -1 ..< bound; bounds ascend.
  void (*_Nonnull cell_sums)(const uint64_t *words, size_t word_count, size_t cell_count,
                             const uint32_t *cells, size_t count, const int64_t *bounds,
                             size_t bound_count, uint64_t *out);
  // Shares of the steps of y at all knots times the bits of comparisons, for elements first ..<
  // first + count of y and of `correlated`: [elements, outputs]. A bit is m + (1 - 2 m) c, m the
  // top bit of its window, [elements, knots]. `correlated` has shares of h and of h times each mask
  // part of y, `shares` of c - h and of that times them: [elements, knots, 1 + parts].
  void (*_Nonnull step_sums)(const lodge_pieces *pieces, const lodge_masked *y,
                             const uint64_t *const *correlated, const uint64_t *windows,
                             const uint64_t *shares, size_t first, size_t count, uint64_t factor,
                             uint64_t *out);
  // The sum of words times signed halves.
  uint64_t (*_Nonnull dot_halves)(const int16_t *halves, const uint64_t *words, size_t count);
  // out += factor * half.
  void (*_Nonnull add_halves)(const int16_t *halves, size_t count, uint64_t factor, uint64_t *out);
  // out = half.
  void (*_Nonnull widen_halves)(const int16_t *halves, size_t count, uint64_t *out);
} lodge_word_kernels;

// AES-256 in counter mode from byte `offset` of the stream on; counters are 128-bit big-endian
// numbers of blocks from 0.
typedef void lodge_aes256_expansion(const uint8_t *key, lodge_aes256_schedule *schedule);
typedef void lodge_aes256_streaming(const lodge_aes256_schedule *schedule, uint64_t offset,
                                    size_t count, uint8_t *out);

// What this processor has instructions for; null pointers where it has none.
typedef struct {
  lodge_aes256_expansion *_Nullable expand;
  lodge_aes256_streaming *_Nullable stream;
} lodge_aes256_kernels;

lodge_aes256_kernels lodge_aes256_kernels_available(void);

int lodge_arm_available(int arm);

// The operations on words of an available arm.
const lodge_word_kernels *_Nonnull lodge_word_kernels_of(int arm);

// The kernels of an available arm.
lodge_kernels lodge_kernels_of(int arm);

void lodge_aes128_expand(const uint8_t *key, lodge_aes128_schedule *schedule);

#pragma clang diagnostic pop
