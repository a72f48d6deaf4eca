/*
 * Preloaded into a test's process: lets chosen system calls of ours fail, and moves the clocks that we read.
 *
 * A call counts when the extension makes it, or when it is about a file below a directory that the test names (for the calls that our
 * Python makes). What counts and is between `first` and `last` of its kind, fails. Nothing here knows what the package does.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum kind { OPEN, FALLOCATE, MMAP, LOCK, RENAME, UNLINK, WRITE, KINDS };

static struct {
    atomic_long seen, first, last;
    atomic_int error;
} faults[KINDS];
static atomic_long failed;
static atomic_llong monotonic_ns, wall_ns;
static char below[PATH_MAX], met[PATH_MAX];

/* For the test, by ctypes. */

void fault_below(const char *directory) { snprintf(below, sizeof below, "%s", directory); }

void fault_arm(int kind, long first, long last, int error) {
    faults[kind].error = error;
    faults[kind].last = last;
    faults[kind].first = first;
    faults[kind].seen = 0;
    failed = 0;
    met[0] = 0;
}

/* How many calls of this kind there were since it was armed; none fails any more. */
long fault_disarm(int kind) {
    faults[kind].first = LONG_MAX;
    return faults[kind].seen;
}

/* How many calls failed since the last arming. */
long fault_failed(void) { return failed; }

/* What the first of them was about. */
const char *fault_met(void) { return met; }

void fault_clocks(long long monotonic, long long wall) {
    monotonic_ns = monotonic;
    wall_ns = wall;
}

__attribute__((constructor)) static void begin(void) {
    for (int kind = 0; kind < KINDS; kind++) {
        faults[kind].first = LONG_MAX;
    }
}

/* Which calls are meant. */

static int is_ours(void *caller) {
    Dl_info about;
    return dladdr(caller, &about) && about.dli_fname && strstr(about.dli_fname, "/_core.");
}

static int is_below(const char *path) { return below[0] && strncmp(path, below, strlen(below)) == 0; }

static int descriptor_is_below(int fd) {
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) {
        return 0;
    }
    path[length] = 0;
    return is_below(path);
}

static int fails(enum kind kind, int counts, const char *about) {
    if (!counts) {
        return 0;
    }
    long number = atomic_fetch_add(&faults[kind].seen, 1) + 1;
    if (number < faults[kind].first || number > faults[kind].last) {
        return 0;
    }
    if (atomic_fetch_add(&failed, 1) == 0) {
        snprintf(met, sizeof met, "%s", about);
    }
    errno = faults[kind].error;
    return 1;
}

#define ORIGINAL(name)                                                                                                                     \
    static __typeof__(name) *original;                                                                                                     \
    if (!original) {                                                                                                                       \
        original = dlsym(RTLD_NEXT, #name);                                                                                                \
    }
#define CALLER __builtin_return_address(0)

#define OPENS(name)                                                                                                                        \
    int name(const char *path, int flags, ...) {                                                                                           \
        ORIGINAL(name)                                                                                                                     \
        va_list more;                                                                                                                      \
        va_start(more, flags);                                                                                                             \
        mode_t mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(more, mode_t) : 0;                                                          \
        va_end(more);                                                                                                                      \
        return fails(OPEN, is_ours(CALLER) || is_below(path), path) ? -1 : original(path, flags, mode);                                          \
    }
OPENS(open)
OPENS(open64)

#define OPENS_AT(name)                                                                                                                     \
    int name(int directory, const char *path, int flags, ...) {                                                                            \
        ORIGINAL(name)                                                                                                                     \
        va_list more;                                                                                                                      \
        va_start(more, flags);                                                                                                             \
        mode_t mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(more, mode_t) : 0;                                                          \
        va_end(more);                                                                                                                      \
        return fails(OPEN, is_ours(CALLER) || is_below(path), path) ? -1 : original(directory, path, flags, mode);                               \
    }
OPENS_AT(openat)
OPENS_AT(openat64)

DIR *opendir(const char *path) {
    ORIGINAL(opendir)
    return fails(OPEN, is_ours(CALLER) || is_below(path), path) ? NULL : original(path);
}

int fallocate(int fd, int mode, off_t offset, off_t length) {
    ORIGINAL(fallocate)
    return fails(FALLOCATE, is_ours(CALLER), "") ? -1 : original(fd, mode, offset, length);
}

int fallocate64(int fd, int mode, off64_t offset, off64_t length) {
    ORIGINAL(fallocate64)
    return fails(FALLOCATE, is_ours(CALLER), "") ? -1 : original(fd, mode, offset, length);
}

void *mmap(void *start, size_t length, int access, int flags, int fd, off_t offset) {
    ORIGINAL(mmap)
    return fails(MMAP, is_ours(CALLER), "") ? MAP_FAILED : original(start, length, access, flags, fd, offset);
}

void *mmap64(void *start, size_t length, int access, int flags, int fd, off64_t offset) {
    ORIGINAL(mmap64)
    return fails(MMAP, is_ours(CALLER), "") ? MAP_FAILED : original(start, length, access, flags, fd, offset);
}

int flock(int fd, int operation) {
    ORIGINAL(flock)
    return fails(LOCK, is_ours(CALLER) || descriptor_is_below(fd), "") ? -1 : original(fd, operation);
}

static int is_lock(int command) {
    return command == F_SETLK || command == F_SETLKW || command == F_GETLK || command == F_OFD_SETLK || command == F_OFD_SETLKW;
}

#define FCNTLS(name)                                                                                                                       \
    int name(int fd, int command, ...) {                                                                                                   \
        ORIGINAL(name)                                                                                                                     \
        va_list more;                                                                                                                      \
        va_start(more, command);                                                                                                           \
        void *argument = va_arg(more, void *);                                                                                             \
        va_end(more);                                                                                                                      \
        int counts = is_lock(command) && (is_ours(CALLER) || descriptor_is_below(fd));                                                     \
        return fails(LOCK, counts, "") ? -1 : original(fd, command, argument);                                                                 \
    }
FCNTLS(fcntl)
FCNTLS(fcntl64)

int rename(const char *from, const char *to) {
    ORIGINAL(rename)
    return fails(RENAME, is_ours(CALLER) || is_below(to), to) ? -1 : original(from, to);
}

int renameat(int from_directory, const char *from, int to_directory, const char *to) {
    ORIGINAL(renameat)
    return fails(RENAME, is_ours(CALLER) || is_below(to), to) ? -1 : original(from_directory, from, to_directory, to);
}

int unlink(const char *path) {
    ORIGINAL(unlink)
    return fails(UNLINK, is_ours(CALLER) || is_below(path), path) ? -1 : original(path);
}

int unlinkat(int directory, const char *path, int flags) {
    ORIGINAL(unlinkat)
    return fails(UNLINK, is_ours(CALLER) || is_below(path), path) ? -1 : original(directory, path, flags);
}

ssize_t write(int fd, const void *bytes, size_t length) {
    ORIGINAL(write)
    return fails(WRITE, is_ours(CALLER) || descriptor_is_below(fd), "") ? -1 : original(fd, bytes, length);
}

ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t offset) {
    ORIGINAL(pwrite64)
    return fails(WRITE, is_ours(CALLER) || descriptor_is_below(fd), "") ? -1 : original(fd, bytes, length, offset);
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
    ORIGINAL(writev)
    return fails(WRITE, is_ours(CALLER) || descriptor_is_below(fd), "") ? -1 : original(fd, parts, count);
}

int clock_gettime(clockid_t clock, struct timespec *time) {
    ORIGINAL(clock_gettime)
    int answer = original(clock, time);
    long long by = clock == CLOCK_REALTIME ? wall_ns : clock == CLOCK_MONOTONIC || clock == CLOCK_BOOTTIME ? monotonic_ns : 0;
    if (answer == 0 && by != 0 && is_ours(CALLER)) {
        long long moved = time->tv_sec * 1000000000LL + time->tv_nsec + by;
        time->tv_sec = moved / 1000000000LL;
        time->tv_nsec = moved % 1000000000LL;
    }
    return answer;
}
