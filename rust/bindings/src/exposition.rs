//! Prometheus text for Python.

use std::sync::{Mutex, PoisonError};

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::pybacked::{PyBackedBytes, PyBackedStr};
use pyo3::sync::MutexExt;
use pyo3::types::{PyBytes, PyList, PyTuple};
use queue_metrics_core::exposition::{self as core, Cell, Cells, Family, Line};
use queue_metrics_core::value::Value;

use crate::errors::raised;

type Lines = Vec<(String, String, String, usize)>;

/// Stored values of many series, decoded together: no object of Python for each.
#[pyclass(frozen, module = "queue_metrics._core")]
pub struct Totals(Vec<Value>);

#[pymethods]
impl Totals {
    #[new]
    #[pyo3(signature = (packed, /))]
    fn new(packed: Vec<PyBackedBytes>) -> PyResult<Totals> {
        packed.iter().map(|value| Value::decode(value)).collect::<Result<_, _>>().map(Totals).map_err(raised)
    }

    fn __len__(&self) -> usize {
        self.0.len()
    }
}

/// Totals of series as Prometheus text.
#[pyclass(frozen, module = "queue_metrics._core")]
pub struct Exposition {
    cells: Cells,
    kept: Mutex<Kept>,
}

struct Kept {
    exposition: core::Exposition,
    places: Py<PyTuple>,
}

#[pymethods]
impl Exposition {
    #[new]
    fn new(py: Python<'_>, families: Vec<(String, String, String, Lines)>) -> PyResult<Exposition> {
        let families = families.into_iter().map(family).collect::<PyResult<Vec<_>>>()?;
        let cells = Cells::of(&families);
        let kept = Kept { exposition: core::Exposition::new(families), places: PyTuple::empty(py).unbind() };
        Ok(Exposition { cells, kept: Mutex::new(kept) })
    }

    #[pyo3(signature = (places, totals, /))]
    fn text<'py>(&self, places: &Bound<'py, PyTuple>, totals: &Bound<'py, Totals>) -> PyResult<Bound<'py, PyBytes>> {
        let (py, totals) = (places.py(), &totals.get().0);
        if totals.len() != places.len() {
            let message = format!("{} places have {} totals", places.len(), totals.len());
            return Err(PyValueError::new_err(message));
        }
        let mut kept = self.kept.lock_py_attached(py).unwrap_or_else(PoisonError::into_inner);
        // A tuple never changes: mostly it is the one of the last scrape, and nothing is compared.
        if !kept.places.is(places) {
            if !kept.places.bind(py).eq(places)? {
                let labels = places.iter().map(|place| place.extract()).collect::<PyResult<Vec<PyBackedStr>>>()?;
                kept.exposition.keep(&labels.iter().map(|place| &**place).collect::<Vec<_>>());
            }
            kept.places = places.clone().unbind();
        }
        let kept = &mut *kept;
        let text = py.detach(|| {
            let mut numbers = Vec::with_capacity(totals.len() * self.cells.width());
            totals.iter().for_each(|total| self.cells.read(total, &mut numbers));
            kept.exposition.text(&numbers)
        });
        Ok(PyBytes::new(py, text))
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
