// free and realloc that leave no secret behind in memory that the program has given back.

#define _GNU_SOURCE
#include "CWipingHeap.h"

#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#ifndef __has_feature
#define __has_feature(feature) 0
#endif

// Sanitizers bring a heap of their own; other C libraries do not export these two names.
#if defined(__GLIBC__) && !__has_feature(address_sanitizer) && !__has_feature(thread_sanitizer)

extern void __libc_free(void *block);
extern void *__libc_realloc(void *block, size_t size);

void free(void *block) {
  if (block == NULL) return;
  explicit_bzero(block, malloc_usable_size(block));
  __libc_free(block);
}

void *realloc(void *block, size_t size) {
  if (block == NULL) return malloc(size);
  if (size == 0) {
    free(block);
    return NULL;
  }
  size_t old_size = malloc_usable_size(block);
  if (size <= old_size) {
    // The end that may be cut off.
    explicit_bzero((uint8_t *)block + size, old_size - size);
    return __libc_realloc(block, size);
  }
  void *new_block = malloc(size);
  if (new_block == NULL) return NULL;
  memcpy(new_block, block, old_size);
  free(block);
  return new_block;
}

#endif
