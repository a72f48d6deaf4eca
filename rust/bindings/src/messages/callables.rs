//! The callables that stand where an object becomes a message, comes out of one, and is stored.

use std::ffi::CStr;
use std::sync::atomic::Ordering;

use pyo3::exceptions::PyTypeError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};
use queue_metrics_core::journal::format::NO_TIME;
use queue_metrics_core::stamp::Stamp;

use super::{Came, Messages, leave};
use crate::native::values::{joined, number};
use crate::native::{Answer, Arguments, Function, raising};

/// Puts a stamp behind the message of an object: `(message, owner, object, id, eta) -> message`.
#[pyclass(frozen)]
pub(super) struct Stamped(pub(super) Py<Messages>);

#[pymethods]
impl Stamped {
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.0)
    }
}

impl Function for Stamped {
    const NAME: &'static CStr = c"stamped";

    #[inline]
    fn call<'py>(&self, py: Python<'py>, arguments: Arguments<'_, 'py>) -> Answer<'py> {
        let Some([message, owner, object, id, eta]) = arguments.exactly() else {
            return raising(py, || Err(PyTypeError::new_err("stamped() takes (message, owner, object, id, eta)")));
        };
        let messages = self.0.get();
        if !owner.is(&messages.owner) || !messages.active.load(Ordering::Relaxed) {
            return Some(message.to_owned());
        }
        let stamp = match messages.leaving(object, id, eta) {
            Ok(stamp) => stamp.bytes(),
            Err(error) => return raising(py, || Err(error)),
        };
        let Ok(message) = message.cast_exact::<PyBytes>() else { return Some(message.to_owned()) };
        joined(&message, &stamp)
    }
}

/// Answers the note of an object that came out of a message: `(message, object, id) -> note`.
#[pyclass(frozen)]
pub(super) struct Unpacked(pub(super) Py<Messages>);

#[pymethods]
impl Unpacked {
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.0)
    }
}

impl Function for Unpacked {
    const NAME: &'static CStr = c"unpacked";

    #[inline]
    fn call<'py>(&self, py: Python<'py>, arguments: Arguments<'_, 'py>) -> Answer<'py> {
        let Some([message, object, id]) = arguments.exactly() else {
            return raising(py, || Err(PyTypeError::new_err("unpacked() takes (message, object, id)")));
        };
        let messages = self.0.get();
        let stamp = message.cast_exact::<PyBytes>().ok().and_then(|message| Stamp::read(message.as_bytes()));
        let known = stamp.filter(|stamp| stamp.ready_at != NO_TIME && messages.active.load(Ordering::Relaxed));
        let (Some(stamp), Ok(id)) = (known, id.cast_exact::<PyString>()) else {
            return Some(message.to_owned());
        };
        let came = Came { id: id.to_owned().unbind(), stamp };
        if let Some((before, came)) = messages.waiting.put(object.to_owned(), came) {
            messages.sent_away(before, came);
        }
        number(py, stamp.attempt.into())
    }
}

/// Around a method of the owner that stores an object.
#[pyclass(frozen)]
pub(super) struct Storing {
    pub(super) messages: Py<Messages>,
    pub(super) inner: Py<PyAny>,
}

#[pymethods]
impl Storing {
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.messages)?;
        visit.call(&self.inner)
    }
}

impl Function for Storing {
    const NAME: &'static CStr = c"store";

    #[inline]
    fn call<'py>(&self, py: Python<'py>, arguments: Arguments<'_, 'py>) -> Answer<'py> {
        let messages = self.messages.get();
        leave(None);
        let answer = arguments.forward(self.inner.bind(py))?;
        if let Some([owner, object]) = arguments.exactly()
            && owner.is(&messages.owner)
            && messages.active.load(Ordering::Relaxed)
            && let Err(error) = messages.stored(object)
        {
            return raising(py, || Err(error));
        }
        Some(answer)
    }
}
