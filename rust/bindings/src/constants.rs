//! Numbers of the journal format that Python code names.

use pyo3::prelude::*;
use queue_metrics_core::journal::format::{self, Outcome, Role, reason};
use queue_metrics_core::recorder::Clock;
use queue_metrics_core::stamp::STAMP_SIZE;

use crate::rules::{ASK_TERMINATING, RETRY_IF_LEFT};

/// Adds them to the module.
pub fn add(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let numbers = [
        ("SUCCEEDED", Outcome::Succeeded as i64),
        ("FAILED", Outcome::Failed as i64),
        ("RETRIED", Outcome::Retried as i64),
        ("TIMED_OUT", Outcome::TimedOut as i64),
        ("CANCELLED", Outcome::Cancelled as i64),
        ("LOST", Outcome::Lost as i64),
        ("RETRY_FOLLOWS", format::RETRY_FOLLOWS as i64),
        ("PROVISIONAL", format::PROVISIONAL as i64),
        ("ASK_TERMINATING", ASK_TERMINATING as i64),
        ("RETRY_IF_LEFT", RETRY_IF_LEFT as i64),
        ("REVOKED", reason::REVOKED as i64),
        ("EXPIRED", reason::EXPIRED as i64),
        ("REJECTED", reason::REJECTED as i64),
        ("SKIPPED", reason::SKIPPED as i64),
        ("UNKNOWN_TASK", reason::UNKNOWN_TASK as i64),
        ("RESULT_ERROR", reason::RESULT_ERROR as i64),
        ("CLOCK_NONE", Clock::None as i64),
        ("CLOCK_PROCESS", Clock::Process as i64),
        ("CLOCK_THREAD", Clock::Thread as i64),
        ("MAIN", Role::Main as i64),
        ("CHILD", Role::Child as i64),
        ("PRODUCER", Role::Producer as i64),
        ("AGENT", Role::Agent as i64),
        ("NO_TIME", format::NO_TIME),
        ("STAMP_SIZE", STAMP_SIZE as i64),
    ];
    numbers.into_iter().try_for_each(|(name, number)| module.add(name, number))
}
