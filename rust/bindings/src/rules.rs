//! How an execution ended, by the exception that it raised.

use std::borrow::Cow;

use pyo3::exceptions::PyException;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PySequence, PyString, PyTuple, PyType};
use queue_metrics_core::journal::format::{Outcome, RETRY_FOLLOWS};

use crate::recorder::{Recorder, outcome_of};
use crate::text::text;

/// Flag of a rule: it holds only if the process says that it is being torn down.
pub const ASK_TERMINATING: u32 = 256;

/// Flag of a rule: a retry follows if an ordinary exception would mean one.
pub const RETRY_IF_LEFT: u32 = 512;

/// What exceptions mean; the first rule that matches decides.
pub struct Rules(Vec<Rule>);

struct Rule {
    class: Py<PyType>,
    outcome: Outcome,
    flags: u32,
    /// An attribute that the exception must have, and the value it must equal.
    condition: Option<(Py<PyString>, Py<PyAny>)>,
}

/// The end of an execution.
pub struct Ending<'a> {
    /// Its outcome.
    pub outcome: Outcome,
    /// Flags of END.
    pub flags: u8,
    /// Name of the exception type.
    pub exception: Option<Cow<'a, str>>,
}

impl Ending<'_> {
    /// Of one that returned.
    pub const SUCCEEDED: Ending<'static> = Ending { outcome: Outcome::Succeeded, flags: 0, exception: None };
}

impl Rules {
    /// From `(class, outcome, flags)` or `(class, outcome, flags, attribute, value)`.
    pub fn new(rules: &Bound<'_, PySequence>) -> PyResult<Rules> {
        rules.try_iter()?.map(|rule| Rule::new(&rule?)).collect::<PyResult<_>>().map(Rules)
    }

    /// True when an exception that came while our own code ran was meant for the job: a rule names it, or it is no `Exception`.
    pub fn is_interruption(&self, py: Python<'_>, error: &PyErr) -> bool {
        let names_it = |rule: &Rule| rule.flags & ASK_TERMINATING == 0 && rule.matches(py, error);
        !error.is_instance_of::<PyException>(py) || self.0.iter().any(names_it)
    }

    /// How an execution ended that raised `error`. `terminating` is asked if a rule wants to know it.
    pub fn ending(
        &self,
        py: Python<'_>,
        recorder: &Recorder,
        error: &PyErr,
        retries_left: bool,
        terminating: Option<&Py<PyAny>>,
    ) -> Ending<'static> {
        let exception = error.get_type(py).name().ok().map(|name| Cow::Owned(text(&name).into_owned()));
        let holds = |rule: &&Rule| {
            rule.matches(py, error)
                && (rule.flags & ASK_TERMINATING == 0 || self.is_terminating(py, recorder, terminating))
        };
        let (outcome, flags) = match self.0.iter().find(holds) {
            Some(rule) => (rule.outcome, rule.end_flags(retries_left)),
            None if retries_left && error.is_instance_of::<PyException>(py) => (Outcome::Retried, RETRY_FOLLOWS),
            None => (Outcome::Failed, 0),
        };
        Ending { outcome, flags, exception }
    }

    /// For `__traverse__`.
    pub fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.0.iter().try_for_each(|rule| {
            visit.call(&rule.class)?;
            rule.condition.iter().try_for_each(|(_, value)| visit.call(value))
        })
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

impl Rule {
    fn new(rule: &Bound<'_, PyAny>) -> PyResult<Rule> {
        let rule = rule.cast::<PyTuple>()?;
        let (class, outcome, flags): (Bound<'_, PyType>, Bound<'_, PyAny>, u32) = rule.get_slice(0, 3).extract()?;
        let outcome = outcome_of(&outcome)
            .ok_or_else(|| pyo3::exceptions::PyValueError::new_err(format!("no outcome: {outcome}")))?;
        let condition = match rule.len() {
            3 => None,
            _ => Some(rule.get_slice(3, rule.len()).extract()?),
        };
        Ok(Rule { class: class.unbind(), outcome, flags, condition })
    }

    /// Whether the exception is of the class and, if asked for, has the attribute. What cannot be compared does not match.
    fn matches(&self, py: Python<'_>, error: &PyErr) -> bool {
        error.matches(py, self.class.bind(py)).unwrap_or(false)
            && self.condition.as_ref().is_none_or(|(name, value)| {
                error.value(py).getattr(name.bind(py)).and_then(|own| own.eq(value.bind(py))).unwrap_or(false)
            })
    }

    fn end_flags(&self, retries_left: bool) -> u8 {
        self.flags as u8 | if retries_left && self.flags & RETRY_IF_LEFT != 0 { RETRY_FOLLOWS } else { 0 }
    }
}
