/* Counts what a process asks the allocator for; preloaded into the shipped binary by AllocationTests.
 *
 * The file that ALLOCATIONS names holds two 64-bit counters that whoever maps it shares: how many
 * allocations there were, and of how many of the next ones the call stack is still to be written to
 * standard error. `addr2line -fipe BINARY OFFSET…` makes names of those.
 *
 * Swift objects, buffers and what libuv and the C library allocate all come through here. */
#define _GNU_SOURCE
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* The allocator's own names for its entrances: glibc keeps them for such a case. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);
void *__libc_memalign(size_t alignment, size_t size);

typedef struct {
  _Atomic int64_t allocations;
  _Atomic int64_t stacks_wanted;
} counters_t;

static counters_t unshared;
static counters_t *counters = &unshared;

__attribute__((constructor)) static void share(void) {
  void *frames[1];
  backtrace(frames, 1); /* loads what it needs now, and not from inside an allocation */
  const char *path = getenv("ALLOCATIONS");
  int file = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
  if (file < 0) return;
  void *shared = mmap(NULL, sizeof *counters, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  close(file);
  if (shared != MAP_FAILED) counters = shared;
}

static void note(void) {
  atomic_fetch_add_explicit(&counters->allocations, 1, memory_order_relaxed);
  if (atomic_load_explicit(&counters->stacks_wanted, memory_order_relaxed) <= 0) return;
  atomic_fetch_sub_explicit(&counters->stacks_wanted, 1, memory_order_relaxed);
  void *frames[24];
  backtrace_symbols_fd(frames, backtrace(frames, 24), STDERR_FILENO);
  (void)!write(STDERR_FILENO, "\n", 1);
}

void *malloc(size_t size) {
  note();
  return __libc_malloc(size);
}

void *calloc(size_t count, size_t size) {
  note();
  return __libc_calloc(count, size);
}

void *realloc(void *old, size_t size) {
  note();
  return __libc_realloc(old, size);
}

void *memalign(size_t alignment, size_t size) {
  note();
  return __libc_memalign(alignment, size);
}

void *aligned_alloc(size_t alignment, size_t size) { return memalign(alignment, size); }

int posix_memalign(void **memory, size_t alignment, size_t size) {
  *memory = memalign(alignment, size);
  return *memory || size == 0 ? 0 : ENOMEM;
}
