//! Numbers of Python in without copying: buffers of its objects as slices.

#![expect(unsafe_code, reason = "reads buffers of Python in place")]

use std::ffi::CStr;
use std::hint::black_box;
use std::marker::PhantomData;
use std::slice;

use pyo3::buffer::PyUntypedBuffer;
use pyo3::exceptions::{PyBufferError, PyTypeError, PyValueError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyMemoryView, PySequence, PyString};
use queue_metrics_core::stats::InputError;

use crate::series::Series;

/// What a buffer may hold: plain numbers of 8 bytes, any bits of which are a value.
pub trait Item: Copy + Default + Send + Sync + sealed::Sealed {
    /// Its format in the `struct` module, and what to say it is.
    const FORMAT: (&'static str, &'static str);

    /// Whether a character of a format, of an item of 8 bytes, is this.
    fn is(character: u8) -> bool;

    /// One from a Python number.
    fn from_python(object: &Bound<'_, PyAny>) -> PyResult<Self>;
}

mod sealed {
    /// Only these are safe to read from any memory.
    pub trait Sealed {}

    impl Sealed for f64 {}
    impl Sealed for i64 {}
}

impl Item for f64 {
    const FORMAT: (&'static str, &'static str) = ("d", "float64");

    fn is(character: u8) -> bool {
        character == b'd'
    }

    fn from_python(object: &Bound<'_, PyAny>) -> PyResult<f64> {
        object.extract()
    }
}

impl Item for i64 {
    const FORMAT: (&'static str, &'static str) = ("q", "int64");

    fn is(character: u8) -> bool {
        matches!(character, b'q' | b'l')
    }

    fn from_python(object: &Bound<'_, PyAny>) -> PyResult<i64> {
        object.extract()
    }
}

/// Numbers as an argument: a buffer of them in one dimension, or else any sequence of numbers, which is copied.
///
/// Cannot leave the thread that holds the GIL: that is what keeps other Python threads from changing a lent buffer. That a buffer is
/// read-only says nothing about others who see the same memory; only a `Series` never changes.
pub struct Numbers<'py, T: Item>(Kind<T>, PhantomData<Python<'py>>);

/// Numbers of estimators.
pub type Values<'py> = Numbers<'py, f64>;

/// Whole numbers, such as microseconds.
pub type Integers<'py> = Numbers<'py, i64>;

enum Kind<T> {
    /// Aligned numbers without gaps in the memory of another object, which can neither go nor move while this lives.
    Lent(PyUntypedBuffer),
    /// The same of a `Series`.
    Frozen(PyUntypedBuffer),
    Copied(Vec<T>),
}

/// From so many numbers on, one pass over them takes longer than giving the GIL away and copying them for that: some 0.1 ms.
pub const MANY: usize = 1 << 16;

impl<T: Item> Numbers<'_, T> {
    fn copied(values: Vec<T>) -> Self {
        Numbers(Kind::Copied(values), PhantomData)
    }

    /// The numbers, not copied where they are lent; to be read with the GIL held.
    pub fn as_slice(&self) -> &[T] {
        match &self.0 {
            Kind::Copied(values) => values,
            Kind::Lent(buffer) | Kind::Frozen(buffer) if buffer.item_count() == 0 => &[],
            // SAFETY: the exporter guarantees the memory until the buffer is released, which is after the life of the slice; format,
            // size, dimension, contiguity and alignment were checked in `extract`. No Python code runs while the slice lives, since the
            // estimators are pure Rust and the GIL is held, so nothing writes to it but what breaks the GIL's rule itself. The GIL is
            // given away in `read` and `read_both` only, of numbers that nobody writes to.
            Kind::Lent(buffer) | Kind::Frozen(buffer) => unsafe {
                slice::from_raw_parts(buffer.buf_ptr().cast(), buffer.item_count())
            },
        }
    }

    /// What `work` makes of the numbers; from `many` on without the GIL, where numbers that are lent are copied first.
    pub fn read<R: Send>(self, py: Python<'_>, many: usize, work: impl FnOnce(&[T]) -> R + Send) -> R {
        if self.as_slice().len() < many {
            return work(self.as_slice());
        }
        let own = self.settled(py);
        let values = own.as_slice();
        py.detach(|| work(values))
    }

    /// [`read`](Numbers::read) of two series; `many` is of the first.
    pub fn read_both<R: Send>(
        self,
        other: Self,
        py: Python<'_>,
        many: usize,
        work: impl FnOnce(&[T], &[T]) -> R + Send,
    ) -> R {
        if self.as_slice().len() < many {
            return work(self.as_slice(), other.as_slice());
        }
        let own = (self.settled(py), other.settled(py));
        let (first, second) = (own.0.as_slice(), own.1.as_slice());
        py.detach(|| work(first, second))
    }

    /// The same numbers where nobody writes to them: those that are lent are copied, as they are at one moment.
    fn settled(self, py: Python<'_>) -> Self {
        match self.0 {
            Kind::Lent(_) => Numbers::copied(self.owned(py)),
            Kind::Frozen(_) | Kind::Copied(_) => self,
        }
    }

    /// The numbers as our own.
    pub fn owned(self, py: Python<'_>) -> Vec<T> {
        if let Kind::Copied(values) = self.0 {
            return values;
        }
        let count = self.as_slice().len();
        if count < MANY {
            return self.as_slice().to_vec();
        }
        // Most of the time of a copy goes into pages that are touched for the first time, which needs no GIL. Hidden from the compiler,
        // which would ask for memory that is zero and touch none.
        let mut room = py.detach(|| {
            let mut room = black_box(Vec::with_capacity(count));
            room.resize(count, T::default());
            room
        });
        room.copy_from_slice(self.as_slice());
        room
    }
}

/// Takes points into a state one after the other, and gives the GIL to whoever waits for it after some 0.1 ms each time. The state is
/// locked by `push` with the GIL held, so that no fork can find it locked. Points that are refused are named by their place.
pub fn push_in_parts<T: Item>(
    py: Python<'_>,
    first: &Numbers<'_, T>,
    second: &Numbers<'_, T>,
    mut push: impl FnMut(&[T], &[T]) -> Result<Vec<f64>, InputError>,
) -> Result<Vec<f64>, InputError> {
    const PART: usize = 8192;
    let (first, second) = (|| first.as_slice(), || second.as_slice());
    let count = first().len();
    if count != second().len() || count <= PART {
        return push(first(), second());
    }
    let mut answers = Vec::with_capacity(count);
    for from in (0..count).step_by(PART) {
        let part = from..count.min(from + PART);
        answers.extend(push(&first()[part.clone()], &second()[part]).map_err(|why| why.later(from))?);
        py.detach(|| ());
    }
    Ok(answers)
}

impl<'py, T: Item> FromPyObject<'_, 'py> for Numbers<'py, T> {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Numbers<'py, T>> {
        // SAFETY: `object` is a live object and the GIL is held.
        if unsafe { ffi::PyObject_CheckBuffer(object.as_ptr()) } == 0 {
            return match object.cast::<PySequence>() {
                Ok(_) if object.is_instance_of::<PyString>() => Err(unfit::<T>(&object, "text is no numbers")),
                Ok(sequence) => {
                    let numbers: PyResult<_> = sequence.try_iter()?.map(|item| T::from_python(&item?)).collect();
                    numbers.map(Numbers::copied)
                }
                Err(_) => Err(unfit::<T>(&object, "it is neither")),
            };
        }
        // PyO3 asks for a shape and strides, which a view of any buffer has; that of a single number has none either.
        let buffer = match PyUntypedBuffer::get(&object) {
            Ok(buffer) => buffer,
            Err(_) => PyUntypedBuffer::get(PyMemoryView::from(&object)?.as_any())
                .map_err(|error| unfit::<T>(&object, &error.value(object.py()).to_string()))?,
        };
        if buffer.item_size() != size_of::<T>() || !is_native::<T>(buffer.format()) {
            let format = buffer.format().to_string_lossy();
            return Err(unfit::<T>(&object, &format!("its format is '{format}', not '{}'", T::FORMAT.0)));
        }
        if buffer.dimensions() != 1 {
            let message = format!("the numbers must be in one dimension, not {}", buffer.dimensions());
            return Err(PyValueError::new_err(message));
        }
        if buffer.is_c_contiguous() && buffer.buf_ptr().cast::<T>().is_aligned() {
            let kind = if object.is_instance_of::<Series>() { Kind::Frozen(buffer) } else { Kind::Lent(buffer) };
            return Ok(Numbers(kind, PhantomData));
        }
        gathered(&buffer).map(Numbers::copied)
    }
}

/// The numbers of a buffer with gaps, or that is not aligned.
fn gathered<T: Item>(buffer: &PyUntypedBuffer) -> PyResult<Vec<T>> {
    if buffer.suboffsets().is_some() {
        return Err(PyBufferError::new_err("a buffer of pointers is not supported; copy it first"));
    }
    let (base, stride) = (buffer.buf_ptr().cast::<u8>(), buffer.strides()[0]);
    let count = isize::try_from(buffer.item_count())?;
    // SAFETY: the exporter says that an item, of the size and format that were checked, lies at each of these strides.
    Ok((0..count).map(|at| unsafe { base.offset(at * stride).cast::<T>().read_unaligned() }).collect())
}

/// Whether a format of the `struct` module, of an item of the right size, is T in this machine's byte order. PyO3's own check takes
/// the two orders for each other.
fn is_native<T: Item>(format: &CStr) -> bool {
    let order = if cfg!(target_endian = "little") { b'<' } else { b'>' };
    match format.to_bytes() {
        [character] => T::is(*character),
        [first, character] => [b'@', b'=', order].contains(first) && T::is(*character),
        _ => false,
    }
}

fn unfit<T: Item>(object: &Bound<'_, PyAny>, why: &str) -> PyErr {
    let name = object.get_type().name().map_or_else(|_| "object".to_owned(), |name| name.to_string());
    let (format, what) = T::FORMAT;
    PyTypeError::new_err(format!(
        "a buffer of {what} (array('{format}'), numpy {what}, memoryview of format '{format}') or a sequence of numbers is needed, not \
         this {name}: {why}"
    ))
}
