//! Estimators for Python.

use pyo3::prelude::*;
use queue_metrics_core::stats::distributions;

use crate::errors::refused;

#[pyfunction]
#[pyo3(signature = (z, /))]
pub fn normal_cdf(z: f64) -> f64 {
    distributions::normal_cdf(z)
}

#[pyfunction]
#[pyo3(signature = (p, /))]
pub fn normal_quantile(p: f64) -> PyResult<f64> {
    distributions::normal_quantile(p).map_err(refused)
}

#[pyfunction]
#[pyo3(signature = (t, df, /))]
pub fn student_t_cdf(t: f64, df: f64) -> PyResult<f64> {
    distributions::student_t_cdf(t, df).map_err(refused)
}

#[pyfunction]
#[pyo3(signature = (p, df, /))]
pub fn student_t_quantile(p: f64, df: f64) -> PyResult<f64> {
    distributions::student_t_quantile(p, df).map_err(refused)
}
