// What the arms export to the dispatch table; not visible to Swift.
#pragma once

#include "CRingKernels.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "keys and blocks are little-endian and are read in place"
#endif

#if defined(__x86_64__)
#define LODGE_X86 1
#else
#define LODGE_X86 0
#endif

// The most keys that an arm evaluates in step.
#define LODGE_LARGEST_BATCH 32

lodge_encryption lodge_aes128_encrypt_portable;
lodge_dcf_generation lodge_dcf_generate_portable;
lodge_dcf_evaluation lodge_dcf_evaluate_portable;
lodge_point_generation lodge_point_generate_portable;
lodge_point_evaluation lodge_point_evaluate_portable;
lodge_point_summation lodge_point_sum_portable;

extern const lodge_word_kernels lodge_words_portable;

#if LODGE_X86
lodge_aes256_expansion lodge_aes256_expand_vaes;
lodge_aes256_streaming lodge_aes256_stream_vaes;
extern const lodge_word_kernels lodge_words_avx2, lodge_words_avx512;
lodge_encryption lodge_aes128_encrypt_aesni, lodge_aes128_encrypt_vaes;
lodge_dcf_generation lodge_dcf_generate_aesni, lodge_dcf_generate_vaes;
lodge_dcf_evaluation lodge_dcf_evaluate_aesni, lodge_dcf_evaluate_vaes;
lodge_point_generation lodge_point_generate_aesni, lodge_point_generate_vaes;
lodge_point_evaluation lodge_point_evaluate_aesni, lodge_point_evaluate_vaes;
lodge_point_summation lodge_point_sum_aesni, lodge_point_sum_vaes;
#endif
