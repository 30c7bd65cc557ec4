// Comparison functions with bit-sliced AES in plain C.

#include "kernels.h"

#define TARGET
#define INLINE __attribute__((always_inline)) static inline
#define BATCH 32
#define WIDTH 1
#define encrypt(schedule, blocks, count)                                                           \
  lodge_aes128_encrypt_portable(schedule, (uint64_t *)(blocks), (size_t)(count))

#include "dcf_template.h"

TARGET void lodge_dcf_generate_portable(const lodge_aes128_schedule *schedule,
                                const lodge_dcf_layout *layout, size_t count,
                                const uint64_t *alphas, const uint64_t *betas,
                                const uint64_t *roots0, const uint64_t *roots1, uint8_t *keys) {
  generate(schedule, layout, count, alphas, betas, roots0, roots1, keys);
}

TARGET void lodge_dcf_evaluate_portable(const lodge_aes128_schedule *schedule,
                                const lodge_dcf_layout *layout, int party, size_t first,
                                size_t count, size_t points_per_key, const uint8_t *keys,
                                const uint64_t *roots, const uint64_t *points, uint64_t *out) {
  evaluate(schedule, layout, party, first, count, points_per_key, keys, roots, points, out);
}

TARGET void lodge_point_generate_portable(const lodge_aes128_schedule *schedule,
                                  const lodge_dcf_layout *layout, size_t count,
                                  const uint64_t *alphas, const uint64_t *betas,
                                  const uint64_t *roots0, const uint64_t *roots1, uint8_t *keys) {
  generate_points(schedule, layout, count, alphas, betas, roots0, roots1, keys);
}

TARGET void lodge_point_evaluate_portable(const lodge_aes128_schedule *schedule,
                                  const lodge_dcf_layout *layout, int party, size_t first,
                                  size_t count, size_t points_per_key, const uint8_t *keys,
                                  const uint64_t *roots, const uint64_t *points, uint64_t *out) {
  evaluate_points_of(schedule, layout, party, first, count, points_per_key, keys, roots, points,
                     out);
}

TARGET void lodge_point_sum_portable(const lodge_aes128_schedule *schedule,
                             const lodge_dcf_layout *layout, int party, size_t count,
                             const uint8_t *keys, const uint64_t *roots, const uint64_t *cells,
                             const lodge_point_tables *tables, void *scratch, uint64_t *out) {
  sum_points(schedule, layout, party, count, keys, roots, cells, tables, scratch, out);
}
