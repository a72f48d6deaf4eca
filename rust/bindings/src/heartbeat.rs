//! Heartbeats for Python.

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use queue_metrics_core::heartbeat::{Heartbeat, ROLES, STATES, json, moment, number};

use crate::errors::raised;

/// What a worker says of itself, as a dict.
#[pyfunction]
pub fn decode_heartbeat<'py>(py: Python<'py>, data: &[u8]) -> PyResult<Bound<'py, PyDict>> {
    let heartbeat = Heartbeat::borrowed(data).map_err(raised)?;
    let word =
        |words: &[&'static str], index: u8| usize::from(index).checked_sub(1).and_then(|at| words.get(at).copied());
    let known = |number: u64| (number != 0).then_some(number);
    let fields = PyDict::new(py);
    fields.set_item("version", 1)?;
    fields.set_item("state", word(&STATES, heartbeat.state))?;
    fields.set_item("role", word(&ROLES, heartbeat.role))?;
    fields.set_item("pid", heartbeat.pid)?;
    fields.set_item("parent_pid", heartbeat.parent)?;
    fields.set_item("running", heartbeat.running)?;
    fields.set_item("worker_key", heartbeat.worker)?;
    fields.set_item("start_ticks", known(heartbeat.start_ticks))?;
    fields.set_item("pid_namespace", known(heartbeat.pid_namespace))?;
    fields.set_item("process_started", moment(heartbeat.process_started))?;
    fields.set_item("written", moment(heartbeat.written))?;
    fields.set_item("job_started", moment(heartbeat.job_started))?;
    fields.set_item("busy", number(heartbeat.busy))?;
    fields.set_item("idle", number(heartbeat.idle))?;
    fields.set_item("finished", number(heartbeat.finished))?;
    fields.set_item("failed", number(heartbeat.failed))?;
    fields.set_item("rss", number(heartbeat.rss))?;
    fields.set_item("rss_peak", number(heartbeat.rss_peak))?;
    fields.set_item("cpu", number(heartbeat.cpu))?;
    fields.set_item("boot", known(heartbeat.boot))?;
    fields.set_item("state_changed", moment(heartbeat.state_changed))?;
    fields.set_item("seen", moment(heartbeat.seen))?;
    fields.set_item("cpu_spent", number(heartbeat.cpu_spent))?;
    fields.set_item("cpu_over", number(heartbeat.cpu_over))?;
    for (name, text) in ["host", "library", "connection", "queue", "task", "job_id"].into_iter().zip(heartbeat.texts) {
        fields.set_item(name, text)?;
    }
    Ok(fields)
}

/// What a worker says of itself, as JSON.
#[pyfunction]
#[pyo3(signature = (data, /, own = true))]
pub fn heartbeat_json<'py>(py: Python<'py>, data: &[u8], own: bool) -> PyResult<Bound<'py, PyBytes>> {
    json(data, own, |json| PyBytes::new(py, json)).map_err(raised)
}
