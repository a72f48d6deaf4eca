//! Columns of stored values for Python.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use queue_metrics_core::value as core;

use crate::buffer::Series;
use crate::errors::raised;

/// The numbers of these names in each of the packed values.
#[pyfunction]
#[pyo3(signature = (values, names, /))]
pub fn columns(values: Vec<PyBackedBytes>, names: Vec<String>) -> PyResult<Vec<Series>> {
    let unknown = |name: &str| PyValueError::new_err(format!("{name:?} names no number of a value: c7, m0s, g0last"));
    let wanted: PyResult<Vec<core::Column>> =
        names.iter().map(|name| core::Column::parse(name).ok_or_else(|| unknown(name))).collect();
    let found = core::columns(values.iter().map(|value| &**value), &wanted?).map_err(raised)?;
    Ok(found.into_iter().map(Series::from).collect())
}
