// What an arm of the matrix products gives to the common loops in product.c; not visible to Swift.
#pragma once

#include "kernels.h"

// Adjacent rows of A or columns of B over a part of the inner dimension: the element at `index` and
// `depth` is elements[index * stride + depth * depth_stride].
typedef struct {
  const void *elements;
  size_t stride, depth_stride;
  size_t count, depth;
  int bits;
} lodge_strip;

// C (+)= narrow times wide; element (i, j) of C is c[i * row_step + j * column_step], and one of
// the steps is 1.
typedef void lodge_strip_product(const lodge_strip *narrow, const lodge_strip *wide, void *c,
                                 size_t row_step, size_t column_step, int accumulate);

// The product is computed as a "narrow" operand, taken a few rows at a time, times a block of a
// "wide" one that stays in the cache. Either factor can be either: C = A B or C^T = B^T A^T.
typedef struct lodge_product_arm lodge_product_arm;
struct lodge_product_arm {
  // Columns of the wide operand that are packed together, those that are in the cache at once, and
  // how many inner elements of them; narrow rows that are packed or produced at once.
  size_t group, wide_block, depth_block, narrow_block;
  // Bytes of a packed group and of packed narrow rows (0 where they are read in place).
  size_t (*group_bytes)(size_t depth, int bits);
  size_t (*narrow_bytes)(size_t count, size_t depth, int bits);
  // Packs up to `group` columns; packs narrow rows.
  void (*pack_wide)(const lodge_strip *from, void *to);
  void (*pack_narrow)(const lodge_strip *from, void *to);
  // A wide operand with stride 1 is read in place up to so many narrow rows.
  size_t in_place_rows;
  // `wide` is packed or has stride 1; instead of the stride of columns it has that of groups, in
  // bytes. `narrow` is packed where the arm packs.
  lodge_strip_product *multiply;
  // For up to `few` narrow rows, both operands contiguous along the depth and read in place, the
  // strides being those of rows and columns; unused where `few` is 0.
  lodge_strip_product *multiply_few;
  size_t few;
  // Used instead of this arm where there are fewer than `least` rows or columns; null if never.
  const lodge_product_arm *small;
  size_t least;
  // Around everything that a call does on its thread; may be null.
  void (*begin)(void);
  void (*end)(void);
};

// Whether a wide operand that is read in place is read in its order, eight of its rows at a time:
// groups of columns would take a line of each row, which is slow from memory.
static inline int lodge_is_ordered(size_t narrow_count, size_t wide_count) {
  return narrow_count == 1 || (narrow_count <= 4 && wide_count >= 512);
}

extern const lodge_product_arm lodge_product_portable_64, lodge_product_portable_32;
extern const lodge_product_arm lodge_product_amx_model_64, lodge_product_amx_model_32;
#if LODGE_X86
extern const lodge_product_arm lodge_product_avx2_64, lodge_product_avx2_32;
extern const lodge_product_arm lodge_product_avx512_64, lodge_product_avx512_32;
extern const lodge_product_arm lodge_product_amx_64, lodge_product_amx_32;
#endif
