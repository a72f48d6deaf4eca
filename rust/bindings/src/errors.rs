//! The one mapping of the core's errors to Python's.

use pyo3::PyErr;
use pyo3::exceptions::{PyOverflowError, PyValueError};
use queue_metrics_core::error::Error;
use queue_metrics_core::stats::InputError;

pyo3::import_exception!(queue_metrics.errors, DecodeError);

/// The Python exception of an error.
pub fn raised(error: Error) -> PyErr {
    match error {
        Error::Decode { .. } | Error::Newer { .. } => DecodeError::new_err(error.to_string()),
        Error::Overflow { .. } => PyOverflowError::new_err(error.to_string()),
        Error::Io(error) => error.into(),
    }
}

/// The Python exception of numbers that an estimator refuses.
pub fn refused(error: InputError) -> PyErr {
    PyValueError::new_err(error.to_string())
}
