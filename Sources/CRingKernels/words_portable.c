// Operations on arrays of words in plain C.

#define TARGET
#define KERNELS lodge_words_portable
#include "words_template.h"
