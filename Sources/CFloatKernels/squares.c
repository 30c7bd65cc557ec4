// What is asked of all elements of a matrix: sums of squares and ranges; the compiler makes a variant for
// each width of vectors.

#include "CFloatKernels.h"

#include <math.h>

#if defined(__x86_64__)
#define LODGE_CLONES __attribute__((target_clones("default", "avx2", "avx512f")))
#else
#define LODGE_CLONES
#endif

// Independent sums, which one instruction adds to.
#define SUM_COUNT 16

LODGE_CLONES void lodge_measure_rows(
    const float *restrict source, size_t row_count, size_t column_count, double *restrict rows,
    double *restrict columns, float *restrict largest) {
  for (size_t row = 0; row < row_count; row++) {
    const float *values = source + row * column_count;
    double sums[SUM_COUNT] = {0};
    size_t i = 0;
    for (; i + SUM_COUNT <= column_count; i += SUM_COUNT) {
      for (size_t k = 0; k < SUM_COUNT; k++) {
        double value = values[i + k];
        sums[k] += value * value;
      }
    }
    double sum = 0;
    for (; i < column_count; i++) sum += (double)values[i] * values[i];
    for (size_t k = 0; k < SUM_COUNT; k++) sum += sums[k];
    rows[row] += sum;
    if (columns) {
      for (size_t column = 0; column < column_count; column++) {
        double value = values[column];
        float magnitude = fabsf(values[column]);
        columns[column] += value * value;
        largest[column] = magnitude > largest[column] ? magnitude : largest[column];
      }
    }
  }
}

LODGE_CLONES void lodge_float_range(
    const float *source, size_t count, float *smallest, float *largest) {
  float low[SUM_COUNT], high[SUM_COUNT];
  for (size_t k = 0; k < SUM_COUNT; k++) low[k] = high[k] = source[0];
  size_t i = 0;
  for (; i + SUM_COUNT <= count; i += SUM_COUNT) {
    for (size_t k = 0; k < SUM_COUNT; k++) {
      float value = source[i + k];
      low[k] = value < low[k] ? value : low[k];
      high[k] = value > high[k] ? value : high[k];
    }
  }
  for (size_t k = 0; i + k < count; k++) {
    float value = source[i + k];
    low[k] = value < low[k] ? value : low[k];
    high[k] = value > high[k] ? value : high[k];
  }
  *smallest = low[0];
  *largest = high[0];
  for (size_t k = 1; k < SUM_COUNT; k++) {
    if (low[k] < *smallest) *smallest = low[k];
    if (high[k] > *largest) *largest = high[k];
  }
}
