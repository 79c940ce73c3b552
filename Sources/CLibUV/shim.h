#ifndef RAFTKV_CLIBUV_SHIM_H
#define RAFTKV_CLIBUV_SHIM_H

// No feature macros (_GNU_SOURCE) here: they change libc's types, and a debug build, which compares
// the types of this module with those of Swift's Glibc, then fails.
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>
#include <uv.h>

// CRC32C (Castagnoli, reflected) over raw bytes, without the initial and final inversion. The
// processor has an instruction for it, which Swift cannot name.
// Where it is missing, `raftkv_crc32c_available` says 0 and the caller uses its table instead.

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) static inline uint32_t raftkv_crc32c_hardware(
    uint32_t crc, const unsigned char *bytes, size_t count) {
  uint64_t state = crc;
  while (count >= 8) {
    uint64_t word;
    memcpy(&word, bytes, 8);
    state = __builtin_ia32_crc32di(state, word);
    bytes += 8;
    count -= 8;
  }
  uint32_t tail = (uint32_t)state;
  while (count > 0) {
    tail = __builtin_ia32_crc32qi(tail, *bytes);
    bytes += 1;
    count -= 1;
  }
  return tail;
}

static inline int raftkv_crc32c_available(void) {
  __builtin_cpu_init();
  return __builtin_cpu_supports("sse4.2") ? 1 : 0;
}
#else
static inline uint32_t raftkv_crc32c_hardware(
    uint32_t crc, const unsigned char *bytes, size_t count) {
  (void)bytes;
  (void)count;
  return crc;
}

static inline int raftkv_crc32c_available(void) { return 0; }
#endif

// fallocate(2) on libuv's thread pool, for which libuv has no request of its own. Declared here, as
// <fcntl.h> does so only under _GNU_SOURCE.
extern int fallocate(int descriptor, int mode, off_t offset, off_t size);

typedef struct {
  uv_work_t work;
  int descriptor;
  int64_t size;
  // 0, or a negative errno.
  int result;
} raftkv_allocation;

static inline void raftkv_allocate_now(uv_work_t *work) {
  raftkv_allocation *allocation = (raftkv_allocation *)work;
  int status = fallocate(allocation->descriptor, 0, 0, (off_t)allocation->size);
  allocation->result = status == 0 ? 0 : -errno;
}

static inline int raftkv_allocate(
    uv_loop_t *loop, raftkv_allocation *allocation, uv_after_work_cb did_finish) {
  return uv_queue_work(loop, &allocation->work, raftkv_allocate_now, did_finish);
}

#endif
