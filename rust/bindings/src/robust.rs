//! Robust estimators for Python: what a few wrong numbers, or neighbours that are alike, do not deceive.

use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::prelude::*;
use queue_metrics_core::stats::{
    autocorrelation as lags, dispersion, ewma, robust, spread as steps, theil_sen as line, wilson,
};

use crate::buffer::{MANY, Values, push_in_parts};
use crate::errors::refused;
use crate::series::Series;
use crate::stats::{MANY_SELECTED, place, shown};

/// From so many points on, comparing pairs takes longer than giving the GIL away.
const MANY_POINTS: usize = 64;

/// The middle of the numbers, or the mean of the two in the middle.
#[pyfunction]
#[pyo3(signature = (values, /))]
pub fn median(py: Python<'_>, values: Values<'_>) -> PyResult<Option<f64>> {
    values.read(py, MANY_SELECTED, robust::median).map_err(refused)
}

/// The median, and the median of the distances from it. Source: Hampel (1974).
#[pyfunction]
#[pyo3(signature = (values, /))]
pub fn median_and_mad(py: Python<'_>, values: Values<'_>) -> PyResult<Option<(f64, f64)>> {
    values.read(py, MANY_SELECTED, robust::median_and_mad).map_err(refused)
}

/// The number at which half of the weight is reached. Source: Edgeworth (1888).
#[pyfunction]
#[pyo3(signature = (values, weights, /))]
pub fn weighted_median(py: Python<'_>, values: Values<'_>, weights: Values<'_>) -> PyResult<Option<f64>> {
    values.read_both(weights, py, MANY_SELECTED, robust::weighted_median).map_err(refused)
}

/// The autocorrelation at one lag. Source: Box & Jenkins (1976).
#[pyfunction]
#[pyo3(signature = (values, lag, /))]
pub fn autocorrelation(py: Python<'_>, values: Values<'_>, lag: usize) -> PyResult<Option<f64>> {
    values.read(py, MANY, |values| lags::at_lag(values, lag)).map_err(refused)
}

/// The autocorrelations from lag 0 on. Source: Box & Jenkins (1976).
#[pyfunction]
#[pyo3(signature = (values, most, /))]
pub fn autocorrelations(py: Python<'_>, values: Values<'_>, most: usize) -> PyResult<Option<Series>> {
    let many = MANY_SELECTED / most.max(1);
    let found = values.read(py, many, |values| lags::lags(values, most));
    found.map(|found| found.map(Series::from)).map_err(refused)
}

/// How many independent numbers the series is worth. Source: Bayley & Hammersley (1946).
#[pyfunction]
#[pyo3(signature = (values, /))]
pub fn effective_size(py: Python<'_>, values: Values<'_>) -> PyResult<f64> {
    values.read(py, MANY, lags::effective_size).map_err(refused)
}

/// Variance over mean of counts. Source: Fano (1947).
#[pyfunction]
#[pyo3(signature = (counts, /))]
pub fn dispersion_index(py: Python<'_>, counts: Values<'_>) -> PyResult<Option<f64>> {
    counts.read(py, MANY, dispersion::index).map_err(refused)
}

/// Counts without their steps. Source: Machado & Santos Silva (2005).
#[pyfunction]
#[pyo3(signature = (values, /))]
pub fn spread(py: Python<'_>, values: Values<'_>) -> PyResult<Series> {
    values.read(py, MANY_SELECTED, steps::spread).map(Series::from).map_err(refused)
}

/// An interval for a probability, of k in n. Source: Wilson (1927).
#[pyfunction]
#[pyo3(signature = (k, n, level, /))]
pub fn wilson_interval(k: u64, n: u64, level: f64) -> PyResult<Option<(f64, f64)>> {
    wilson::interval(k, n, level).map_err(refused)
}

/// The line of Theil and Sen.
#[pyclass(frozen, eq, module = "queue_metrics._core")]
#[derive(PartialEq)]
pub struct TheilSen(line::TheilSen);

/// The line of Theil (1950) and Sen (1968), with a test on the effective size.
#[pyfunction]
#[pyo3(signature = (x, y, /))]
pub fn theil_sen(py: Python<'_>, x: Values<'_>, y: Values<'_>) -> PyResult<Option<TheilSen>> {
    let found = x.read_both(y, py, MANY_POINTS, line::theil_sen);
    found.map(|found| found.map(TheilSen)).map_err(refused)
}

#[pymethods]
impl TheilSen {
    #[getter]
    fn n(&self) -> usize {
        self.0.n()
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
    fn autocorrelation(&self) -> f64 {
        self.0.autocorrelation()
    }

    #[getter]
    fn effective_size(&self) -> f64 {
        self.0.effective_size()
    }

    #[getter]
    fn growing(&self) -> Option<f64> {
        self.0.growing()
    }

    #[getter]
    fn p_value(&self) -> Option<f64> {
        self.0.p_value()
    }

    #[pyo3(signature = (x, /))]
    fn at(&self, x: f64) -> PyResult<f64> {
        place(x).map(|x| self.0.at(x))
    }

    #[pyo3(signature = (level, /))]
    fn slope_interval(&self, py: Python<'_>, level: f64) -> PyResult<Option<(f64, f64)>> {
        let found = if self.0.n() < MANY_POINTS {
            self.0.slope_interval(level)
        } else {
            py.detach(|| self.0.slope_interval(level))
        };
        found.map_err(refused)
    }

    fn __repr__(&self) -> String {
        format!("TheilSen(n={}, slope={:?}, p_value={})", self.0.n(), self.0.slope(), shown(self.0.p_value()))
    }
}

/// Mean and variance whose weights halve in a given time.
#[pyclass(frozen, module = "queue_metrics._core")]
pub struct Ewma(Mutex<ewma::Ewma>);

impl Ewma {
    fn state(&self) -> MutexGuard<'_, ewma::Ewma> {
        // A push changes all or nothing.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[pymethods]
impl Ewma {
    #[new]
    #[pyo3(signature = (half_life, /))]
    fn new(half_life: f64) -> PyResult<Ewma> {
        ewma::Ewma::new(half_life).map(|state| Ewma(Mutex::new(state))).map_err(refused)
    }

    #[pyo3(signature = (time, value, /))]
    fn push(&self, time: f64, value: f64) -> PyResult<f64> {
        self.state().push(time, value).map_err(refused)
    }

    #[pyo3(signature = (times, values, /))]
    fn push_all(&self, py: Python<'_>, times: Values<'_>, values: Values<'_>) -> PyResult<Series> {
        let push = |times: &[f64], values: &[f64]| self.state().push_all(times, values);
        push_in_parts(py, &times, &values, push).map(Series::from).map_err(refused)
    }

    #[getter]
    fn mean(&self) -> Option<f64> {
        self.state().mean()
    }

    #[getter]
    fn variance(&self) -> Option<f64> {
        self.state().variance()
    }

    #[getter]
    fn effective_size(&self) -> f64 {
        self.state().effective_size()
    }
}
