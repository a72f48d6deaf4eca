/* What statistics cost at least: the plain loops, over buffers that Python lends, `n` operations a call. Measured against, never
   shipped. Exact in nothing but their count of operations: sums are not centred, buckets are linear between powers of two. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static Py_buffer held[4];
static const double *x, *y, *values;
static const int64_t *integers;
static Py_ssize_t length, series;
static double *scratch;
static uint64_t counts[64 * 32];
static volatile double sink;

/* configure(x, y, values, integers): buffers of one length, of values a number of series of that length; kept for good */
static PyObject *configure(PyObject *self, PyObject *const *args, Py_ssize_t n) {
    for (int i = 0; i < 4; i++) {
        if (held[i].obj) PyBuffer_Release(&held[i]);
        if (PyObject_GetBuffer(args[i], &held[i], PyBUF_SIMPLE) < 0) return NULL;
    }
    x = held[0].buf; y = held[1].buf; values = held[2].buf; integers = held[3].buf;
    length = held[0].len / 8;
    series = held[2].len / 8 / length;
    free(scratch);
    scratch = malloc(8 * (size_t)length);
    memset(counts, 0, sizeof counts);
    Py_RETURN_NONE;
}

static double line(const double *x, const double *y, Py_ssize_t n) {
    double sx = 0, sy = 0, sxx = 0, sxy = 0, syy = 0;
    for (Py_ssize_t i = 0; i < n; i++) {
        sx += x[i]; sy += y[i];
        sxx += x[i] * x[i]; sxy += x[i] * y[i]; syy += y[i] * y[i];
    }
    double slope = (n * sxy - sx * sy) / (n * sxx - sx * sx);
    return slope + (sy - slope * sx) / n + syy;
}

typedef double two __attribute__((vector_size(16), aligned(8)));

/* The same with four sums by hand, two to a register: as far as the least of this kind of processor goes. */
static double line_by_hand(const double *x, const double *y, Py_ssize_t n) {
    two s[10] = {0};
    Py_ssize_t i = 0;
    for (; i + 4 <= n; i += 4) {
        two x0 = *(const two *)(x + i), x1 = *(const two *)(x + i + 2), y0 = *(const two *)(y + i), y1 = *(const two *)(y + i + 2);
        s[0] += x0; s[1] += x1; s[2] += y0; s[3] += y1;
        s[4] += x0 * x0; s[5] += x1 * x1; s[6] += x0 * y0; s[7] += x1 * y1; s[8] += y0 * y0; s[9] += y1 * y1;
    }
    double r[5];
    for (int k = 0; k < 5; k++) r[k] = s[2 * k][0] + s[2 * k][1] + s[2 * k + 1][0] + s[2 * k + 1][1];
    for (; i < n; i++) {
        r[0] += x[i]; r[1] += y[i];
        r[2] += x[i] * x[i]; r[3] += x[i] * y[i]; r[4] += y[i] * y[i];
    }
    double slope = (n * r[3] - r[0] * r[1]) / (n * r[2] - r[0] * r[0]);
    return slope + (r[1] - slope * r[0]) / n + r[4];
}

static void swap(double *a, double *b) { double t = *a; *a = *b; *b = t; }

/* Hoare's quickselect, median of three: the number of place k of v[low..high] in its place, smaller before it, greater behind. */
static void select_place(double *v, Py_ssize_t low, Py_ssize_t high, Py_ssize_t k) {
    while (high > low) {
        Py_ssize_t middle = low + (high - low) / 2, i = low, j = high;
        if (v[middle] < v[low]) swap(v + middle, v + low);
        if (v[high] < v[low]) swap(v + high, v + low);
        if (v[high] < v[middle]) swap(v + high, v + middle);
        double pivot = v[middle];
        while (i <= j) {
            while (v[i] < pivot) i++;
            while (pivot < v[j]) j--;
            if (i <= j) { swap(v + i, v + j); i++; j--; }
        }
        if (k <= j) high = j;
        else if (k >= i) low = i;
        else return;
    }
}

/* p50, p95 and p99 by the linear rule, in rising order so that each has less left to look at */
static double percentiles(const double *values) {
    memcpy(scratch, values, 8 * (size_t)length);
    static const double qs[3] = {0.5, 0.95, 0.99};
    double sum = 0;
    Py_ssize_t low = 0;
    for (int i = 0; i < 3; i++) {
        double place = qs[i] * (double)(length - 1);
        Py_ssize_t k = (Py_ssize_t)place;
        select_place(scratch, low, length - 1, k);
        double next = scratch[k + 1 < length ? k + 1 : k];
        for (Py_ssize_t j = k + 1; j < length; j++) if (scratch[j] < next) next = scratch[j];
        sum += scratch[k] + (next - scratch[k]) * (place - (double)k);
        low = k + 1;
    }
    return sum;
}

static inline unsigned bucket(uint64_t value) {
    unsigned power = 63 - (unsigned)__builtin_clzll(value | 1);
    return power * 32 + (unsigned)((value << (63 - power)) >> 58 & 31);
}

/* p50, p95 and p99 from the counts, in one pass */
static double quantiles(uint64_t total) {
    static const double qs[3] = {0.5, 0.95, 0.99};
    double sum = 0;
    uint64_t seen = 0;
    unsigned at = 0;
    for (int i = 0; i < 3; i++) {
        uint64_t rank = (uint64_t)(qs[i] * (double)total + 0.999999);
        while (seen + counts[at] < rank) seen += counts[at++];
        sum += (double)((1ull << at / 32) * (64 + 2 * (at % 32) + 1) / 64);
    }
    return sum;
}

#define LOOP(name, step)                                                        \
    static PyObject *name(PyObject *self, PyObject *number) {                   \
        Py_ssize_t n = PyLong_AsSsize_t(number);                                \
        for (Py_ssize_t i = 0; i < n; i++) { step; }                            \
        Py_RETURN_NONE;                                                         \
    }

LOOP(fit_loop, sink = line(x, y, length))
LOOP(fit_by_hand_loop, sink = line_by_hand(x, y, length))
/* each time other numbers, or the branch predictor knows them by heart */
LOOP(select_loop, sink = percentiles(values + i % series * length))
LOOP(query_loop, sink = quantiles((uint64_t)length))

/* insert_loop(n): n numbers into the sketch, which then has no more than those */
static PyObject *insert_loop(PyObject *self, PyObject *number) {
    Py_ssize_t n = PyLong_AsSsize_t(number), left = n;
    memset(counts, 0, sizeof counts);
    for (; left > 0; left -= length)
        for (Py_ssize_t i = 0; i < (left < length ? left : length); i++) counts[bucket((uint64_t)integers[i])]++;
    Py_RETURN_NONE;
}

/* slide_loop(n): n points into a window of 100, the slope after each; the sums lose digits for ever */
static PyObject *slide_loop(PyObject *self, PyObject *number) {
    enum { WINDOW = 100 };
    Py_ssize_t n = PyLong_AsSsize_t(number);
    double sx = 0, sy = 0, sxx = 0, sxy = 0, ring[WINDOW][2] = {{0}};
    for (Py_ssize_t i = 0, at = 0; i < n; i++, at = at + 1 < WINDOW ? at + 1 : 0) {
        double *old = ring[at], px = (double)i, py = values[i % length];
        sx += px - old[0]; sy += py - old[1];
        sxx += px * px - old[0] * old[0]; sxy += px * py - old[0] * old[1];
        old[0] = px; old[1] = py;
        sink = (WINDOW * sxy - sx * sy) / (WINDOW * sxx - sx * sx);
    }
    Py_RETURN_NONE;
}

/* fit(x, y): one fit, the numbers from buffers, as any extension has to do it */
static PyObject *fit(PyObject *self, PyObject *const *args, Py_ssize_t n) {
    Py_buffer one, other;
    if (PyObject_GetBuffer(args[0], &one, PyBUF_CONTIG_RO) < 0) return NULL;
    if (PyObject_GetBuffer(args[1], &other, PyBUF_CONTIG_RO) < 0) { PyBuffer_Release(&one); return NULL; }
    double found = line(one.buf, other.buf, one.len / 8);
    PyBuffer_Release(&one);
    PyBuffer_Release(&other);
    return PyFloat_FromDouble(found);
}

/* What a call costs that does nothing: nothing() without arguments, empty(x, y) with two */
static PyObject *nothing(PyObject *self, PyObject *none) { Py_RETURN_NONE; }
static PyObject *empty(PyObject *self, PyObject *const *args, Py_ssize_t n) { Py_RETURN_NONE; }

/* number(x, y): what a call costs that takes two numbers and answers one */
static PyObject *number(PyObject *self, PyObject *const *args, Py_ssize_t n) {
    return PyFloat_FromDouble(PyFloat_AsDouble(args[0]) + PyFloat_AsDouble(args[1]));
}

#define FAST(function) (PyCFunction)(void (*)(void))function, METH_FASTCALL
static PyMethodDef methods[] = {
    {"configure", FAST(configure), "what the loops work on"},
    {"fit_loop", fit_loop, METH_O, "one-pass fits"},
    {"fit_by_hand_loop", fit_by_hand_loop, METH_O, "one-pass fits with four sums by hand"},
    {"select_loop", select_loop, METH_O, "p50, p95 and p99 by quickselect"},
    {"query_loop", query_loop, METH_O, "p50, p95 and p99 from a sketch"},
    {"insert_loop", insert_loop, METH_O, "numbers into a sketch"},
    {"slide_loop", slide_loop, METH_O, "points into a window"},
    {"fit", FAST(fit), "one fit"},
    {"nothing", nothing, METH_NOARGS, "nothing"},
    {"empty", FAST(empty), "nothing"},
    {"number", FAST(number), "a number of two"},
    {NULL, NULL, 0, NULL},
};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "qm_stats", NULL, -1, methods, NULL, NULL, NULL, NULL};
PyMODINIT_FUNC PyInit_qm_stats(void) { return PyModule_Create(&module); }
