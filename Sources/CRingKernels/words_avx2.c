// Operations on arrays of words with AVX2.

#include "kernels.h"

#if LODGE_X86

#define TARGET __attribute__((target("avx2,bmi2")))
#define KERNELS lodge_words_avx2
#include "words_template.h"

#endif
