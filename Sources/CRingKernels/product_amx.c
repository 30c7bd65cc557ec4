// The AMX arm of the matrix products on the instructions.

#include "products.h"

#if LODGE_X86

#include <string.h>

#include "tiles.h"

// All processors with AMX have these.
#define TARGET                                                                                     \
  __attribute__((target("amx-tile,amx-int8,avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi")))
#define INLINE TARGET __attribute__((always_inline)) static inline

#define ELEMENT uint64_t
#define ELEMENT_BYTES 8
#define NAME(name) name##_64
#define ARM lodge_product_amx_64
#define SMALL &lodge_product_avx512_64
#include "product_amx_template.h"
#undef ELEMENT
#undef ELEMENT_BYTES
#undef NAME
#undef ARM
#undef SMALL

#define ELEMENT uint32_t
#define ELEMENT_BYTES 4
#define NAME(name) name##_32
#define ARM lodge_product_amx_32
#define SMALL &lodge_product_avx512_32
#include "product_amx_template.h"

#endif
