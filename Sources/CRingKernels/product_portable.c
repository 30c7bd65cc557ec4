// Matrix products in plain C; the reference for the other arms.

#include "products.h"

// Columns that are packed side by side: independent sums keep the multiplier busy.
enum { GROUP = 4 };

static size_t no_bytes(size_t count, size_t depth, int bits) {
  (void)count, (void)depth, (void)bits;
  return 0;
}

#define ELEMENT uint64_t
#define NAME(name) name##_64
#include "product_portable_template.h"
#undef ELEMENT
#undef NAME

#define ELEMENT uint32_t
#define NAME(name) name##_32
#include "product_portable_template.h"
