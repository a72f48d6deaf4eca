/* The least that a sample of the host can cost: the same files through kept descriptors, read and decoded. Never shipped. */
#define PY_SSIZE_T_CLEAN
#define _GNU_SOURCE
#include <Python.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum { FILES = 5, SIZE = 1 << 16, MOST = 4096 };
static const char *const paths[FILES] = {"/proc/stat", "/proc/meminfo", "/proc/loadavg", "/proc/diskstats", "/proc/net/dev"};
static int fds[FILES];
static char text[SIZE];
/* Every number of a file, in the order of the text. */
static uint64_t numbers[FILES][MOST];
static size_t found[FILES];
static struct statvfs room;

/* One pass over the bytes: a number is digits behind a blank, so that the digits of `cpu0` and `vda1` are none. */
static size_t decode(const char *at, const char *end, uint64_t *out) {
    size_t n = 0;
    while (at < end && n < MOST) {
        if ((unsigned char)(*at - '0') > 9) {
            at++;
            continue;
        }
        if (at != text && at[-1] != ' ' && at[-1] != ':' && at[-1] != '.' && at[-1] != '/' && at[-1] != '\n') {
            while (at < end && (unsigned char)(*at - '0') <= 9) at++;
            continue;
        }
        uint64_t value = 0;
        while (at < end && (unsigned char)(*at - '0') <= 9) value = 10 * value + (uint64_t)(*at++ - '0');
        out[n++] = value;
    }
    return n;
}

static int sample(int decoding) {
    for (int i = 0; i < FILES; i++) {
        ssize_t length = pread(fds[i], text, sizeof text, 0);
        if (length <= 0) return -1;
        if (decoding) found[i] = decode(text, text + length, numbers[i]);
    }
    return statvfs("/", &room);
}

static PyObject *repeat(PyObject *count, int decoding) {
    long n = PyLong_AsLong(count);
    for (long i = 0; i < n; i++)
        if (sample(decoding) != 0) return PyErr_SetFromErrno(PyExc_OSError);
    return PyLong_FromSize_t(found[0]);
}

/* read_only(n), read_and_decode(n): n samples without Python in between */
static PyObject *read_only(PyObject *self, PyObject *count) { return repeat(count, 0); }
static PyObject *read_and_decode(PyObject *self, PyObject *count) { return repeat(count, 1); }

/* one() : one sample by one call from Python */
static PyObject *one(PyObject *self, PyObject *ignored) {
    if (sample(1) != 0) return PyErr_SetFromErrno(PyExc_OSError);
    return PyLong_FromSize_t(found[0]);
}

/* decoded(index) -> the numbers of a file of the last sample */
static PyObject *decoded(PyObject *self, PyObject *index) {
    long i = PyLong_AsLong(index);
    if (i < 0 || i >= FILES) return PyErr_Format(PyExc_IndexError, "0 to %d", FILES - 1);
    PyObject *list = PyList_New((Py_ssize_t)found[i]);
    for (size_t n = 0; list && n < found[i]; n++) PyList_SET_ITEM(list, (Py_ssize_t)n, PyLong_FromUnsignedLongLong(numbers[i][n]));
    return list;
}

static PyMethodDef methods[] = {
    {"read_only", read_only, METH_O, "samples without decoding"},
    {"read_and_decode", read_and_decode, METH_O, "samples with every number decoded"},
    {"one", one, METH_NOARGS, "a sample, decoded"},
    {"decoded", decoded, METH_O, "the numbers of a file"},
    {NULL, NULL, 0, NULL},
};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "qm_host", NULL, -1, methods, NULL, NULL, NULL, NULL};
PyMODINIT_FUNC PyInit_qm_host(void) {
    for (int i = 0; i < FILES; i++) {
        fds[i] = open(paths[i], O_RDONLY | O_CLOEXEC);
        if (fds[i] < 0) return PyErr_SetFromErrnoWithFilename(PyExc_OSError, paths[i]);
    }
    return PyModule_Create(&module);
}
