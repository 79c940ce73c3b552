/* The ceiling of the disk: O_DSYNC writes of one size, one after the other, for some seconds.
 *
 * usage: syncwrite FILE SIZE SECONDS zeroed|growing
 *   zeroed   into a file that was filled with zeros and synced before
 *   growing  at the end of a new file
 * prints: {"rps":…,"p50":…,"p99":…,"bytes_per_second":…} with latencies in seconds. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec + time.tv_nsec / 1e9;
}

static int ascending(const void *left, const void *right) {
  double a = *(const double *)left, b = *(const double *)right;
  return (a > b) - (a < b);
}

int main(int argc, char **argv) {
  if (argc != 5) return fprintf(stderr, "usage: syncwrite FILE SIZE SECONDS zeroed|growing\n"), 64;
  size_t size = strtoul(argv[2], NULL, 10);
  double seconds = atof(argv[3]);
  off_t limit = 1 << 30;
  int zeroed = strcmp(argv[4], "zeroed") == 0;
  char *bytes;
  if (posix_memalign((void **)&bytes, 4096, size < 1 << 20 ? 1 << 20 : size)) return 1;
  memset(bytes, 0, 1 << 20);
  if (zeroed) {
    int file = open(argv[1], O_CREAT | O_TRUNC | O_WRONLY, 0600);
    limit = 64 << 20;
    for (off_t at = 0; at < limit; at += 1 << 20)
      if (pwrite(file, bytes, 1 << 20, at) != 1 << 20) return perror("pwrite"), 74;
    if (fsync(file)) return perror("fsync"), 74;
    close(file);
  }
  int file = open(argv[1], O_CREAT | (zeroed ? 0 : O_TRUNC) | O_WRONLY | O_DSYNC, 0600);
  if (file < 0) return perror(argv[1]), 73;
  memset(bytes, 'x', size);
  size_t capacity = 1 << 22, count = 0;
  double *latencies = malloc(capacity * sizeof *latencies);
  double start = now(), end = start;
  off_t at = 0;
  while (end - start < seconds && count < capacity) {
    double before = end;
    if (pwrite(file, bytes, size, at) != (ssize_t)size) return perror("pwrite"), 74;
    end = now();
    latencies[count++] = end - before;
    at += size;
    if (at + (off_t)size > limit) {
      if (!zeroed) break;
      at = 0;
    }
  }
  qsort(latencies, count, sizeof *latencies, ascending);
  printf("{\"rps\":%.1f,\"p50\":%.9f,\"p99\":%.9f,\"bytes_per_second\":%.0f}\n",
         count / (end - start), latencies[count / 2], latencies[count * 99 / 100],
         count * (double)size / (end - start));
  unlink(argv[1]);
  return 0;
}
