//! `Series`: numbers that never change, their arithmetic, one by one, and a buffer that lends them.

#![expect(unsafe_code, reason = "fills the views of the buffer protocol")]

use std::ffi::{c_int, c_void};
use std::ptr;

use pyo3::exceptions::{PyBufferError, PyIndexError, PyValueError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyIterator, PyList, PySlice};
use queue_metrics_core::stats::sum;

use crate::buffer::Values;

/// Numbers that never change, and a buffer of them.
#[pyclass(frozen, sequence, module = "queue_metrics._core")]
pub struct Series {
    values: Vec<f64>,
    /// Number of items and distance between them: what a view points to, as long as it keeps this object.
    shape: [isize; 2],
}

impl From<Vec<f64>> for Series {
    fn from(values: Vec<f64>) -> Series {
        // A vector never has more than isize::MAX bytes.
        let shape = [values.len() as isize, size_of::<f64>() as isize];
        Series { values, shape }
    }
}

/// The other side of an operation.
#[derive(FromPyObject)]
enum Term<'py> {
    /// First: an array of one number could be read as a number, too.
    Numbers(Values<'py>),
    Number(f64),
}

impl Series {
    fn with(&self, other: &Term<'_>, operation: impl Fn(f64, f64) -> f64) -> PyResult<Series> {
        let found: Vec<f64> = match other {
            Term::Number(other) => self.values.iter().map(|one| operation(*one, *other)).collect(),
            Term::Numbers(others) if others.as_slice().len() != self.values.len() => {
                let (here, there) = (self.values.len(), others.as_slice().len());
                return Err(PyValueError::new_err(format!("{here} numbers and {there}: they must be as many")));
            }
            Term::Numbers(others) => {
                self.values.iter().zip(others.as_slice()).map(|(one, other)| operation(*one, *other)).collect()
            }
        };
        Ok(found.into())
    }
}

#[pymethods]
impl Series {
    #[new]
    #[pyo3(signature = (values, /))]
    fn new(py: Python<'_>, values: Values<'_>) -> Series {
        values.owned(py).into()
    }

    fn __len__(&self) -> usize {
        self.values.len()
    }

    fn __getitem__<'py>(&self, py: Python<'py>, index: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        if let Ok(slice) = index.cast::<PySlice>() {
            let found = slice.indices(self.shape[0])?;
            let places = (0..found.slicelength).map(|number| found.start + number as isize * found.step);
            let part: Vec<f64> = places.map(|place| self.values[place as usize]).collect();
            return Ok(Bound::new(py, Series::from(part))?.into_any());
        }
        let index: isize = index.extract()?;
        let place = if index < 0 { index.checked_add(self.shape[0]) } else { Some(index) };
        let value = place.and_then(|place| self.values.get(usize::try_from(place).ok()?));
        let value = value.ok_or_else(|| PyIndexError::new_err("index out of range"))?;
        Ok(value.into_pyobject(py)?.into_any())
    }

    /// By way of a list: the iterator of a buffer takes four times as long.
    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyIterator>> {
        PyList::new(py, &self.values)?.try_iter()
    }

    fn __add__(&self, other: Term<'_>) -> PyResult<Series> {
        self.with(&other, |one, other| one + other)
    }

    fn __radd__(&self, other: Term<'_>) -> PyResult<Series> {
        self.with(&other, |one, other| other + one)
    }

    fn __sub__(&self, other: Term<'_>) -> PyResult<Series> {
        self.with(&other, |one, other| one - other)
    }

    fn __rsub__(&self, other: Term<'_>) -> PyResult<Series> {
        self.with(&other, |one, other| other - one)
    }

    fn __mul__(&self, other: Term<'_>) -> PyResult<Series> {
        self.with(&other, |one, other| one * other)
    }

    fn __rmul__(&self, other: Term<'_>) -> PyResult<Series> {
        self.with(&other, |one, other| other * one)
    }

    fn __truediv__(&self, other: Term<'_>) -> PyResult<Series> {
        self.with(&other, |one, other| one / other)
    }

    fn __rtruediv__(&self, other: Term<'_>) -> PyResult<Series> {
        self.with(&other, |one, other| other / one)
    }

    fn sum(&self) -> f64 {
        sum(&self.values)
    }

    fn known(&self) -> Series {
        self.values.iter().copied().filter(|value| !value.is_nan()).collect::<Vec<f64>>().into()
    }

    #[pyo3(signature = (places, /))]
    fn take(&self, places: Values<'_>) -> PyResult<Series> {
        let at = |place: &f64| self.values.get(*place as usize).filter(|_| *place >= 0.0 && place.fract() == 0.0);
        let found: Option<Vec<f64>> = places.as_slice().iter().map(|place| at(place).copied()).collect();
        found.map(Series::from).ok_or_else(|| PyIndexError::new_err("index out of range"))
    }

    fn __repr__(&self) -> String {
        const SHOWN: usize = 6;
        let shown: Vec<String> = self.values.iter().take(SHOWN).map(|value| format!("{value:?}")).collect();
        let more = if self.values.len() > SHOWN { ", ..." } else { "" };
        format!("Series([{}{more}])", shown.join(", "))
    }

    /// Lends the numbers, read-only.
    ///
    /// # Safety
    /// `view` points to a `Py_buffer`, as the buffer protocol promises.
    unsafe fn __getbuffer__(slf: Bound<'_, Self>, view: *mut ffi::Py_buffer, flags: c_int) -> PyResult<()> {
        if view.is_null() {
            return Err(PyBufferError::new_err("no view to fill"));
        }
        let this = slf.get();
        let asked = |flag| flags & flag == flag;
        // SAFETY: `view` is valid by the protocol. What it is made to point to lives in this frozen object, to which the view holds a
        // reference, or for ever. The memory is declared read-only, so it is not written to.
        unsafe {
            (*view).obj = ptr::null_mut();
            if asked(ffi::PyBUF_WRITABLE) {
                return Err(PyBufferError::new_err("a Series cannot be written to"));
            }
            (*view).buf = this.values.as_ptr().cast_mut().cast::<c_void>();
            (*view).len = this.shape[0] * this.shape[1];
            (*view).readonly = 1;
            (*view).itemsize = this.shape[1];
            (*view).format = if asked(ffi::PyBUF_FORMAT) { c"d".as_ptr().cast_mut() } else { ptr::null_mut() };
            (*view).ndim = 1;
            (*view).shape =
                if asked(ffi::PyBUF_ND) { ptr::from_ref(&this.shape[0]).cast_mut() } else { ptr::null_mut() };
            (*view).strides =
                if asked(ffi::PyBUF_STRIDES) { ptr::from_ref(&this.shape[1]).cast_mut() } else { ptr::null_mut() };
            (*view).suboffsets = ptr::null_mut();
            (*view).internal = ptr::null_mut();
            (*view).obj = slf.into_any().into_ptr();
        }
        Ok(())
    }
}
