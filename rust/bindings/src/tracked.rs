//! The native callable around the function that runs a job.
//!
//! Between the return of the function and the END there is no Python code, so no signal and no asynchronous exception gets in
//! between. Whoever calls a job as `fun(*args, **kwargs)` has a tuple and a dict at hand, which `tp_call` takes as they are; a
//! [`method`] of it is called by vectorcall.

use std::ffi::CStr;

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PySequence, PyTuple};
use queue_metrics_core::journal::format::NO_TIME;
use queue_metrics_core::recorder::{Job, NO_SLOT};

use crate::guard::guarded;
use crate::messages::{Messages, Noted};
use crate::native::values::integer;
use crate::native::{self, Answer, Arguments, Function, raising};
use crate::recorder::Recorder;
use crate::rules::{Ending, Rules};
use crate::telling;
use crate::text::{JobText, attempt, job_text, text, unprintable};

/// A native callable around the function that runs a job.
///
/// It has no `__clear__`: every cycle through it also goes through something that can be cleared (a dict, a function, a cell).
#[pyclass(frozen, module = "queue_metrics._core")]
pub struct Tracked {
    recorder: Py<Recorder>,
    inner: Py<PyAny>,
    probe: Py<PyAny>,
    rules: Rules,
    terminating: Option<Py<PyAny>>,
    pass_self: bool,
    messages: Option<Py<Messages>>,
}

/// What the probe said about a call.
struct Probed<'py> {
    handle: i64,
    job_id: Bound<'py, PyAny>,
    attempt: u16,
    ready_at: i64,
    retries_left: bool,
}

#[pymethods]
impl Tracked {
    #[new]
    #[pyo3(signature = (recorder, inner, probe, rules, *, terminating = None, pass_self = false, messages = None))]
    fn new(
        recorder: Py<Recorder>,
        inner: Py<PyAny>,
        probe: Py<PyAny>,
        rules: &Bound<'_, PySequence>,
        terminating: Option<Py<PyAny>>,
        pass_self: bool,
        messages: Option<Py<Messages>>,
    ) -> PyResult<Tracked> {
        Ok(Tracked { recorder, inner, probe, rules: Rules::new(rules)?, terminating, pass_self, messages })
    }

    #[getter]
    fn inner(&self, py: Python<'_>) -> Py<PyAny> {
        self.inner.clone_ref(py)
    }

    #[pyo3(signature = (*args, **kwargs))]
    fn __call__<'py>(
        &self,
        py: Python<'py>,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.asked(py, args, kwargs)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.recorder)?;
        visit.call(&self.inner)?;
        visit.call(&self.probe)?;
        visit.call(&self.terminating)?;
        visit.call(&self.messages)?;
        self.rules.traverse(&visit)
    }
}

impl Function for Tracked {
    const NAME: &'static CStr = c"tracked";

    /// Calls what runs the job and records it; the probe is asked only where no note tells what is executed.
    #[inline]
    fn call<'py>(&self, py: Python<'py>, arguments: Arguments<'_, 'py>) -> Answer<'py> {
        let inner = self.inner.bind(py);
        let noted = self.messages.as_ref().and_then(|messages| Some((messages.get(), arguments.first()?)));
        let (messages, object, handle, id, stamp) = match noted
            .map(|(messages, object)| (messages, object, messages.noted(object)))
        {
            Some((messages, object, Noted::Execution { handle, id, stamp })) => (messages, object, handle, id, stamp),
            Some((_, _, Noted::Nothing)) => return arguments.forward(inner),
            Some((_, _, Noted::Unknown)) | None => {
                return raising(py, || {
                    let (positional, named) = arguments.objects()?;
                    self.asked(py, &positional, Some(&named))
                });
            }
        };
        let attempt = u16::try_from(stamp.attempt).unwrap_or(u16::MAX);
        let job = Job { id: &text(&id), attempt, ready_at: stamp.ready_at };
        let slot = guarded(self.recorder(), NO_SLOT, || self.recorder().started(handle, job));
        let answer = arguments.forward(inner);
        match answer {
            Some(answer) => match self.succeed(py, slot) {
                Ok(()) => Some(answer),
                Err(interruption) => raising(py, || {
                    drop(answer);
                    Err(interruption)
                }),
            },
            None => raising(py, || Err(self.fail(py, slot, PyErr::fetch(py), || messages.retries_left(&object)))),
        }
    }
}

impl Tracked {
    /// Calls what runs the job and records it as the probe tells.
    fn asked<'py>(
        &self,
        py: Python<'py>,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let inner = self.inner.bind(py);
        let probed = match self.ask(py, args) {
            Ok(Some(probed)) => probed,
            Ok(None) => return inner.call(args, kwargs),
            Err(error) if self.rules.is_interruption(py, &error) => return Err(self.interrupted(py, args, error)),
            Err(_) => {
                self.recorder().hook_error();
                return inner.call(args, kwargs);
            }
        };
        let slot = self.start(&probed)?;
        match inner.call(args, kwargs) {
            Ok(answer) => self.succeed(py, slot).map(|()| answer),
            Err(error) => Err(self.fail(py, slot, error, || probed.retries_left)),
        }
    }

    fn recorder(&self) -> &queue_metrics_core::recorder::Recorder {
        &self.recorder.get().0
    }

    /// Asks the probe; None: this call is no execution.
    fn ask<'py>(&self, py: Python<'py>, args: &Bound<'py, PyTuple>) -> PyResult<Option<Probed<'py>>> {
        let probe = self.probe.bind(py);
        let answer = if self.pass_self { probe.call1((args.get_item(0)?,))? } else { probe.call0()? };
        if answer.is_none() {
            return Ok(None);
        }
        let (handle, job_id, number, ready_at, retries_left): (
            i64,
            Bound<'py, PyAny>,
            Bound<'py, PyAny>,
            Bound<'py, PyAny>,
            bool,
        ) = answer.extract()?;
        let (attempt, ready_at) = (attempt(&number), integer(&ready_at).unwrap_or(NO_TIME));
        Ok(Some(Probed { handle, job_id, attempt, ready_at, retries_left }))
    }

    /// Records the start; Err: the job was interrupted while the text of its id was made, which is recorded too.
    fn start(&self, probed: &Probed<'_>) -> PyResult<i64> {
        let py = probed.job_id.py();
        let job = |id: &str| {
            let job = Job { id, attempt: probed.attempt, ready_at: probed.ready_at };
            guarded(self.recorder(), NO_SLOT, || self.recorder().started(probed.handle, job))
        };
        match job_text(&probed.job_id) {
            JobText::Text(id) => Ok(job(&id)),
            JobText::Raised(error) => {
                let slot = job(&unprintable(&probed.job_id));
                if self.rules.is_interruption(py, &error) {
                    return Err(self.fail(py, slot, error, || probed.retries_left));
                }
                self.recorder().hook_error();
                Ok(slot)
            }
        }
    }

    /// The job was interrupted while the probe ran: for its library it began and ended. The probe is asked again to know which.
    fn interrupted(&self, py: Python<'_>, args: &Bound<'_, PyTuple>, error: PyErr) -> PyErr {
        // A second interruption may come while it is asked; of more than a few nobody can keep track.
        let mut asked = self.ask(py, args);
        for _ in 0..3 {
            if asked.as_ref().is_err_and(|later| self.rules.is_interruption(py, later)) {
                asked = self.ask(py, args);
            }
        }
        match asked {
            Ok(Some(probed)) => match self.start(&probed) {
                Ok(slot) => return self.fail(py, slot, error, || probed.retries_left),
                Err(later) => return later,
            },
            Ok(None) => {}
            Err(_) => self.recorder().hook_error(),
        }
        error
    }

    /// The execution returned. Err: an interruption that came after its end.
    #[inline]
    fn succeed(&self, py: Python<'_>, slot: i64) -> PyResult<()> {
        telling::end(py, self.recorder(), slot, Ending::SUCCEEDED, None)
    }

    /// The execution raised; answers what is to be raised now.
    fn fail(&self, py: Python<'_>, slot: i64, error: PyErr, retries_left: impl FnOnce() -> bool) -> PyErr {
        let retries_left = retries_left();
        let ending = self.rules.ending(py, self.recorder.get(), &error, retries_left, self.terminating.as_ref());
        match telling::end(py, self.recorder(), slot, ending, Some(error.value(py))) {
            Ok(()) => error,
            Err(interruption) => {
                // As of an exception that is raised while another one is handled.
                let _ = interruption.value(py).setattr("__context__", error.value(py));
                interruption
            }
        }
    }
}

/// A `Tracked` as an attribute of a class: it binds like a function.
#[pyfunction]
pub fn method(tracked: Bound<'_, Tracked>) -> PyResult<Bound<'_, PyAny>> {
    native::method(tracked)
}
