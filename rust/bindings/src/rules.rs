//! How an execution ended, by the exception that it raised.

use pyo3::exceptions::PyException;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PySequence, PyType};
use queue_metrics_core::journal::format::{Outcome, PROVISIONAL, RETRY_FOLLOWS};

use crate::recorder::{Recorder, outcome_of};
use crate::text::text;

/// Flag of a rule: provisional if the process says that it is being torn down.
pub const ASK_TERMINATING: u32 = 256;

/// Exception classes with what they mean; the first that matches decides.
pub struct Rules(Vec<(Py<PyType>, Outcome, u32)>);

/// The end of an execution.
pub struct Ending {
    /// Its outcome.
    pub outcome: Outcome,
    /// Flags of END.
    pub flags: u8,
    /// Name of the exception type.
    pub exception: Option<String>,
}

impl Rules {
    /// From `(class, outcome, flags)`.
    pub fn new(rules: &Bound<'_, PySequence>) -> PyResult<Rules> {
        let rule = |rule: PyResult<Bound<'_, PyAny>>| {
            let (class, outcome, flags): (Bound<'_, PyType>, Bound<'_, PyAny>, u32) = rule?.extract()?;
            let outcome = outcome_of(&outcome)
                .ok_or_else(|| pyo3::exceptions::PyValueError::new_err(format!("no outcome: {outcome}")))?;
            Ok((class.unbind(), outcome, flags))
        };
        Ok(Rules(rules.try_iter()?.map(rule).collect::<PyResult<_>>()?))
    }

    /// True when an exception that came while our own code ran was meant for the job: a rule names it, or it is no `Exception`.
    pub fn is_interruption(&self, py: Python<'_>, error: &PyErr) -> bool {
        !error.is_instance_of::<PyException>(py) || self.matching(py, error).is_some()
    }

    /// How an execution ended that raised `error`. `terminating` is asked if a rule wants to know it.
    pub fn ending(
        &self,
        py: Python<'_>,
        recorder: &Recorder,
        error: &PyErr,
        retries_left: bool,
        terminating: Option<&Py<PyAny>>,
    ) -> Ending {
        let exception = error.get_type(py).name().ok().map(|name| text(&name).into_owned());
        let (outcome, flags) = match self.matching(py, error) {
            Some((outcome, flags)) => {
                let provisional = flags & ASK_TERMINATING != 0 && self.is_terminating(py, recorder, terminating);
                (outcome, flags as u8 | if provisional { PROVISIONAL } else { 0 })
            }
            None if retries_left && error.is_instance_of::<PyException>(py) => (Outcome::Retried, RETRY_FOLLOWS),
            None => (Outcome::Failed, 0),
        };
        Ending { outcome, flags, exception }
    }

    /// For `__traverse__`.
    pub fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.0.iter().try_for_each(|(class, _, _)| visit.call(class))
    }

    fn matching(&self, py: Python<'_>, error: &PyErr) -> Option<(Outcome, u32)> {
        let rule = self.0.iter().find(|(class, _, _)| error.matches(py, class.bind(py)).unwrap_or(false));
        rule.map(|(_, outcome, flags)| (*outcome, *flags))
    }

    /// The question itself can be interrupted; the job's exception is on its way already, so only the answer suffers.
    fn is_terminating(&self, py: Python<'_>, recorder: &Recorder, terminating: Option<&Py<PyAny>>) -> bool {
        let Some(terminating) = terminating else { return false };
        match terminating.call0(py).and_then(|answer| answer.is_truthy(py)) {
            Ok(answer) => answer,
            Err(error) if self.is_interruption(py, &error) => true,
            Err(_) => {
                recorder.0.hook_error();
                false
            }
        }
    }
}
