//! The host for Python.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pyo3::exceptions::{PyOSError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};
use queue_metrics_core::sampling::host::Reading;
use queue_metrics_core::sampling::host::view::view;
use queue_metrics_core::sampling::kept::Kept;
use queue_metrics_core::sampling::process::Absent;
use queue_metrics_core::sampling::root::Root;
use queue_metrics_core::sampling::source::{Choice, Source, process_view, source};
use queue_metrics_core::sampling::tree::Tree;

use crate::cgroup::of_group;
use crate::host_tables::tables;
use crate::process::Pid;

/// Samples of the host, and of processes by the same source.
#[pyclass(frozen, module = "queue_metrics._core")]
pub struct HostSampler {
    choice: Choice,
    root: Root,
    name: &'static str,
    kept: Kept<Locked>,
}

type Locked = Mutex<Box<dyn Source>>;

impl HostSampler {
    /// The source of this process; a forked child begins with a new one.
    fn source(&self) -> PyResult<Arc<Locked>> {
        match self.kept.get() {
            Some(kept) => Ok(kept),
            None => Ok(self.kept.keep(Mutex::new(source(self.choice, self.root.clone()).map_err(refused)?))),
        }
    }
}

#[pymethods]
impl HostSampler {
    #[new]
    #[pyo3(signature = (source = "auto", root = PathBuf::from("/")))]
    fn new(source: &str, root: PathBuf) -> PyResult<HostSampler> {
        let choice = source.parse::<Choice>().map_err(refused)?;
        let root = Root::at(&root);
        let made = queue_metrics_core::sampling::source::source(choice, root.clone()).map_err(refused)?;
        let sampler = HostSampler { choice, root, name: made.name(), kept: Kept::default() };
        sampler.kept.keep(Mutex::new(made));
        Ok(sampler)
    }

    #[getter]
    fn source_name(&self) -> &'static str {
        self.name
    }

    fn sample<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let source = self.source()?;
        let snapshot = py.detach(|| lock(&source).host());
        let fields = of(py, &view(&snapshot))?;
        let group = snapshot.group.as_ref().map(|group| of_group(py, group, snapshot.group_rates)).transpose()?;
        fields.cast::<PyDict>()?.set_item("cgroup", group)?;
        Ok(fields)
    }

    fn hot(&self, py: Python<'_>) -> PyResult<Py<PyTuple>> {
        let source = self.source()?;
        let reading = py.detach(|| {
            let mut reading = Reading::default();
            lock(&source).read(&mut reading);
            reading
        });
        tables(py, &reading)
    }

    #[pyo3(signature = (pid = None))]
    fn process<'py>(&self, py: Python<'py>, pid: Option<Pid>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let source = self.source()?;
        let pid = pid.map_or_else(std::process::id, |Pid(pid)| pid);
        match py.detach(|| lock(&source).process(pid)) {
            Ok(found) => of(py, &process_view(&found)).map(Some),
            Err(Absent::Gone) => Ok(None),
            Err(Absent::Unreadable(reason)) => Err(PyOSError::new_err(reason)),
        }
    }
}

fn lock(source: &Locked) -> MutexGuard<'_, Box<dyn Source>> {
    // What is kept is the last sample: after a panic it is an old one.
    source.lock().unwrap_or_else(PoisonError::into_inner)
}

fn refused(error: impl std::fmt::Display) -> PyErr {
    PyValueError::new_err(error.to_string())
}

/// As dicts and lists.
fn of<'py>(py: Python<'py>, tree: &Tree) -> PyResult<Bound<'py, PyAny>> {
    Ok(match tree {
        Tree::Unknown => py.None().into_bound(py),
        Tree::Flag(value) => value.into_pyobject(py)?.to_owned().into_any(),
        Tree::Count(value) => value.into_pyobject(py)?.into_any(),
        Tree::Number(value) => value.into_pyobject(py)?.into_any(),
        Tree::Text(value) => value.into_pyobject(py)?.into_any(),
        Tree::List(items) => {
            let list = PyList::empty(py);
            for item in items {
                list.append(of(py, item)?)?;
            }
            list.into_any()
        }
        Tree::Map(fields) => {
            let dict = PyDict::new(py);
            for (name, value) in fields {
                dict.set_item(name.as_ref(), of(py, value)?)?;
            }
            dict.into_any()
        }
    })
}
