//! Ends of executions and of jobs without one, told to Python in the process where they happen. Nobody listens unless asked for: then an
//! end costs one look at a flag more.

use std::sync::atomic::{AtomicBool, Ordering};

use pyo3::exceptions::{PyException, PyValueError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use queue_metrics_core::recorder::{Measured, Recorder};

use crate::guard::guarded;
use crate::rules::Ending;

/// What is called with ends of executions, and with jobs that were discarded.
static LISTENERS: PyOnceLock<(Py<PyAny>, Py<PyAny>)> = PyOnceLock::new();
static LISTENING: AtomicBool = AtomicBool::new(false);

/// Whom to tell from now on, in this process and its children.
#[pyfunction]
pub fn listen(py: Python<'_>, ended: Py<PyAny>, discarded: Py<PyAny>) -> PyResult<()> {
    let (known, other) = LISTENERS.get_or_init(py, || (ended.clone_ref(py), discarded.clone_ref(py)));
    if !known.is(&ended) || !other.is(&discarded) {
        return Err(PyValueError::new_err("somebody else listens already"));
    }
    LISTENING.store(true, Ordering::Relaxed);
    Ok(())
}

/// Tell nobody any more.
#[pyfunction]
pub fn listen_no_more() {
    LISTENING.store(false, Ordering::Relaxed);
}

#[inline(always)]
fn listening() -> bool {
    LISTENING.load(Ordering::Relaxed)
}

/// Records the end of an execution, then tells who listens. Err: an interruption, as of a signal, that came while he was told; all other
/// exceptions of his are counted.
#[inline(always)]
pub fn end(
    py: Python<'_>,
    recorder: &Recorder,
    slot: i64,
    ending: Ending<'_>,
    error: Option<&Bound<'_, PyAny>>,
) -> PyResult<()> {
    if listening() {
        return end_and_tell(py, recorder, slot, ending, error);
    }
    guarded(recorder, (), || recorder.finished(slot, ending.outcome, ending.exception.as_deref(), ending.flags));
    Ok(())
}

#[cold]
#[inline(never)]
fn end_and_tell(
    py: Python<'_>,
    recorder: &Recorder,
    slot: i64,
    ending: Ending<'_>,
    error: Option<&Bound<'_, PyAny>>,
) -> PyResult<()> {
    let Ending { outcome, flags, exception } = ending;
    let Some(measured) =
        guarded(recorder, None, || recorder.finished_and_known(slot, outcome, exception.as_deref(), flags))
    else {
        return Ok(());
    };
    let Measured { labels: [connection, queue, task], job, runtime_ns, cpu_ns, rss_peak_kib, rss_change_kib } =
        measured;
    let told = tell(py, recorder, |(ended, _)| {
        let how = (outcome as u16, flags, error);
        let what = (recorder.host(), connection, queue, task, job);
        ended.call1(py, (how, what, (runtime_ns, cpu_ns, rss_peak_kib, rss_change_kib)))
    });
    recorder.told();
    told
}

/// Tells who listens of a job that ended without an execution; Err as of [`end`].
pub fn discarded(py: Python<'_>, recorder: &Recorder, handle: i64, job: &str, reason: u16) -> PyResult<()> {
    if !listening() {
        return Ok(());
    }
    let Some([connection, queue, task]) = recorder.labels(handle) else { return Ok(()) };
    tell(py, recorder, |(_, discarded)| discarded.call1(py, (reason, (recorder.host(), connection, queue, task, job))))
}

/// Calls a listener, which answers how many errors it met.
fn tell(
    py: Python<'_>,
    recorder: &Recorder,
    call: impl FnOnce(&(Py<PyAny>, Py<PyAny>)) -> PyResult<Py<PyAny>>,
) -> PyResult<()> {
    let Some(listeners) = LISTENERS.get(py) else { return Ok(()) };
    match call(listeners).and_then(|errors| errors.extract::<u64>(py)) {
        Ok(errors) => (0..errors).for_each(|_| recorder.hook_error()),
        Err(error) if error.is_instance_of::<PyException>(py) => recorder.hook_error(),
        Err(interruption) => return Err(interruption),
    }
    Ok(())
}
