// Register tiles of the matrix products, shared by the vector arms and widths of elements.
//
// The including file defines INLINE (always inlined, with the arm's target), TARGET, NAME(x), which
// appends arm and width, the type ELEMENT, LANES, ROWS and VECTORS (a register tile), FEW and
// FEW_COLUMNS (the tile of sums along the depth), and, each under NAME, the types vector, operand
// and accumulator and
//   load, load_first, store, store_first   all or the first `count` lanes
//   prepare, broadcast                     an operand of `wide` and of `narrow`, from a vector and
//                                          from one element in memory
//   prepare_narrow                         an operand of `narrow` from a vector
//   multiply_add, value, sum               accumulator += x * y; its vector; the sum of all lanes
// and, as lists of lane numbers of two vectors, LOW_HALVES and HIGH_HALVES: the lanes of their lower
// and of their upper halves, alternating.
// It is included once for every pair of promises about the operands that the arm tells apart.

// Transposes LANES vectors: a perfect shuffle of the whole square, once for every bit of an index.
INLINE void NAME(transpose)(NAME(vector) lines[LANES]) {
  typedef ELEMENT lanes __attribute__((vector_size(LANES * sizeof(ELEMENT))));
  for (int width = LANES; width > 1; width /= 2) {
    lanes shuffled[LANES];
    for (int i = 0; i < LANES / 2; i++) {
      const lanes first = (lanes)lines[i], second = (lanes)lines[i + LANES / 2];
      shuffled[2 * i] = __builtin_shufflevector(first, second, LOW_HALVES);
      shuffled[2 * i + 1] = __builtin_shufflevector(first, second, HIGH_HALVES);
    }
    for (int i = 0; i < LANES; i++) lines[i] = (NAME(vector))shuffled[i];
  }
}

// One tile: row_count rows times vector_count vectors of columns, the last one cut to `last`. All
// counts are constants after inlining, except `last` where it is not LANES.
INLINE void NAME(tile)(const int row_count, const int vector_count, const size_t last,
                       const int is_transposed, size_t depth, const ELEMENT *x, size_t x_stride,
                       size_t x_step, const ELEMENT *y, size_t y_step, ELEMENT *c,
                       size_t c_stride, int accumulate) {
  NAME(accumulator) total[ROWS][VECTORS];
  for (int i = 0; i < row_count; i++)
    for (int v = 0; v < vector_count; v++) total[i][v] = NAME(zero)();
  for (size_t p = 0; p < depth; p++, x += x_step, y += y_step) {
    NAME(operand) columns[VECTORS];
    for (int v = 0; v < vector_count; v++) {
      const ELEMENT *from = y + v * LANES;
      columns[v] = NAME(prepare)(v + 1 < vector_count || last == LANES
                                     ? NAME(load)(from)
                                     : NAME(load_first)(from, last));
    }
    for (int i = 0; i < row_count; i++) {
      const NAME(operand) row = NAME(broadcast)(x + (size_t)i * x_stride);
      for (int v = 0; v < vector_count; v++) NAME(multiply_add)(&total[i][v], row, columns[v]);
    }
  }
  if (!is_transposed) {
    for (int i = 0; i < row_count; i++)
      for (int v = 0; v < vector_count; v++) {
        ELEMENT *z = c + (size_t)i * c_stride + v * LANES;
        NAME(vector) result = NAME(value)(total[i][v]);
        if (v + 1 < vector_count || last == LANES) {
          if (accumulate) result = NAME(add)(result, NAME(load)(z));
          NAME(store)(z, result);
        } else {
          if (accumulate) result = NAME(add)(result, NAME(load_first)(z, last));
          NAME(store_first)(z, result, last);
        }
      }
    return;
  }
  // Column j of the tile is row j of C. Fewer rows than lanes leave the other lanes unused.
  for (int v = 0; v < vector_count; v++)
    for (int first = 0; first < row_count; first += LANES) {
      const int row_lanes = row_count - first < LANES ? row_count - first : LANES;
      NAME(vector) lines[LANES];
      for (int i = 0; i < LANES; i++)
        lines[i] = NAME(value)(total[first + (i < row_lanes ? i : 0)][v]);
      NAME(transpose)(lines);
      const size_t count = v + 1 < vector_count ? LANES : last;
      for (size_t j = 0; j < LANES; j++) {
        if (j >= count) break;
        ELEMENT *z = c + (v * LANES + j) * c_stride + first;
        NAME(vector) result = lines[j];
        if (row_lanes == LANES) {
          if (accumulate) result = NAME(add)(result, NAME(load)(z));
          NAME(store)(z, result);
        } else {
          if (accumulate) result = NAME(add)(result, NAME(load_first)(z, (size_t)row_lanes));
          NAME(store_first)(z, result, (size_t)row_lanes);
        }
      }
    }
}

// All rows times one group of vector_count vectors of columns.
INLINE void NAME(group)(const int vector_count, const size_t last, const int is_transposed,
                        const lodge_strip *narrow, size_t depth, const ELEMENT *y, size_t y_step,
                        ELEMENT *c, size_t c_stride, int accumulate) {
  const size_t row_step = is_transposed ? 1 : c_stride;
  const ELEMENT *x = narrow->elements;
  size_t i = 0;
#define LODGE_ROWS(tile_rows)                                                                      \
  for (; i + (tile_rows) <= narrow->count; i += (tile_rows))                                       \
    NAME(tile)((tile_rows), vector_count, last, is_transposed, depth, x + i * narrow->stride,      \
               narrow->stride, narrow->depth_stride, y, y_step, c + i * row_step, c_stride,        \
               accumulate);
  LODGE_ROWS(ROWS)
#if ROWS > 4
  LODGE_ROWS(4)
#endif
#if ROWS > 2
  LODGE_ROWS(2)
#endif
  LODGE_ROWS(1)
#undef LODGE_ROWS
}

// What `depth` rows of the wide operand add to `count` elements of C, LANES where `is_whole`.
INLINE void NAME(row_step)(const int depth, const int is_whole, size_t count,
                           const NAME(operand) factors[8], const ELEMENT *y, size_t y_step,
                           ELEMENT *c, int accumulate) {
  NAME(accumulator) total = NAME(zero)();
  for (int u = 0; u < depth; u++) {
    const ELEMENT *from = y + (size_t)u * y_step;
    NAME(multiply_add)(
        &total, factors[u],
        NAME(prepare)(is_whole ? NAME(load)(from) : NAME(load_first)(from, count)));
  }
  NAME(vector) result = NAME(value)(total);
  if (accumulate)
    result = NAME(add)(result, is_whole ? NAME(load)(c) : NAME(load_first)(c, count));
  if (is_whole)
    NAME(store)(c, result);
  else
    NAME(store_first)(c, result, count);
}

// One row: C += sum of eight rows of the wide operand times one element each, read in order.
INLINE void NAME(row)(const int depth, size_t columns, const ELEMENT *x, size_t x_step,
                      const ELEMENT *y, size_t y_step, ELEMENT *c, int accumulate) {
  NAME(operand) factors[8];
  for (int u = 0; u < depth; u++) factors[u] = NAME(broadcast)(x + (size_t)u * x_step);
  size_t j = 0;
  for (; j + LANES <= columns; j += LANES)
    NAME(row_step)(depth, 1, LANES, factors, y + j, y_step, c + j, accumulate);
  if (j < columns)
    NAME(row_step)(depth, 0, columns - j, factors, y + j, y_step, c + j, accumulate);
}

INLINE void NAME(multiply_oriented)(const int is_transposed, const lodge_strip *narrow,
                                    const lodge_strip *wide, ELEMENT *c, size_t c_stride,
                                    int accumulate) {
  const size_t column_step = is_transposed ? c_stride : 1;
  const char *group = wide->elements;
  for (size_t j = 0; j < wide->count; j += VECTORS * LANES, group += wide->stride) {
    const size_t width = wide->count - j < VECTORS * LANES ? wide->count - j : VECTORS * LANES;
    const ELEMENT *y = (const void *)group;
    ELEMENT *z = c + j * column_step;
#define LODGE_VECTORS(vectors)                                                                     \
  if (width == (vectors) * LANES)                                                                  \
    NAME(group)((vectors), LANES, is_transposed, narrow, wide->depth, y, wide->depth_stride, z,    \
                c_stride, accumulate);                                                             \
  else if (width > ((vectors) - 1) * LANES && width < (vectors) * LANES)                           \
    NAME(group)((vectors), width - ((vectors) - 1) * LANES, is_transposed, narrow, wide->depth, y, \
                wide->depth_stride, z, c_stride, accumulate);
    LODGE_VECTORS(1)
    LODGE_VECTORS(2)
#if VECTORS > 2
    LODGE_VECTORS(3)
#endif
#undef LODGE_VECTORS
  }
}

// All rows times eight rows of the wide operand, or one: pieces of them stay in the cache meanwhile.
INLINE void NAME(ordered_rows)(const int depth, const lodge_strip *narrow, size_t columns,
                               const ELEMENT *x, const ELEMENT *y, size_t y_step, ELEMENT *c,
                               size_t c_stride, int accumulate) {
  const size_t piece = narrow->count == 1 ? columns : 2048 / sizeof(ELEMENT);
  for (size_t j = 0; j < columns; j += piece) {
    const size_t width = columns - j < piece ? columns - j : piece;
    for (size_t i = 0; i < narrow->count; i++)
      NAME(row)(depth, width, x + i * narrow->stride, narrow->depth_stride, y + j, y_step,
                c + i * c_stride + j, accumulate);
  }
}

TARGET static void NAME(multiply)(const lodge_strip *narrow, const lodge_strip *wide, void *c,
                                  size_t row_step, size_t column_step, int accumulate) {
  if (lodge_is_ordered(narrow->count, wide->count) && column_step == 1 &&
      wide->stride == VECTORS * LANES * sizeof(ELEMENT)) {
    const ELEMENT *x = narrow->elements, *y = wide->elements;
    const size_t x_step = narrow->depth_stride, y_step = wide->depth_stride;
    size_t p = 0;
    for (; p + 8 <= wide->depth; p += 8)
      NAME(ordered_rows)(8, narrow, wide->count, x + p * x_step, y + p * y_step, y_step, c,
                         row_step, accumulate || p > 0);
    for (; p < wide->depth; p++)
      NAME(ordered_rows)(1, narrow, wide->count, x + p * x_step, y + p * y_step, y_step, c,
                         row_step, accumulate || p > 0);
    return;
  }
  if (column_step == 1)
    NAME(multiply_oriented)(0, narrow, wide, c, row_step, accumulate);
  else
    NAME(multiply_oriented)(1, narrow, wide, c, column_step, accumulate);
}

// What `count` elements of the depth add to the sums of a tile, LANES where `is_whole`.
INLINE void NAME(few_step)(const int row_count, const int column_count, const int is_whole,
                           size_t count, const ELEMENT *x, size_t x_stride, const ELEMENT *y,
                           size_t y_stride, NAME(accumulator) total[FEW][FEW_COLUMNS]) {
  NAME(operand) columns[FEW_COLUMNS];
  for (int j = 0; j < column_count; j++) {
    const ELEMENT *from = y + (size_t)j * y_stride;
    // The next tile: what stands in memory is read once, and each tile begins new streams.
    __builtin_prefetch(from + FEW_COLUMNS * y_stride, 0, 2);
    columns[j] = NAME(prepare)(is_whole ? NAME(load)(from) : NAME(load_first)(from, count));
  }
  for (int i = 0; i < row_count; i++) {
    const ELEMENT *from = x + (size_t)i * x_stride;
    const NAME(operand) row =
        NAME(prepare_narrow)(is_whole ? NAME(load)(from) : NAME(load_first)(from, count));
    for (int j = 0; j < column_count; j++) NAME(multiply_add)(&total[i][j], row, columns[j]);
  }
}

// Sums along the depth: row_count rows times column_count columns.
INLINE void NAME(few_tile)(const int row_count, const int column_count, const lodge_strip *narrow,
                           const ELEMENT *x, const lodge_strip *wide, const ELEMENT *y,
                           ELEMENT *c, size_t row_step, size_t column_step, int accumulate) {
  NAME(accumulator) total[FEW][FEW_COLUMNS];
  for (int i = 0; i < row_count; i++)
    for (int j = 0; j < column_count; j++) total[i][j] = NAME(zero)();
  size_t p = 0;
  for (; p + LANES <= wide->depth; p += LANES)
    NAME(few_step)(row_count, column_count, 1, LANES, x + p, narrow->stride, y + p, wide->stride,
                   total);
  if (p < wide->depth)
    NAME(few_step)(row_count, column_count, 0, wide->depth - p, x + p, narrow->stride, y + p,
                   wide->stride, total);
  for (int i = 0; i < row_count; i++)
    for (int j = 0; j < column_count; j++) {
      ELEMENT *z = c + (size_t)i * row_step + (size_t)j * column_step;
      *z = (accumulate ? *z : 0) + NAME(sum)(NAME(value)(total[i][j]));
    }
}

// All rows times column_count columns, which are in the cache after the first rows.
INLINE void NAME(few_columns)(const int column_count, const lodge_strip *narrow,
                              const lodge_strip *wide, const ELEMENT *y, ELEMENT *c,
                              size_t row_step, size_t column_step, int accumulate) {
  const ELEMENT *x = narrow->elements;
  size_t i = 0;
#define LODGE_ROWS(tile_rows)                                                                      \
  for (; i + (tile_rows) <= narrow->count; i += (tile_rows))                                       \
    NAME(few_tile)((tile_rows), column_count, narrow, x + i * narrow->stride, wide, y,             \
                   c + i * row_step, row_step, column_step, accumulate);
  LODGE_ROWS(FEW)
#if FEW > 2
  LODGE_ROWS(2)
#endif
  LODGE_ROWS(1)
#undef LODGE_ROWS
}

TARGET static void NAME(multiply_few)(const lodge_strip *narrow, const lodge_strip *wide, void *c,
                                      size_t row_step, size_t column_step, int accumulate) {
  const ELEMENT *y = wide->elements;
  size_t j = 0;
  for (; j + FEW_COLUMNS <= wide->count; j += FEW_COLUMNS)
    NAME(few_columns)(FEW_COLUMNS, narrow, wide, y + j * wide->stride,
                      (ELEMENT *)c + j * column_step, row_step, column_step, accumulate);
  for (; j < wide->count; j++)
    NAME(few_columns)(1, narrow, wide, y + j * wide->stride, (ELEMENT *)c + j * column_step,
                      row_step, column_step, accumulate);
}

// Of the variants of an arm, one packs for all.
__attribute__((unused)) TARGET static void NAME(pack)(const lodge_strip *from, void *to) {
  const ELEMENT *elements = from->elements;
  ELEMENT *packed = to;
  const size_t group = VECTORS * LANES;
  if (from->depth_stride == 1 && from->stride != 1) {
    for (size_t j = 0; j < group; j += LANES) {
      const size_t count = from->count > j ? from->count - j : 0;
      if (count == 0) break;
      for (size_t p = 0; p < from->depth; p += LANES) {
        const size_t depth = from->depth - p < LANES ? from->depth - p : LANES;
        NAME(vector) lines[LANES];
        for (size_t u = 0; u < LANES; u++) {
          // Columns beyond the last repeat it: what comes of them is never stored.
          const ELEMENT *line = elements + (j + (u < count ? u : count - 1)) * from->stride + p;
          lines[u] = depth == LANES ? NAME(load)(line) : NAME(load_first)(line, depth);
        }
        NAME(transpose)(lines);
        for (size_t u = 0; u < depth; u++) NAME(store)(packed + (p + u) * group + j, lines[u]);
      }
    }
    return;
  }
  for (size_t p = 0; p < from->depth; p++)
    for (size_t j = 0; j < from->count; j += LANES) {
      const ELEMENT *line = elements + p * from->depth_stride + j;
      const size_t count = from->count - j;
      NAME(store)(packed + p * group + j,
                  count >= LANES ? NAME(load)(line) : NAME(load_first)(line, count));
    }
}

__attribute__((unused)) static size_t NAME(group_bytes)(size_t depth, int bits) {
  (void)bits;
  return depth * VECTORS * LANES * sizeof(ELEMENT);
}
