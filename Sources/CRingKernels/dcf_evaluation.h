// Evaluation of comparison keys: one point each of many keys in step, or many points of one key in
// one walk over its tree. Included by dcf_template.h.
//
// Points, and with them the nodes that a walk visits, are public.

#if WIDTH == 1
INLINE wide blocks_at(const uint8_t *const *from, size_t offset) {
  return load_block(from[0] + offset);
}
#else
INLINE wide blocks_at(const uint8_t *const *from, size_t offset) {
  return joined(load_block(from[0] + offset), load_block(from[1] + offset),
                load_block(from[2] + offset), load_block(from[3] + offset));
}
#endif

// Words 2 * number and 2 * number + 1 of a value; what lies above its bytes is of no value, and so is
// the high word where there is only a low one.
INLINE block value_at(const int payload, int number, int word_bytes, const uint8_t *from) {
  from += 2 * number * word_bytes;
  return (block){load_word(from), load_word(from + (payload > 1 + 2 * number ? word_bytes : 0))};
}

INLINE wide values_at(const int payload, int number, int word_bytes, const uint8_t *const *from,
                      size_t offset) {
#if WIDTH == 1
  return value_at(payload, number, word_bytes, from[0] + offset);
#else
  return joined(value_at(payload, number, word_bytes, from[0] + offset),
                value_at(payload, number, word_bytes, from[1] + offset),
                value_at(payload, number, word_bytes, from[2] + offset),
                value_at(payload, number, word_bytes, from[3] + offset));
#endif
}

// What a key says of one level.
typedef struct {
  wide seed;
  // In low words: what turns the correction of the left control bit into that of the right one.
  wide change;
  wide values[2];
} level_correction;

// Where the corrections of one level lie: at an offset in one key for all nodes, whose correction is
// `shared`, or in a key for each.
typedef struct {
  const uint8_t *const *keys;
  const wide *controls;
  size_t offset, value_bytes;
  int level, word_bytes;
  level_correction shared;
} correction_source;

// BATCH nodes.
typedef struct {
  wide states[GROUP];
  wide totals[2][GROUP];
} node_group;

INLINE level_correction correction_of(const int payload, const int distinct,
                                      const correction_source *source, int g) {
  if (!distinct) return source->shared;
  const uint8_t *const *from = source->keys + WIDTH * g;
  const wide seed = blocks_at(from, source->offset + source->value_bytes);
  const wide change = (seed ^ (source->controls[g] >> source->level)) & one_bit();
  const wide first =
      payload > 0 ? values_at(payload, 0, source->word_bytes, from, source->offset) : seed;
  const wide second =
      payload > 2 ? values_at(payload, 1, source->word_bytes, from, source->offset) : first;
  return (level_correction){.seed = seed, .change = change, .values = {first, second}};
}

// From nodes to their children, the right ones where `right` has 1 in low words, else the left ones.
// All have one key, or `distinct` ones. Without a payload there are no values on the way.
INLINE void descend(const lodge_aes128_schedule *schedule, const int payload, const int distinct,
                    const correction_source *source, const wide *right, node_group *nodes) {
  const int value_blocks = payload > 2 ? 2 : payload > 0 ? 1 : 0;
  const wide one = one_bit(), four = repeated(low_word(VALUE_LEFT));
  const wide second = repeated(low_word(SECOND_VALUE));
  wide blocks[3 * GROUP];
  for (int g = 0; g < GROUP; g++) {
    const wide seed = nodes->states[g] & ~one;
    blocks[g] = seed ^ (right[g] << 1);
    if (value_blocks > 0) blocks[GROUP + g] = seed ^ (four + (right[g] << 2));
    if (value_blocks > 1) blocks[2 * GROUP + g] = blocks[GROUP + g] ^ second;
  }
  encrypt(schedule, blocks, (1 + value_blocks) * BATCH);
  for (int g = 0; g < GROUP; g++) {
    const level_correction correction = correction_of(payload, distinct, source, g);
    const wide seed = nodes->states[g] & ~one;
    const wide mask = mask_of_bit(nodes->states[g]);
    nodes->states[g] = blocks[g] ^ seed ^ (right[g] << 1) ^
                       ((correction.seed ^ (correction.change & right[g])) & mask);
    wide input = seed ^ (four + (right[g] << 2));
    for (int v = 0; v < value_blocks; v++) {
      nodes->totals[v][g] +=
          (blocks[(1 + v) * GROUP + g] ^ input) + (correction.values[v] & mask);
      input ^= second;
    }
  }
}

// Adds the values of the places below nodes to what they have, gives the sum its party's sign and
// writes the kept bytes of `count` points. `places` are public, those of BATCH points; `leaves` are
// where their corrections are.
INLINE void finish(const lodge_aes128_schedule *schedule, const int payload, int party,
                   int word_bytes, int count, const uint64_t *places,
                   const uint8_t *const *leaves, node_group *nodes, uint64_t *out) {
  const int value_blocks = payload > 2 ? 2 : 1;
  const wide sign = repeated(all(mask_of((uint64_t)party)));
  wide blocks[2 * GROUP], inputs[2 * GROUP];
  for (int v = 0; v < value_blocks; v++)
    for (int g = 0; g < GROUP; g++)
      inputs[v * GROUP + g] = blocks[v * GROUP + g] =
          (nodes->states[g] & ~one_bit()) ^
          (repeated(low_word(LEAF + SECOND_VALUE * (uint64_t)v)) +
           in_low_words(places + WIDTH * g) * (uint64_t)NEXT_PLACE);
  encrypt(schedule, blocks, value_blocks * BATCH);
  for (int v = 0; v < value_blocks; v++)
    for (int g = 0; g < GROUP; g++) {
      const wide correction = values_at(payload, v, word_bytes, leaves + WIDTH * g, 0);
      nodes->totals[v][g] = negated_if(
          sign, nodes->totals[v][g] + (blocks[v * GROUP + g] ^ inputs[v * GROUP + g]) +
                    (correction & mask_of_bit(nodes->states[g])));
    }
  const uint64_t *totals[2] = {(const uint64_t *)nodes->totals[0],
                               (const uint64_t *)nodes->totals[1]};
  const uint64_t kept = ~(uint64_t)0 >> (64 - 8 * word_bytes);
  for (int j = 0; j < count; j++)
    for (int w = 0; w < payload; w++)
      out[j * payload + w] = totals[w / 2][2 * j + w % 2] & kept;
}

// Points number first ..< first + count (at most BATCH), counted over all keys; `out` begins there.
INLINE void evaluate_batch(const lodge_aes128_schedule *schedule, const int payload,
                           const lodge_dcf_layout *layout, const key_parts *parts, int party,
                           size_t first, int count, size_t points_per_key, const uint8_t *keys,
                           const uint64_t *roots, const uint64_t *points, uint64_t *out) {
  const size_t next_batch = (BATCH + points_per_key - 1) / points_per_key * parts->key_bytes;
  const uint64_t tail = ((uint64_t)1 << layout->tail_bits) - 1;
  const uint8_t *from[BATCH], *leaves[BATCH];
  block states[BATCH];
  uint64_t words[BATCH], controls[BATCH], places[BATCH];
  for (int j = 0; j < BATCH; j++) {
    // Lanes without work repeat the first one.
    const size_t point = first + (j < count ? (size_t)j : 0);
    const size_t index = point / points_per_key;
    from[j] = keys + index * parts->key_bytes;
    // The keys that the next batch reads: they come from far away, in many short runs.
    __builtin_prefetch(from[j] + next_batch);
    controls[j] = load_word(from[j]);
    words[j] = points[point];
    places[j] = points[point] & tail;
    leaves[j] = from[j] + parts->leaves + places[j] * parts->value_bytes;
    states[j] = without_bit(load_block(roots + 2 * index)) | low_word((uint64_t)party);
  }
  node_group nodes = {0};
  wide x[GROUP], control[GROUP];
  for (int g = 0; g < GROUP; g++) {
    nodes.states[g] = load_wide(states + WIDTH * g);
    x[g] = in_low_words(words + WIDTH * g);
    control[g] = in_low_words(controls + WIDTH * g);
  }
  size_t offset = parts->path;
  for (int level = 0; level < parts->depth; level++) {
    wide right[GROUP];
    for (int g = 0; g < GROUP; g++) right[g] = (x[g] >> (layout->levels - 1 - level)) & one_bit();
    const correction_source source = {.keys = from,
                                      .controls = control,
                                      .offset = offset,
                                      .value_bytes = parts->value_bytes,
                                      .level = level,
                                      .word_bytes = parts->word_bytes};
    if (payload > 2 || level % 2 == 0)
      for (int j = 0; j < BATCH; j++) __builtin_prefetch(from[j] + offset + next_batch);
    descend(schedule, payload, 1, &source, right, &nodes);
    offset += parts->level_bytes;
  }
  finish(schedule, payload, party, parts->word_bytes, count, places, leaves, &nodes, out);
}

// Points of one key that are walked to together, and the fewest for which that is worth it.
enum { WALKED = 256, WORTH_A_WALK = 2 * BATCH };

enum { SET_WORDS = WALKED / 64 };

typedef struct {
  _Alignas(64) block states[WALKED];
  _Alignas(64) block totals[2][WALKED];
  // The first of the consecutive points below each node.
  uint64_t x[WALKED];
  uint16_t parents[WALKED];
  // The last node on the way to each point.
  uint16_t numbers[WALKED];
  // Sets of points: those with which a node begins, and by level those whose way parts there from
  // that of the point before them.
  uint64_t starts[SET_WORDS];
  uint64_t splits[63][SET_WORDS];
} walk_memory;

// Where points ascend but for few places, every node has about one run of points; any order is right.
INLINE void find_splits(int count, int levels, const uint64_t *points, walk_memory *memory) {
  memset(memory->splits, 0, sizeof *memory->splits * (size_t)levels);
  for (int i = 1; i < count; i++) {
    const uint64_t difference = (points[i] ^ points[i - 1]) << (64 - levels);
    if (difference)
      memory->splits[__builtin_clzll(difference)][i / 64] |= (uint64_t)1 << i % 64;
  }
}

// Makes the nodes below which ways part at `level` two or more, and names the parent of every child.
INLINE int split(int level, const uint64_t *points, walk_memory *memory) {
  int child = 0, parent = -1;
  for (int word = 0; word < SET_WORDS; word++) {
    const uint64_t before = memory->starts[word];
    uint64_t rest = memory->starts[word] |= memory->splits[level][word];
    for (; rest; rest &= rest - 1, child++) {
      const int bit = __builtin_ctzll(rest);
      parent += (before >> bit) & 1;
      memory->parents[child] = (uint16_t)parent;
      memory->x[child] = points[64 * word + bit];
    }
  }
  return child;
}

INLINE int any_split(int level, const walk_memory *memory) {
  uint64_t any = 0;
  for (int word = 0; word < SET_WORDS; word++) any |= memory->splits[level][word];
  return any != 0;
}

INLINE void load_nodes(const int payload, const int moved, int first, const walk_memory *memory,
                       node_group *nodes) {
  for (int g = 0; g < GROUP; g++) {
    const int node = first + WIDTH * g;
    const uint16_t *parents = memory->parents + node;
    nodes->states[g] =
        moved ? blocks_of(memory->states, parents) : load_wide(memory->states + node);
    for (int v = 0; v < (payload > 2 ? 2 : 1); v++)
      nodes->totals[v][g] =
          moved ? blocks_of(memory->totals[v], parents) : load_wide(memory->totals[v] + node);
  }
}

INLINE void store_nodes(const int payload, int first, const node_group *nodes,
                        walk_memory *memory) {
  memcpy(memory->states + first, nodes->states, sizeof nodes->states);
  for (int v = 0; v < (payload > 2 ? 2 : 1); v++)
    memcpy(memory->totals[v] + first, nodes->totals[v], sizeof nodes->totals[v]);
}

// `count` (at most WALKED) points of one key, level by level.
INLINE void walk(const lodge_aes128_schedule *schedule, const int payload,
                 const lodge_dcf_layout *layout, const key_parts *parts, int party, int count,
                 const uint8_t *key, const uint64_t *root, const uint64_t *points,
                 walk_memory *memory, uint64_t *out) {
  const int levels = layout->levels, word_bytes = parts->word_bytes;
  find_splits(count, levels, points, memory);
  const int padded = (count + BATCH - 1) / BATCH * BATCH;
  memset(memory->x, 0, sizeof *memory->x * (size_t)padded);
  memset(memory->starts, 0, sizeof memory->starts);
  memory->starts[0] = 1;
  memset(memory->parents, 0, sizeof *memory->parents * (size_t)padded);
  memset(memory->states, 0, sizeof *memory->states * (size_t)padded);
  for (int v = 0; v < 2; v++) memset(memory->totals[v], 0, sizeof(block) * (size_t)padded);
  memory->states[0] = without_bit(load_block(root)) | low_word((uint64_t)party);
  memory->x[0] = points[0];
  const uint64_t control = load_word(key);
  const uint8_t *from = key + parts->path;
  int node_count = 1;
  for (int level = 0; level < parts->depth; level++) {
    const block seed = load_block(from + parts->value_bytes);
    const correction_source source = {
        .shared = {
            .seed = repeated(seed),
            .change = repeated(low_word((seed[0] ^ (control >> level)) & 1)),
            .values = {repeated(value_at(payload, 0, word_bytes, from)),
                       payload > 2 ? repeated(value_at(payload, 1, word_bytes, from)) : (wide){0}},
        }};
    from += parts->level_bytes;
    const int moved = any_split(level, memory);
    if (moved) node_count = split(level, points, memory);
    // From the last group to the first: parents lie before their children.
    for (int first = (node_count - 1) / BATCH * BATCH; first >= 0; first -= BATCH) {
      node_group nodes;
      if (moved)
        load_nodes(payload, 1, first, memory, &nodes);
      else
        load_nodes(payload, 0, first, memory, &nodes);
      wide right[GROUP];
      for (int g = 0; g < GROUP; g++)
        right[g] =
            (in_low_words(memory->x + first + WIDTH * g) >> (levels - 1 - level)) & one_bit();
      descend(schedule, payload, 0, &source, right, &nodes);
      store_nodes(payload, first, &nodes, memory);
    }
  }
  for (int i = 0, node = -1; i < padded; i++) {
    if (i < count) node += (memory->starts[i / 64] >> i % 64) & 1;
    memory->numbers[i] = (uint16_t)node;
  }
  const uint64_t tail = ((uint64_t)1 << layout->tail_bits) - 1;
  for (int first = 0; first < count; first += BATCH) {
    node_group nodes;
    uint64_t places[BATCH];
    const uint8_t *leaves[BATCH];
    const int points_here = count - first < BATCH ? count - first : BATCH;
    for (int g = 0; g < GROUP; g++) {
      const uint16_t *numbers = memory->numbers + first + WIDTH * g;
      nodes.states[g] = blocks_of(memory->states, numbers);
      for (int v = 0; v < (payload > 2 ? 2 : 1); v++)
        nodes.totals[v][g] = blocks_of(memory->totals[v], numbers);
    }
    for (int j = 0; j < BATCH; j++) {
      places[j] = points[first + (j < points_here ? j : 0)] & tail;
      leaves[j] = key + parts->leaves + places[j] * parts->value_bytes;
    }
    finish(schedule, payload, party, word_bytes, points_here, places, leaves, &nodes,
           out + first * payload);
  }
}

INLINE void evaluate_points(const lodge_aes128_schedule *schedule, const int payload,
                            const lodge_dcf_layout *layout, int party, size_t first, size_t total,
                            size_t points_per_key, const uint8_t *keys, const uint64_t *roots,
                            const uint64_t *points, uint64_t *out) {
  const key_parts parts = parts_of(COMPARES, payload, layout);
  if (points_per_key < WORTH_A_WALK) {
    for (size_t done = 0; done < total; done += BATCH)
      evaluate_batch(schedule, payload, layout, &parts, party, first + done,
                     batch_count(done, total), points_per_key, keys, roots, points,
                     out + done * (size_t)payload);
    return;
  }
  walk_memory memory;
  for (size_t done = 0; done < total;) {
    const size_t point = first + done, key = point / points_per_key;
    size_t count = (key + 1) * points_per_key - point;
    if (count > total - done) count = total - done;
    // Equal walks, not a short one at the end.
    const size_t walks = (count + WALKED - 1) / WALKED;
    count = (count + walks - 1) / walks;
    walk(schedule, payload, layout, &parts, party, (int)count, keys + key * parts.key_bytes,
         roots + 2 * key, points + point, &memory, out + done * (size_t)payload);
    done += count;
  }
  wipe(&memory, sizeof memory);
}

TARGET static void evaluate(const lodge_aes128_schedule *schedule, const lodge_dcf_layout *layout,
                            int party, size_t first, size_t total, size_t points_per_key,
                            const uint8_t *keys, const uint64_t *roots, const uint64_t *points,
                            uint64_t *out) {
  if (layout->payload == 1)
    evaluate_points(schedule, 1, layout, party, first, total, points_per_key, keys, roots, points,
                    out);
  else if (layout->payload == 2)
    evaluate_points(schedule, 2, layout, party, first, total, points_per_key, keys, roots, points,
                    out);
  else
    evaluate_points(schedule, 3, layout, party, first, total, points_per_key, keys, roots, points,
                    out);
}
