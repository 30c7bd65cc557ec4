// Opened values and views under masks: shares, products and polynomials. Included by
// words_template.h.

// The parts of element i times their coefficients.
INLINE uint64_t rest(const lodge_masked *x, const int is_view, size_t i) {
  return is_view ? x->lift[i] * x->top[i] - x->mask[i] : 0 - x->mask[i];
}

INLINE void share_of(const lodge_masked *x, const int is_view, size_t count, uint64_t factor,
                     uint64_t *restrict out) {
  const lodge_masked y = *x;
  for (size_t i = 0; i < count; i++) out[i] = factor * y.base[i] + rest(&y, is_view, i);
}

TARGET static void share(const lodge_masked *x, size_t count, uint64_t factor,
                         uint64_t *restrict out) {
  if (x->lift)
    share_of(x, 1, count, factor, out);
  else
    share_of(x, 0, count, factor, out);
}

INLINE void multiply_run(const lodge_masked *x, const int x_view, const int y_view,
                         const int is_run, uint64_t b, uint64_t b_rest, uint64_t b_lift,
                         const lodge_masked *y, const uint64_t *const *products, size_t first,
                         size_t count, uint64_t factor, uint64_t *restrict out) {
  const lodge_masked left = *x;
  const uint64_t *const none = products[0], *const p0 = products[0];
  const uint64_t *const p1 = y_view ? products[1] : none;
  const uint64_t *const p2 = x_view ? products[2] : none;
  const uint64_t *const p3 = x_view && y_view ? products[3] : none;
  const lodge_masked right = *y;
  for (size_t i = first; i < first + count; i++) {
    if (!is_run) {
      b = right.base[i];
      b_rest = rest(&right, y_view, i);
      if (y_view) b_lift = right.lift[i];
    }
    const uint64_t a = left.base[i];
    uint64_t sum = factor * a * b + a * b_rest + b * rest(&left, x_view, i) + p0[i];
    if (y_view) sum -= b_lift * p1[i];
    if (x_view) sum -= left.lift[i] * (y_view ? p2[i] - b_lift * p3[i] : p2[i]);
    out[i] = sum;
  }
}

INLINE void multiply_runs(const lodge_masked *x, const int x_view, const lodge_masked *y,
                          const int y_view, const uint64_t *const *products, size_t run,
                          size_t run_count, uint64_t factor, uint64_t *restrict out) {
  if (run == 1) {
    multiply_run(x, x_view, y_view, 0, 0, 0, 0, y, products, 0, run_count, factor, out);
    return;
  }
  for (size_t j = 0; j < run_count; j++)
    multiply_run(x, x_view, y_view, 1, y->base[j], rest(y, y_view, j), y_view ? y->lift[j] : 0, y,
                 products, j * run, run, factor, out);
}

TARGET static void multiply(const lodge_masked *x, const lodge_masked *y,
                            const uint64_t *const products[4], size_t run, size_t run_count,
                            uint64_t factor, uint64_t *restrict out) {
  if (x->lift && y->lift)
    multiply_runs(x, 1, y, 1, products, run, run_count, factor, out);
  else if (x->lift)
    multiply_runs(x, 1, y, 0, products, run, run_count, factor, out);
  else if (y->lift)
    multiply_runs(x, 0, y, 1, products, run, run_count, factor, out);
  else
    multiply_runs(x, 0, y, 0, products, run, run_count, factor, out);
}

enum { MOST_COEFFICIENTS = 16 };

// Row i of Taylor coefficients, `count` of them, at a.
INLINE uint64_t horner(const uint64_t *row, const size_t count, uint64_t a) {
  uint64_t sum = row[count - 1];
  for (size_t k = count - 1; k-- > 0;) sum = sum * a + row[k];
  return sum;
}

// P(a - t + B h) = sum_i Q_i(a) t^i + sum_i (Q_i(a + B) - Q_i(a)) h t^i, where
// Q_i(a) = (-1)^i sum_{k >= i} p_k C(k, i) a^(k - i).
INLINE void polynomial_of(const lodge_masked *x, const int is_view,
                          const uint64_t rows[MOST_COEFFICIENTS][MOST_COEFFICIENTS],
                          const size_t n, const uint64_t *const *masks,
                          const uint64_t *const *tops, size_t count, uint64_t factor,
                          uint64_t *restrict out) {
  const lodge_masked y = *x;
  for (size_t j = 0; j < count; j++) {
    const uint64_t a = y.base[j];
    uint64_t sum = factor * horner(rows[0], n, a);
    for (size_t i = 1; i < n; i++) sum += horner(rows[i], n - i, a) * masks[i][j];
    if (is_view) {
      const uint64_t lifted = a + y.lift[j];
      for (size_t i = 0; i + 1 < n; i++)
        sum += (horner(rows[i], n - i, lifted) - horner(rows[i], n - i, a)) * tops[i][j];
    }
    out[j] = sum;
  }
}

TARGET static void polynomial(const lodge_masked *x, const uint64_t *coefficients,
                              size_t coefficient_count, const uint64_t *const *masks,
                              const uint64_t *const *tops, size_t count, uint64_t factor,
                              uint64_t *restrict out) {
  uint64_t rows[MOST_COEFFICIENTS][MOST_COEFFICIENTS];
  const size_t n = coefficient_count;
  for (size_t i = 0; i < n; i++) {
    uint64_t binomial = 1;
    for (size_t k = i; k < n; k++) {
      if (k > i) binomial = binomial * k / (k - i);
      rows[i][k - i] = (i % 2 == 0 ? binomial : 0 - binomial) * coefficients[k];
    }
  }
#define LODGE_COUNT(number)                                                                        \
  if (n == number) {                                                                               \
    const uint64_t *t[number + 1], *h[number + 1];                                                 \
    for (int i = 1; i < number; i++) t[i] = masks[i];                                              \
    for (int i = 0; i + 1 < number && x->lift; i++) h[i] = tops[i];                                \
    if (x->lift)                                                                                   \
      polynomial_of(x, 1, rows, number, t, h, count, factor, out);                                 \
    else                                                                                           \
      polynomial_of(x, 0, rows, number, t, h, count, factor, out);                                 \
    return;                                                                                        \
  }
  LODGE_COUNT(2)
  LODGE_COUNT(3)
  LODGE_COUNT(4)
  LODGE_COUNT(5)
#undef LODGE_COUNT
  polynomial_of(x, x->lift != NULL, rows, n, masks, tops, count, factor, out);
}
