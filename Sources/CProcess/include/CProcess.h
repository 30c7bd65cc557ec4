// What a process asks of the system before it holds secrets, and how it hears that it has to end.
#pragma once

// Makes a crash say nothing of what is in memory: no core file (RLIMIT_CORE), no reading and no
// core pipe of this process by others of the same user (PR_SET_DUMPABLE), and no crash report of
// the Swift runtime, which prints registers and the memory that they point to. Returns 0 or errno.
int lodge_disclose_no_memory(void);

// From now on SIGINT, SIGTERM and SIGHUP are written to a pipe, one byte each, unless they were
// ignored. Returns the end to read from, or -1 with errno.
int lodge_interruptions(void);

// From now on freed blocks of up to 32 MB stay with the process, to be used again: arrays that come
// and go with every operation are otherwise mapped, filled with zeros and unmapped each time.
void lodge_keep_freed_memory(void);
