//! Prometheus text for Python.

use std::sync::Mutex;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedStr;
use pyo3::types::{PyBytes, PyList, PyString, PyTuple};
use queue_metrics_core::exposition::{self as core, Cell, Family, Line};

use crate::value::Value;

type Lines = Vec<(String, String, String, usize)>;

/// Totals of series as Prometheus text.
#[pyclass(frozen, module = "queue_metrics._core")]
pub struct Exposition(Mutex<core::Exposition>);

#[pymethods]
impl Exposition {
    #[new]
    fn new(families: Vec<(String, String, String, Lines)>) -> PyResult<Exposition> {
        let families = families.into_iter().map(family).collect::<PyResult<_>>()?;
        Ok(Exposition(Mutex::new(core::Exposition::new(families))))
    }

    fn text<'py>(&self, py: Python<'py>, series: &Bound<'py, PyList>) -> PyResult<Bound<'py, PyBytes>> {
        // Held as they are: a copy of each would cost more than to write its line.
        let mut held = Vec::with_capacity(series.len());
        for pair in series.iter() {
            let pair = pair.cast_into::<PyTuple>()?;
            held.push((pair.get_item(0)?.cast_into::<PyString>()?, pair.get_item(1)?.cast_into::<Value>()?));
        }
        let series =
            held.iter().map(|(labels, value)| Ok((labels.to_str()?, &value.get().0))).collect::<PyResult<Vec<_>>>()?;
        let text = py.detach(|| self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).text(&series));
        Ok(PyBytes::new(py, &text))
    }
}

fn family((name, help, kind, lines): (String, String, String, Lines)) -> PyResult<Family> {
    let lines = lines.into_iter().map(line).collect::<PyResult<_>>()?;
    Ok(Family { name, help, kind, lines })
}

fn line((suffix, label, cell, index): (String, String, String, usize)) -> PyResult<Line> {
    let cell = match cell.as_str() {
        "counter" => Cell::Counter(index),
        "step" => Cell::Step(index),
        "steps" => Cell::Steps,
        "count" => Cell::Count(index),
        "sum" => Cell::Sum(index),
        "seconds" => Cell::Seconds(index),
        _ => return Err(PyValueError::new_err(format!("no cell {cell:?}"))),
    };
    Ok(Line { suffix, label, cell })
}

#[pyfunction]
pub fn exposition_family<'py>(
    py: Python<'py>,
    name: &str,
    help: &str,
    kind: &str,
    samples: &Bound<'py, PyList>,
) -> PyResult<Bound<'py, PyBytes>> {
    let mut text = Vec::new();
    core::family_head(&mut text, name, help, kind);
    for sample in samples.iter() {
        let (labels, number): (PyBackedStr, Option<f64>) = sample.extract()?;
        if let Some(number) = number {
            core::line(&mut text, name, &labels, number);
        }
    }
    Ok(PyBytes::new(py, &text))
}
