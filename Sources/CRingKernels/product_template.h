// Register and cache blocking of the matrix products, shared by the vector arms.
//
// The including file defines INLINE (always inlined, with the arm's target), TARGET, LANES, ROWS
// and VECTORS (tile of the plain product), TRANSPOSED_ROWS and TRANSPOSED_COLUMNS (tile of the
// other), the types vector, operand and accumulator, and
//   load, load_first, store_first     all or the first `count` lanes
//   prepare, broadcast                an operand from a vector or from one element
//   multiply_add, value, sum          accumulator += x * y; its vector; the sum of all lanes

// Elements of `inner` handled at once: four rows of A stay in the first-level cache.
#define INNER_BLOCK ((size_t)512)
// Rows of B handled at once: with INNER_BLOCK they stay in the second-level cache.
#define COLUMN_BLOCK ((size_t)96)

// One tile of C = A B^T; row_count and column_count are constants after inlining.
INLINE void transposed_tile(const int row_count, const int column_count, size_t inner,
                            const uint64_t *a, size_t a_stride, const uint64_t *b,
                            size_t b_stride, uint64_t *c, size_t c_stride, int accumulate) {
  accumulator total[4][4];
  for (int i = 0; i < row_count; i++)
    for (int j = 0; j < column_count; j++) total[i][j] = zero();
  size_t p = 0;
  for (; p + LANES <= inner; p += LANES) {
    operand y[4];
    for (int j = 0; j < column_count; j++) y[j] = prepare(load(b + j * b_stride + p));
    for (int i = 0; i < row_count; i++) {
      const operand x = prepare(load(a + i * a_stride + p));
      for (int j = 0; j < column_count; j++) multiply_add(&total[i][j], x, y[j]);
    }
  }
  if (p < inner) {
    operand y[4];
    for (int j = 0; j < column_count; j++)
      y[j] = prepare(load_first(b + j * b_stride + p, inner - p));
    for (int i = 0; i < row_count; i++) {
      const operand x = prepare(load_first(a + i * a_stride + p, inner - p));
      for (int j = 0; j < column_count; j++) multiply_add(&total[i][j], x, y[j]);
    }
  }
  for (int i = 0; i < row_count; i++)
    for (int j = 0; j < column_count; j++) {
      uint64_t *z = c + i * c_stride + j;
      *z = (accumulate ? *z : 0) + sum(value(total[i][j]));
    }
}

INLINE void transposed_rows(const int row_count, size_t columns, size_t inner, const uint64_t *a,
                            size_t a_stride, const uint64_t *b, size_t b_stride, uint64_t *c,
                            size_t c_stride, int accumulate) {
  // One row has registers to spare: four rows of B at once keep more loads in flight.
  const int column_count = row_count == 1 ? 4 : TRANSPOSED_COLUMNS;
  size_t j = 0;
  for (; j + column_count <= columns; j += column_count)
    transposed_tile(row_count, column_count, inner, a, a_stride, b + j * b_stride, b_stride, c + j,
                    c_stride, accumulate);
  for (; j < columns; j++)
    transposed_tile(row_count, 1, inner, a, a_stride, b + j * b_stride, b_stride, c + j, c_stride,
                    accumulate);
}

TARGET static void multiply_transposed(size_t rows, size_t columns, size_t inner,
                                       const uint64_t *a, size_t a_stride, const uint64_t *b,
                                       size_t b_stride, uint64_t *c, size_t c_stride,
                                       int accumulate) {
  // One row of A streams through B once: blocks would only interrupt the streams.
  const size_t inner_block = rows == 1 ? (inner > 0 ? inner : 1) : INNER_BLOCK;
  const size_t column_block = rows == 1 ? (columns > 0 ? columns : 1) : COLUMN_BLOCK;
  size_t p = 0;
  do {
    const size_t depth = inner - p < inner_block ? inner - p : inner_block;
    for (size_t j = 0; j < columns; j += column_block) {
      const size_t width = columns - j < column_block ? columns - j : column_block;
      size_t i = 0;
      for (; i + TRANSPOSED_ROWS <= rows; i += TRANSPOSED_ROWS)
        transposed_rows(TRANSPOSED_ROWS, width, depth, a + i * a_stride + p, a_stride,
                        b + j * b_stride + p, b_stride, c + i * c_stride + j, c_stride,
                        accumulate);
      for (; TRANSPOSED_ROWS > 2 && i + 2 <= rows; i += 2)
        transposed_rows(2, width, depth, a + i * a_stride + p, a_stride, b + j * b_stride + p,
                        b_stride, c + i * c_stride + j, c_stride, accumulate);
      for (; i < rows; i++)
        transposed_rows(1, width, depth, a + i * a_stride + p, a_stride, b + j * b_stride + p,
                        b_stride, c + i * c_stride + j, c_stride, accumulate);
    }
    accumulate = 1;
    p += depth;
  } while (p < inner);
}

// One tile of C = A B: row_count rows, vector_count vectors of columns, the last one cut to `last`.
INLINE void plain_tile(const int row_count, const int vector_count, size_t last, size_t inner,
                       const uint64_t *a, size_t a_stride, const uint64_t *b, size_t b_stride,
                       uint64_t *c, size_t c_stride, int accumulate) {
  accumulator total[ROWS][VECTORS];
  for (int i = 0; i < row_count; i++)
    for (int v = 0; v < vector_count; v++) total[i][v] = zero();
  for (size_t p = 0; p < inner; p++) {
    operand y[VECTORS];
    for (int v = 0; v < vector_count; v++) {
      const uint64_t *from = b + p * b_stride + v * LANES;
      y[v] = prepare(v + 1 < vector_count || last == LANES ? load(from) : load_first(from, last));
    }
    for (int i = 0; i < row_count; i++) {
      const operand x = broadcast(a[i * a_stride + p]);
      for (int v = 0; v < vector_count; v++) multiply_add(&total[i][v], x, y[v]);
    }
  }
  for (int i = 0; i < row_count; i++)
    for (int v = 0; v < vector_count; v++) {
      uint64_t *z = c + i * c_stride + v * LANES;
      const size_t count = v + 1 < vector_count ? LANES : last;
      vector result = value(total[i][v]);
      if (accumulate) result = add(result, load_first(z, count));
      store_first(z, result, count);
    }
}

INLINE void plain_columns(const int vector_count, size_t last, size_t rows, size_t inner,
                          const uint64_t *a, size_t a_stride, const uint64_t *b, size_t b_stride,
                          uint64_t *c, size_t c_stride, int accumulate) {
  size_t i = 0;
  for (; i + ROWS <= rows; i += ROWS)
    plain_tile(ROWS, vector_count, last, inner, a + i * a_stride, a_stride, b, b_stride,
               c + i * c_stride, c_stride, accumulate);
  for (; ROWS > 4 && i + 4 <= rows; i += 4)
    plain_tile(4, vector_count, last, inner, a + i * a_stride, a_stride, b, b_stride,
               c + i * c_stride, c_stride, accumulate);
  for (; ROWS > 2 && i + 2 <= rows; i += 2)
    plain_tile(2, vector_count, last, inner, a + i * a_stride, a_stride, b, b_stride,
               c + i * c_stride, c_stride, accumulate);
  for (; i < rows; i++)
    plain_tile(1, vector_count, last, inner, a + i * a_stride, a_stride, b, b_stride,
               c + i * c_stride, c_stride, accumulate);
}

// One row: C += sum of eight rows of B times one element each, so that B is read in order.
INLINE void plain_row(const int depth, size_t columns, const uint64_t *a, const uint64_t *b,
                      size_t b_stride, uint64_t *c, int accumulate) {
  operand x[8];
  for (int u = 0; u < depth; u++) x[u] = broadcast(a[u]);
  for (size_t j = 0; j < columns; j += LANES) {
    const size_t count = columns - j < LANES ? columns - j : LANES;
    accumulator total = zero();
    for (int u = 0; u < depth; u++) {
      const uint64_t *from = b + u * b_stride + j;
      multiply_add(&total, x[u], prepare(count == LANES ? load(from) : load_first(from, count)));
    }
    vector result = value(total);
    if (accumulate) result = add(result, load_first(c + j, count));
    store_first(c + j, result, count);
  }
}

TARGET static void multiply(size_t rows, size_t columns, size_t inner, const uint64_t *a,
                            size_t a_stride, const uint64_t *b, size_t b_stride, uint64_t *c,
                            size_t c_stride, int accumulate) {
  if (rows < 2 || inner == 0) {
    for (size_t i = 0; i < rows; i++) {
      size_t p = 0;
      if (inner == 0) plain_row(0, columns, a, b, b_stride, c + i * c_stride, accumulate);
      for (; p + 8 <= inner; p += 8)
        plain_row(8, columns, a + i * a_stride + p, b + p * b_stride, b_stride, c + i * c_stride,
                  accumulate || p > 0);
      for (; p < inner; p++)
        plain_row(1, columns, a + i * a_stride + p, b + p * b_stride, b_stride, c + i * c_stride,
                  accumulate || p > 0);
    }
    return;
  }
  const size_t tile = VECTORS * LANES;
  for (size_t p = 0; p < inner; p += INNER_BLOCK) {
    const size_t depth = inner - p < INNER_BLOCK ? inner - p : INNER_BLOCK;
    size_t j = 0;
    for (; j + tile <= columns; j += tile)
      plain_columns(VECTORS, LANES, rows, depth, a + p, a_stride, b + p * b_stride + j, b_stride,
                    c + j, c_stride, accumulate || p > 0);
    for (; j < columns; j += LANES)
      plain_columns(1, columns - j < LANES ? columns - j : LANES, rows, depth, a + p, a_stride,
                    b + p * b_stride + j, b_stride, c + j, c_stride, accumulate || p > 0);
  }
}
