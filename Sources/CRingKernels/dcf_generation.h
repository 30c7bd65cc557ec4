// Generation of comparison and point keys, BATCH of them in step. Included by dcf_template.h.

// The nodes of BATCH keys on the ways to their alphas.
typedef struct {
  // Of each party.
  wide states[2][GROUP];
  // What the parties' values on the way add up to.
  wide sums[2][GROUP];
  wide alphas[GROUP];
  // The first two of comparison keys.
  wide betas[5][GROUP];
  wide controls[GROUP];
} generated_nodes;

// H of `count` registers, in place.
INLINE void hash(const lodge_aes128_schedule *schedule, const int count, wide *blocks) {
  wide inputs[12 * GROUP];
  for (int i = 0; i < count; i++) inputs[i] = blocks[i];
  encrypt(schedule, blocks, count * WIDTH);
  for (int i = 0; i < count; i++) blocks[i] ^= inputs[i];
}

// The `payload` words of lane `lane` of a value, of which `word_bytes` are kept; the bytes around
// them stay as they are.
INLINE void store_value(const int payload, int word_bytes, const wide (*value)[GROUP], int lane,
                        uint8_t *to) {
  const uint64_t kept = ~(uint64_t)0 >> (64 - 8 * word_bytes);
  for (int w = 0; w < payload; w++, to += word_bytes) {
    const uint64_t word = ((const uint64_t *)value[w / 2])[2 * lane + w % 2];
    const uint64_t stored = (load_word(to) & ~kept) | (word & kept);
    memcpy(to, &stored, 8);
  }
}

// Level `level` of keys whose corrections begin at `to`; no payload on the way of point keys.
INLINE void generate_level(const lodge_aes128_schedule *schedule, const int payload,
                           const key_parts *parts, int shift, int level, int count,
                           generated_nodes *nodes, uint8_t *to) {
  const int value_blocks = (payload + 1) / 2;
  const int party_blocks = 2 + 2 * value_blocks;
  const wide one = one_bit();
  // For each party: left seeds, right seeds, left values, right values.
  wide blocks[12 * GROUP], seeds[GROUP], values[2][GROUP];
  for (int b = 0; b < 2; b++)
    for (int g = 0; g < GROUP; g++) {
      const wide seed = nodes->states[b][g] & ~one;
      wide *of = blocks + b * party_blocks * GROUP + g;
      of[0] = seed ^ repeated(low_word(SEED_LEFT));
      of[GROUP] = seed ^ repeated(low_word(SEED_RIGHT));
      for (int v = 0; v < value_blocks; v++) {
        const uint64_t next = SECOND_VALUE * (uint64_t)v;
        of[(2 + v) * GROUP] = seed ^ repeated(low_word(VALUE_LEFT + next));
        of[(2 + value_blocks + v) * GROUP] = seed ^ repeated(low_word(VALUE_RIGHT + next));
      }
    }
  hash(schedule, 2 * party_blocks * GROUP, blocks);
  for (int g = 0; g < GROUP; g++) {
    const wide bit = (nodes->alphas[g] >> shift) & one;
    const wide right = mask_of_bit(bit);
    const wide *of0 = blocks + g, *of1 = of0 + party_blocks * GROUP;
    const wide left0 = of0[0], right0 = of0[GROUP], left1 = of1[0], right1 = of1[GROUP];
    // The way to alpha is kept, the sibling is lost.
    const wide correction = chosen(right, left0 ^ left1, right0 ^ right1) & ~one;
    const wide left_bit = ((left0 ^ left1) & one) ^ bit ^ one;
    const wide right_bit = ((right0 ^ right1) & one) ^ bit;
    const wide kept = correction ^ chosen(right, right_bit, left_bit);
    const wide sign = mask_of_bit(nodes->states[1][g]);
    for (int v = 0; v < value_blocks; v++) {
      const int place = (2 + v) * GROUP, other = (2 + value_blocks + v) * GROUP;
      const wide of_left = of0[place] - of1[place], of_right = of0[other] - of1[other];
      const wide difference = chosen(right, of_right, of_left);
      // x < alpha is decided where alpha goes right and x goes left.
      const wide plain = (nodes->betas[v][g] & right) - chosen(right, of_left, of_right) -
                         nodes->sums[v][g];
      values[v][g] = negated_if(sign, plain);
      nodes->sums[v][g] += difference + plain;
    }
    nodes->states[0][g] =
        chosen(right, right0, left0) ^ (kept & mask_of_bit(nodes->states[0][g]));
    nodes->states[1][g] = chosen(right, right1, left1) ^ (kept & sign);
    nodes->controls[g] |= right_bit << level;
    seeds[g] = correction ^ left_bit;
  }
  for (int j = 0; j < count; j++, to += parts->key_bytes) {
    store_value(payload, parts->word_bytes, values, j, to);
    memcpy(to + (parts->level_bytes - 16), (const block *)seeds + j, 16);
  }
}

// The values of place `place` below the last nodes of comparison keys.
INLINE void generate_leaves(const lodge_aes128_schedule *schedule, const int payload,
                            const key_parts *parts, int tail_bits, int place, int count,
                            const generated_nodes *nodes, uint8_t *to) {
  const int value_blocks = payload > 2 ? 2 : 1;
  const uint64_t first = LEAF + NEXT_PLACE * (uint64_t)place;
  const wide tail = repeated(low_word(((uint64_t)1 << tail_bits) - 1));
  wide blocks[4 * GROUP], values[2][GROUP];
  for (int b = 0; b < 2; b++)
    for (int v = 0; v < value_blocks; v++)
      for (int g = 0; g < GROUP; g++)
        blocks[(b * value_blocks + v) * GROUP + g] =
            (nodes->states[b][g] & ~one_bit()) ^
            repeated(low_word(first + SECOND_VALUE * (uint64_t)v));
  hash(schedule, 2 * value_blocks * GROUP, blocks);
  for (int g = 0; g < GROUP; g++) {
    const wide distance = repeated(low_word((uint64_t)place)) - (nodes->alphas[g] & tail);
    const wide is_below = mask_of_bit(distance >> 63);
    for (int v = 0; v < value_blocks; v++)
      values[v][g] = negated_if(
          mask_of_bit(nodes->states[1][g]),
          (nodes->betas[v][g] & is_below) - nodes->sums[v][g] -
              (blocks[v * GROUP + g] - blocks[(value_blocks + v) * GROUP + g]));
  }
  for (int j = 0; j < count; j++, to += parts->key_bytes)
    store_value(payload, parts->word_bytes, values, j, to);
}

// Words 2 * number and 2 * number + 1 of the outputs of the last nodes of point keys, which have
// the payload of all places one after the other.
INLINE void generate_outputs(const lodge_aes128_schedule *schedule, const int payload,
                             const key_parts *parts, int tail_bits, int number, int count,
                             const generated_nodes *nodes, uint8_t *to) {
  const uint64_t input = LEAF + SECOND_VALUE * (uint64_t)number;
  const wide tail = repeated(low_word(((uint64_t)1 << tail_bits) - 1));
  wide blocks[2 * GROUP], values[1][GROUP];
  for (int b = 0; b < 2; b++)
    for (int g = 0; g < GROUP; g++)
      blocks[b * GROUP + g] = (nodes->states[b][g] & ~one_bit()) ^ repeated(low_word(input));
  hash(schedule, 2 * GROUP, blocks);
  for (int g = 0; g < GROUP; g++) {
    wide beta = {0};
    for (int half = 0; half < 2; half++) {
      const int word = (2 * number + half) % payload, place = (2 * number + half) / payload;
      const wide distance = repeated(low_word((uint64_t)place)) - (nodes->alphas[g] & tail);
      // Zero is where neither it nor what is one less has the sign.
      const wide is_equal = mask_of_bit((~distance & (distance - one_bit())) >> 63);
      const wide own = repeated(half ? (block){0, ~(uint64_t)0} : low_word(~(uint64_t)0));
      const wide pair = nodes->betas[word / 2][g];
      const wide both = word % 2 ? high_in_both(pair) : low_in_both(pair);
      beta |= both & is_equal & own;
    }
    values[0][g] = negated_if(mask_of_bit(nodes->states[1][g]),
                              beta - (blocks[g] - blocks[GROUP + g]));
  }
  const int word_count = (payload << tail_bits) - 2 * number;
  for (int j = 0; j < count; j++, to += parts->key_bytes)
    store_value(word_count < 2 ? 1 : 2, parts->word_bytes, values, j, to);
}

// The words 2 * number and 2 * number + 1 of the value of a middle level, where `nodes` are.
INLINE void generate_middle(const lodge_aes128_schedule *schedule, const key_parts *parts, int count,
                            const generated_nodes *nodes, int number, const wide *gammas,
                            uint8_t *to) {
  const uint64_t input = MIDDLE + SECOND_VALUE * (uint64_t)number;
  wide blocks[2 * GROUP], values[1][GROUP];
  for (int b = 0; b < 2; b++)
    for (int g = 0; g < GROUP; g++)
      blocks[b * GROUP + g] = (nodes->states[b][g] & ~one_bit()) ^ repeated(low_word(input));
  hash(schedule, 2 * GROUP, blocks);
  for (int g = 0; g < GROUP; g++)
    values[0][g] = negated_if(mask_of_bit(nodes->states[1][g]),
                              gammas[g] - (blocks[g] - blocks[GROUP + g]));
  to += (size_t)(2 * number * parts->word_bytes);
  for (int j = 0; j < count; j++, to += parts->key_bytes)
    store_value(2, parts->word_bytes, values, j, to);
}

// All of it.
INLINE void generate_middles(const lodge_aes128_schedule *schedule, const key_parts *parts,
                             int count, int level, const generated_nodes *nodes,
                             const wide (*gammas)[GROUP], uint8_t *key) {
  if (!(parts->middle_levels >> level & 1)) return;
  for (int number = 0; 2 * number < parts->gamma_words; number++)
    generate_middle(schedule, parts, count, nodes, number, gammas[number],
                    key + middle_place(parts, level));
}

// Keys number first ..< first + count (at most BATCH).
INLINE void generate_batch(const lodge_aes128_schedule *schedule, const int kind,
                           const int payload, const lodge_dcf_layout *layout, size_t first,
                           int count, const uint64_t *alphas, const uint64_t *betas,
                           const uint64_t *roots0, const uint64_t *roots1, uint8_t *keys) {
  const key_parts parts = parts_of(kind, payload, layout);
  const int gamma_words = layout->gamma_words, stride = payload + gamma_words;
  _Alignas(16 * WIDTH) block roots[2][BATCH], words[5][BATCH] = {{{0}}}, middles[3][BATCH] = {{{0}}};
  uint64_t alpha[BATCH];
  for (int j = 0; j < BATCH; j++) {
    // Lanes without work repeat the first one.
    const size_t index = first + (j < count ? (size_t)j : 0);
    roots[0][j] = without_bit(load_block(roots0 + 2 * index));
    roots[1][j] = without_bit(load_block(roots1 + 2 * index)) | low_word(1);
    alpha[j] = alphas[index];
    for (int w = 0; w < payload; w++)
      words[w / 2][j][w % 2] = betas[index * (size_t)stride + (size_t)w];
    for (int w = 0; w < gamma_words; w++)
      middles[w / 2][j][w % 2] = betas[index * (size_t)stride + (size_t)(payload + w)];
  }
  generated_nodes nodes = {0};
  wide gammas[3][GROUP];
  for (int g = 0; g < GROUP; g++) {
    nodes.alphas[g] = in_low_words(alpha + WIDTH * g);
    for (int i = 0; i < 2; i++) nodes.states[i][g] = load_wide(roots[i] + WIDTH * g);
    for (int i = 0; i < 3; i++) gammas[i][g] = load_wide(middles[i] + WIDTH * g);
    for (int i = 0; i < 5; i++) nodes.betas[i][g] = load_wide(words[i] + WIDTH * g);
  }
  uint8_t *key = keys + first * parts.key_bytes;
  for (int level = 0; level < parts.depth; level++) {
    if (kind == EQUALS) generate_middles(schedule, &parts, count, level, &nodes, gammas, key);
    generate_level(schedule, kind == COMPARES ? payload : 0, &parts, layout->levels - 1 - level, level,
                   count, &nodes, key + parts.path + (size_t)level * parts.level_bytes);
  }
  if (kind == EQUALS) generate_middles(schedule, &parts, count, parts.depth, &nodes, gammas, key);
  if (kind == COMPARES)
    for (int place = 0; place < 1 << layout->tail_bits; place++)
      generate_leaves(schedule, payload, &parts, layout->tail_bits, place, count, &nodes,
                      key + parts.leaves + (size_t)place * parts.value_bytes);
  else
    for (int pair = 0; 2 * pair < payload << layout->tail_bits; pair++)
      generate_outputs(schedule, payload, &parts, layout->tail_bits, pair, count, &nodes,
                       key + parts.leaves + (size_t)(2 * pair * parts.word_bytes));
  const uint64_t *controls = (const uint64_t *)nodes.controls;
  for (int j = 0; j < count; j++)
    memcpy(key + (size_t)j * parts.key_bytes, controls + 2 * j, parts.leaves);
}

INLINE void generate_all(const lodge_aes128_schedule *schedule, const int kind,
                         const lodge_dcf_layout *layout, size_t total, const uint64_t *alphas,
                         const uint64_t *betas, const uint64_t *roots0, const uint64_t *roots1,
                         uint8_t *keys) {
  for (size_t first = 0; first < total; first += BATCH) {
    const int count = batch_count(first, total);
    if (layout->payload == 1)
      generate_batch(schedule, kind, 1, layout, first, count, alphas, betas, roots0, roots1, keys);
    else if (layout->payload == 2)
      generate_batch(schedule, kind, 2, layout, first, count, alphas, betas, roots0, roots1, keys);
    else if (kind == COMPARES || layout->payload == 3)
      generate_batch(schedule, kind, 3, layout, first, count, alphas, betas, roots0, roots1, keys);
    else
      generate_batch(schedule, kind, layout->payload, layout, first, count, alphas, betas, roots0, roots1,
                     keys);
  }
}

TARGET static void generate(const lodge_aes128_schedule *schedule, const lodge_dcf_layout *layout,
                            size_t total, const uint64_t *alphas, const uint64_t *betas,
                            const uint64_t *roots0, const uint64_t *roots1, uint8_t *keys) {
  generate_all(schedule, COMPARES, layout, total, alphas, betas, roots0, roots1, keys);
}

TARGET static void generate_points(const lodge_aes128_schedule *schedule,
                                   const lodge_dcf_layout *layout, size_t total,
                                   const uint64_t *alphas, const uint64_t *betas,
                                   const uint64_t *roots0, const uint64_t *roots1,
                                   uint8_t *keys) {
  generate_all(schedule, EQUALS, layout, total, alphas, betas, roots0, roots1, keys);
}
