// Evaluation of point keys at all points, BATCH keys in step, and sums of the outputs over tables.
// Included by dcf_template.h.
//
// Nodes lie level by level as [node][BATCH keys], outputs as [key][payload word][point].

_Static_assert(BATCH <= LODGE_LARGEST_BATCH, "scratch memory holds a batch");

// What a level says of BATCH keys.
typedef struct {
  wide seeds[GROUP];
  // In low words: what turns the correction of the left control bit into that of the right one.
  wide changes[GROUP];
} point_correction;

// From the states of a node of BATCH keys to those of its children.
INLINE void expand(const lodge_aes128_schedule *schedule, const point_correction *correction,
                   const wide *node, wide *left, wide *right) {
  wide blocks[2 * GROUP], seeds[GROUP], masks[GROUP];
  const wide two = repeated(low_word(SEED_RIGHT));
  for (int g = 0; g < GROUP; g++) {
    masks[g] = mask_of_bit(node[g]);
    seeds[g] = node[g] & ~one_bit();
    blocks[g] = seeds[g];
    blocks[GROUP + g] = seeds[g] ^ two;
  }
  encrypt(schedule, blocks, 2 * BATCH);
  for (int g = 0; g < GROUP; g++) {
    const wide seed = correction->seeds[g];
    left[g] = blocks[g] ^ seeds[g] ^ (seed & masks[g]);
    right[g] = blocks[GROUP + g] ^ seeds[g] ^ two ^ ((seed ^ correction->changes[g]) & masks[g]);
  }
}

// The outputs of BATCH keys at place `place` below a node, the point `point`.
INLINE void store_outputs(const lodge_aes128_schedule *schedule, const int payload,
                          const key_parts *parts, wide sign, int place, size_t point, size_t size,
                          const uint8_t *const *keys, const wide *node, uint64_t *outputs) {
  const int value_blocks = (payload + 1) / 2;
  const size_t offset = parts->leaves + (size_t)place * parts->value_bytes;
  wide blocks[2 * GROUP], inputs[2 * GROUP];
  for (int v = 0; v < value_blocks; v++)
    for (int g = 0; g < GROUP; g++)
      inputs[v * GROUP + g] = blocks[v * GROUP + g] =
          (node[g] & ~one_bit()) ^
          repeated(low_word(LEAF + NEXT_PLACE * (uint64_t)place + SECOND_VALUE * (uint64_t)v));
  encrypt(schedule, blocks, value_blocks * BATCH);
  for (int v = 0; v < value_blocks; v++)
    for (int g = 0; g < GROUP; g++) {
      const wide correction = values_at(payload, v, parts->word_bytes, keys + WIDTH * g, offset);
      blocks[v * GROUP + g] = negated_if(
          sign, (blocks[v * GROUP + g] ^ inputs[v * GROUP + g]) +
                    (correction & mask_of_bit(node[g])));
    }
  const uint64_t *words = (const uint64_t *)blocks;
  for (int j = 0; j < BATCH; j++)
    for (int w = 0; w < payload; w++)
      outputs[((size_t)j * (size_t)payload + (size_t)w) * size + point] =
          words[2 * (w / 2 * BATCH + j) + w % 2];
}

INLINE uint64_t sum_of_products(size_t count, const uint64_t *a, const uint64_t *b) {
  uint64_t sums[8] = {0};
  size_t i = 0;
  for (; i + 8 <= count; i += 8)
    for (int lane = 0; lane < 8; lane++) sums[lane] += a[i + (size_t)lane] * b[i + (size_t)lane];
  for (; i < count; i++) sums[0] += a[i] * b[i];
  for (int lane = 1; lane < 8; lane++) sums[0] += sums[lane];
  return sums[0];
}

// Keys number first ..< first + count (at most BATCH).
INLINE void sum_batch(const lodge_aes128_schedule *schedule, const int payload,
                      const lodge_dcf_layout *layout, int party, size_t first, int count,
                      const uint8_t *keys, const uint64_t *roots, const uint64_t *cells,
                      size_t table_count, const int *words, const uint64_t *tables, void *scratch,
                      uint64_t *out) {
  const key_parts parts = parts_of(EQUALS, payload, layout);
  const size_t size = (size_t)1 << layout->levels, node_count = size >> layout->tail_bits;
  wide *nodes = scratch;
  uint64_t *outputs = (uint64_t *)(nodes + node_count * GROUP);
  const uint8_t *from[BATCH];
  uint64_t controls[BATCH];
  _Alignas(16 * WIDTH) block states[BATCH];
  for (int j = 0; j < BATCH; j++) {
    // Lanes without work repeat the first one.
    const size_t index = first + (j < count ? (size_t)j : 0);
    from[j] = keys + index * parts.key_bytes;
    controls[j] = load_word(from[j]);
    states[j] = without_bit(load_block(roots + 2 * index)) | low_word((uint64_t)party);
  }
  wide control[GROUP];
  for (int g = 0; g < GROUP; g++) {
    control[g] = in_low_words(controls + WIDTH * g);
    nodes[g] = load_wide(states + WIDTH * g);
  }
  for (int level = 0; level < parts.depth; level++) {
    const size_t offset = parts.path + (size_t)level * parts.level_bytes;
    point_correction correction;
    for (int g = 0; g < GROUP; g++) {
      correction.seeds[g] = blocks_at(from + WIDTH * g, offset);
      correction.changes[g] = (correction.seeds[g] ^ (control[g] >> level)) & one_bit();
    }
    // From the last node to the first: parents lie before their children.
    for (size_t node = (size_t)1 << level; node-- > 0;)
      expand(schedule, &correction, nodes + node * GROUP, nodes + 2 * node * GROUP,
             nodes + (2 * node + 1) * GROUP);
  }
  const wide sign = repeated(all(mask_of((uint64_t)party)));
  for (size_t node = 0; node < node_count; node++)
    for (int place = 0; place < 1 << layout->tail_bits; place++)
      store_outputs(schedule, payload, &parts, sign, place,
                    (node << layout->tail_bits) + (size_t)place, size, from, nodes + node * GROUP,
                    outputs);
  const uint64_t kept = ~(uint64_t)0 >> (64 - 8 * layout->word_bytes);
  for (int j = 0; j < count; j++) {
    const size_t index = first + (size_t)j;
    // tables[(cell - x) mod size] is turned word (x - cell) mod size, and those of all x follow.
    const size_t start = (size - cells[index]) & (size - 1);
    for (size_t table = 0; table < table_count; table++)
      out[index * table_count + table] =
          kept & sum_of_products(size,
                                 outputs + ((size_t)j * (size_t)payload + (size_t)words[table]) * size,
                                 tables + 2 * size * table + start);
  }
}

TARGET static void sum_points(const lodge_aes128_schedule *schedule, const lodge_dcf_layout *layout,
                              int party, size_t total, const uint8_t *keys, const uint64_t *roots,
                              const uint64_t *cells, size_t table_count, const int *words,
                              const uint64_t *tables, void *scratch, uint64_t *out) {
  for (size_t first = 0; first < total; first += BATCH) {
    const int count = batch_count(first, total);
    if (layout->payload == 1)
      sum_batch(schedule, 1, layout, party, first, count, keys, roots, cells, table_count, words,
                tables, scratch, out);
    else if (layout->payload == 2)
      sum_batch(schedule, 2, layout, party, first, count, keys, roots, cells, table_count, words,
                tables, scratch, out);
    else
      sum_batch(schedule, 3, layout, party, first, count, keys, roots, cells, table_count, words,
                tables, scratch, out);
  }
  wipe(scratch, lodge_point_scratch_bytes(layout));
}
