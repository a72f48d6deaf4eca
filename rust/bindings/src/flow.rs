//! The flow test for Python: what arrives beside what could be started.

use pyo3::prelude::*;
use queue_metrics_core::stats::flow as core;

use crate::buffer::{MANY, Values};
use crate::errors::refused;
use crate::series::Series;

/// What arrived in each step, by what left and the change of depth.
#[pyfunction]
#[pyo3(signature = (starts, step, depths, left, /))]
pub fn balance(starts: Values<'_>, step: f64, depths: Values<'_>, left: Values<'_>) -> PyResult<Series> {
    let found = core::balance(starts.as_slice(), step, depths.as_slice(), left.as_slice());
    found.map(Series::from).map_err(refused)
}

/// The squared coefficient of variation, out of groups. Source: Fisher (1925).
#[pyfunction]
#[pyo3(signature = (counts, sums, /))]
pub fn variation(counts: Values<'_>, sums: Values<'_>) -> PyResult<Option<f64>> {
    core::variation(counts.as_slice(), sums.as_slice()).map_err(refused)
}

/// Events a second, and how sure that is.
#[pyclass(frozen, eq, module = "queue_metrics._core")]
#[derive(PartialEq)]
pub struct Rate(core::Rate);

#[pymethods]
impl Rate {
    #[staticmethod]
    #[pyo3(signature = (counts, seconds, /))]
    fn of_counts(py: Python<'_>, counts: Values<'_>, seconds: f64) -> PyResult<Option<Rate>> {
        let found = counts.read(py, MANY, |counts| core::Rate::of_counts(counts, seconds));
        found.map(|found| found.map(Rate)).map_err(refused)
    }

    #[staticmethod]
    #[pyo3(signature = (slots, executions, busy_seconds, variation, /))]
    fn of_slots(slots: f64, executions: f64, busy_seconds: f64, variation: f64) -> PyResult<Option<Rate>> {
        core::Rate::of_slots(slots, executions, busy_seconds, variation).map(|found| found.map(Rate)).map_err(refused)
    }

    #[getter]
    fn per_second(&self) -> f64 {
        self.0.per_second()
    }

    #[getter]
    fn variance(&self) -> f64 {
        self.0.variance()
    }

    #[getter]
    fn size(&self) -> f64 {
        self.0.size()
    }

    fn __repr__(&self) -> String {
        format!("Rate(per_second={:?}, size={:?})", self.0.per_second(), self.0.size())
    }
}

/// What arrives beside what could be started.
#[pyclass(frozen, eq, module = "queue_metrics._core")]
#[derive(PartialEq)]
pub struct Flow(core::Flow);

#[pymethods]
impl Flow {
    #[new]
    #[pyo3(signature = (arrivals, capacity, /))]
    fn new(arrivals: &Rate, capacity: &Rate) -> Flow {
        Flow(core::Flow::new(arrivals.0, capacity.0))
    }

    #[getter]
    fn load(&self) -> f64 {
        self.0.load()
    }

    #[getter]
    fn load_error(&self) -> f64 {
        self.0.load_error()
    }

    #[getter]
    fn growing(&self) -> PyResult<f64> {
        self.0.growing().map_err(refused)
    }

    #[getter]
    fn drift(&self) -> f64 {
        self.0.drift()
    }

    #[pyo3(signature = (level, /))]
    fn drift_interval(&self, level: f64) -> PyResult<(f64, f64)> {
        self.0.drift_interval(level).map_err(refused)
    }

    fn __repr__(&self) -> String {
        format!("Flow(load={:?}, load_error={:?})", self.0.load(), self.0.load_error())
    }
}
