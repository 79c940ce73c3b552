#ifndef RAFTKV_CLIBUV_SHIM_H
#define RAFTKV_CLIBUV_SHIM_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>
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

// Has libuv count the time it sleeps. uv_loop_configure is variadic, which Swift cannot call; the
// option exists since libuv 1.39, so it cannot fail.
static inline void raftkv_loop_measure_idle_time(uv_loop_t *loop) {
  (void)uv_loop_configure(loop, UV_METRICS_IDLE_TIME);
}

#endif
