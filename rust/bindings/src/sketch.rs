//! Sketches for Python.

use pyo3::prelude::*;
use queue_metrics_core::stats::quantiles::check_qs;
use queue_metrics_core::stats::sketch as core;

use crate::buffer::Integers;
use crate::errors::{raised, refused};
use crate::stats::{MANY_SELECTED, quantiles_of};

/// Counts of whole numbers by bucket.
#[pyclass(frozen, eq, module = "queue_metrics._core")]
#[derive(PartialEq)]
pub struct Sketch(core::Sketch);

#[pymethods]
impl Sketch {
    #[new]
    #[pyo3(signature = (values, scale = 5, /))]
    fn new(py: Python<'_>, values: Integers<'_>, scale: u8) -> PyResult<Sketch> {
        values.read(py, MANY_SELECTED, |values| core::Sketch::of(values, scale)).map(Sketch).map_err(refused)
    }

    #[getter]
    fn count(&self) -> u64 {
        self.0.count()
    }

    #[getter]
    fn scale(&self) -> u8 {
        self.0.scale()
    }

    #[getter]
    fn collapsed(&self) -> bool {
        self.0.collapsed()
    }

    #[getter]
    fn zeros(&self) -> u64 {
        self.0.zeros()
    }

    #[getter]
    fn buckets(&self) -> Vec<(i32, u64)> {
        self.0.buckets().to_vec()
    }

    #[pyo3(signature = (qs, /))]
    fn quantiles(&self, qs: &Bound<'_, PyAny>) -> PyResult<Option<Vec<f64>>> {
        let qs = quantiles_of(qs)?;
        check_qs(&qs).map_err(refused)?;
        Ok(self.0.quantiles(&qs))
    }

    fn deviation(&self) -> Option<f64> {
        self.0.deviation()
    }

    #[pyo3(signature = (other, /))]
    fn merge(&self, other: &Sketch) -> PyResult<Sketch> {
        self.0.merge(&other.0).map(Sketch).map_err(raised)
    }

    #[pyo3(signature = (scale, /))]
    fn at_scale(&self, scale: u8) -> Sketch {
        Sketch(self.0.at_scale(scale))
    }
}
