// Limits and signals of this process.

#define _GNU_SOURCE
#include "CProcess.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#if defined(__linux__)
#include <sys/prctl.h>
#endif

int lodge_disclose_no_memory(void) {
  const struct rlimit nothing = {0, 0};
  if (setrlimit(RLIMIT_CORE, &nothing) != 0) return errno;
#if defined(__linux__)
  if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) return errno;
#endif
  // The Swift runtime's handlers are there before main.
  const int crashes[] = {SIGQUIT, SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGTRAP, SIGSYS};
  for (unsigned i = 0; i < sizeof crashes / sizeof *crashes; i++)
    if (signal(crashes[i], SIG_DFL) == SIG_ERR) return errno;
  return 0;
}

static int interruptions = -1;

static void interrupt(int number) {
  const int code = errno;
  const unsigned char byte = (unsigned char)number;
  // A full pipe holds enough of them.
  if (write(interruptions, &byte, 1) < 0) errno = code;
  errno = code;
}

int lodge_interruptions(void) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return -1;
  if (fcntl(ends[1], F_SETFL, O_NONBLOCK) != 0) return -1;
  interruptions = ends[1];
  const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
  // Who starts a program from a thread that blocks them, as queues do, means that thread only.
  sigset_t handled;
  sigemptyset(&handled);
  for (int i = 0; i < 3; i++) sigaddset(&handled, numbers[i]);
  for (int i = 0; i < 3; i++) {
    struct sigaction action = {.sa_handler = interrupt, .sa_flags = SA_RESTART}, before;
    // Who ignores a signal, as nohup does, has told the programs that it starts to do so, too.
    if (sigaction(numbers[i], 0, &before) != 0) return -1;
    if (before.sa_handler == SIG_IGN) continue;
    if (sigaction(numbers[i], &action, 0) != 0) return -1;
  }
  if (sigprocmask(SIG_UNBLOCK, &handled, 0) != 0) return -1;
  return ends[0];
}

void lodge_keep_freed_memory(void) {
#if defined(__GLIBC__)
  // 32 MB is the most that the C library takes.
  mallopt(M_MMAP_THRESHOLD, 32 << 20);
  mallopt(M_TRIM_THRESHOLD, 256 << 20);
#endif
}
