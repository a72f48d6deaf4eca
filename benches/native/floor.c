/* The least that any extension can cost for the same readings, and the marks for callgrind. Measured against, never shipped. */
#define PY_SSIZE_T_CLEAN
#define _GNU_SOURCE
#include <Python.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#if __has_include(<valgrind/callgrind.h>)
#include <valgrind/callgrind.h>
#else
#define CALLGRIND_START_INSTRUMENTATION
#define CALLGRIND_STOP_INSTRUMENTATION
#define CALLGRIND_TOGGLE_COLLECT
#endif

enum { MAP_SLOTS = 1 << 14 };
static struct { uint64_t wall, cpu; } slots[64];
static uint64_t counters[5];
static char *map;
static uint64_t tail;
static char folder[256]; /* where new segments go; empty: one mapping for all */
static int segment_fd = -1;
static unsigned segment;
static int log_fd = -1, statm_fd = -1, with_cpu, with_rss;
static unsigned long long rss_every = 5000000; /* ns, as often as ours unless told */
static uint64_t rss_read_at;

static uint64_t now(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* What a new segment takes at least: a file with its blocks, locked, mapped, its pages there before they are written. */
static void new_segment(void) {
    char path[320];
    snprintf(path, sizeof path, "%s/%u.seg", folder, ++segment);
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    char *made = MAP_FAILED;
    if (fd >= 0 && !flock(fd, LOCK_SH | LOCK_NB) && !fallocate(fd, 0, 0, 64 * MAP_SLOTS))
        made = mmap(NULL, 64 * MAP_SLOTS, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
    if (made == MAP_FAILED) {
        counters[4]++;
        if (fd >= 0) close(fd);
        return;
    }
    munmap(map, 64 * MAP_SLOTS);
    if (segment_fd >= 0) close(segment_fd);
    map = made;
    segment_fd = fd;
}

static void append(uint64_t a, uint64_t b, uint64_t c) {
    uint64_t record[8] = {0, now(CLOCK_REALTIME), a, b, c, counters[0], 0, 0};
    if (log_fd >= 0) {
        if (write(log_fd, record, 64) != 64) counters[4]++;
    } else {
        uint64_t slot = __atomic_fetch_add(&tail, 1, __ATOMIC_RELAXED) % MAP_SLOTS;
        if (slot == 0 && *folder) new_segment();
        memcpy(map + 64 * slot + 8, record + 1, 56);
        __atomic_store_n((uint64_t *)(map + 64 * slot), a | 1, __ATOMIC_RELEASE);
    }
}

/* configure(path or None, cpu, rss[, ns between two readings of rss[, folder]]): append by write(2) to path, or to a shared mapping,
   a new one of a file in the folder after each 1 MiB */
static PyObject *configure(PyObject *self, PyObject *args) {
    const char *path, *place = "";
    if (!PyArg_ParseTuple(args, "zpp|Ks", &path, &with_cpu, &with_rss, &rss_every, &place)) return NULL;
    snprintf(folder, sizeof folder, "%s", place);
    if (log_fd >= 0) { close(log_fd); log_fd = -1; }
    if (path) {
        log_fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
        if (log_fd < 0) return PyErr_SetFromErrno(PyExc_OSError);
    } else if (!map) {
        map = mmap(NULL, 64 * MAP_SLOTS, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (map == MAP_FAILED) { map = NULL; return PyErr_SetFromErrno(PyExc_OSError); }
    }
    if (statm_fd < 0) statm_fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    Py_RETURN_NONE;
}

/* started(handle, job_id, attempt, ready_at) -> slot */
static PyObject *started(PyObject *self, PyObject *const *args, Py_ssize_t n) {
    int slot = (int)(counters[0]++ & 63);
    Py_ssize_t length = 0;
    const char *text = PyUnicode_AsUTF8AndSize(args[1], &length);
    uint64_t hash = 1469598103934665603u;
    for (Py_ssize_t i = 0; text && i < length; i++) hash = (hash ^ (unsigned char)text[i]) * 1099511628211u;
    append(hash, 5, 0);
    slots[slot].wall = now(CLOCK_MONOTONIC);
    slots[slot].cpu = with_cpu ? now(CLOCK_PROCESS_CPUTIME_ID) : 0;
    return PyLong_FromLong(slot);
}

/* finished(slot, outcome, exception, flags) */
static PyObject *finished(PyObject *self, PyObject *const *args, Py_ssize_t n) {
    long slot = PyLong_AsLong(args[0]) & 63;
    uint64_t cpu = with_cpu ? now(CLOCK_PROCESS_CPUTIME_ID) - slots[slot].cpu : 0;
    uint64_t wall = now(CLOCK_MONOTONIC);
    uint64_t rss = 0;
    if (with_rss && wall - rss_read_at >= rss_every) {
        char text[128];
        if (pread(statm_fd, text, sizeof text - 1, 0) > 0) rss = strtoull(strchr(text, ' '), NULL, 10);
        rss_read_at = wall;
    }
    counters[1] += wall - slots[slot].wall;
    counters[2] += cpu;
    counters[3] += rss;
    append(wall - slots[slot].wall, cpu, rss);
    Py_RETURN_NONE;
}

static PyObject *failures(PyObject *self, PyObject *unused) { return PyLong_FromUnsignedLongLong(counters[4]); }

static PyObject *collect(PyObject *self, PyObject *on) {
    if (PyObject_IsTrue(on)) { CALLGRIND_START_INSTRUMENTATION; CALLGRIND_TOGGLE_COLLECT; }
    else { CALLGRIND_TOGGLE_COLLECT; CALLGRIND_STOP_INSTRUMENTATION; }
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"configure", configure, METH_VARARGS, "choose what a pair does"},
    {"started", (PyCFunction)(void (*)(void))started, METH_FASTCALL, "start"},
    {"finished", (PyCFunction)(void (*)(void))finished, METH_FASTCALL, "finish"},
    {"failures", failures, METH_NOARGS, "records or segments that could not be written"},
    {"collect", collect, METH_O, "callgrind counts between collect(True) and collect(False)"},
    {NULL, NULL, 0, NULL},
};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "qm_floor", NULL, -1, methods, NULL, NULL, NULL, NULL};
PyMODINIT_FUNC PyInit_qm_floor(void) { return PyModule_Create(&module); }
