// Evaluation of point keys with one payload word at some points of each. Included by dcf_template.h.
//
// Points, and with them the ways to them, are public.

// Points number first ..< first + count (at most BATCH), counted over all keys; `out` begins there.
INLINE void evaluate_point_batch(const lodge_aes128_schedule *schedule,
                                 const lodge_dcf_layout *layout, const key_parts *parts, int party,
                                 size_t first, int count, size_t points_per_key,
                                 const uint8_t *keys, const uint64_t *roots,
                                 const uint64_t *points, uint64_t *out) {
  const size_t next_batch = (BATCH + points_per_key - 1) / points_per_key * parts->key_bytes;
  const uint64_t tail = ((uint64_t)1 << layout->tail_bits) - 1;
  const uint8_t *from[BATCH];
  _Alignas(16 * WIDTH) block states[BATCH], corrections[BATCH];
  uint64_t words[BATCH], controls[BATCH], blocks[BATCH];
  for (int j = 0; j < BATCH; j++) {
    // Lanes without work repeat the first one.
    const size_t point = first + (j < count ? (size_t)j : 0);
    const size_t index = point / points_per_key;
    from[j] = keys + index * parts->key_bytes;
    __builtin_prefetch(from[j] + next_batch);
    controls[j] = load_word(from[j]);
    words[j] = points[point];
    // A last node has a word for every place, two to a block.
    const uint64_t place = points[point] & tail;
    blocks[j] = place / 2;
    const uint8_t *low = from[j] + parts->leaves + (place & ~(uint64_t)1) * parts->value_bytes;
    corrections[j] =
        (block){load_word(low), load_word(low + (layout->tail_bits > 0 ? parts->value_bytes : 0))};
    states[j] = without_bit(load_block(roots + 2 * index)) | low_word((uint64_t)party);
  }
  node_group nodes = {0};
  wide x[GROUP], control[GROUP];
  for (int g = 0; g < GROUP; g++) {
    nodes.states[g] = load_wide(states + WIDTH * g);
    x[g] = in_low_words(words + WIDTH * g);
    control[g] = in_low_words(controls + WIDTH * g);
  }
  for (int level = 0; level < parts->depth; level++) {
    wide right[GROUP];
    for (int g = 0; g < GROUP; g++) right[g] = (x[g] >> (layout->levels - 1 - level)) & one_bit();
    const correction_source source = {
        .keys = from,
        .controls = control,
        .offset = parts->path + (size_t)level * parts->level_bytes,
        .level = level,
        .word_bytes = parts->word_bytes};
    descend(schedule, 0, 1, &source, right, &nodes);
  }
  const wide sign = repeated(all(mask_of((uint64_t)party)));
  wide inputs[GROUP], outputs[GROUP];
  for (int g = 0; g < GROUP; g++)
    inputs[g] = outputs[g] =
        (nodes.states[g] & ~one_bit()) ^ (repeated(low_word(LEAF)) +
                                          in_low_words(blocks + WIDTH * g) * (uint64_t)SECOND_VALUE);
  encrypt(schedule, outputs, BATCH);
  for (int g = 0; g < GROUP; g++)
    outputs[g] = negated_if(sign, (outputs[g] ^ inputs[g]) + (load_wide(corrections + WIDTH * g) &
                                                              mask_of_bit(nodes.states[g])));
  const uint64_t kept = ~(uint64_t)0 >> (64 - 8 * parts->word_bytes);
  const uint64_t *totals = (const uint64_t *)outputs;
  for (int j = 0; j < count; j++) out[j] = totals[2 * j + (int)(words[j] & tail & 1)] & kept;
}

TARGET static void evaluate_points_of(const lodge_aes128_schedule *schedule,
                                      const lodge_dcf_layout *layout, int party, size_t first,
                                      size_t total, size_t points_per_key, const uint8_t *keys,
                                      const uint64_t *roots, const uint64_t *points,
                                      uint64_t *out) {
  const key_parts parts = parts_of(EQUALS, 1, layout);
  for (size_t done = 0; done < total; done += BATCH)
    evaluate_point_batch(schedule, layout, &parts, party, first + done, batch_count(done, total),
                         points_per_key, keys, roots, points, out + done);
}
