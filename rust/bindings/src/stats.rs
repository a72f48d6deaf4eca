//! Estimators for Python: numbers in, what they say out.

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyTuple};
use queue_metrics_core::stats::quantiles::Selection;
use queue_metrics_core::stats::{InputError, distributions, moments};

use crate::buffer::{MANY, Values};
use crate::errors::{raised, refused};

/// From so many numbers on, selecting or sorting them into buckets takes longer than giving the GIL away: some 30 µs.
pub const MANY_SELECTED: usize = 8192;

/// P(Z <= z) of the normal distribution. Source: Abramowitz & Stegun 7.1.6 and 7.1.14.
#[pyfunction]
#[pyo3(signature = (z, /))]
pub fn normal_cdf(z: f64) -> PyResult<f64> {
    distributions::normal_cdf(z).map_err(refused)
}

/// The z with P(Z <= z) = p. Source: Wichura (1988), algorithm AS 241.
#[pyfunction]
#[pyo3(signature = (p, /))]
pub fn normal_quantile(p: f64) -> PyResult<f64> {
    distributions::normal_quantile(p).map_err(refused)
}

/// P(T <= t) of Student's distribution. Source: DLMF 8.17.22; Hill (1970), algorithm 395.
#[pyfunction]
#[pyo3(signature = (t, df, /))]
pub fn student_t_cdf(t: f64, df: f64) -> PyResult<f64> {
    distributions::student_t_cdf(t, df).map_err(refused)
}

/// The t with P(T <= t) = p, by Newton's method on `student_t_cdf`.
#[pyfunction]
#[pyo3(signature = (p, df, /))]
pub fn student_t_quantile(p: f64, df: f64) -> PyResult<f64> {
    distributions::student_t_quantile(p, df).map_err(refused)
}

/// A number as Python writes it, or None.
pub fn shown(number: Option<f64>) -> String {
    number.map_or("None".into(), |number| format!("{number:?}"))
}

/// A place to read a line at; refuses NaN and infinity.
pub fn place(x: f64) -> PyResult<f64> {
    let bad = InputError::Parameter { name: "x", value: x, allowed: "finite" };
    if x.is_finite() { Ok(x) } else { Err(refused(bad)) }
}

/// The quantiles asked for: a tuple or list of floats is read without the detour over an iterator.
pub fn quantiles_of(qs: &Bound<'_, PyAny>) -> PyResult<Vec<f64>> {
    if let Ok(qs) = qs.cast::<PyTuple>() {
        return qs.iter_borrowed().map(|q| q.extract()).collect();
    }
    if let Ok(qs) = qs.cast::<PyList>() {
        return qs.iter().map(|q| q.extract()).collect();
    }
    qs.try_iter()
        .map_err(|_| PyTypeError::new_err("quantiles are given as a sequence of numbers"))?
        .map(|q| q?.extract())
        .collect()
}

fn selected(
    py: Python<'_>,
    values: &Values<'_>,
    qs: &Bound<'_, PyAny>,
    rule: impl FnOnce(&mut Selection, &[f64]) -> Result<Option<Vec<f64>>, InputError> + Send,
) -> PyResult<Option<Vec<f64>>> {
    let qs = quantiles_of(qs)?;
    let mut selection = Selection::of(values.as_slice()).map_err(refused)?;
    if selection.count() < MANY_SELECTED {
        return rule(&mut selection, &qs).map_err(refused);
    }
    // A selection has its own copy of the numbers.
    py.detach(|| rule(&mut selection, &qs)).map_err(refused)
}

/// Exact quantiles between neighbours, by the rule of the original. Source: Hyndman & Fan (1996), type 7.
#[pyfunction]
#[pyo3(signature = (values, qs, /))]
pub fn quantiles_linear(py: Python<'_>, values: Values<'_>, qs: &Bound<'_, PyAny>) -> PyResult<Option<Vec<f64>>> {
    selected(py, &values, qs, Selection::linear)
}

/// Exact quantiles that are numbers of the series. Source: Hyndman & Fan (1996), type 1.
#[pyfunction]
#[pyo3(signature = (values, qs, /))]
pub fn quantiles_nearest_rank(py: Python<'_>, values: Values<'_>, qs: &Bound<'_, PyAny>) -> PyResult<Option<Vec<f64>>> {
    selected(py, &values, qs, Selection::nearest_rank)
}

/// The moments of n numbers.
#[pyclass(frozen, eq, module = "queue_metrics._core")]
#[derive(PartialEq)]
pub struct Moments(moments::Moments);

#[pymethods]
impl Moments {
    #[new]
    #[pyo3(signature = (values = None, /))]
    fn new(py: Python<'_>, values: Option<Values<'_>>) -> PyResult<Moments> {
        let found = match values {
            Some(values) => values.read(py, MANY, moments::Moments::of),
            None => moments::Moments::of(&[]),
        };
        found.map(Moments).map_err(refused)
    }

    #[staticmethod]
    #[pyo3(signature = (data, /))]
    fn decode(data: &[u8]) -> PyResult<Moments> {
        moments::Moments::decode(data).map(Moments).map_err(raised)
    }

    fn encode<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.0.encode())
    }

    #[pyo3(signature = (other, /))]
    fn merge(&self, other: &Moments) -> PyResult<Moments> {
        self.0.merge(&other.0).map(Moments).map_err(refused)
    }

    #[getter]
    fn n(&self) -> u64 {
        self.0.n()
    }

    #[getter]
    fn mean(&self) -> Option<f64> {
        self.0.mean()
    }

    #[getter]
    fn variance(&self) -> Option<f64> {
        self.0.variance()
    }

    #[getter]
    fn population_variance(&self) -> Option<f64> {
        self.0.population_variance()
    }

    #[getter]
    fn skewness(&self) -> Option<f64> {
        self.0.skewness()
    }

    #[getter]
    fn kurtosis(&self) -> Option<f64> {
        self.0.kurtosis()
    }

    #[getter]
    fn min(&self) -> Option<f64> {
        self.0.min()
    }

    #[getter]
    fn max(&self) -> Option<f64> {
        self.0.max()
    }

    fn __repr__(&self) -> String {
        format!("Moments(n={}, mean={}, variance={})", self.0.n(), shown(self.0.mean()), shown(self.0.variance()))
    }
}
