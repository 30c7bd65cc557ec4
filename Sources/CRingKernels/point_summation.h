// Sums of the outputs of point keys over tables and, for groups of cells whose table is a line, of
// their middle values. Included by dcf_template.h.
//
// Nodes are those of BATCH keys in step, and their outputs those of CHUNK nodes of one key. Which
// groups count is public.

_Static_assert(BATCH <= LODGE_LARGEST_BATCH, "scratch memory holds a batch");

enum { CHUNK = 16, CHUNK_GROUP = CHUNK / WIDTH };

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

// Level `level` of the keys `from`, `count` nodes of each: [node][BATCH keys], in place.
INLINE void expand_level(const lodge_aes128_schedule *schedule, const key_parts *parts, int level,
                         const uint8_t *const *from, const wide *control, size_t count, wide *nodes) {
  const size_t offset = parts->path + (size_t)level * parts->level_bytes;
  point_correction correction;
  for (int g = 0; g < GROUP; g++) {
    correction.seeds[g] = blocks_at(from + WIDTH * g, offset);
    correction.changes[g] = (correction.seeds[g] ^ (control[g] >> level)) & one_bit();
  }
  // From the last nodes to the first: parents lie before their children.
  for (size_t node = count; node-- > 0;)
    expand(schedule, &correction, nodes + node * GROUP, nodes + 2 * node * GROUP,
           nodes + (2 * node + 1) * GROUP);
}

// The words 2 * number and 2 * number + 1 of the values of middle level `level` of `count` nodes of
// BATCH keys, [node][BATCH keys].
INLINE void middle_values(const lodge_aes128_schedule *schedule, const key_parts *parts, int level,
                          int number, const uint8_t *const *from, wide sign, size_t count, const wide *nodes,
                          wide *values) {
  _Alignas(16 * WIDTH) block corrections[BATCH];
  for (int j = 0; j < BATCH; j++) {
    const uint8_t *value =
        from[j] + middle_place(parts, level) + (size_t)(2 * number * parts->word_bytes);
    corrections[j] = (block){load_word(value), load_word(value + parts->word_bytes)};
  }
  for (size_t node = 0; node < count; node++, nodes += GROUP, values += GROUP) {
    wide inputs[GROUP], outputs[GROUP];
    for (int g = 0; g < GROUP; g++)
      inputs[g] = outputs[g] =
          (nodes[g] & ~one_bit()) ^ repeated(low_word(MIDDLE + SECOND_VALUE * (uint64_t)number));
    encrypt(schedule, outputs, BATCH);
    for (int g = 0; g < GROUP; g++)
      values[g] = negated_if(sign, (outputs[g] ^ inputs[g]) + (load_wide(corrections + WIDTH * g) &
                                                              mask_of_bit(nodes[g])));
  }
}

// Where the cells of a key's tables lie: the first point, and the cell from which all of them count
// i.
typedef struct {
  size_t first;
  int64_t origin;
} point_window;

INLINE point_window window_of(const lodge_dcf_layout *layout, uint64_t cell,
                              const lodge_point_tables *tables) {
  const uint64_t size = (uint64_t)1 << layout->levels;
  const uint64_t first = (cell + size + 1 - (uint64_t)(int64_t)tables->end) & (size - 1);
  // first = origin - end + 1, which is the cell or as much before zero.
  return (point_window){.first = (size_t)first, .origin = (int64_t)first + tables->end - 1};
}

// The nodes of a middle level: `count` groups, those below the ones taken at level `above`, of
// which `chosen` are taken at this level.
typedef struct {
  int level, above;
  size_t count, chosen;
} middle_stage;

// Number of the first node that is taken, and of how many points come before the first node.
INLINE size_t first_chosen(const lodge_dcf_layout *layout, const middle_stage *stage, size_t first) {
  const size_t group = first >> (layout->levels - stage->level);
  return group & (((size_t)1 << (stage->level - stage->above)) - 1);
}

// Adds P and U of both sides from the values of lane `lane` at a middle level.
INLINE void sum_lines(const lodge_dcf_layout *layout, const middle_stage *stage, point_window window,
                      uint64_t place, const lodge_point_tables *tables, const block *values, int lane,
                      uint64_t *out) {
  const int64_t size = (int64_t)1 << layout->levels;
  const int64_t all = (int64_t)1 << stage->level, chosen = (int64_t)stage->chosen;
  const uint64_t offset = place & (((uint64_t)1 << tables->cell_bits) - 1);
  const int64_t group = (int64_t)(window.first >> (layout->levels - stage->level));
  const int64_t before = (int64_t)first_chosen(layout, stage, window.first);
  for (size_t node = 0; node < stage->count; node++) {
    // Counted from the first that is taken: at the top to the end and on from the beginning.
    const int64_t number =
        stage->above == 0 ? ((int64_t)node - before) & (all - 1) : (int64_t)node - before;
    if (number >= 0 && number < chosen) continue;
    const int side = number < 0 || (stage->above == 0 && number >= tables->left_groups);
    if (!(tables->sides >> side & 1)) continue;
    const int is_past = number < 0 || group + number >= all;
    const int64_t cell = window.origin + size * (side - is_past);
    const uint64_t lifted = ((uint64_t)cell << tables->cell_bits) + offset;
    const block value = values[node * BATCH + (size_t)lane];
    out[2 * side] += value[0] * lifted - value[1];
    out[2 * side + 1] += value[0];
  }
}

// Blocks number `number` and, of two, the one after it of the outputs of WIDTH `width` nodes of one
// key.
INLINE void outputs_of(const lodge_aes128_schedule *schedule, const int width, const int count,
                       int number, wide sign, const block *corrections, const wide *nodes,
                       wide *outputs) {
  wide inputs[2 * CHUNK_GROUP];
  for (int b = 0; b < count; b++)
    for (int g = 0; g < width; g++)
      inputs[b * width + g] = outputs[b * width + g] =
          (nodes[g] & ~one_bit()) ^
          repeated(low_word(LEAF + SECOND_VALUE * (uint64_t)(number + b)));
  encrypt(schedule, outputs, count * width * WIDTH);
  for (int b = 0; b < count; b++)
    for (int g = 0; g < width; g++)
      outputs[b * width + g] =
          negated_if(sign, (outputs[b * width + g] ^ inputs[b * width + g]) +
                               (repeated(corrections[number + b]) & mask_of_bit(nodes[g])));
}

// The outputs of two blocks, or of one, of all of CHUNK nodes or of half of them.
INLINE void outputs_of_some(const lodge_aes128_schedule *schedule, int width, int count, int number,
                            wide sign, const block *corrections, const wide *nodes, wide *outputs) {
  // Constants make loops without branches.
  if (width == CHUNK_GROUP && count == 2)
    outputs_of(schedule, CHUNK_GROUP, 2, number, sign, corrections, nodes, outputs);
  else if (width == CHUNK_GROUP)
    outputs_of(schedule, CHUNK_GROUP, 1, number, sign, corrections, nodes, outputs);
  else if (count == 2)
    outputs_of(schedule, CHUNK_GROUP / 2, 2, number, sign, corrections, nodes, outputs);
  else
    outputs_of(schedule, CHUNK_GROUP / 2, 1, number, sign, corrections, nodes, outputs);
}

// The most blocks of a last node: 9 words at 2^6 places.
enum { MOST_BLOCKS = 9 << 5 };

// The sums of one key from the last nodes of its groups, which lie one after the other.
INLINE void sum_key(const lodge_aes128_schedule *schedule, const lodge_dcf_layout *layout,
                    const key_parts *parts, wide sign, const uint8_t *key, uint64_t cell,
                    size_t first_node, const lodge_point_tables *tables, size_t count,
                    const block *nodes, uint64_t *out) {
  const int word_count = layout->payload << layout->tail_bits, block_count = (word_count + 1) / 2;
  const size_t node_count = (size_t)1 << parts->depth;
  const uint64_t residue = cell & (((uint64_t)1 << layout->tail_bits) - 1);
  const size_t start =
      (node_count - (cell >> layout->tail_bits) + first_node) & (node_count - 1);
  const uint64_t *pairs =
      tables->pairs + 4 * node_count * tables->product_count * residue + 2 * start;
  block corrections[MOST_BLOCKS];
  const uint8_t *from = key + parts->leaves;
  for (int b = 0; b < block_count; b++, from += 2 * parts->word_bytes)
    corrections[b] = (block){load_word(from),
                             load_word(from + (2 * b + 1 < word_count ? parts->word_bytes : 0))};
  for (size_t first = 0; first < count; first += CHUNK) {
    wide group[CHUNK_GROUP], outputs[2 * CHUNK_GROUP];
    for (int g = 0; g < CHUNK_GROUP; g++) group[g] = load_wide(nodes + first + (size_t)(WIDTH * g));
    const lodge_point_product *product = tables->products,
                              *end = product + tables->product_count;
    const int width = count - first > CHUNK / 2 ? CHUNK_GROUP : CHUNK_GROUP / 2;
    for (int b = 0; b < block_count; b += 2) {
      const int pair_count = b + 1 < block_count ? 2 : 1;
      outputs_of_some(schedule, width, pair_count, b, sign, corrections, group, outputs);
      for (; product < end && product->block < b + pair_count; product++) {
        const uint64_t *factors =
            pairs + 4 * node_count * (size_t)(product - tables->products) + 2 * first;
        const wide *values = outputs + (product->block - b) * width;
        uint64_t sums[2 * WIDTH] = {0};
        if (count - first >= CHUNK) {
          wide sum = {0};
          for (int g = 0; g < CHUNK_GROUP; g++)
            sum += values[g] * load_wide(factors + 2 * WIDTH * g);
          memcpy(sums, &sum, sizeof sum);
        } else {
          const uint64_t *words = (const uint64_t *)values;
          for (size_t word = 0; word < 2 * (count - first); word++)
            sums[word % 2] += words[word] * factors[word];
        }
        for (int word = 0; word < 2; word++)
          if (product->tables[word] >= 0)
            for (int g = 0; g < WIDTH; g++) out[product->tables[word]] += sums[2 * g + word];
      }
    }
  }
}

// Keys number first ..< first + count (at most BATCH).
INLINE void sum_batch(const lodge_aes128_schedule *schedule, const lodge_dcf_layout *layout,
                      const key_parts *parts, int party, size_t first, int count,
                      const uint8_t *keys, const uint64_t *roots, const uint64_t *places,
                      const lodge_point_tables *tables, void *scratch, uint64_t *out) {
  // [node][BATCH keys] of states, those of the groups that are taken, and of values.
  const size_t room = lodge_point_scratch_nodes(layout, tables);
  wide *nodes = scratch, *others = nodes + room * GROUP, *values = others + room * GROUP;
  const uint8_t *from[BATCH];
  uint64_t controls[BATCH];
  point_window windows[BATCH];
  _Alignas(16 * WIDTH) block states[BATCH];
  for (int j = 0; j < BATCH; j++) {
    // Lanes without work repeat the first one.
    const size_t index = first + (j < count ? (size_t)j : 0);
    from[j] = keys + index * parts->key_bytes;
    controls[j] = load_word(from[j]);
    windows[j] = window_of(layout, places[index] >> tables->cell_bits, tables);
    states[j] = without_bit(load_block(roots + 2 * index)) | low_word((uint64_t)party);
  }
  wide control[GROUP];
  for (int g = 0; g < GROUP; g++) {
    control[g] = in_low_words(controls + WIDTH * g);
    nodes[g] = load_wide(states + WIDTH * g);
  }
  const wide sign = repeated(all(mask_of((uint64_t)party)));
  const size_t sum_count = tables->table_count + (size_t)(2 * layout->gamma_words);
  memset(out + first * sum_count, 0, 8 * sum_count * (size_t)count);
  middle_stage stage = {.level = 0, .above = 0, .count = 1, .chosen = 1};
  for (int level = 0; level <= parts->depth; level++) {
    if (parts->middle_levels >> level & 1) {
      stage = (middle_stage){.level = level,
                             .above = stage.level,
                             .count = stage.count,
                             .chosen = lodge_point_groups(layout, tables->window, level)};
      if (tables->sides != 0) {
        for (int number = 0; 2 * number < parts->gamma_words; number++) {
          middle_values(schedule, parts, level, number, from, sign, stage.count, nodes, values);
          for (int j = 0; j < count; j++)
            sum_lines(layout, &stage, windows[j], places[first + (size_t)j], tables,
                      (const block *)values, j,
                      out + (first + (size_t)j) * sum_count + tables->table_count +
                          (size_t)(4 * number));
        }
      }
      const block *all_nodes = (const block *)nodes;
      for (int j = 0; j < BATCH; j++) {
        size_t node = first_chosen(layout, &stage, windows[j].first);
        for (size_t number = 0; number < stage.chosen; number++, node++) {
          // At the top they go on from the beginning.
          if (node == stage.count) node = 0;
          ((block *)others)[number * BATCH + (size_t)j] = all_nodes[node * BATCH + (size_t)j];
        }
      }
      wide *swapped = nodes;
      nodes = others;
      others = swapped;
      stage.count = stage.chosen;
    }
    if (level < parts->depth) {
      expand_level(schedule, parts, level, from, control, stage.count, nodes);
      stage.count *= 2;
    }
  }
  block *own = (block *)(values + room * GROUP);
  const uint64_t kept = ~(uint64_t)0 >> (64 - 8 * layout->word_bytes);
  for (int j = 0; j < count; j++) {
    const size_t index = first + (size_t)j;
    for (size_t node = 0; node < stage.count; node++)
      own[node] = ((const block *)nodes)[node * BATCH + (size_t)j];
    uint64_t *sums = out + index * sum_count;
    const size_t group = windows[j].first >> (layout->levels - stage.level);
    sum_key(schedule, layout, parts, sign, from[j], places[index] >> tables->cell_bits,
            stage.level == 0 ? 0 : group << (parts->depth - stage.level), tables, stage.count, own,
            sums);
    for (size_t sum = 0; sum < sum_count; sum++) sums[sum] &= kept;
  }
}

TARGET static void sum_points(const lodge_aes128_schedule *schedule, const lodge_dcf_layout *layout,
                              int party, size_t total, const uint8_t *keys, const uint64_t *roots,
                              const uint64_t *places, const lodge_point_tables *tables,
                              void *scratch, uint64_t *out) {
  const key_parts parts = parts_of(EQUALS, layout->payload, layout);
  for (size_t first = 0; first < total; first += BATCH)
    sum_batch(schedule, layout, &parts, party, first, batch_count(first, total), keys, roots, places,
              tables, scratch, out);
  wipe(scratch, lodge_point_scratch_bytes(layout, tables));
}
