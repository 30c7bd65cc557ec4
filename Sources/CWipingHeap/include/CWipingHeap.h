// Wipes every block of heap memory when it is freed, in each program that links this target.
//
// Seeds, masks, shares and keys pass through arrays of many modules, through libcrypto and through
// copies that Swift makes; wiping them where they are freed misses none. Nothing has to be called:
// `free` and `realloc` of the program take the place of the library's.

#pragma once
