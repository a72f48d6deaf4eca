//! Straight lines for Python: of points, and of the last points.

use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::prelude::*;
use queue_metrics_core::stats::{least_squares, window};

use crate::buffer::{MANY, Values, push_in_parts};
use crate::errors::refused;
use crate::series::Series;
use crate::stats::place;

/// A straight line through n points.
#[pyclass(frozen, eq, module = "queue_metrics._core")]
#[derive(PartialEq)]
pub struct Fit(least_squares::Fit);

/// The line of least squares through points, from centred sums.
#[pyfunction]
#[pyo3(signature = (x, y, /))]
pub fn fit(py: Python<'_>, x: Values<'_>, y: Values<'_>) -> PyResult<Option<Fit>> {
    x.read_both(y, py, MANY, least_squares::fit).map(|found| found.map(Fit)).map_err(refused)
}

/// The line of least squares through numbers at 0, 1, 2, ...
#[pyfunction]
#[pyo3(signature = (y, /))]
pub fn fit_counted(py: Python<'_>, y: Values<'_>) -> PyResult<Option<Fit>> {
    y.read(py, MANY, least_squares::fit_counted).map(|found| found.map(Fit)).map_err(refused)
}

#[pymethods]
impl Fit {
    #[getter]
    fn n(&self) -> usize {
        self.0.n()
    }

    #[getter]
    fn mean_x(&self) -> f64 {
        self.0.mean_x()
    }

    #[getter]
    fn mean_y(&self) -> f64 {
        self.0.mean_y()
    }

    #[getter]
    fn slope(&self) -> f64 {
        self.0.slope()
    }

    #[getter]
    fn intercept(&self) -> f64 {
        self.0.intercept()
    }

    #[getter]
    fn r_squared(&self) -> Option<f64> {
        self.0.r_squared()
    }

    #[getter]
    fn residual_deviation(&self) -> Option<f64> {
        self.0.residual_deviation()
    }

    #[getter]
    fn slope_error(&self) -> Option<f64> {
        self.0.slope_error()
    }

    #[getter]
    fn intercept_error(&self) -> Option<f64> {
        self.0.intercept_error()
    }

    #[pyo3(signature = (x, /))]
    fn at(&self, x: f64) -> PyResult<f64> {
        place(x).map(|x| self.0.at(x))
    }

    #[pyo3(signature = (x, level, /))]
    fn prediction(&self, x: f64, level: f64) -> PyResult<Option<(f64, f64)>> {
        self.0.prediction(x, level).map_err(refused)
    }

    #[pyo3(signature = (level, /))]
    fn slope_interval(&self, level: f64) -> PyResult<Option<(f64, f64)>> {
        self.0.slope_interval(level).map_err(refused)
    }

    fn __repr__(&self) -> String {
        format!("Fit(n={}, slope={:?}, intercept={:?})", self.0.n(), self.0.slope(), self.0.intercept())
    }
}

/// The line through the last points.
#[pyclass(frozen, module = "queue_metrics._core")]
pub struct SlidingFit(Mutex<window::SlidingFit>);

impl SlidingFit {
    fn window(&self) -> MutexGuard<'_, window::SlidingFit> {
        // Nothing panics half way through a push.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[pymethods]
impl SlidingFit {
    #[new]
    #[pyo3(signature = (most, span = None, /))]
    fn new(most: usize, span: Option<f64>) -> PyResult<SlidingFit> {
        window::SlidingFit::new(most, span).map(|window| SlidingFit(Mutex::new(window))).map_err(refused)
    }

    #[pyo3(signature = (x, y, /))]
    fn push(&self, x: f64, y: f64) -> PyResult<Option<f64>> {
        self.window().push(x, y).map_err(refused)
    }

    #[pyo3(signature = (x, y, /))]
    fn push_all(&self, py: Python<'_>, x: Values<'_>, y: Values<'_>) -> PyResult<Series> {
        let push = |x: &[f64], y: &[f64]| self.window().push_all(x, y);
        push_in_parts(py, &x, &y, push).map(Series::from).map_err(refused)
    }

    #[getter]
    fn slope(&self) -> Option<f64> {
        self.window().slope()
    }

    fn fit(&self) -> Option<Fit> {
        self.window().fit().map(Fit)
    }

    fn __len__(&self) -> usize {
        self.window().count()
    }
}
