// Evaluation of comparison keys: one point of each of many keys in step, or many points of one key
// in one walk over its tree. Included by dcf_template.h.
//
// Points, and with them the nodes that a walk visits, are public. A node's state is its seed with
// the control bit in bit 0; totals add up the values on the way to it.

enum { GROUP = BATCH / WIDTH };

// WIDTH blocks side by side.
typedef uint64_t wide __attribute__((vector_size(16 * WIDTH)));

INLINE wide load_wide(const void *from) {
  wide result;
  memcpy(&result, from, sizeof result);
  return result;
}

#if WIDTH == 1
INLINE wide repeated(block x) { return x; }
INLINE wide low_in_both(wide x) { return __builtin_shufflevector(x, x, 0, 0); }
INLINE wide in_low_words(const uint64_t *words) { return low_word(words[0]); }
INLINE wide blocks_at(const uint8_t *const *from, size_t offset) {
  return load_block(from[0] + offset);
}
INLINE wide blocks_of(const block *blocks, const uint16_t *numbers) { return blocks[numbers[0]]; }
#else
typedef uint64_t half_wide __attribute__((vector_size(32)));
INLINE wide repeated(block x) { return __builtin_shufflevector(x, x, 0, 1, 0, 1, 0, 1, 0, 1); }
INLINE wide low_in_both(wide x) { return __builtin_shufflevector(x, x, 0, 0, 2, 2, 4, 4, 6, 6); }
INLINE wide in_low_words(const uint64_t *words) {
  half_wide low;
  memcpy(&low, words, sizeof low);
  return __builtin_shufflevector(low, (half_wide){0}, 0, 4, 1, 5, 2, 6, 3, 7);
}
INLINE wide joined(block a, block b, block c, block d) {
  const half_wide low = __builtin_shufflevector(a, b, 0, 1, 2, 3);
  const half_wide high = __builtin_shufflevector(c, d, 0, 1, 2, 3);
  return __builtin_shufflevector(low, high, 0, 1, 2, 3, 4, 5, 6, 7);
}
INLINE wide blocks_at(const uint8_t *const *from, size_t offset) {
  return joined(load_block(from[0] + offset), load_block(from[1] + offset),
                load_block(from[2] + offset), load_block(from[3] + offset));
}
INLINE wide blocks_of(const block *blocks, const uint16_t *numbers) {
  return joined(blocks[numbers[0]], blocks[numbers[1]], blocks[numbers[2]], blocks[numbers[3]]);
}
#endif

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
  size_t offset;
  int level;
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
  const wide seed = blocks_at(from, source->offset);
  const wide change = (seed ^ (source->controls[g] >> source->level)) & repeated(low_word(1));
  // With an odd payload the last block's high word is of no value, and not used.
  const wide first = blocks_at(from, source->offset + 16);
  const wide second = payload > 2 ? blocks_at(from, source->offset + 32) : first;
  return (level_correction){.seed = seed, .change = change, .values = {first, second}};
}

// From nodes to their children, the right ones where `right` has 1 in low words, else the left ones.
// All have one key, or `distinct` ones.
INLINE void descend(const lodge_aes128_schedule *schedule, const int payload, const int distinct,
                    const correction_source *source, const wide *right, node_group *nodes) {
  const int value_blocks = payload > 2 ? 2 : 1;
  const wide one = repeated(low_word(1)), four = repeated(low_word(VALUE_LEFT));
  const wide second = repeated(low_word(SECOND_VALUE));
  wide blocks[3 * GROUP];
  for (int g = 0; g < GROUP; g++) {
    const wide seed = nodes->states[g] & ~one;
    blocks[g] = seed ^ (right[g] << 1);
    blocks[GROUP + g] = seed ^ (four + (right[g] << 2));
    if (value_blocks > 1) blocks[2 * GROUP + g] = blocks[GROUP + g] ^ second;
  }
  encrypt(schedule, blocks, (1 + value_blocks) * BATCH);
  for (int g = 0; g < GROUP; g++) {
    const level_correction correction = correction_of(payload, distinct, source, g);
    const wide seed = nodes->states[g] & ~one;
    const wide mask = -(low_in_both(nodes->states[g]) & repeated(all(1)));
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

// Adds the values at the leaves and gives totals their party's sign.
INLINE void finish(const lodge_aes128_schedule *schedule, const int payload, const int distinct,
                   int party, const wide (*corrections)[2], node_group *nodes) {
  const int value_blocks = payload > 2 ? 2 : 1;
  const wide sign = repeated(all(mask_of((uint64_t)party)));
  wide blocks[2 * GROUP], inputs[2 * GROUP];
  for (int v = 0; v < value_blocks; v++)
    for (int g = 0; g < GROUP; g++)
      inputs[v * GROUP + g] = blocks[v * GROUP + g] =
          (nodes->states[g] & ~repeated(low_word(1))) ^
          repeated(low_word(LEAF + SECOND_VALUE * (uint64_t)v));
  encrypt(schedule, blocks, value_blocks * BATCH);
  for (int v = 0; v < value_blocks; v++)
    for (int g = 0; g < GROUP; g++) {
      const wide mask = -(low_in_both(nodes->states[g]) & repeated(all(1)));
      const wide total = nodes->totals[v][g] +
                         (blocks[v * GROUP + g] ^ inputs[v * GROUP + g]) +
                         (corrections[distinct ? g : 0][v] & mask);
      nodes->totals[v][g] = (total ^ sign) - sign;
    }
}

// Payload words of the leaf correction in two blocks; nothing behind them is read.
INLINE void load_leaf(const int payload, const uint8_t *from, block *values) {
  if (payload == 1)
    values[0] = low_word(load_word(from));
  else
    values[0] = load_block(from);
  values[1] = low_word(payload > 2 ? load_word(from + 16) : 0);
}

INLINE size_t level_bytes(const int payload) { return 16 + 8 * (size_t)payload; }
INLINE size_t key_bytes(const int payload, int levels) {
  return 8 + (size_t)levels * level_bytes(payload) + 8 * (size_t)payload;
}

// Points number first ..< first + count (at most BATCH), counted over all keys; `out` begins there.
INLINE void evaluate_batch(const lodge_aes128_schedule *schedule, const int payload, int party,
                           size_t first, int count, size_t points_per_key, int levels,
                           const uint8_t *keys, const uint64_t *roots, const uint64_t *points,
                           uint64_t *out) {
  const size_t key_stride = key_bytes(payload, levels);
  const size_t next_batch = (BATCH + points_per_key - 1) / points_per_key * key_stride;
  const uint8_t *from[BATCH];
  block states[BATCH], leaves[2][BATCH];
  uint64_t words[BATCH], controls[BATCH];
  for (int j = 0; j < BATCH; j++) {
    // Lanes without work repeat the first one.
    const size_t point = first + (j < count ? (size_t)j : 0);
    const size_t index = point / points_per_key;
    from[j] = keys + index * key_stride;
    controls[j] = load_word(from[j]);
    words[j] = points[point];
    states[j] = without_bit(load_block(roots + 2 * index)) | low_word((uint64_t)party);
  }
  node_group nodes = {0};
  wide x[GROUP], control[GROUP];
  for (int g = 0; g < GROUP; g++) {
    nodes.states[g] = load_wide(states + WIDTH * g);
    x[g] = in_low_words(words + WIDTH * g);
    control[g] = in_low_words(controls + WIDTH * g);
  }
  const wide one = repeated(low_word(1));
  size_t offset = 8;
  for (int level = 0; level < levels; level++) {
    wide right[GROUP];
    for (int g = 0; g < GROUP; g++) right[g] = (x[g] >> (levels - 1 - level)) & one;
    const correction_source source = {
        .keys = from, .controls = control, .offset = offset, .level = level};
    // The keys that the next batch reads at this level: they come from far away, in many short runs.
    if (payload > 2 || level % 2 == 0)
      for (int j = 0; j < BATCH; j++) __builtin_prefetch(from[j] + offset + next_batch);
    descend(schedule, payload, 1, &source, right, &nodes);
    offset += level_bytes(payload);
  }
  wide leaf[GROUP][2];
  for (int j = 0; j < BATCH; j++) {
    block values[2];
    load_leaf(payload, from[j] + offset, values);
    leaves[0][j] = values[0];
    leaves[1][j] = values[1];
  }
  for (int g = 0; g < GROUP; g++)
    for (int v = 0; v < 2; v++) leaf[g][v] = load_wide(leaves[v] + WIDTH * g);
  finish(schedule, payload, 1, party, leaf, &nodes);
  const uint64_t *totals[2] = {(const uint64_t *)nodes.totals[0],
                               (const uint64_t *)nodes.totals[1]};
  for (int j = 0; j < count; j++)
    for (int w = 0; w < payload; w++) out[j * payload + w] = totals[w / 2][2 * j + w % 2];
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
INLINE void walk(const lodge_aes128_schedule *schedule, const int payload, int party, int count,
                 int levels, const uint8_t *key, const uint64_t *root, const uint64_t *points,
                 walk_memory *memory, uint64_t *out) {
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
  const wide one = repeated(low_word(1));
  const uint64_t control = load_word(key);
  const uint8_t *from = key + 8;
  int node_count = 1;
  for (int level = 0; level < levels; level++) {
    const block seed = load_block(from);
    const correction_source source = {
        .shared = {
            .seed = repeated(seed),
            .change = repeated(low_word((seed[0] ^ (control >> level)) & 1)),
            .values = {repeated(load_block(from + 16)),
                       payload > 2 ? repeated(load_block(from + 32)) : (wide){0}},
        }};
    from += level_bytes(payload);
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
            (in_low_words(memory->x + first + WIDTH * g) >> (levels - 1 - level)) & one;
      descend(schedule, payload, 0, &source, right, &nodes);
      store_nodes(payload, first, &nodes, memory);
    }
  }
  block values[2];
  load_leaf(payload, from, values);
  const wide leaf[1][2] = {{repeated(values[0]), repeated(values[1])}};
  for (int first = 0; first < node_count; first += BATCH) {
    node_group nodes;
    load_nodes(payload, 0, first, memory, &nodes);
    finish(schedule, payload, 0, party, leaf, &nodes);
    store_nodes(payload, first, &nodes, memory);
  }
  for (int i = 0, node = -1; i < count; i++) {
    node += (memory->starts[i / 64] >> i % 64) & 1;
    for (int w = 0; w < payload; w++) out[i * payload + w] = memory->totals[w / 2][node][w % 2];
  }
}

INLINE void evaluate_points(const lodge_aes128_schedule *schedule, const int payload, int party,
                            size_t first, size_t total, size_t points_per_key, int levels,
                            const uint8_t *keys, const uint64_t *roots, const uint64_t *points,
                            uint64_t *out) {
  if (points_per_key < WORTH_A_WALK) {
    for (size_t done = 0; done < total; done += BATCH)
      evaluate_batch(schedule, payload, party, first + done, batch_count(done, total),
                     points_per_key, levels, keys, roots, points, out + done * (size_t)payload);
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
    walk(schedule, payload, party, (int)count, levels, keys + key * key_bytes(payload, levels),
         roots + 2 * key, points + point, &memory, out + done * (size_t)payload);
    done += count;
  }
  wipe(&memory, sizeof memory);
}

TARGET static void evaluate(const lodge_aes128_schedule *schedule, int party, size_t first,
                            size_t total, size_t points_per_key, int levels, int payload,
                            const uint8_t *keys, const uint64_t *roots, const uint64_t *points,
                            uint64_t *out) {
  if (payload == 1)
    evaluate_points(schedule, 1, party, first, total, points_per_key, levels, keys, roots, points,
                    out);
  else if (payload == 2)
    evaluate_points(schedule, 2, party, first, total, points_per_key, levels, keys, roots, points,
                    out);
  else
    evaluate_points(schedule, 3, party, first, total, points_per_key, levels, keys, roots, points,
                    out);
}
