//! Methods of our classes that take their arguments as they come; they stand where those of PyO3 cost more than what they do.
//!
//! Called by position, nothing is parsed; names work too, the slow way.

use std::ffi::CStr;

use pyo3::exceptions::PyTypeError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::pyclass::boolean_struct::True;
use pyo3::{Borrowed, PyClass};

use super::{Answer, Arguments, answered, arguments, borrowed, raising};

/// A method of a class with `N` arguments, all of which must be given.
pub trait Method<const N: usize> {
    /// The class.
    type Class: PyClass<Frozen = True> + Sync;
    /// Name of the method.
    const NAME: &'static CStr;
    /// Its signature for `inspect`, as `name($self, first, second)\n--\n\n`.
    const SIGNATURE: &'static CStr;
    /// Names of the arguments.
    const ARGUMENTS: [&'static str; N];

    /// Answers a call.
    fn call<'py>(py: Python<'py>, object: &Self::Class, arguments: [Borrowed<'_, 'py, PyAny>; N]) -> Answer<'py>;
}

/// Puts a method into its class.
pub fn add<M: Method<N>, const N: usize>(py: Python<'_>) -> PyResult<()> {
    let class = py.get_type::<M::Class>();
    // A definition must outlive its methods; the module is made once.
    let definition = Box::leak(Box::new(ffi::PyMethodDef {
        ml_name: M::NAME.as_ptr(),
        ml_meth: ffi::PyMethodDefPointer { PyCFunctionFastWithKeywords: entry::<M, N> },
        ml_flags: ffi::METH_FASTCALL | ffi::METH_KEYWORDS,
        ml_doc: M::SIGNATURE.as_ptr(),
    }));
    // SAFETY: the definition lives for ever, and what it makes calls us with objects of this class only.
    let method = unsafe {
        let made = ffi::PyDescr_NewMethod(class.as_type_ptr(), definition);
        Bound::<PyAny>::from_owned_ptr_or_err(py, made)?
    };
    class.setattr(M::NAME.to_string_lossy(), method)
}

unsafe extern "C" fn entry<M: Method<N>, const N: usize>(
    slf: *mut ffi::PyObject,
    values: *const *mut ffi::PyObject,
    positional: ffi::Py_ssize_t,
    names: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: the interpreter calls us with its lock held, with arguments as they are to be, and with an object of the class.
    unsafe {
        let py = Python::assume_attached();
        let object = borrowed(py, slf).cast_unchecked::<M::Class>();
        if names.is_null() && positional == N as ffi::Py_ssize_t {
            let values = *values.cast::<[*mut ffi::PyObject; N]>();
            return answered(py, || M::call(py, object.get(), values.map(|value| borrowed(py, value))));
        }
        let arguments = arguments(py, values, positional.unsigned_abs(), names);
        answered(py, || by_name::<M, N>(py, object.get(), &arguments))
    }
}

/// A call with names, or with too many or too few arguments.
#[cold]
#[inline(never)]
fn by_name<'py, M: Method<N>, const N: usize>(
    py: Python<'py>,
    object: &M::Class,
    arguments: &Arguments<'_, 'py>,
) -> Answer<'py> {
    raising(py, || {
        let refused = |what: String| PyTypeError::new_err(format!("{}() {what}", M::NAME.to_string_lossy()));
        let (positional, named) = arguments.objects()?;
        if positional.len() > N {
            return Err(refused(format!("takes {N} arguments, {} were given", positional.len())));
        }
        let mut values: [Option<Bound<'py, PyAny>>; N] = std::array::from_fn(|at| positional.get_item(at).ok());
        for (name, value) in named.iter() {
            let name = name.to_string();
            match M::ARGUMENTS.iter().position(|known| *known == name) {
                Some(at) if values[at].is_none() => values[at] = Some(value),
                Some(_) => return Err(refused(format!("was given '{name}' twice"))),
                None => return Err(refused(format!("has no argument '{name}'"))),
            }
        }
        if let Some(at) = values.iter().position(Option::is_none) {
            return Err(refused(format!("needs '{}'", M::ARGUMENTS[at])));
        }
        let values = values.map(|value| value.unwrap_or_else(|| unreachable!("looked for above")));
        let answer = M::call(py, object, values.each_ref().map(|value| value.as_borrowed()));
        answer.ok_or_else(|| PyErr::fetch(py))
    })
}
