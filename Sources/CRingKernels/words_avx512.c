// Operations on arrays of words with AVX-512.

#include "kernels.h"

#if LODGE_X86

#define TARGET __attribute__((target("avx512f,avx512dq,avx512vl,avx512bw,bmi2")))
#define KERNELS lodge_words_avx512
#include "words_template.h"

#endif
