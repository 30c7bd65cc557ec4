// The AMX arm of the matrix products on tile registers in plain C: the same source, on any machine.

#include <string.h>

#include "products.h"

#define LODGE_MODEL_TILES 1
#include "tiles.h"

#define TARGET
#define INLINE __attribute__((always_inline)) static inline

#define ELEMENT uint64_t
#define ELEMENT_BYTES 8
#define NAME(name) name##_64
#define ARM lodge_product_amx_model_64
#define SMALL NULL
#include "product_amx_template.h"
#undef ELEMENT
#undef ELEMENT_BYTES
#undef NAME
#undef ARM
#undef SMALL

#define ELEMENT uint32_t
#define ELEMENT_BYTES 4
#define NAME(name) name##_32
#define ARM lodge_product_amx_model_32
#define SMALL NULL
#include "product_amx_template.h"
