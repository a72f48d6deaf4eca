//! The control group of this process for Python.

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};
use queue_metrics_core::sampling::cgroup as core;
use queue_metrics_core::sampling::pressure::{Pressure, Stall};
use queue_metrics_core::sampling::root::Root;

use crate::process::of_unread;

/// Samples of the group and the rates between them.
#[pyclass(frozen, module = "queue_metrics._core")]
pub struct CgroupSampler(core::Sampler);

#[pymethods]
impl CgroupSampler {
    #[new]
    fn new() -> CgroupSampler {
        CgroupSampler(core::Sampler::new(Root::default()))
    }

    fn sample<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let (sample, rates) = py.detach(|| self.0.sample());
        of_group(py, &sample, rates)
    }
}

/// A group and what it used.
pub fn of_group<'py>(
    py: Python<'py>,
    sample: &core::CgroupSample,
    rates: Option<core::CgroupRates>,
) -> PyResult<Bound<'py, PyDict>> {
    let fields = PyDict::new(py);
    fields.set_item("version", sample.version.map(core::Version::number))?;
    fields.set_item("path", &sample.path)?;
    fields.set_item("container", sample.container.as_ref().map(ToString::to_string))?;
    fields.set_item("cpu", of_cpu(py, &sample.cpu)?)?;
    fields.set_item("memory", of_memory(py, &sample.memory)?)?;
    fields.set_item("cpu_pressure", of_pressure(py, sample.cpu_pressure)?)?;
    fields.set_item("memory_pressure", of_pressure(py, sample.memory_pressure)?)?;
    fields.set_item("io_pressure", of_pressure(py, sample.io_pressure)?)?;
    fields.set_item("rates", rates.map(|rates| of_rates(py, &rates)).transpose()?)?;
    fields.set_item("unread", of_unread(py, &sample.unread)?)?;
    Ok(fields)
}

fn of_cpu<'py>(py: Python<'py>, cpu: &core::CpuSample) -> PyResult<Bound<'py, PyDict>> {
    let fields = PyDict::new(py);
    fields.set_item("limit_cores", cpu.limit_cores())?;
    fields.set_item("quota_cores", cpu.quota_cores)?;
    fields.set_item("cpuset_cores", cpu.cpuset_cores)?;
    fields.set_item("affinity_cores", cpu.affinity_cores)?;
    fields.set_item("usage_ns", cpu.usage_ns)?;
    fields.set_item("periods", cpu.periods)?;
    fields.set_item("throttled_periods", cpu.throttled_periods)?;
    fields.set_item("throttled_ns", cpu.throttled_ns)?;
    let levels = PyList::empty(py);
    for level in &cpu.levels {
        let own = PyDict::new(py);
        own.set_item("directory", &level.directory)?;
        own.set_item("quota_cores", level.quota_cores)?;
        own.set_item("usage_ns", level.usage_ns)?;
        levels.append(own)?;
    }
    fields.set_item("levels", levels)?;
    Ok(fields)
}

fn of_memory<'py>(py: Python<'py>, memory: &core::MemorySample) -> PyResult<Bound<'py, PyDict>> {
    let fields = PyDict::new(py);
    fields.set_item("limit_bytes", memory.limit_bytes)?;
    fields.set_item("high_bytes", memory.high_bytes)?;
    fields.set_item("usage_bytes", memory.usage_bytes)?;
    fields.set_item("working_set_bytes", memory.working_set_bytes)?;
    fields.set_item("headroom_bytes", memory.headroom_bytes())?;
    fields.set_item("swap_bytes", memory.swap_bytes)?;
    fields.set_item("swap_limit_bytes", memory.swap_limit_bytes)?;
    fields.set_item("oom_kills", memory.oom_kills)?;
    let levels = PyList::empty(py);
    for level in &memory.levels {
        let own = PyDict::new(py);
        own.set_item("directory", &level.directory)?;
        own.set_item("limit_bytes", level.limit_bytes)?;
        own.set_item("working_set_bytes", level.working_set_bytes)?;
        levels.append(own)?;
    }
    fields.set_item("levels", levels)?;
    Ok(fields)
}

fn of_rates<'py>(py: Python<'py>, rates: &core::CgroupRates) -> PyResult<Bound<'py, PyDict>> {
    let fields = PyDict::new(py);
    fields.set_item("seconds", rates.seconds)?;
    fields.set_item("usage_cores", rates.usage_cores)?;
    fields.set_item("throttled_ratio", rates.throttled_ratio)?;
    fields.set_item("throttled_cores", rates.throttled_cores)?;
    fields.set_item("throttled_seconds_per_period", rates.throttled_seconds_per_period)?;
    fields.set_item("waiting_cores", rates.waiting_cores)?;
    fields.set_item("headroom_cores", rates.headroom_cores)?;
    fields.set_item("oom_kills", rates.oom_kills)?;
    Ok(fields)
}

fn of_pressure<'py>(py: Python<'py>, pressure: Option<Pressure>) -> PyResult<Option<Bound<'py, PyDict>>> {
    let Some(pressure) = pressure else { return Ok(None) };
    let fields = PyDict::new(py);
    fields.set_item("some", of_stall(py, pressure.some)?)?;
    fields.set_item("full", pressure.full.map(|full| of_stall(py, full)).transpose()?)?;
    Ok(Some(fields))
}

fn of_stall(py: Python<'_>, stall: Stall) -> PyResult<Bound<'_, PyDict>> {
    let fields = PyDict::new(py);
    fields.set_item("average_10_ratio", stall.average_10_ratio)?;
    fields.set_item("average_60_ratio", stall.average_60_ratio)?;
    fields.set_item("average_300_ratio", stall.average_300_ratio)?;
    fields.set_item("total_us", stall.total_us)?;
    Ok(fields)
}
