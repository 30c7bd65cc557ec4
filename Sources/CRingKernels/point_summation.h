// Evaluation of point keys at all points, and sums of the outputs over tables. Included by
// dcf_template.h.
//
// The first levels are those of BATCH keys in step, the others BATCH nodes of one key.

_Static_assert(BATCH <= LODGE_LARGEST_BATCH, "scratch memory holds a batch");

enum { FIRST_LEVELS = BATCH == 32 ? 5 : 4 };
_Static_assert(1 << FIRST_LEVELS == BATCH, "then a key has as many nodes as are taken in step");

// What a level says of BATCH nodes.
typedef struct {
  wide seeds[GROUP];
  // In low words: what turns the correction of the left control bit into that of the right one.
  wide changes[GROUP];
} point_correction;

// From the states of BATCH nodes to those of their children.
INLINE void expand(const lodge_aes128_schedule *schedule, const point_correction *correction,
                   const wide *nodes, wide *left, wide *right) {
  wide blocks[2 * GROUP], seeds[GROUP], masks[GROUP];
  const wide two = repeated(low_word(SEED_RIGHT));
  for (int g = 0; g < GROUP; g++) {
    masks[g] = mask_of_bit(nodes[g]);
    seeds[g] = nodes[g] & ~one_bit();
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

#if WIDTH == 1
INLINE void store_children(wide left, wide right, block *to) {
  to[0] = left;
  to[1] = right;
}
#else
INLINE void store_children(wide left, wide right, block *to) {
  const wide first = __builtin_shufflevector(left, right, 0, 1, 8, 9, 2, 3, 10, 11);
  const wide second = __builtin_shufflevector(left, right, 4, 5, 12, 13, 6, 7, 14, 15);
  memcpy(to, &first, sizeof first);
  memcpy(to + WIDTH, &second, sizeof second);
}
#endif

// Level `level` of one key, whose nodes are a multiple of BATCH.
INLINE void expand_key(const lodge_aes128_schedule *schedule, const key_parts *parts, int level,
                       const uint8_t *key, block *nodes) {
  const block seed = load_block(key + parts->path + (size_t)level * parts->level_bytes);
  const uint64_t change = (seed[0] ^ (load_word(key) >> level)) & 1;
  point_correction correction;
  for (int g = 0; g < GROUP; g++) {
    correction.seeds[g] = repeated(seed);
    correction.changes[g] = repeated(low_word(change));
  }
  // From the last nodes to the first: parents lie before their children.
  for (size_t first = (size_t)1 << level; first > 0;) {
    first -= BATCH;
    wide group[GROUP], left[GROUP], right[GROUP];
    for (int g = 0; g < GROUP; g++) group[g] = load_wide(nodes + first + (size_t)(WIDTH * g));
    expand(schedule, &correction, group, left, right);
    for (int g = 0; g < GROUP; g++)
      store_children(left[g], right[g], nodes + 2 * (first + (size_t)(WIDTH * g)));
  }
}

// Blocks number `block` and, of two, the one after it of the outputs of BATCH nodes of one key.
INLINE void outputs_of(const lodge_aes128_schedule *schedule, const int count, int number, wide sign,
                       const block *corrections, const wide *nodes, wide *outputs) {
  wide inputs[2 * GROUP];
  for (int b = 0; b < count; b++)
    for (int g = 0; g < GROUP; g++)
      inputs[b * GROUP + g] = outputs[b * GROUP + g] =
          (nodes[g] & ~one_bit()) ^
          repeated(low_word(LEAF + SECOND_VALUE * (uint64_t)(number + b)));
  encrypt(schedule, outputs, count * BATCH);
  for (int b = 0; b < count; b++)
    for (int g = 0; g < GROUP; g++)
      outputs[b * GROUP + g] =
          negated_if(sign, (outputs[b * GROUP + g] ^ inputs[b * GROUP + g]) +
                               (repeated(corrections[number + b]) & mask_of_bit(nodes[g])));
}

// The most blocks of a last node: 3 words at 2^6 places.
enum { MOST_BLOCKS = 3 << 5 };

// The sums of one key from its last nodes.
INLINE void sum_key(const lodge_aes128_schedule *schedule, const lodge_dcf_layout *layout,
                    const key_parts *parts, wide sign, const uint8_t *key, uint64_t cell,
                    const lodge_point_tables *tables, const block *nodes, uint64_t *out) {
  const int word_count = layout->payload << layout->tail_bits, block_count = (word_count + 1) / 2;
  const size_t node_count = (size_t)1 << parts->depth;
  const uint64_t residue = cell & (((uint64_t)1 << layout->tail_bits) - 1);
  const size_t start = (node_count - (cell >> layout->tail_bits)) & (node_count - 1);
  const uint64_t *pairs =
      tables->pairs + 4 * node_count * tables->product_count * residue + 2 * start;
  block corrections[MOST_BLOCKS];
  const uint8_t *from = key + parts->leaves;
  for (int b = 0; b < block_count; b++, from += 2 * parts->word_bytes)
    corrections[b] = (block){load_word(from),
                             load_word(from + (2 * b + 1 < word_count ? parts->word_bytes : 0))};
  for (size_t first = 0; first < node_count; first += BATCH) {
    wide group[GROUP], outputs[2 * GROUP];
    for (int g = 0; g < GROUP; g++) group[g] = load_wide(nodes + first + (size_t)(WIDTH * g));
    const lodge_point_product *product = tables->products,
                              *end = product + tables->product_count;
    for (int b = 0; b < block_count; b += 2) {
      const int count = b + 1 < block_count ? 2 : 1;
      if (count == 2)
        outputs_of(schedule, 2, b, sign, corrections, group, outputs);
      else
        outputs_of(schedule, 1, b, sign, corrections, group, outputs);
      for (; product < end && product->block < b + count; product++) {
        const uint64_t *factors =
            pairs + 4 * node_count * (size_t)(product - tables->products) + 2 * first;
        const wide *values = outputs + (product->block - b) * GROUP;
        uint64_t sums[2 * WIDTH] = {0};
        if (node_count >= BATCH) {
          wide sum = {0};
          for (int g = 0; g < GROUP; g++) sum += values[g] * load_wide(factors + 2 * WIDTH * g);
          memcpy(sums, &sum, sizeof sum);
        } else {
          const uint64_t *words = (const uint64_t *)values;
          for (size_t word = 0; word < 2 * node_count; word++)
            sums[word % 2] += words[word] * factors[word];
        }
        for (int word = 0; word < 2; word++)
          if (product->tables[word] >= 0)
            for (int g = 0; g < WIDTH; g++) out[product->tables[word]] += sums[2 * g + word];
      }
    }
  }
  const uint64_t kept = ~(uint64_t)0 >> (64 - 8 * layout->word_bytes);
  for (size_t table = 0; table < tables->table_count; table++) out[table] &= kept;
}

// Keys number first ..< first + count (at most BATCH).
INLINE void sum_batch(const lodge_aes128_schedule *schedule, const lodge_dcf_layout *layout,
                      const key_parts *parts, int party, size_t first, int count,
                      const uint8_t *keys, const uint64_t *roots, const uint64_t *cells,
                      const lodge_point_tables *tables, void *scratch, uint64_t *out) {
  // [node][BATCH keys], then the nodes of one key.
  wide *together = scratch;
  block *nodes = (block *)(together + BATCH * GROUP);
  const uint8_t *from[BATCH];
  uint64_t controls[BATCH];
  _Alignas(16 * WIDTH) block states[BATCH];
  for (int j = 0; j < BATCH; j++) {
    // Lanes without work repeat the first one.
    const size_t index = first + (j < count ? (size_t)j : 0);
    from[j] = keys + index * parts->key_bytes;
    controls[j] = load_word(from[j]);
    states[j] = without_bit(load_block(roots + 2 * index)) | low_word((uint64_t)party);
  }
  wide control[GROUP];
  for (int g = 0; g < GROUP; g++) {
    control[g] = in_low_words(controls + WIDTH * g);
    together[g] = load_wide(states + WIDTH * g);
  }
  const int first_levels = parts->depth < FIRST_LEVELS ? parts->depth : FIRST_LEVELS;
  for (int level = 0; level < first_levels; level++) {
    const size_t offset = parts->path + (size_t)level * parts->level_bytes;
    point_correction correction;
    for (int g = 0; g < GROUP; g++) {
      correction.seeds[g] = blocks_at(from + WIDTH * g, offset);
      correction.changes[g] = (correction.seeds[g] ^ (control[g] >> level)) & one_bit();
    }
    for (size_t node = (size_t)1 << level; node-- > 0;)
      expand(schedule, &correction, together + node * GROUP, together + 2 * node * GROUP,
             together + (2 * node + 1) * GROUP);
  }
  const wide sign = repeated(all(mask_of((uint64_t)party)));
  for (int j = 0; j < count; j++) {
    const size_t index = first + (size_t)j;
    for (size_t node = 0; node < (size_t)1 << first_levels; node++)
      nodes[node] = ((const block *)together)[node * BATCH + (size_t)j];
    for (int level = first_levels; level < parts->depth; level++)
      expand_key(schedule, parts, level, from[j], nodes);
    uint64_t *sums = out + index * tables->table_count;
    memset(sums, 0, 8 * tables->table_count);
    sum_key(schedule, layout, parts, sign, from[j], cells[index], tables, nodes, sums);
  }
}

TARGET static void sum_points(const lodge_aes128_schedule *schedule, const lodge_dcf_layout *layout,
                              int party, size_t total, const uint8_t *keys, const uint64_t *roots,
                              const uint64_t *cells, const lodge_point_tables *tables,
                              void *scratch, uint64_t *out) {
  const key_parts parts = parts_of(EQUALS, layout->payload, layout);
  for (size_t first = 0; first < total; first += BATCH)
    sum_batch(schedule, layout, &parts, party, first, batch_count(first, total), keys, roots, cells,
              tables, scratch, out);
  wipe(scratch, lodge_point_scratch_bytes(layout));
}
