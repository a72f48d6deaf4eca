//! Callables of Python that are Rust all through. With its submodules the only file of the bindings with `unsafe`.
//!
//! PyO3 parses arguments, counts attachments and binds methods by a Python object: 180 instructions a function and 1,000 a method,
//! where a whole cycle of a job library may cost 4,800 more with us. Here a function takes its arguments as they come, and a method
//! binds as a Python function does. What drops a `Py` or a `PyErr` belongs inside of `Python::attach`: PyO3 does not know that it is
//! called from Python here, and would let go of the object later.

#![expect(unsafe_code, reason = "speaks the interpreter's own calls")]

pub mod methods;
pub mod values;
pub mod waiting;

use std::ffi::{CStr, c_int, c_ulong, c_void};
use std::mem::offset_of;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::sync::OnceLock;

use pyo3::exceptions::PyRuntimeError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::pyclass::boolean_struct::True;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyTuple, PyType};
use pyo3::{Borrowed, PyClass};

/// An object, or None: an exception is set.
pub type Answer<'py> = Option<Bound<'py, PyAny>>;

/// Arguments of a call, as the interpreter hands them over.
pub struct Arguments<'a, 'py> {
    py: Python<'py>,
    values: &'a [*mut ffi::PyObject],
    positional: usize,
    names: *mut ffi::PyObject,
}

impl<'a, 'py> Arguments<'a, 'py> {
    /// Exactly `N` positional arguments and nothing else.
    #[inline]
    pub fn exactly<const N: usize>(&self) -> Option<[Borrowed<'a, 'py, PyAny>; N]> {
        let values: &[*mut ffi::PyObject; N] = self.values.try_into().ok()?;
        // SAFETY: the interpreter keeps the values alive while it calls.
        self.names.is_null().then(|| values.map(|value| unsafe { borrowed(self.py, value) }))
    }

    /// Calls something else with the same arguments.
    #[inline]
    pub fn forward(&self, callable: &Bound<'py, PyAny>) -> Answer<'py> {
        let Some(vectorcall) = vectorcall() else {
            return self.forward_slowly(callable);
        };
        // SAFETY: values and names are alive and passed on as they came; what is answered is a new reference.
        unsafe {
            let answer = vectorcall(callable.as_ptr(), self.values.as_ptr(), self.positional, self.names);
            Bound::from_owned_ptr_or_opt(self.py, answer)
        }
    }

    /// As [`forward`](Self::forward), where the interpreter has no such call.
    #[cold]
    fn forward_slowly(&self, callable: &Bound<'py, PyAny>) -> Answer<'py> {
        raising(self.py, || {
            let (positional, named) = self.objects()?;
            callable.call(positional, Some(&named))
        })
    }

    /// The first positional argument.
    #[inline]
    pub fn first(&self) -> Option<Borrowed<'a, 'py, PyAny>> {
        // SAFETY: as in `exactly`.
        self.values[..self.positional].first().map(|value| unsafe { borrowed(self.py, *value) })
    }

    /// The arguments as Python objects.
    pub fn objects(&self) -> PyResult<(Bound<'py, PyTuple>, Bound<'py, PyDict>)> {
        // SAFETY: as in `exactly`; the names, if any, are a tuple.
        let (values, names) = unsafe {
            let values = self.values.iter().map(|value| Borrowed::<PyAny>::from_ptr(self.py, *value));
            (values, Borrowed::<PyAny>::from_ptr_or_opt(self.py, self.names))
        };
        let named = PyDict::new(self.py);
        if let Some(names) = names {
            for (name, value) in names.cast::<PyTuple>()?.iter().zip(values.clone().skip(self.positional)) {
                named.set_item(name, value)?;
            }
        }
        let positional: Vec<_> = values.take(self.positional).collect();
        Ok((PyTuple::new(self.py, positional)?, named))
    }
}

/// What the interpreter hands over.
///
/// # Safety
/// It is an object, and stays one as long as the answer.
#[inline(always)]
unsafe fn borrowed<'a, 'py>(py: Python<'py>, object: *mut ffi::PyObject) -> Borrowed<'a, 'py, PyAny> {
    // SAFETY: as above. PyO3 would look for null, and the compiler does not know better.
    unsafe { Borrowed::from_ptr_or_opt(py, object).unwrap_unchecked() }
}

/// A class whose objects can be made [functions](function) and [methods](method).
pub trait Function: PyClass<Frozen = True> + Sync {
    /// Name of the function.
    const NAME: &'static CStr;

    /// Answers a call.
    fn call<'py>(&self, py: Python<'py>, arguments: Arguments<'_, 'py>) -> Answer<'py>;
}

/// The callable of an object.
pub fn function<'py, T: Function>(object: &Bound<'py, T>) -> PyResult<Bound<'py, PyAny>> {
    // A definition must outlive its functions, which anybody may keep; few are ever made.
    let definition = Box::leak(Box::new(ffi::PyMethodDef {
        ml_name: <T as Function>::NAME.as_ptr(),
        ml_meth: ffi::PyMethodDefPointer { PyCFunctionFastWithKeywords: entry::<T> },
        ml_flags: ffi::METH_FASTCALL | ffi::METH_KEYWORDS,
        ml_doc: ptr::null(),
    }));
    // SAFETY: the definition lives for ever, and its function takes itself for the `T` that it is given here.
    unsafe {
        let function = ffi::PyCFunction_NewEx(definition, object.as_ptr(), ptr::null_mut());
        Bound::from_owned_ptr_or_err(object.py(), function)
    }
}

/// Arguments of a call.
///
/// # Safety
/// Behind `values` are the positional values, then one for each name; names, if any, are a tuple. All live as long as the answer.
#[inline]
unsafe fn arguments<'a, 'py>(
    py: Python<'py>,
    values: *const *mut ffi::PyObject,
    positional: usize,
    names: *mut ffi::PyObject,
) -> Arguments<'a, 'py> {
    // SAFETY: as above.
    let values = unsafe {
        let named = if names.is_null() { 0 } else { ffi::PyTuple_Size(names).unsigned_abs() };
        let count = positional + named;
        if count == 0 { &[] } else { std::slice::from_raw_parts(values, count) }
    };
    Arguments { py, values, positional, names }
}

unsafe extern "C" fn entry<T: Function>(
    slf: *mut ffi::PyObject,
    values: *const *mut ffi::PyObject,
    positional: ffi::Py_ssize_t,
    names: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: the interpreter calls us with its lock held and with arguments as they are to be; `function` gave us a `T`.
    let (py, object, arguments) = unsafe {
        let py = Python::assume_attached();
        let object = borrowed(py, slf).cast_unchecked::<T>();
        (py, object, arguments(py, values, positional.unsigned_abs(), names))
    };
    answered(py, || object.get().call(py, arguments))
}

/// An object as an attribute of a class, that binds like a function.
#[repr(C)]
struct Method {
    base: ffi::PyObject,
    vectorcall: Vectorcall,
    target: *mut ffi::PyObject,
}

/// The type of [methods](method).
pub fn method_type(py: Python<'_>) -> PyResult<&Bound<'_, PyType>> {
    static TYPE: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    let made = TYPE.get_or_try_init(py, || {
        let getters = Box::leak(Box::new([
            ffi::PyGetSetDef {
                name: c"target".as_ptr(),
                get: Some(method_target),
                set: None,
                doc: ptr::null(),
                closure: ptr::null_mut(),
            },
            ffi::PyGetSetDef::default(),
        ]));
        let members = Box::leak(Box::new([
            ffi::PyMemberDef {
                name: c"__vectorcalloffset__".as_ptr(),
                type_code: ffi::Py_T_PYSSIZET,
                offset: offset_of!(Method, vectorcall) as ffi::Py_ssize_t,
                flags: ffi::Py_READONLY,
                doc: ptr::null(),
            },
            ffi::PyMemberDef::default(),
        ]));
        let call_by_vectorcall = exported(c"PyVectorcall_Call").unwrap_or(ptr::null_mut());
        let slot = |slot: c_int, pfunc: *mut c_void| ffi::PyType_Slot { slot, pfunc };
        let mut slots = [
            slot(
                ffi::Py_tp_doc,
                c"A native callable as an attribute of a class: it binds like a function.".as_ptr() as *mut c_void,
            ),
            slot(ffi::Py_tp_call, call_by_vectorcall),
            slot(ffi::Py_tp_descr_get, method_get as *mut c_void),
            slot(ffi::Py_tp_getset, getters.as_mut_ptr().cast()),
            slot(ffi::Py_tp_members, members.as_mut_ptr().cast()),
            slot(ffi::Py_tp_traverse, method_traverse as *mut c_void),
            slot(ffi::Py_tp_dealloc, method_dealloc as *mut c_void),
            slot(0, ptr::null_mut()),
        ];
        // Taken only by who asks the type for it; a call looks for the vectorcall first.
        // A method descriptor of a type that cannot change is what the interpreter binds without an object in between, and remembers.
        let flags = ffi::Py_TPFLAGS_DEFAULT
            | ffi::Py_TPFLAGS_HAVE_GC
            | ffi::Py_TPFLAGS_IMMUTABLETYPE
            | ffi::Py_TPFLAGS_DISALLOW_INSTANTIATION
            | ffi::Py_TPFLAGS_METHOD_DESCRIPTOR
            | HAVE_VECTORCALL;
        let mut spec = ffi::PyType_Spec {
            name: c"queue_metrics._core.Method".as_ptr(),
            basicsize: size_of::<Method>() as c_int,
            itemsize: 0,
            flags: flags as u32,
            slots: slots.as_mut_ptr(),
        };
        // SAFETY: the specification is whole, its slots have the signatures that their numbers demand, and the getters live for ever.
        let made = unsafe { Bound::from_owned_ptr_or_err(py, ffi::PyType_FromSpec(&mut spec))? };
        PyResult::Ok(made.cast_into::<PyType>()?.unbind())
    })?;
    Ok(made.bind(py))
}

/// An object as an attribute of a class: it binds like a function.
pub fn method<'py, T: Function>(target: Bound<'py, T>) -> PyResult<Bound<'py, PyAny>> {
    let py = target.py();
    // SAFETY: the type was made for this layout; what is allocated is zero, and nobody sees it before it is whole.
    unsafe {
        let made = ffi::PyType_GenericAlloc(method_type(py)?.as_type_ptr(), 0);
        let made = Bound::from_owned_ptr_or_err(py, made)?;
        let whole = made.as_ptr().cast::<Method>();
        (*whole).vectorcall = method_entry::<T>;
        (*whole).target = target.into_ptr();
        Ok(made)
    }
}

unsafe extern "C" fn method_entry<T: Function>(
    slf: *mut ffi::PyObject,
    values: *const *mut ffi::PyObject,
    positional: usize,
    names: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: the interpreter calls us with its lock held and with arguments as they are to be; the highest bit of their number says
    // that there is room in front of them. `method` has put a `T` there, and it stays.
    let (py, target, arguments) = unsafe {
        let py = Python::assume_attached();
        let target = borrowed(py, (*slf.cast::<Method>()).target).cast_unchecked::<T>();
        (py, target, arguments(py, values, positional << 1 >> 1, names))
    };
    answered(py, || target.get().call(py, arguments))
}

unsafe extern "C" fn method_get(
    slf: *mut ffi::PyObject,
    instance: *mut ffi::PyObject,
    _owner: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    static BOUND: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    // SAFETY: the interpreter calls us with its lock held, with ourselves, and with an object or nothing.
    let (py, method, instance) = unsafe {
        let py = Python::assume_attached();
        (py, Borrowed::<PyAny>::from_ptr(py, slf), Borrowed::<PyAny>::from_ptr_or_opt(py, instance))
    };
    answered(py, || match instance.filter(|instance| !instance.is_none()) {
        None => Some(method.to_owned()),
        Some(instance) => raising(py, || BOUND.import(py, "types", "MethodType")?.call1((method, instance))),
    })
}

unsafe extern "C" fn method_target(slf: *mut ffi::PyObject, _: *mut c_void) -> *mut ffi::PyObject {
    // SAFETY: the interpreter calls us with its lock held and with a whole method.
    unsafe { Borrowed::<PyAny>::from_ptr(Python::assume_attached(), (*slf.cast::<Method>()).target) }
        .to_owned()
        .into_ptr()
}

/// No `tp_clear`: a cycle through a method also goes through its class.
unsafe extern "C" fn method_traverse(slf: *mut ffi::PyObject, visit: ffi::visitproc, argument: *mut c_void) -> c_int {
    // SAFETY: the collector calls us with its lock held; a method that is not whole yet holds null.
    unsafe {
        let target = (*slf.cast::<Method>()).target;
        match visit(ffi::Py_TYPE(slf).cast(), argument) {
            0 if !target.is_null() => visit(target, argument),
            other => other,
        }
    }
}

unsafe extern "C" fn method_dealloc(slf: *mut ffi::PyObject) {
    // SAFETY: the last reference is gone, so nobody else looks at the object; its own references are given back once.
    unsafe {
        let made = ffi::Py_TYPE(slf);
        ffi::PyObject_GC_UnTrack(slf.cast());
        ffi::Py_XDECREF((*slf.cast::<Method>()).target);
        ffi::PyObject_GC_Del(slf.cast());
        ffi::Py_DECREF(made.cast());
    }
}

/// The answer of `call`; what it raised is set as the exception.
pub fn raising<'py>(py: Python<'py>, call: impl FnOnce() -> PyResult<Bound<'py, PyAny>>) -> Answer<'py> {
    Python::attach(|_| match call() {
        Ok(answer) => Some(answer),
        Err(error) => {
            error.restore(py);
            None
        }
    })
}

/// What the interpreter is given back; a panic becomes an exception.
#[inline]
fn answered<'py>(py: Python<'py>, call: impl FnOnce() -> Answer<'py>) -> *mut ffi::PyObject {
    // What our own records do is guarded where it is done; a panic that comes this far is one of a call around them.
    let answer = catch_unwind(AssertUnwindSafe(call))
        .unwrap_or_else(|_| raising(py, || Err(PyRuntimeError::new_err("a defect in queue_metrics"))));
    answer.map_or(ptr::null_mut(), Bound::into_ptr)
}

type Vectorcall = unsafe extern "C" fn(
    *mut ffi::PyObject,
    *const *mut ffi::PyObject,
    usize,
    *mut ffi::PyObject,
) -> *mut ffi::PyObject;

/// Flag of a type whose objects are called without a tuple. The limited API names it from 3.12 on; the bit is the same since 3.8.
const HAVE_VECTORCALL: c_ulong = 1 << 11;

/// A call without a tuple. The limited API has it from 3.12 on, and 3.11 exports it all the same.
#[inline]
fn vectorcall() -> Option<Vectorcall> {
    static FOUND: OnceLock<Option<Vectorcall>> = OnceLock::new();
    *FOUND.get_or_init(|| {
        // SAFETY: a function of this name has this signature since 3.9.
        exported(c"PyObject_Vectorcall").map(|found| unsafe { std::mem::transmute::<*mut c_void, Vectorcall>(found) })
    })
}

/// A function of the interpreter.
fn exported(name: &CStr) -> Option<*mut c_void> {
    // SAFETY: a look-up by name.
    let found = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
    (!found.is_null()).then_some(found)
}
