//! Processes for Python.

use pyo3::exceptions::{PyOSError, PyOverflowError, PyProcessLookupError};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use queue_metrics_core::sampling::process::{self as core, Absent, Wish};
use queue_metrics_core::sampling::root::Root;
use queue_metrics_core::sampling::unread::Unread;

/// A pid as Python gives it.
pub struct Pid(pub u32);

impl FromPyObject<'_, '_> for Pid {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, '_, PyAny>) -> PyResult<Pid> {
        object.extract().map(Pid).map_err(|error: PyErr| match error.is_instance_of::<PyOverflowError>(object.py()) {
            true => PyOverflowError::new_err(format!("a pid is from 0 to {}, not {}", u32::MAX, &*object)),
            false => error,
        })
    }
}

/// User CPU, system CPU, resident, threads, state.
type Watched = (u64, u64, Option<u64>, u64, char);

/// The hot sample of this process.
#[pyclass(frozen, module = "queue_metrics._core")]
pub struct ProcessSampler(core::HotSampler);

#[pymethods]
impl ProcessSampler {
    #[new]
    fn new() -> ProcessSampler {
        ProcessSampler(core::HotSampler::default())
    }

    fn hot(&self) -> HotSample {
        HotSample(self.0.sample())
    }
}

/// What this process used when it was asked. An object of its own and no tuple: numbers are made of the fields that are read.
#[pyclass(frozen, module = "queue_metrics._core")]
pub struct HotSample(core::HotSample);

#[pymethods]
impl HotSample {
    #[getter]
    fn cpu_user_ns(&self) -> Option<u64> {
        self.0.cpu_user_ns
    }

    #[getter]
    fn cpu_system_ns(&self) -> Option<u64> {
        self.0.cpu_system_ns
    }

    #[getter]
    fn peak_rss_bytes(&self) -> Option<u64> {
        self.0.peak_rss_bytes
    }

    #[getter]
    fn rss_bytes(&self) -> Option<u64> {
        self.0.rss_bytes
    }

    #[getter]
    fn open_descriptors(&self) -> Option<u64> {
        self.0.open_descriptors
    }

    #[getter]
    fn threads(&self) -> Option<u64> {
        self.0.threads
    }
}

/// Another process, followed by its open files.
#[pyclass(frozen, module = "queue_metrics._core")]
pub struct ProcessWatch(core::Watch);

#[pymethods]
impl ProcessWatch {
    #[new]
    #[pyo3(signature = (pid, start_ticks = None))]
    fn new(pid: Pid, start_ticks: Option<u64>) -> PyResult<ProcessWatch> {
        let Pid(pid) = pid;
        let found = core::Watch::new(&Root::default(), pid, start_ticks).map_err(|absent| raised(absent, pid))?;
        Ok(ProcessWatch(found))
    }

    #[getter]
    fn pid(&self) -> u32 {
        self.0.identity().0
    }

    #[getter]
    fn start_ticks(&self) -> u64 {
        self.0.identity().1
    }

    fn hot(&self) -> PyResult<Option<Watched>> {
        match self.0.sample() {
            Ok(core::WatchSample { stat, rss_bytes }) => {
                let (user, system) = (core::ns_of_ticks(stat.user_ticks), core::ns_of_ticks(stat.system_ticks));
                Ok(Some((user, system, rss_bytes, stat.threads, char::from(stat.state))))
            }
            Err(Absent::Gone) => Ok(None),
            Err(absent) => Err(raised(absent, self.pid())),
        }
    }
}

/// One process on demand, or with all that came from it.
#[pyfunction]
#[pyo3(signature = (pid = None, *, start_ticks = None, pss = false, tree = false))]
pub fn process_sample(
    py: Python<'_>,
    pid: Option<Pid>,
    start_ticks: Option<u64>,
    pss: bool,
    tree: bool,
) -> PyResult<Option<Bound<'_, PyDict>>> {
    let wish = Wish { pss, start_ticks };
    let number = pid.map_or_else(std::process::id, |Pid(pid)| pid);
    let read = py.detach(|| {
        let root = Root::default();
        let sample = core::sample(&root, number, wish)?;
        let exactly = Wish { start_ticks: Some(sample.start_ticks), ..wish };
        let whole = if tree { Some(core::tree(&root, number, exactly)?) } else { None };
        Ok((sample, whole))
    });
    let (sample, whole) = match read {
        Ok(found) => found,
        Err(Absent::Gone) => return Ok(None),
        Err(absent) => return Err(raised(absent, number)),
    };
    let fields = of_sample(py, &sample)?;
    if let Some(whole) = whole {
        fields.set_item("tree", of_tree(py, &whole)?)?;
    }
    Ok(Some(fields))
}

/// What `os.wait4` or `resource.getrusage` said, in our names and units.
#[pyfunction]
pub fn usage_of(rusage: &Bound<'_, PyAny>) -> PyResult<Option<Py<PyDict>>> {
    let py = rusage.py();
    let seconds = |name: &str| rusage.getattr(name)?.extract::<f64>();
    let count = |name: &str| rusage.getattr(name)?.extract::<u64>();
    let usage = core::Usage::from_fields(
        seconds("ru_utime")?,
        seconds("ru_stime")?,
        count("ru_maxrss")?,
        count("ru_nvcsw")?,
        count("ru_nivcsw")?,
    );
    let Some(usage) = usage else { return Ok(None) };
    let fields = PyDict::new(py);
    fields.set_item("cpu_user_ns", usage.cpu_user_ns)?;
    fields.set_item("cpu_system_ns", usage.cpu_system_ns)?;
    fields.set_item("peak_rss_bytes", usage.peak_rss_bytes)?;
    fields.set_item("voluntary_switches", usage.voluntary_switches)?;
    fields.set_item("involuntary_switches", usage.involuntary_switches)?;
    Ok(Some(fields.unbind()))
}

/// Fields that are None, each with the reason.
pub fn of_unread<'py>(py: Python<'py>, unread: &Unread) -> PyResult<Bound<'py, PyDict>> {
    let fields = PyDict::new(py);
    // Of two reasons for one field the first one stands.
    for (field, reason) in unread.entries().iter().rev() {
        fields.set_item(field, reason)?;
    }
    Ok(fields)
}

fn of_sample<'py>(py: Python<'py>, sample: &core::ProcessSample) -> PyResult<Bound<'py, PyDict>> {
    let fields = PyDict::new(py);
    fields.set_item("pid", sample.pid)?;
    fields.set_item("parent_pid", sample.parent_pid)?;
    fields.set_item("start_ticks", sample.start_ticks)?;
    fields.set_item("started_us", sample.started_us)?;
    fields.set_item("name", &sample.name)?;
    fields.set_item("state", sample.state)?;
    fields.set_item("cpu_ns", sample.cpu_ns)?;
    fields.set_item("cpu_user_ns", sample.cpu_user_ns)?;
    fields.set_item("cpu_system_ns", sample.cpu_system_ns)?;
    fields.set_item("children_cpu_user_ns", sample.children_cpu_user_ns)?;
    fields.set_item("children_cpu_system_ns", sample.children_cpu_system_ns)?;
    fields.set_item("rss_bytes", sample.rss_bytes)?;
    fields.set_item("peak_rss_bytes", sample.peak_rss_bytes)?;
    fields.set_item("pss_bytes", sample.pss_bytes)?;
    fields.set_item("swap_bytes", sample.swap_bytes)?;
    fields.set_item("virtual_bytes", sample.virtual_bytes)?;
    fields.set_item("threads", sample.threads)?;
    fields.set_item("open_descriptors", sample.open_descriptors)?;
    fields.set_item("voluntary_switches", sample.voluntary_switches)?;
    fields.set_item("involuntary_switches", sample.involuntary_switches)?;
    fields.set_item("unread", of_unread(py, &sample.unread)?)?;
    Ok(fields)
}

fn of_tree<'py>(py: Python<'py>, tree: &core::TreeSample) -> PyResult<Bound<'py, PyDict>> {
    let fields = PyDict::new(py);
    fields.set_item("pids", &tree.pids)?;
    fields.set_item("children", tree.children)?;
    fields.set_item("cpu_user_ns", tree.cpu_user_ns)?;
    fields.set_item("cpu_system_ns", tree.cpu_system_ns)?;
    fields.set_item("reaped_cpu_user_ns", tree.reaped_cpu_user_ns)?;
    fields.set_item("reaped_cpu_system_ns", tree.reaped_cpu_system_ns)?;
    fields.set_item("rss_bytes", tree.rss_bytes)?;
    fields.set_item("pss_bytes", tree.pss_bytes)?;
    fields.set_item("threads", tree.threads)?;
    fields.set_item("open_descriptors", tree.open_descriptors)?;
    fields.set_item("unread", of_unread(py, &tree.unread)?)?;
    Ok(fields)
}

fn raised(absent: Absent, pid: u32) -> PyErr {
    match absent {
        Absent::Gone => PyProcessLookupError::new_err(format!("no process {pid}, or another one with that pid")),
        Absent::Unreadable(reason) => PyOSError::new_err(reason),
    }
}
