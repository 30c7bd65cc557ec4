// What comes of opened values by looking at their masks: sums over cells, and over the knots of
// piecewise linear functions. Included by words_template.h.

TARGET static void cell_sums(const uint64_t *words, size_t word_count, size_t cell_count,
                             const uint32_t *cells, size_t count, const int64_t *bounds,
                             size_t bound_count, uint64_t *restrict out) {
  for (size_t i = 0; i < count; i++) {
    const uint8_t *numbers = (const uint8_t *)(words + i * word_count);
    uint16_t sum = 0;
    int64_t next = -1;
    for (size_t j = 0; j < bound_count; j++) {
      for (; next < bounds[j]; next++) {
        const size_t place = ((uint64_t)next - cells[i]) & (cell_count - 1);
        uint16_t number;
        memcpy(&number, numbers + 2 * place, sizeof number);
        sum = (uint16_t)(sum + number);
      }
      out[j * count + i] = sum;
    }
  }
}

// One element's sums of all steps of one output.
INLINE uint64_t step_sum(const size_t knots, const size_t payload, int levels,
                         const uint64_t *slopes, const uint64_t *intercepts, uint64_t slope_total,
                         uint64_t intercept_total, const uint64_t *windows, const uint64_t *shares,
                         const lodge_masked *y, const uint64_t *const *correlated, size_t element,
                         uint64_t factor) {
  // With m, and with (1 - 2 m) (c - h) and that times mask part 0 and 1.
  uint64_t slope_flips = 0, intercept_flips = 0, slope_bits = 0, intercept_bits = 0;
  uint64_t first_parts = 0, second_parts = 0;
  for (size_t k = 0; k < knots; k++) {
    const uint64_t flip = 0 - (windows[k] >> levels), *share = shares + k * payload;
    const uint64_t slope = (slopes[k] ^ flip) - flip;
    slope_flips += slopes[k] & flip;
    intercept_flips += intercepts[k] & flip;
    intercept_bits += ((intercepts[k] ^ flip) - flip) * share[0];
    slope_bits += slope * share[0];
    first_parts += slope * share[1];
    if (payload > 2) second_parts += slope * share[2];
  }
  const uint64_t slope_signs = slope_total - 2 * slope_flips;
  uint64_t sum = intercept_flips * factor + intercept_bits +
                 (intercept_total - 2 * intercept_flips) * correlated[0][element];
  sum += y->base[element] *
         (slope_flips * factor + slope_signs * correlated[0][element] + slope_bits);
  sum -= slope_flips * y->mask[element] + slope_signs * correlated[1][element] + first_parts;
  if (payload > 2)
    sum += y->lift[element] * (slope_flips * y->top[element] +
                               slope_signs * correlated[2][element] + second_parts);
  return sum;
}

INLINE void step_sums_of(const lodge_pieces *pieces, const size_t knots, const size_t payload,
                         const lodge_masked *y, const uint64_t *const *correlated,
                         const uint64_t *windows, const uint64_t *shares, size_t first,
                         size_t count, uint64_t factor, uint64_t *restrict out) {
  const size_t outputs = pieces->outputs;
  for (size_t o = 0; o < outputs; o++) {
    const uint64_t *slopes = pieces->slopes + o * knots, *intercepts = pieces->intercepts + o * knots;
    uint64_t slope_total = 0, intercept_total = 0;
    for (size_t k = 0; k < knots; k++) {
      slope_total += slopes[k];
      intercept_total += intercepts[k];
    }
    for (size_t i = 0; i < count; i++)
      out[i * outputs + o] =
          step_sum(knots, payload, pieces->levels, slopes, intercepts, slope_total, intercept_total,
                   windows + i * knots, shares + i * knots * payload, y, correlated, first + i,
                   factor);
  }
}

TARGET static void step_sums(const lodge_pieces *pieces, const lodge_masked *y,
                             const uint64_t *const *correlated, const uint64_t *windows,
                             const uint64_t *shares, size_t first, size_t count, uint64_t factor,
                             uint64_t *restrict out) {
  const lodge_masked z = *y;
  // Few knots of many elements, as activations have, and tables.
#define LODGE_KNOTS(constant, number)                                                              \
  if (constant && y->lift)                                                                         \
    return step_sums_of(pieces, number, 3, &z, correlated, windows, shares, first, count, factor,  \
                        out);                                                                      \
  if (constant)                                                                                    \
    return step_sums_of(pieces, number, 2, &z, correlated, windows, shares, first, count, factor,  \
                        out);
  LODGE_KNOTS(pieces->knots == 1, 1)
  LODGE_KNOTS(pieces->knots == 3, 3)
  LODGE_KNOTS(1, pieces->knots)
#undef LODGE_KNOTS
}
