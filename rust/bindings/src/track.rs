//! A context manager that records its body as one execution.

use std::sync::atomic::{AtomicI64, Ordering};

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::PySequence;
use queue_metrics_core::journal::format::{NO_TIME, Outcome};
use queue_metrics_core::recorder::{Job, NO_SLOT};

use crate::guard::guarded;
use crate::native::values::integer;
use crate::recorder::Recorder;
use crate::rules::{Ending, Rules};
use crate::telling;
use crate::text::{attempt, job_text_or_counted};

/// A context manager that records its body as one execution.
#[pyclass(frozen, module = "queue_metrics._core")]
pub struct Track {
    recorder: Py<Recorder>,
    handle: i64,
    job_id: Py<PyAny>,
    attempt: u16,
    ready_at: i64,
    rules: Rules,
    slot: AtomicI64,
}

#[pymethods]
impl Track {
    #[new]
    fn new(
        recorder: Py<Recorder>,
        handle: i64,
        job_id: Py<PyAny>,
        attempt: &Bound<'_, PyAny>,
        ready_at: &Bound<'_, PyAny>,
        rules: &Bound<'_, PySequence>,
    ) -> PyResult<Track> {
        let (attempt, ready_at) = (self::attempt(attempt), integer(ready_at).unwrap_or(NO_TIME));
        Ok(Track {
            recorder,
            handle,
            job_id,
            attempt,
            ready_at,
            rules: Rules::new(rules)?,
            slot: AtomicI64::new(NO_SLOT),
        })
    }

    fn __enter__(slf: Bound<'_, Self>) -> PyResult<Bound<'_, Self>> {
        let this = slf.get();
        let recorder = &this.recorder.get().0;
        let job_id = this.job_id.bind(slf.py());
        let id = job_text_or_counted(job_id, || recorder.hook_error())?;
        let job = Job { id: &id, attempt: this.attempt, ready_at: this.ready_at };
        let slot = guarded(recorder, NO_SLOT, || recorder.started(this.handle, job));
        let before = this.slot.swap(slot, Ordering::AcqRel);
        if before != NO_SLOT {
            // Entered twice: what ran until now has no other end.
            guarded(recorder, (), || recorder.finished(before, Outcome::Failed, None, 0));
            recorder.hook_error();
        }
        Ok(slf)
    }

    fn __exit__(
        &self,
        py: Python<'_>,
        _kind: &Bound<'_, PyAny>,
        error: &Bound<'_, PyAny>,
        _traceback: &Bound<'_, PyAny>,
    ) -> PyResult<bool> {
        let recorder = self.recorder.get();
        let slot = self.slot.swap(NO_SLOT, Ordering::AcqRel);
        if error.is_none() {
            telling::end(py, &recorder.0, slot, Ending::SUCCEEDED, None)?;
        } else {
            let ending = self.rules.ending(py, recorder, &PyErr::from_value(error.clone()), false, None);
            telling::end(py, &recorder.0, slot, ending, Some(error))?;
        }
        Ok(false)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.recorder)?;
        visit.call(&self.job_id)?;
        self.rules.traverse(&visit)
    }
}
