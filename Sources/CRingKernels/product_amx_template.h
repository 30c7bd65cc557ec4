// Matrix products by 8-bit limbs on tile registers, for one width of elements.
//
// x = sum x_i 256^i and y = sum y_j 256^j give x y = sum over d of 256^d D_d, D_d = sum over
// i + j = d of x_i y_j, and only d < W matter, W the bytes of an element: W (W + 1) / 2 products of
// limbs, fewer where an operand has fewer limbs because it is promised to be small. The highest limb
// of such an operand is signed, all others are unsigned. D_d is summed over the depth in 32 bits.
// What overflows is a multiple of 2^(8 d + 32), which is nothing where 8 d + 32 reaches the width;
// below that nothing overflows: four products of less than 2^16 times the depth block stay below
// 2^31.
//
// The including file defines INLINE, TARGET, NAME(x), ELEMENT, ELEMENT_BYTES, ARM, the name of the
// result, and SMALL, the arm for fewer than 8 rows or columns or null, and includes tiles.h before.

// Rows and columns of two tiles by two tiles: every tile that is loaded is used twice.
#define SQUARE ((size_t)32)
// Elements along the depth of one tile.
#define TILE_DEPTH ((size_t)64)

static size_t NAME(group_bytes)(size_t depth, int bits) {
  const size_t steps = (depth + TILE_DEPTH - 1) / TILE_DEPTH;
  return (size_t)bits / 8 * steps * SQUARE * TILE_DEPTH;
}

static size_t NAME(narrow_bytes)(size_t count, size_t depth, int bits) {
  return (count + SQUARE - 1) / SQUARE * NAME(group_bytes)(depth, bits);
}

typedef uint8_t NAME(bytes) __attribute__((vector_size(64)));
typedef uint64_t NAME(quads) __attribute__((vector_size(64)));
typedef uint32_t NAME(pairs) __attribute__((vector_size(64)));
typedef int32_t NAME(signed_pairs) __attribute__((vector_size(64)));
// 16 elements of a row.
typedef ELEMENT NAME(elements) __attribute__((vector_size(16 * ELEMENT_BYTES)));
typedef int64_t NAME(signed_elements) __attribute__((vector_size(128)));

// Limb l of 64 elements goes to the 64 bytes at to + l * limb_stride.
INLINE void NAME(split)(const ELEMENT *elements, const int limbs, uint8_t *to,
                        size_t limb_stride) {
  NAME(bytes) lines[ELEMENT_BYTES];
  memcpy(lines, elements, sizeof lines);
#if ELEMENT_BYTES == 8
  // In every line, the limbs of its eight elements side by side; then a transposition of 8 x 8.
  for (int i = 0; i < 8; i++)
    lines[i] = __builtin_shufflevector(
        lines[i], lines[i], 0, 8, 16, 24, 32, 40, 48, 56, 1, 9, 17, 25, 33, 41, 49, 57, 2, 10, 18,
        26, 34, 42, 50, 58, 3, 11, 19, 27, 35, 43, 51, 59, 4, 12, 20, 28, 36, 44, 52, 60, 5, 13, 21,
        29, 37, 45, 53, 61, 6, 14, 22, 30, 38, 46, 54, 62, 7, 15, 23, 31, 39, 47, 55, 63);
  for (int round = 0; round < 3; round++) {
    NAME(quads) shuffled[8];
    for (int i = 0; i < 4; i++) {
      const NAME(quads) first = (NAME(quads))lines[i], second = (NAME(quads))lines[i + 4];
      shuffled[2 * i] = __builtin_shufflevector(first, second, 0, 8, 1, 9, 2, 10, 3, 11);
      shuffled[2 * i + 1] = __builtin_shufflevector(first, second, 4, 12, 5, 13, 6, 14, 7, 15);
    }
    memcpy(lines, shuffled, sizeof lines);
  }
#else
  for (int i = 0; i < 4; i++)
    lines[i] = __builtin_shufflevector(
        lines[i], lines[i], 0, 4, 8, 12, 16, 20, 24, 28, 32, 36, 40, 44, 48, 52, 56, 60, 1, 5, 9,
        13, 17, 21, 25, 29, 33, 37, 41, 45, 49, 53, 57, 61, 2, 6, 10, 14, 18, 22, 26, 30, 34, 38,
        42, 46, 50, 54, 58, 62, 3, 7, 11, 15, 19, 23, 27, 31, 35, 39, 43, 47, 51, 55, 59, 63);
  for (int round = 0; round < 2; round++) {
    NAME(quads) shuffled[4];
    for (int i = 0; i < 2; i++) {
      const NAME(quads) first = (NAME(quads))lines[i], second = (NAME(quads))lines[i + 2];
      shuffled[2 * i] = __builtin_shufflevector(first, second, 0, 1, 8, 9, 2, 3, 10, 11);
      shuffled[2 * i + 1] = __builtin_shufflevector(first, second, 4, 5, 12, 13, 6, 7, 14, 15);
    }
    memcpy(lines, shuffled, sizeof lines);
  }
#endif
  for (int l = 0; l < limbs; l++) memcpy(to + (size_t)l * limb_stride, &lines[l], 64);
}

// The same for row or column `index` of a strip from `depth` on; zeros where the strip has none.
INLINE void NAME(split_line)(const lodge_strip *from, size_t index, size_t depth, const int limbs,
                             uint8_t *to, size_t limb_stride) {
  const size_t count = from->depth - depth < TILE_DEPTH ? from->depth - depth : TILE_DEPTH;
  ELEMENT line[TILE_DEPTH];
  if (index >= from->count) {
    for (int l = 0; l < limbs; l++) memset(to + (size_t)l * limb_stride, 0, 64);
    return;
  }
  const ELEMENT *elements =
      (const ELEMENT *)from->elements + index * from->stride + depth * from->depth_stride;
  if (from->depth_stride == 1 && count == TILE_DEPTH) {
    NAME(split)(elements, limbs, to, limb_stride);
    return;
  }
  for (size_t p = 0; p < TILE_DEPTH; p++) line[p] = p < count ? elements[p * from->depth_stride] : 0;
  NAME(split)(line, limbs, to, limb_stride);
}

// Packed rows: [square][limb][step along the depth][upper and lower tile][16 rows][64 bytes].
TARGET static void NAME(pack_narrow)(const lodge_strip *from, void *to) {
  const size_t steps = (from->depth + TILE_DEPTH - 1) / TILE_DEPTH;
  const int limbs = from->bits / 8;
  uint8_t *square = to;
  for (size_t first = 0; first < from->count; first += SQUARE) {
    for (size_t row = 0; row < SQUARE; row++)
      for (size_t step = 0; step < steps; step++)
        NAME(split_line)(from, first + row, step * TILE_DEPTH, limbs,
                         square + step * SQUARE * TILE_DEPTH + row * TILE_DEPTH,
                         steps * SQUARE * TILE_DEPTH);
    square += NAME(group_bytes)(from->depth, from->bits);
  }
}

// Packed columns: [limb][step][left and right tile][16 quarters of a step][16 columns][4 bytes].
TARGET static void NAME(pack_wide)(const lodge_strip *from, void *to) {
  const size_t steps = (from->depth + TILE_DEPTH - 1) / TILE_DEPTH;
  const int limbs = from->bits / 8;
  for (size_t step = 0; step < steps; step++)
    for (size_t half = 0; half < 2; half++) {
      // One tile a limb, with a row for every column of the product.
      uint8_t tiles[ELEMENT_BYTES][16][64];
      for (size_t j = 0; j < 16; j++)
        NAME(split_line)(from, 16 * half + j, step * TILE_DEPTH, limbs, tiles[0][j], 1024);
      for (int l = 0; l < limbs; l++) {
        NAME(pairs) lines[16];
        memcpy(lines, tiles[l], sizeof lines);
        for (int round = 0; round < 4; round++) {
          NAME(pairs) shuffled[16];
          for (int i = 0; i < 8; i++) {
            shuffled[2 * i] = __builtin_shufflevector(lines[i], lines[i + 8], 0, 16, 1, 17, 2, 18, 3,
                                                      19, 4, 20, 5, 21, 6, 22, 7, 23);
            shuffled[2 * i + 1] =
                __builtin_shufflevector(lines[i], lines[i + 8], 8, 24, 9, 25, 10, 26, 11, 27, 12,
                                        28, 13, 29, 14, 30, 15, 31);
          }
          memcpy(lines, shuffled, sizeof lines);
        }
        memcpy((uint8_t *)to + (((size_t)l * steps + step) * 2 + half) * 1024, lines, sizeof lines);
      }
    }
}

#define LODGE_STEPS(multiply)                                                                      \
  for (size_t step = 0; step < steps; step++) {                                                    \
    tile_load(4, x + step * 2048);                                                                 \
    tile_load(6, y + step * 2048);                                                                 \
    tile_load(5, x + step * 2048 + 1024);                                                          \
    tile_load(7, y + step * 2048 + 1024);                                                          \
    multiply(0, 4, 6);                                                                             \
    multiply(1, 4, 7);                                                                             \
    multiply(2, 5, 6);                                                                             \
    multiply(3, 5, 7);                                                                             \
  }

// D_d of a square for d < diagonal_count, 16 x 16 words a tile.
TARGET static void NAME(diagonals)(size_t steps, int diagonal_count, const uint8_t *narrow,
                                   int narrow_limbs, int narrow_is_signed, const uint8_t *wide,
                                   int wide_limbs, int wide_is_signed, int32_t (*sums)[4][16][16]) {
  LODGE_TILES
  const size_t limb_stride = steps * SQUARE * TILE_DEPTH;
  for (int d = 0; d < diagonal_count; d++) {
    tile_zero(0);
    tile_zero(1);
    tile_zero(2);
    tile_zero(3);
    const int first = d < wide_limbs ? 0 : d - wide_limbs + 1;
    for (int i = first; i <= d && i < narrow_limbs; i++) {
      const int j = d - i;
      const uint8_t *x = narrow + (size_t)i * limb_stride;
      const uint8_t *y = wide + (size_t)j * limb_stride;
      const int x_is_signed = narrow_is_signed && i == narrow_limbs - 1;
      const int y_is_signed = wide_is_signed && j == wide_limbs - 1;
      switch (2 * x_is_signed + y_is_signed) {
      case 0:
        LODGE_STEPS(tile_multiply_uu)
        break;
      case 1:
        LODGE_STEPS(tile_multiply_us)
        break;
      case 2:
        LODGE_STEPS(tile_multiply_su)
        break;
      default:
        LODGE_STEPS(tile_multiply_ss)
      }
    }
    tile_store(0, sums[d][0]);
    tile_store(1, sums[d][1]);
    tile_store(2, sums[d][2]);
    tile_store(3, sums[d][3]);
  }
}

#undef LODGE_STEPS

// The sum of 256^d D_d for 16 columns; what reaches the upper half only is joined in 32 bits.
INLINE void NAME(join)(int diagonal_count, const int32_t (*sums)[4][16][16], size_t tile,
                       size_t row, NAME(elements) *result) {
  NAME(elements) joined = {0};
  NAME(pairs) high = {0};
  for (int d = 0; d < diagonal_count; d++) {
    NAME(signed_pairs) sum;
    memcpy(&sum, sums[d][tile][row], sizeof sum);
#if ELEMENT_BYTES == 8
    if (d < 4)
      joined += (NAME(elements))__builtin_convertvector(sum, NAME(signed_elements)) << (8 * d);
    else
      high += (NAME(pairs))sum << (8 * (d - 4));
  }
  joined += __builtin_convertvector(high, NAME(elements)) << 32;
#else
    joined += (NAME(elements))sum << (8 * d);
  }
  (void)high;
#endif
  *result = joined;
}

TARGET static void NAME(multiply)(const lodge_strip *narrow, const lodge_strip *wide, void *result,
                                  size_t row_step, size_t column_step, int accumulate) {
  const size_t steps = (narrow->depth + TILE_DEPTH - 1) / TILE_DEPTH;
  const int narrow_limbs = narrow->bits / 8, wide_limbs = wide->bits / 8;
  int diagonal_count = narrow_limbs + wide_limbs - 1;
  if (diagonal_count > ELEMENT_BYTES) diagonal_count = ELEMENT_BYTES;
  const size_t square_bytes = NAME(group_bytes)(narrow->depth, narrow->bits);
  _Alignas(64) int32_t sums[ELEMENT_BYTES][4][16][16];
  for (size_t i = 0; i < narrow->count; i += SQUARE) {
    const uint8_t *x = (const uint8_t *)narrow->elements + i / SQUARE * square_bytes;
    for (size_t j = 0; j < wide->count; j += SQUARE) {
      const uint8_t *y = (const uint8_t *)wide->elements + j / SQUARE * wide->stride;
      NAME(diagonals)(steps, diagonal_count, x, narrow_limbs, narrow->bits < 8 * ELEMENT_BYTES, y,
                      wide_limbs, wide->bits < 8 * ELEMENT_BYTES, sums);
      const size_t rows = narrow->count - i < SQUARE ? narrow->count - i : SQUARE;
      const size_t columns = wide->count - j < SQUARE ? wide->count - j : SQUARE;
      ELEMENT *c = (ELEMENT *)result + i * row_step + j * column_step;
      for (size_t row = 0; row < rows; row++)
        for (size_t half = 0; half < 2 && 16 * half < columns; half++) {
          NAME(elements) joined;
          NAME(join)(diagonal_count, (const int32_t(*)[4][16][16])sums, row / 16 * 2 + half,
                     row % 16, &joined);
          const size_t count = columns - 16 * half < 16 ? columns - 16 * half : 16;
          ELEMENT *z = c + row * row_step + 16 * half * column_step;
          if (column_step == 1 && count == 16) {
            NAME(elements) before = {0};
            if (accumulate) memcpy(&before, z, sizeof before);
            joined += before;
            memcpy(z, &joined, sizeof joined);
          } else {
            for (size_t u = 0; u < count; u++)
              z[u * column_step] = (accumulate ? z[u * column_step] : 0) + joined[u];
          }
        }
    }
  }
}

// A block of columns takes 1 MB of the second-level cache (2 MB) and 32 rows 128 kB, if all limbs
// are there.
const lodge_product_arm ARM = {
    .group = SQUARE,
    .wide_block = 2048 / ELEMENT_BYTES,
    .depth_block = 512,
    .narrow_block = SQUARE,
    .group_bytes = NAME(group_bytes),
    .narrow_bytes = NAME(narrow_bytes),
    .pack_wide = NAME(pack_wide),
    .pack_narrow = NAME(pack_narrow),
    .multiply = NAME(multiply),
    .small = SMALL,
    .least = 8,
    .begin = tiles_begin,
    .end = tiles_end,
};

#undef SQUARE
#undef TILE_DEPTH
