// What the arms export to the dispatch table; not visible to Swift.
#pragma once

#include "CRingKernels.h"

#if defined(__x86_64__)
#define LODGE_X86 1
#else
#define LODGE_X86 0
#endif

lodge_product lodge_multiply_transposed_portable, lodge_multiply_portable;

#if LODGE_X86
lodge_product lodge_multiply_transposed_avx2, lodge_multiply_avx2;
lodge_product lodge_multiply_transposed_avx512, lodge_multiply_avx512;
#endif
