// The portable matrix product for one width of elements; included by product_portable.c.
//
// The including file defines ELEMENT, NAME(x), which appends the width, and GROUP.

static size_t NAME(group_bytes)(size_t depth, int bits) {
  (void)bits;
  return depth * GROUP * sizeof(ELEMENT);
}

static void NAME(pack)(const lodge_strip *from, void *to) {
  const ELEMENT *elements = from->elements;
  ELEMENT *packed = to;
  for (size_t p = 0; p < from->depth; p++)
    for (size_t j = 0; j < GROUP; j++)
      packed[p * GROUP + j] =
          j < from->count ? elements[j * from->stride + p * from->depth_stride] : 0;
}

static void NAME(multiply)(const lodge_strip *narrow, const lodge_strip *wide, void *c,
                            size_t row_step, size_t column_step, int accumulate) {
  for (size_t i = 0; i < narrow->count; i++) {
    const ELEMENT *x = (const ELEMENT *)narrow->elements + i * narrow->stride;
    for (size_t first = 0; first < wide->count; first += GROUP) {
      const ELEMENT *y =
          (const void *)((const char *)wide->elements + first / GROUP * wide->stride);
      ELEMENT sum[GROUP] = {0};
      for (size_t p = 0; p < wide->depth; p++)
        for (int j = 0; j < GROUP; j++)
          sum[j] += x[p * narrow->depth_stride] * y[p * GROUP + (size_t)j];
      for (size_t j = first; j < first + GROUP && j < wide->count; j++) {
        ELEMENT *z = (ELEMENT *)c + i * row_step + j * column_step;
        *z = (accumulate ? *z : 0) + sum[j - first];
      }
    }
  }
}

const lodge_product_arm NAME(lodge_product_portable) = {
    .group = GROUP,
    .wide_block = 64,
    .depth_block = 512,
    .narrow_block = 64,
    .group_bytes = NAME(group_bytes),
    .narrow_bytes = no_bytes,
    .pack_wide = NAME(pack),
    .multiply = NAME(multiply),
};
