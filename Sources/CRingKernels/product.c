// Loops over cache-sized blocks that all matrix products share: who is packed, what is produced.

#include <stdlib.h>
#include <string.h>

#include "products.h"

// An operand seen from the product: index counts rows of A or columns of B.
typedef struct {
  const lodge_operand *operand;
  size_t first, count;
  size_t stride, depth_stride;
} side;

static side side_of(const lodge_operand *operand, int is_right, size_t first, size_t count) {
  return (side){
      .operand = operand,
      .first = first,
      .count = count,
      .stride = is_right ? operand->column_stride : operand->row_stride,
      .depth_stride = is_right ? operand->row_stride : operand->column_stride,
  };
}

// Part of an operand: where it is in memory, or as `produced` after having been made there.
static lodge_strip strip_of(const side *from, size_t element_bytes, size_t index, size_t count,
                            size_t depth_start, size_t depth, void *produced) {
  const lodge_operand *operand = from->operand;
  lodge_strip strip = {.count = count, .depth = depth, .bits = operand->bits};
  const size_t start = from->first + index;
  if (!operand->produce) {
    strip.elements = (const char *)operand->elements +
                     element_bytes * (start * from->stride + depth_start * from->depth_stride);
    strip.stride = from->stride;
    strip.depth_stride = from->depth_stride;
    return strip;
  }
  strip.elements = produced;
  if (from->depth_stride == 1) {
    operand->produce(operand->context, start, depth_start, count, depth, produced);
    strip.stride = depth;
    strip.depth_stride = 1;
  } else {
    operand->produce(operand->context, depth_start, start, depth, count, produced);
    strip.stride = 1;
    strip.depth_stride = count;
  }
  return strip;
}

static size_t least_of(size_t x, size_t y) { return x < y ? x : y; }

// Whole cache lines, and one more: blocks a power of two apart would share cache sets.
static size_t padded(size_t bytes) { return bytes ? (bytes + 63) / 64 * 64 + 64 : 0; }

static int multiply_blocks(const lodge_product_arm *arm, size_t element_bytes, const side *narrow,
                           const side *wide, size_t inner, char *c, size_t row_step,
                           size_t column_step, int accumulate) {
  const int is_in_place = !wide->operand->produce && wide->stride == 1 &&
                          narrow->count <= arm->in_place_rows;
  // Where the operand is read in its order, blocks would only interrupt the stream.
  const size_t wide_block = is_in_place && lodge_is_ordered(narrow->count, wide->count)
                                ? wide->count
                                : least_of(arm->wide_block, wide->count);
  const size_t depth_block = least_of(arm->depth_block, inner);
  const size_t narrow_block = least_of(arm->narrow_block, narrow->count);
  const size_t group_bytes =
      is_in_place ? element_bytes * arm->group : arm->group_bytes(depth_block, wide->operand->bits);
  const size_t group_count = (wide_block + arm->group - 1) / arm->group;
  const size_t packed_wide = is_in_place ? 0 : padded(group_count * group_bytes);
  const size_t packed_narrow =
      padded(arm->narrow_bytes(narrow_block, depth_block, narrow->operand->bits));
  const size_t produced_wide =
      wide->operand->produce ? padded(element_bytes * arm->group * depth_block) : 0;
  const size_t produced_narrow =
      narrow->operand->produce ? padded(element_bytes * narrow_block * depth_block) : 0;
  const size_t bytes = packed_wide + packed_narrow + produced_wide + produced_narrow;
  char *scratch = NULL;
  if (bytes && !(scratch = aligned_alloc(64, bytes))) return -1;
  char *const packed_rows = scratch + packed_wide;
  char *const made_columns = packed_rows + packed_narrow;
  char *const made_rows = made_columns + produced_wide;

  if (arm->begin) arm->begin();
  for (size_t j = 0; j < wide->count; j += wide_block) {
    const size_t width = least_of(wide_block, wide->count - j);
    for (size_t p = 0; p < inner; p += depth_block) {
      const size_t depth = least_of(depth_block, inner - p);
      lodge_strip columns;
      if (is_in_place) {
        columns = strip_of(wide, element_bytes, j, width, p, depth, NULL);
      } else {
        columns = (lodge_strip){
            .elements = scratch,
            .depth_stride = arm->group,
            .count = width,
            .depth = depth,
            .bits = wide->operand->bits,
        };
        for (size_t g = 0; g < width; g += arm->group) {
          const lodge_strip group = strip_of(
              wide, element_bytes, j + g, least_of(arm->group, width - g), p, depth, made_columns);
          arm->pack_wide(&group, scratch + g / arm->group * group_bytes);
        }
      }
      columns.stride = group_bytes;
      for (size_t i = 0; i < narrow->count; i += narrow_block) {
        lodge_strip rows = strip_of(narrow, element_bytes, i,
                                    least_of(narrow_block, narrow->count - i), p, depth, made_rows);
        if (packed_narrow) {
          arm->pack_narrow(&rows, packed_rows);
          rows.elements = packed_rows;
        }
        arm->multiply(&rows, &columns, c + element_bytes * (i * row_step + j * column_step),
                      row_step, column_step, accumulate || p > 0);
      }
    }
  }
  if (arm->end) arm->end();
  free(scratch);
  return 0;
}

// Few rows times columns, both contiguous along the depth.
static void multiply_few(const lodge_product_arm *arm, size_t element_bytes, const side *narrow,
                         const side *wide, size_t inner, void *c, size_t row_step,
                         size_t column_step, int accumulate) {
  // Columns are read in order and once; the rows stay in the cache meanwhile.
  const size_t cached_bytes = 256 << 10;
  const size_t depth_block =
      narrow->count == 1 ? inner : least_of(cached_bytes / (element_bytes * narrow->count), inner);
  for (size_t p = 0; p < inner; p += depth_block) {
    const size_t depth = least_of(depth_block, inner - p);
    const lodge_strip rows =
        strip_of(narrow, element_bytes, 0, narrow->count, p, depth, NULL);
    const lodge_strip columns = strip_of(wide, element_bytes, 0, wide->count, p, depth, NULL);
    arm->multiply_few(&rows, &columns, c, row_step, column_step, accumulate || p > 0);
  }
}

// Whether the columns of C should be the wide operand rather than its rows.
static int right_is_wide(const side *left, const side *right) {
  // What is packed is produced once.
  if (left->operand->produce || right->operand->produce) return right->operand->produce != NULL;
  // What is contiguous needs no transposition.
  const int left_is_contiguous = left->stride == 1, right_is_contiguous = right->stride == 1;
  if (left_is_contiguous != right_is_contiguous) return right_is_contiguous;
  // What is packed should be small.
  return right->count < left->count;
}

static const lodge_product_arm *arm_of(int arm, int ring_bits) {
  switch (arm) {
#if LODGE_X86
  case LODGE_ARM_AVX2:
    return ring_bits == 64 ? &lodge_product_avx2_64 : &lodge_product_avx2_32;
  case LODGE_ARM_AVX512:
    return ring_bits == 64 ? &lodge_product_avx512_64 : &lodge_product_avx512_32;
  case LODGE_ARM_AMX:
    return ring_bits == 64 ? &lodge_product_amx_64 : &lodge_product_amx_32;
#endif
  case LODGE_ARM_AMX_MODEL:
    return ring_bits == 64 ? &lodge_product_amx_model_64 : &lodge_product_amx_model_32;
  default:
    return ring_bits == 64 ? &lodge_product_portable_64 : &lodge_product_portable_32;
  }
}

int lodge_multiply(int arm_number, int ring_bits, size_t first_row, size_t rows,
                   size_t first_column, size_t columns, size_t inner, const lodge_operand *a,
                   const lodge_operand *b, void *result, size_t stride, int accumulate) {
  const size_t element_bytes = (size_t)ring_bits / 8;
  char *const c = (char *)result + element_bytes * (first_row * stride + first_column);
  if (rows == 0 || columns == 0) return 0;
  if (inner == 0) {
    for (size_t i = 0; i < rows && !accumulate; i++)
      memset(c + element_bytes * i * stride, 0, element_bytes * columns);
    return 0;
  }
  const side left = side_of(a, 0, first_row, rows), right = side_of(b, 1, first_column, columns);
  const lodge_product_arm *arm = arm_of(arm_number, ring_bits);
  while (arm->small && least_of(rows, columns) < arm->least) arm = arm->small;
  if (!a->produce && !b->produce && left.depth_stride == 1 && right.depth_stride == 1 &&
      least_of(rows, columns) <= arm->few) {
    if (rows <= columns)
      multiply_few(arm, element_bytes, &left, &right, inner, c, stride, 1, accumulate);
    else
      multiply_few(arm, element_bytes, &right, &left, inner, c, 1, stride, accumulate);
    return 0;
  }
  if (right_is_wide(&left, &right))
    return multiply_blocks(arm, element_bytes, &left, &right, inner, c, stride, 1, accumulate);
  return multiply_blocks(arm, element_bytes, &right, &left, inner, c, 1, stride, accumulate);
}
