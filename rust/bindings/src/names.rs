//! Names, hashes, the clock and the name of a file system for Python.

use std::path::PathBuf;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};
use queue_metrics_core::journal::own::Owners;
use queue_metrics_core::journal::way::{Wish, choose_for};
use queue_metrics_core::names;
use queue_metrics_core::sampling;

use crate::errors::raised;
use crate::text::{JobText, job_text, text};

/// BLAKE2b with 8 bytes of digest, as a number.
#[pyfunction]
pub fn hash64(data: &[u8]) -> u64 {
    names::hash64(data)
}

/// The journal's hash of a job id of any type.
#[pyfunction]
pub fn job_hash(job_id: &Bound<'_, PyAny>) -> PyResult<u64> {
    match job_text(job_id) {
        JobText::Text(text) => Ok(names::job_hash(&text)),
        JobText::Raised(error) => Err(error),
    }
}

/// The canonical bytes of a kind of series and its labels.
#[pyfunction]
pub fn label_list<'py>(py: Python<'py>, kind: u8, labels: Vec<Bound<'py, PyString>>) -> PyResult<Bound<'py, PyBytes>> {
    Ok(PyBytes::new(py, &list(kind, &labels)?))
}

/// The kind and labels in canonical bytes.
#[pyfunction]
pub fn parse_label_list<'py>(py: Python<'py>, data: &[u8]) -> PyResult<(u8, Bound<'py, pyo3::types::PyTuple>)> {
    let (kind, labels) = names::parse_label_list(data).map_err(raised)?;
    Ok((kind, pyo3::types::PyTuple::new(py, labels)?))
}

/// The id of a series.
#[pyfunction]
pub fn series_id(kind: u8, labels: Vec<Bound<'_, PyString>>) -> PyResult<u64> {
    Ok(names::hash64(&list(kind, &labels)?))
}

/// Wall clock, µs.
#[pyfunction]
pub fn clock_us() -> i64 {
    sampling::clock::wall_us()
}

/// Name of the file system of a path.
#[pyfunction]
pub fn file_system(path: PathBuf) -> &'static str {
    sampling::file_system::file_system(&path)
}

/// The way of appending on a file system of this name, and why.
#[pyfunction]
pub fn journal_way(file_system: &str, journal: &str) -> PyResult<(&'static str, String)> {
    let (way, why) = choose_for(file_system, wish(journal)?);
    Ok((way.name(), why))
}

/// The wish of this name.
pub fn wish(journal: &str) -> PyResult<Wish> {
    Wish::from_name(journal)
        .ok_or_else(|| PyValueError::new_err(format!("journal is auto, write or map, not {journal:?}")))
}

/// Who may write to a spool.
pub fn owners(shared_group: Option<u32>) -> Owners {
    shared_group.map_or(Owners::User, Owners::Group)
}

fn list(kind: u8, labels: &[Bound<'_, PyString>]) -> PyResult<Vec<u8>> {
    if labels.len() > usize::from(u8::MAX) {
        return Err(PyValueError::new_err("a label list holds 255 labels at most"));
    }
    let labels: Vec<_> = labels.iter().map(text).collect();
    Ok(names::label_list(kind, &labels.iter().map(AsRef::as_ref).collect::<Vec<_>>()))
}
