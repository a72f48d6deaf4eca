//! The read side of a spool for Python. The interpreter lock is given away while the file system is read.

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use queue_metrics_core::drain::{self as core, Limits, Name, Options};
use queue_metrics_core::error::Result;
use queue_metrics_core::heartbeat::HOOK_ERRORS;
use queue_metrics_core::journal::dropped::Dropped;

use crate::batch::Batch;
use crate::errors::raised;
use crate::names::owners;
use crate::recorder::Recorder;

/// The read side of a spool: segments in, batches out.
#[pyclass(frozen, module = "queue_metrics._core")]
pub struct Drainer {
    spool_id: String,
    // For threads only; taken without the interpreter lock, so that nobody waits for one while holding the other.
    inner: Mutex<core::Drainer>,
}

impl Drainer {
    fn lock(&self) -> MutexGuard<'_, core::Drainer> {
        // After a panic the state is rebuilt from the mark, as after any other failure half way.
        self.inner.lock().unwrap_or_else(|poisoned: PoisonError<_>| {
            let mut drainer = poisoned.into_inner();
            drainer.distrust();
            self.inner.clear_poison();
            drainer
        })
    }

    fn detached<T: Send>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&mut core::Drainer) -> Result<T> + Send,
    ) -> PyResult<T> {
        py.detach(|| work(&mut self.lock())).map_err(raised)
    }
}

/// Kind, id and queue of a name.
type NameParts = (u8, u64, u64);

/// Tasks, tasks of a queue, exceptions, servers, tasks on servers.
type LimitParts = (usize, usize, usize, usize, usize);

fn limits_of((tasks, tasks_of_queue, exceptions, servers, server_tasks): LimitParts) -> Limits {
    Limits { tasks, tasks_of_queue, exceptions, servers, server_tasks }
}

fn name((kind, id, queue): NameParts) -> Name {
    Name { kind, id, queue }
}

fn parts(name: Name) -> NameParts {
    (name.kind, name.id, name.queue)
}

/// Which of the names asked for come in where others are in.
#[pyfunction]
#[pyo3(signature = (known, asked, limits = None))]
pub fn admitted_names(known: Vec<NameParts>, asked: Vec<NameParts>, limits: Option<LimitParts>) -> Vec<NameParts> {
    let limits = limits.map_or_else(Limits::default, limits_of);
    let found = core::admitted(limits, known.into_iter().map(name), asked.into_iter().map(name));
    found.into_iter().map(parts).collect()
}

fn microseconds(name: &str, seconds: f64) -> PyResult<i64> {
    if (0.0..=1e9).contains(&seconds) {
        Ok((seconds * 1e6).round() as i64)
    } else {
        Err(PyValueError::new_err(format!("{name} is a number of seconds between 0 and 1e9, not {seconds}")))
    }
}

#[pymethods]
impl Drainer {
    #[new]
    #[pyo3(signature = (
        spool, *, grace = 10.0, window = 3_600.0, spool_bytes = 256 << 20, limits = None, shared_group = None
    ))]
    fn new(
        py: Python<'_>,
        spool: PathBuf,
        grace: f64,
        window: f64,
        spool_bytes: u64,
        limits: Option<LimitParts>,
        shared_group: Option<u32>,
    ) -> PyResult<Drainer> {
        let (grace, window) = (microseconds("grace", grace)?, microseconds("window", window)?);
        let limits = limits.map_or_else(Limits::default, limits_of);
        let options =
            Options { grace, window, spool_bytes, limits, owners: owners(shared_group), ..Options::default() };
        let inner = py.detach(|| core::Drainer::new(&spool, options)).map_err(raised)?;
        Ok(Drainer { spool_id: inner.spool_id().to_owned(), inner: Mutex::new(inner) })
    }

    #[getter]
    fn spool_id(&self) -> &str {
        &self.spool_id
    }

    fn know(&self, py: Python<'_>, names: Vec<NameParts>) -> PyResult<()> {
        self.detached(py, |drainer| {
            drainer.names().know(names.into_iter().map(name));
            Ok(())
        })
    }

    fn new_names(&self, py: Python<'_>) -> PyResult<Vec<NameParts>> {
        self.detached(py, |drainer| Ok(drainer.names().new_names().iter().copied().map(parts).collect()))
    }

    #[pyo3(signature = (sequence, positions, until = None))]
    fn restore(&self, py: Python<'_>, sequence: u64, positions: &[u8], until: Option<&[u8]>) -> PyResult<()> {
        self.detached(py, |drainer| drainer.restore_until(sequence, positions, until))
    }

    fn poll(&self, py: Python<'_>) -> PyResult<u64> {
        self.detached(py, core::Drainer::poll)
    }

    #[pyo3(signature = (max_series = 100))]
    fn next_batch(&self, py: Python<'_>, max_series: usize) -> PyResult<Option<Batch>> {
        Ok(self.detached(py, |drainer| drainer.next_batch(max_series))?.map(Batch))
    }

    fn committed(&self, py: Python<'_>) -> PyResult<()> {
        self.detached(py, |drainer| {
            drainer.committed();
            Ok(())
        })
    }

    fn verdicts(&self, py: Python<'_>, recorder: &Recorder, now: i64) -> PyResult<usize> {
        // A record is written under the interpreter lock like any other, so that no fork meets a recorder half way.
        self.detached(py, |drainer| {
            drainer.verdicts(now, |end, exception| Python::attach(|_| recorder.0.verdict(end, exception)))
        })
    }

    fn heartbeats<'py>(&self, py: Python<'py>, now: i64) -> PyResult<Vec<(String, Bound<'py, PyBytes>)>> {
        let beats = self.detached(py, |drainer| drainer.heartbeats(now))?;
        Ok(beats.into_iter().map(|(worker, beat)| (worker, PyBytes::new(py, &beat))).collect())
    }

    fn tidy(&self, py: Python<'_>, now: i64) -> PyResult<usize> {
        self.detached(py, |drainer| drainer.tidy(now))
    }

    fn status<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let status = self.detached(py, core::Drainer::status)?;
        let drops = PyDict::new(py);
        for (name, count) in Dropped::NAMES.iter().zip(status.drops).filter(|(_, count)| *count > 0) {
            drops.set_item(name, count)?;
        }
        let counts = PyDict::new(py);
        for (name, count) in [
            ("waiting", status.waiting),
            ("segments", status.segments as u64),
            ("bytes", status.bytes),
            ("open", status.open as u64),
            ("provisional", status.provisional as u64),
            ("duplicates", status.duplicates),
            ("damaged", status.damaged),
            ("unknown", status.unknown),
            ("undefined", status.undefined),
            ("set_aside", status.set_aside as u64),
            ("newer", status.newer as u64),
            ("lost_to_rollback", status.lost_to_rollback),
            ("starts_lost_to_rollback", status.starts_lost_to_rollback),
            ("uncertain", status.uncertain as u64),
            ("other_names", status.other_names as u64),
            ("damaged_pages", status.damaged_pages as u64),
            ("newer_pages", status.newer_pages as u64),
            ("hook_errors", status.drops[HOOK_ERRORS]),
        ] {
            counts.set_item(name, count)?;
        }
        counts.set_item("drops", drops)?;
        Ok(counts)
    }
}
