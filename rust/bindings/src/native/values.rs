//! Numbers, text and bytes of Python without PyO3's ways around them.

use std::ffi::c_int;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

use pyo3::Borrowed;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::Answer;

/// An integer as the nearest one that fits; None for what is none.
#[inline]
pub fn integer(object: &Bound<'_, PyAny>) -> Option<i64> {
    let mut over = 0;
    // SAFETY: any object may be asked, and the place for the answer is ours.
    let number = unsafe { ffi::PyLong_AsLongLongAndOverflow(object.as_ptr(), &mut over) };
    if number == -1 { not_so_small(object.py(), over) } else { Some(number) }
}

/// As [`integer`], of what is 0 or 1 in most calls: these are objects that the interpreter makes once.
#[inline]
pub fn small_integer(object: &Bound<'_, PyAny>) -> Option<i64> {
    let known = |number: usize| SMALL[number].load(Ordering::Relaxed) == object.as_ptr();
    if known(0) {
        Some(0)
    } else if known(1) {
        Some(1)
    } else {
        integer(object)
    }
}

/// The objects of 0 and 1, once the module is made.
static SMALL: [AtomicPtr<ffi::PyObject>; 2] = [const { AtomicPtr::new(ptr::null_mut()) }; 2];

/// Makes small numbers known to [`small_integer`], and keeps their objects for ever, so that no other one is taken for them.
pub fn know_small_integers(py: Python<'_>) {
    for (number, place) in (0_u8..).zip(&SMALL) {
        let Ok(object) = number.into_pyobject(py);
        place.store(object.into_ptr().cast(), Ordering::Relaxed);
    }
}

/// The text of a `str` that can be encoded; None for everything else.
#[inline]
pub fn utf8<'a>(object: &'a Borrowed<'_, '_, PyAny>) -> Option<&'a str> {
    let mut length = 0;
    // SAFETY: any object may be asked, and the place for the length is ours. The text belongs to its object, which is never changed.
    unsafe {
        let text = ffi::PyUnicode_AsUTF8AndSize(object.as_ptr(), &mut length);
        if text.is_null() {
            ffi::PyErr_Clear();
            return None;
        }
        Some(std::str::from_utf8_unchecked(std::slice::from_raw_parts(text.cast(), length.unsigned_abs())))
    }
}

/// What -1 means as an answer of the interpreter.
#[cold]
#[inline(never)]
fn not_so_small(py: Python<'_>, over: c_int) -> Option<i64> {
    match over {
        0 => Python::attach(|_| PyErr::take(py).is_none()).then_some(-1),
        1.. => Some(i64::MAX),
        _ => Some(i64::MIN),
    }
}

/// A number for Python. None: an exception is set.
#[inline]
pub fn number(py: Python<'_>, number: i64) -> Answer<'_> {
    // SAFETY: what is answered is a new reference.
    unsafe { Bound::from_owned_ptr_or_opt(py, ffi::PyLong_FromLongLong(number)) }
}

/// Bytes and more bytes behind them. None: an exception is set.
#[inline]
pub fn joined<'py, const N: usize>(start: &Bound<'py, PyBytes>, end: &[u8; N]) -> Answer<'py> {
    let (py, start) = (start.py(), start.as_bytes());
    // SAFETY: what is made has room for both, and nobody sees it before both are there.
    unsafe {
        let made = ffi::PyBytes_FromStringAndSize(ptr::null(), (start.len() + N) as ffi::Py_ssize_t);
        let made = Bound::from_owned_ptr_or_opt(py, made)?;
        let content = ffi::PyBytes_AsString(made.as_ptr()).cast::<u8>();
        ptr::copy_nonoverlapping(start.as_ptr(), content, start.len());
        ptr::copy_nonoverlapping(end.as_ptr(), content.add(start.len()), N);
        Some(made)
    }
}
