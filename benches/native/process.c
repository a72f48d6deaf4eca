/* The system calls and the decoding that samples of a process cannot do without, in a loop. Measured against, never shipped. */
#define PY_SSIZE_T_CLEAN
#define _GNU_SOURCE
#include <Python.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static int statm_fd = -1, fd_fd = -1, task_fd = -1, other_stat = -1, other_statm = -1;
static uint64_t page, sum;

struct sample { uint64_t user, system, peak, rss, descriptors, threads; };

static uint64_t micros(struct timeval t) { return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_usec; }

/* the second number of statm, in bytes */
static uint64_t resident(int fd) {
    char text[128];
    ssize_t length = pread(fd, text, sizeof text - 1, 0);
    if (length <= 0) return 0;
    text[length] = 0;
    char *end;
    strtoull(text, &end, 10);
    return strtoull(end, NULL, 10) * page;
}

static struct sample own(void) {
    struct rusage usage;
    struct stat descriptors, threads;
    struct sample s;
    getrusage(RUSAGE_SELF, &usage);
    s.rss = resident(statm_fd);
    fstat(fd_fd, &descriptors);
    fstat(task_fd, &threads);
    s.user = micros(usage.ru_utime) * 1000;
    s.system = micros(usage.ru_stime) * 1000;
    s.peak = (uint64_t)usage.ru_maxrss * 1024;
    s.descriptors = (uint64_t)descriptors.st_size;
    s.threads = (uint64_t)threads.st_nlink - 2;
    return s;
}

/* open(pid): keep the files of this process and of another one */
static PyObject *open_files(PyObject *self, PyObject *arg) {
    char path[64];
    long pid = PyLong_AsLong(arg);
    page = (uint64_t)sysconf(_SC_PAGESIZE);
    statm_fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    fd_fd = open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    task_fd = open("/proc/self/task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    snprintf(path, sizeof path, "/proc/%ld/stat", pid);
    other_stat = open(path, O_RDONLY | O_CLOEXEC);
    snprintf(path, sizeof path, "/proc/%ld/statm", pid);
    other_statm = open(path, O_RDONLY | O_CLOEXEC);
    if (statm_fd < 0 || fd_fd < 0 || task_fd < 0 || other_stat < 0 || other_statm < 0) return PyErr_SetFromErrno(PyExc_OSError);
    Py_RETURN_NONE;
}

/* own_batch(n): n samples of this process */
static PyObject *own_batch(PyObject *self, PyObject *arg) {
    for (long n = PyLong_AsLong(arg); n > 0; n--) {
        struct sample s = own();
        sum += s.user + s.system + s.peak + s.rss + s.descriptors + s.threads;
    }
    return PyLong_FromUnsignedLongLong(sum);
}

/* own() -> the same six numbers as a tuple */
static PyObject *own_call(PyObject *self, PyObject *none) {
    struct sample s = own();
    return Py_BuildValue("(KKKKKK)", s.user, s.system, s.peak, s.rss, s.descriptors, s.threads);
}

/* other_batch(n): n times pread and decode of another process's stat (fields 3 to 24) and statm */
static PyObject *other_batch(PyObject *self, PyObject *arg) {
    for (long n = PyLong_AsLong(arg); n > 0; n--) {
        char text[1024];
        ssize_t length = pread(other_stat, text, sizeof text - 1, 0);
        if (length <= 0) return PyErr_SetFromErrno(PyExc_OSError);
        text[length] = 0;
        char *at = strrchr(text, ')');
        uint64_t state = (uint64_t)at[2];
        at += 3;
        uint64_t fields[25] = {0};
        for (int field = 4; field <= 24; field++) fields[field] = strtoull(at, &at, 10);
        sum += state + fields[4] + fields[14] + fields[15] + fields[20] + fields[22] + resident(other_statm);
    }
    return PyLong_FromUnsignedLongLong(sum);
}

static PyMethodDef methods[] = {
    {"open", open_files, METH_O, "keep files"},
    {"own_batch", own_batch, METH_O, "samples of this process"},
    {"own", own_call, METH_NOARGS, "one sample of this process"},
    {"other_batch", other_batch, METH_O, "samples of another process"},
    {NULL, NULL, 0, NULL},
};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "qm_process", NULL, -1, methods, NULL, NULL, NULL, NULL};
PyMODINIT_FUNC PyInit_qm_process(void) { return PyModule_Create(&module); }
