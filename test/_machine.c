/*
 * Loaded before libc (LD_PRELOAD): a machine whose power can be cut, whose disk can fail and whose clock can be set.
 *
 * MACHINE_FOLDER   the folder whose files are watched
 * MACHINE_IMAGE    another folder: holds of each of these files what was in it at its last sync, and nothing younger
 * MACHINE_CONTROL  a file of two 64-bit numbers: seconds to add to the clock; the errno that writes and syncs fail with, or 0
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

struct control {
  volatile int64_t clock_offset;
  volatile int64_t error;
};

static struct control no_control;
static struct control *control = &no_control;
static const char *folder, *image;

static ssize_t (*real_pwrite)(int, const void *, size_t, off_t);
static int (*real_fsync)(int), (*real_fdatasync)(int);
static int (*real_clock_gettime)(clockid_t, struct timespec *);
static int (*real_gettimeofday)(struct timeval *, void *);

__attribute__((constructor)) static void start(void) {
  real_pwrite = dlsym(RTLD_NEXT, "pwrite64");
  real_fsync = dlsym(RTLD_NEXT, "fsync");
  real_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
  real_clock_gettime = dlsym(RTLD_NEXT, "clock_gettime");
  real_gettimeofday = dlsym(RTLD_NEXT, "gettimeofday");
  folder = getenv("MACHINE_FOLDER");
  image = getenv("MACHINE_IMAGE");
  const char *path = getenv("MACHINE_CONTROL");
  int fd = path == NULL ? -1 : open(path, O_RDONLY);
  if (fd == -1) return;
  void *mapped = mmap(NULL, sizeof *control, PROT_READ, MAP_SHARED, fd, 0);
  if (mapped != MAP_FAILED) control = mapped;
  close(fd);
}

/* The path of a watched file, or NULL. */
static const char *watched(int fd, char path[PATH_MAX]) {
  char link[64];
  if (folder == NULL || image == NULL) return NULL;
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, path, PATH_MAX - 1);
  if (length <= 0) return NULL;
  path[length] = 0;
  size_t prefix = strlen(folder);
  if (strncmp(path, folder, prefix) != 0 || path[prefix] != '/') return NULL;
  return path;
}

static int fails(int fd) {
  char path[PATH_MAX];
  if (control->error == 0 || watched(fd, path) == NULL) return 0;
  errno = (int)control->error;
  return 1;
}

/* What the disk now holds for certain. Renamed into place: cut off at any moment, the image is whole. */
static void record(int fd) {
  char self[64], path[PATH_MAX], target[PATH_MAX + 16], partial[PATH_MAX + 32], buffer[65536];
  struct stat status;
  if (watched(fd, path) == NULL || fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) return;
  snprintf(target, sizeof target, "%s/%s", image, strrchr(path, '/') + 1);
  snprintf(partial, sizeof partial, "%s.partial", target);
  snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
  int in = open(self, O_RDONLY), out = open(partial, O_CREAT | O_TRUNC | O_WRONLY, 0600);
  if (in == -1 || out == -1) abort();
  off_t at = 0;
  ssize_t length;
  while ((length = pread(in, buffer, sizeof buffer, at)) > 0) {
    if (real_pwrite(out, buffer, length, at) != length) abort();
    at += length;
  }
  close(in);
  close(out);
  if (rename(partial, target) != 0) abort();
}

ssize_t pwrite64(int fd, const void *data, size_t length, off64_t at) {
  return fails(fd) ? -1 : real_pwrite(fd, data, length, at);
}

ssize_t pwrite(int fd, const void *data, size_t length, off_t at) {
  return pwrite64(fd, data, length, at);
}

int fsync(int fd) {
  if (fails(fd)) return -1;
  int result = real_fsync(fd);
  if (result == 0) record(fd);
  return result;
}

int fdatasync(int fd) {
  if (fails(fd)) return -1;
  int result = real_fdatasync(fd);
  if (result == 0) record(fd);
  return result;
}

int clock_gettime(clockid_t clock, struct timespec *time) {
  int result = real_clock_gettime(clock, time);
  if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) time->tv_sec += control->clock_offset;
  return result;
}

int gettimeofday(struct timeval *restrict time, void *restrict zone) {
  int result = real_gettimeofday(time, zone);
  if (result == 0) time->tv_sec += control->clock_offset;
  return result;
}
