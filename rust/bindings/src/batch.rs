//! Batches for Python.

use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::PyBytes;
use queue_metrics_core::fold;
use queue_metrics_core::names;

use crate::errors::raised;

/// One series in one step of a batch.
#[pyclass(frozen, module = "queue_metrics._core")]
pub struct Row {
    batch: Arc<fold::Batch>,
    index: usize,
}

impl Row {
    fn row(&self) -> &fold::Row {
        &self.batch.rows[self.index]
    }
}

#[pymethods]
impl Row {
    #[getter]
    fn series(&self) -> u64 {
        self.row().series
    }

    #[getter]
    fn kind(&self) -> u8 {
        self.row().kind()
    }

    #[getter]
    fn labels<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.row().labels)
    }

    #[getter]
    fn step(&self) -> u32 {
        self.row().step
    }

    #[getter]
    fn bucket(&self) -> i64 {
        self.row().bucket
    }

    #[getter]
    fn value<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.row().value)
    }
}

/// Series, label list, step, bucket and value.
type GivenRow = (u64, Vec<u8>, u32, i64, Vec<u8>);

/// What a drainer hands to the store in one transaction.
#[pyclass(frozen, module = "queue_metrics._core")]
pub struct Batch(pub Arc<fold::Batch>);

#[pymethods]
impl Batch {
    #[new]
    #[pyo3(signature = (spool_id, sequence, positions, rows, base = Vec::new()))]
    fn new(spool_id: String, sequence: u64, positions: Vec<u8>, rows: Vec<GivenRow>, base: Vec<u8>) -> PyResult<Batch> {
        let rows = rows
            .into_iter()
            .map(|(series, labels, step, bucket, value)| {
                names::parse_label_list(&labels).map_err(raised)?;
                Ok(fold::Row { series, labels: labels.into(), step, bucket, value })
            })
            .collect::<PyResult<Vec<_>>>()?;
        Ok(Batch(Arc::new(fold::Batch { spool_id, sequence, base, positions, rows, records: 0 })))
    }

    #[getter]
    fn spool_id(&self) -> &str {
        &self.0.spool_id
    }

    #[getter]
    fn sequence(&self) -> u64 {
        self.0.sequence
    }

    #[getter]
    fn base<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.0.base)
    }

    #[getter]
    fn positions<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.0.positions)
    }

    #[getter]
    fn rows(&self) -> Vec<Row> {
        (0..self.0.rows.len()).map(|index| Row { batch: Arc::clone(&self.0), index }).collect()
    }

    #[getter]
    fn records(&self) -> u64 {
        self.0.records
    }
}
