/* What a scrape costs at least: the kept head of each line is copied, an integer written behind it. Measured against, never shipped. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static char *heads, *text;
static uint32_t *ends;
static uint64_t *numbers;
static Py_ssize_t lines, size;
static volatile char sink;

/* configure(heads, numbers): the head of each line as bytes, and its number; kept for good */
static PyObject *configure(PyObject *self, PyObject *const *args, Py_ssize_t n) {
    lines = PyList_GET_SIZE(args[0]);
    free(heads); free(text); free(ends); free(numbers);
    ends = malloc(sizeof *ends * (size_t)lines);
    numbers = malloc(sizeof *numbers * (size_t)lines);
    heads = NULL;
    size = 0;
    for (Py_ssize_t i = 0; i < lines; i++) {
        char *head;
        Py_ssize_t length;
        if (PyBytes_AsStringAndSize(PyList_GET_ITEM(args[0], i), &head, &length) < 0) return NULL;
        heads = realloc(heads, (size_t)(size + length));
        memcpy(heads + size, head, (size_t)length);
        size += length;
        ends[i] = (uint32_t)size;
        numbers[i] = PyLong_AsUnsignedLongLong(PyList_GET_ITEM(args[1], i));
    }
    text = malloc((size_t)size + (size_t)lines * 21);
    if (PyErr_Occurred()) return NULL;
    Py_RETURN_NONE;
}

static char *integer(char *at, uint64_t number) {
    static const char pairs[] =
        "0001020304050607080910111213141516171819202122232425262728293031323334353637383940414243444546474849"
        "5051525354555657585960616263646566676869707172737475767778798081828384858687888990919293949596979899";
    char digits[20], *first = digits + sizeof digits;
    while (number >= 100) {
        first -= 2;
        memcpy(first, pairs + 2 * (number % 100), 2);
        number /= 100;
    }
    if (number >= 10) {
        first -= 2;
        memcpy(first, pairs + 2 * number, 2);
    } else {
        *--first = (char)('0' + number);
    }
    size_t length = (size_t)(digits + sizeof digits - first);
    memcpy(at, first, length);
    return at + length;
}

static Py_ssize_t scrape(void) {
    char *at = text;
    uint32_t start = 0;
    for (Py_ssize_t i = 0; i < lines; i++) {
        memcpy(at, heads + start, ends[i] - start);
        at = integer(at + (ends[i] - start), numbers[i]);
        *at++ = '\n';
        start = ends[i];
    }
    return at - text;
}

/* render_loop(n): n scrapes */
static PyObject *render_loop(PyObject *self, PyObject *number) {
    for (Py_ssize_t n = PyLong_AsSsize_t(number); n > 0; n--) sink = text[scrape() - 1];
    Py_RETURN_NONE;
}

/* render(): the text of one scrape */
static PyObject *render(PyObject *self, PyObject *none) {
    Py_ssize_t length = scrape();
    return PyBytes_FromStringAndSize(text, length);
}

#define FAST(function) (PyCFunction)(void (*)(void))function, METH_FASTCALL
static PyMethodDef methods[] = {
    {"configure", FAST(configure), "what is rendered"},
    {"render_loop", render_loop, METH_O, "scrapes"},
    {"render", render, METH_NOARGS, "one scrape"},
    {NULL, NULL, 0, NULL},
};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "qm_exposition", NULL, -1, methods, NULL, NULL, NULL, NULL};
PyMODINIT_FUNC PyInit_qm_exposition(void) { return PyModule_Create(&module); }
