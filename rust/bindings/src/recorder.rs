//! The write side of a spool for Python. The interpreter lock is kept: a record is one short write, and giving the lock away
//! for it could cost the job 5 ms to get it back.

use std::borrow::Cow;
use std::ffi::{CStr, OsString};
use std::path::PathBuf;
use std::time::Duration;

use pyo3::Borrowed;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyNone, PyString};
use queue_metrics_core::journal::dropped::Dropped;
use queue_metrics_core::journal::format::{End, NO_TIME, Outcome, Role};
use queue_metrics_core::journal::writer::Bounds;
use queue_metrics_core::recorder::{self as core, Clock, Job, NO_HANDLE, NO_SLOT};

use crate::guard::guarded;
use crate::names::{owners, wish};
use crate::native::values::{integer, number, small_integer, utf8};
use crate::native::{Answer, methods, raising};
use crate::rules::Ending;
use crate::telling;
use crate::text::{attempt, job_text_or_counted, text};

/// The write side of a spool in this process and in the children it forks.
#[pyclass(frozen, module = "queue_metrics._core")]
pub struct Recorder(pub core::Recorder);

impl Recorder {
    /// Counts what is no number of the format.
    fn known<T>(&self, value: Option<T>) -> Option<T> {
        if value.is_none() {
            self.0.hook_error();
        }
        value
    }

    fn job<'a>(&self, job_id: &'a Bound<'_, PyAny>) -> PyResult<Cow<'a, str>> {
        job_text_or_counted(job_id, || self.0.hook_error())
    }
}

/// The outcome with this number.
#[inline]
pub fn outcome_of(object: &Bound<'_, PyAny>) -> Option<Outcome> {
    Outcome::from_number(u16::try_from(small_integer(object)?).ok()?)
}

#[pymethods]
impl Recorder {
    #[new]
    #[pyo3(signature = (
        spool, host, *, segment_bytes = 1 << 20, spool_bytes = 256 << 20, memory_every = Some(0.005), journal = "auto",
        exact_peak = false, shared_group = None
    ))]
    #[expect(clippy::too_many_arguments, reason = "settings, all of them by name in Python")]
    fn new(
        spool: PathBuf,
        host: &Bound<'_, PyString>,
        segment_bytes: u64,
        spool_bytes: u64,
        memory_every: Option<f64>,
        journal: &str,
        exact_peak: bool,
        shared_group: Option<u32>,
    ) -> PyResult<Recorder> {
        if spool.as_os_str().as_encoded_bytes().contains(&0) {
            return Err(PyValueError::new_err("the path of a spool cannot hold NUL"));
        }
        let every = memory_every.map(Duration::try_from_secs_f64).transpose();
        let every =
            every.map_err(|_| PyValueError::new_err("memory_every is a number of seconds, 0 or more, or None"))?;
        let bounds = Bounds { segment_bytes, spool_bytes, wish: wish(journal)?, owners: owners(shared_group) };
        let recorder = core::Recorder::new(&spool, &text(host), bounds).with_memory(every);
        Ok(Recorder(recorder.with_exact_peak(exact_peak)))
    }

    #[getter]
    fn spool(&self) -> OsString {
        self.0.path().as_os_str().to_owned()
    }

    #[getter]
    fn worker_id(&self) -> String {
        self.0.worker_id()
    }

    #[getter]
    fn worker_key(&self) -> u64 {
        self.0.worker_key()
    }

    fn describe(
        &self,
        role: &Bound<'_, PyAny>,
        library: &Bound<'_, PyString>,
        connection: &Bound<'_, PyString>,
        queue: &Bound<'_, PyString>,
    ) {
        guarded(&self.0, (), || {
            let role = integer(role).and_then(|number| Role::from_number(u8::try_from(number).ok()?));
            if let Some(role) = self.known(role) {
                self.0.describe(role, &text(library), &text(connection), &text(queue));
            }
        });
    }

    fn series(
        &self,
        connection: &Bound<'_, PyString>,
        queue: &Bound<'_, PyString>,
        task: &Bound<'_, PyString>,
        clock: &Bound<'_, PyAny>,
    ) -> i64 {
        guarded(&self.0, NO_HANDLE, || {
            let clock = self.known(integer(clock).and_then(Clock::from_number)).unwrap_or(Clock::None);
            self.0.series(&text(connection), &text(queue), &text(task), clock)
        })
    }

    fn discarded(&self, handle: i64, job_id: &Bound<'_, PyAny>, reason: &Bound<'_, PyAny>) -> PyResult<()> {
        let id = self.job(job_id)?;
        let reason = integer(reason).and_then(|number| u16::try_from(number).ok());
        let Some(reason) = self.known(reason) else { return Ok(()) };
        guarded(&self.0, (), || self.0.discarded(handle, &id, reason));
        telling::discarded(job_id.py(), &self.0, handle, &id, reason)
    }

    fn hinted(
        &self,
        job_id: &Bound<'_, PyAny>,
        outcome: &Bound<'_, PyAny>,
        exception: Option<&Bound<'_, PyString>>,
    ) -> PyResult<()> {
        let id = self.job(job_id)?;
        guarded(&self.0, (), || {
            if let Some(outcome) = self.known(outcome_of(outcome)) {
                self.0.hinted(&id, outcome, exception.map(text).as_deref());
            }
        });
        Ok(())
    }

    #[expect(clippy::too_many_arguments, reason = "the values of a gauge, as the stub names them")]
    #[pyo3(signature = (connection, queue, ready, reserved, scheduled, running, age, due = None))]
    fn gauge(
        &self,
        connection: &Bound<'_, PyString>,
        queue: &Bound<'_, PyString>,
        ready: Option<&Bound<'_, PyAny>>,
        reserved: Option<&Bound<'_, PyAny>>,
        scheduled: Option<&Bound<'_, PyAny>>,
        running: Option<&Bound<'_, PyAny>>,
        age: Option<&Bound<'_, PyAny>>,
        due: Option<&Bound<'_, PyAny>>,
    ) {
        guarded(&self.0, (), || {
            let value =
                |object: &Bound<'_, PyAny>| self.known(integer(object).and_then(|number| u64::try_from(number).ok()));
            let values = [ready, reserved, scheduled, running, age, due].map(|object| object.and_then(value));
            self.0.gauge(&text(connection), &text(queue), values);
        });
    }

    #[expect(clippy::too_many_arguments, reason = "the fields of END, as the stub names them")]
    fn verdict(
        &self,
        key: u64,
        outcome: u16,
        exception_id: u64,
        at: i64,
        runtime: u64,
        cpu: u64,
        rss_peak: u32,
        rss_change: i32,
    ) -> bool {
        let end =
            End { outcome, flags: 0, at, key, runtime, cpu, rss_peak, rss_change, exception: exception_id, worker: 0 };
        guarded(&self.0, false, || self.0.verdict(&end, None))
    }

    fn ready(&self) {
        guarded(&self.0, (), || self.0.ready());
    }

    fn stopped(&self) {
        guarded(&self.0, (), || self.0.stopped());
    }

    fn hook_error(&self) {
        self.0.hook_error();
    }

    fn refuse_exact_peak(&self, reason: &Bound<'_, PyString>) {
        guarded(&self.0, (), || self.0.refuse_exact_peak(&text(reason)));
    }

    fn status<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let status = self.0.status();
        let drops = PyDict::new(py);
        for (name, count) in Dropped::NAMES.into_iter().zip(status.drops).filter(|(_, count)| *count > 0) {
            drops.set_item(name, count)?;
        }
        let segment = status.segment.as_ref();
        let answer = PyDict::new(py);
        answer.set_item("spool", self.spool())?;
        answer.set_item("segment", segment.map(|segment| &segment.id))?;
        answer.set_item("way", segment.map(|segment| segment.way.name()))?;
        answer.set_item("way_reason", segment.map(|segment| &segment.why))?;
        answer.set_item("page", status.page)?;
        answer.set_item("records", status.records)?;
        answer.set_item("running", status.running)?;
        answer.set_item("drops", drops)?;
        answer.set_item("hook_errors", status.hook_errors)?;
        answer.set_item("last_error", status.last_error)?;
        answer.set_item("pid", status.pid)?;
        match status.exact_peak {
            core::ExactPeak::Off => answer.set_item("exact_peak", false)?,
            core::ExactPeak::On => answer.set_item("exact_peak", true)?,
            core::ExactPeak::Refused(reason) => answer.set_item("exact_peak", reason)?,
        }
        Ok(answer)
    }

    fn heartbeat<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        let bytes = guarded(&self.0, Vec::new(), || self.0.heartbeat());
        PyBytes::new(py, &bytes)
    }
}

/// Makes the calls that each job takes methods of [`Recorder`].
pub fn add_methods(py: Python<'_>) -> PyResult<()> {
    methods::add::<Arrived, 4>(py)?;
    methods::add::<Started, 4>(py)?;
    methods::add::<Finished, 4>(py)
}

struct Arrived;
struct Started;
struct Finished;

impl methods::Method<4> for Arrived {
    type Class = Recorder;
    const NAME: &'static CStr = c"arrived";
    const SIGNATURE: &'static CStr = c"arrived($self, handle, job_id, attempt, ready_at)\n--\n\n";
    const ARGUMENTS: [&'static str; 4] = ["handle", "job_id", "attempt", "ready_at"];

    #[inline(always)]
    fn call<'py>(
        py: Python<'py>,
        recorder: &Recorder,
        [handle, job_id, attempt, ready_at]: [Borrowed<'_, 'py, PyAny>; 4],
    ) -> Answer<'py> {
        let Some(handle) = integer(&handle) else { return not_a_number(py, "handle") };
        with_text(recorder, &job_id, |id| {
            guarded(&recorder.0, (), || recorder.0.arrived(handle, job(id, &attempt, &ready_at)));
            Some(nothing(py))
        })
    }
}

impl methods::Method<4> for Started {
    type Class = Recorder;
    const NAME: &'static CStr = c"started";
    const SIGNATURE: &'static CStr = c"started($self, handle, job_id, attempt, ready_at)\n--\n\n";
    const ARGUMENTS: [&'static str; 4] = ["handle", "job_id", "attempt", "ready_at"];

    #[inline(always)]
    fn call<'py>(
        py: Python<'py>,
        recorder: &Recorder,
        [handle, job_id, attempt, ready_at]: [Borrowed<'_, 'py, PyAny>; 4],
    ) -> Answer<'py> {
        let Some(handle) = integer(&handle) else { return not_a_number(py, "handle") };
        with_text(recorder, &job_id, |id| {
            let slot = guarded(&recorder.0, NO_SLOT, || recorder.0.started(handle, job(id, &attempt, &ready_at)));
            number(py, slot)
        })
    }
}

impl methods::Method<4> for Finished {
    type Class = Recorder;
    const NAME: &'static CStr = c"finished";
    const SIGNATURE: &'static CStr = c"finished($self, slot, outcome, exception, flags)\n--\n\n";
    const ARGUMENTS: [&'static str; 4] = ["slot", "outcome", "exception", "flags"];

    #[inline(always)]
    fn call<'py>(
        py: Python<'py>,
        recorder: &Recorder,
        [slot, outcome, exception, flags]: [Borrowed<'_, 'py, PyAny>; 4],
    ) -> Answer<'py> {
        let Some(slot) = integer(&slot) else { return not_a_number(py, "slot") };
        let exception = match exception.is_none() {
            true => None,
            false => match exception.cast::<PyString>() {
                Ok(exception) => Some(exception),
                Err(error) => return raising(py, || Err(error.into())),
            },
        };
        // An end of no known outcome is still an end.
        let outcome = recorder.known(outcome_of(&outcome)).unwrap_or(Outcome::Failed);
        let flags = small_integer(&flags).unwrap_or(0) as u8;
        let ending = Ending { outcome, flags, exception: exception.as_deref().map(text) };
        match telling::end(py, &recorder.0, slot, ending, None) {
            Ok(()) => Some(nothing(py)),
            Err(interruption) => raising(py, || Err(interruption)),
        }
    }
}

/// Works with the text of a job id.
#[inline(always)]
fn with_text<'py>(
    recorder: &Recorder,
    job_id: &Borrowed<'_, 'py, PyAny>,
    work: impl Fn(&str) -> Answer<'py>,
) -> Answer<'py> {
    if let Some(id) = utf8(job_id) {
        return work(id);
    }
    match recorder.job(job_id) {
        Ok(id) => work(&id),
        Err(error) => raising(job_id.py(), || Err(error)),
    }
}

#[inline]
fn nothing(py: Python<'_>) -> Bound<'_, PyAny> {
    PyNone::get(py).to_owned().into_any()
}

#[cold]
fn not_a_number<'py>(py: Python<'py>, what: &str) -> Answer<'py> {
    raising(py, || Err(PyTypeError::new_err(format!("{what} must be an integer"))))
}

fn job<'a>(id: &'a str, number: &Bound<'_, PyAny>, ready_at: &Bound<'_, PyAny>) -> Job<'a> {
    Job { id, attempt: attempt(number), ready_at: integer(ready_at).unwrap_or(NO_TIME) }
}
