//! The source that reads `/proc` and `/sys`.

use super::super::absent::Absent;
use super::super::host::{Reading, Sampler, Snapshot};
use super::super::process::{self, ProcessSample, Wish};
use super::super::root::Root;
use super::{Process, Source};

/// Answers by the files below a root.
pub struct Proc {
    root: Root,
    sampler: Sampler,
}

impl Proc {
    /// Reads nothing yet.
    pub fn new(root: Root) -> Proc {
        Proc { sampler: Sampler::new(root.clone()), root }
    }
}

impl Source for Proc {
    fn name(&self) -> &'static str {
        "proc"
    }

    fn process(&mut self, pid: u32) -> Result<Process, Absent> {
        process::sample(&self.root, pid, Wish::default()).map(Process::from)
    }

    fn host(&mut self) -> Snapshot {
        self.sampler.sample()
    }

    fn read(&mut self, reading: &mut Reading) {
        self.sampler.read(reading);
    }
}

impl From<ProcessSample> for Process {
    fn from(sample: ProcessSample) -> Process {
        Process {
            pid: sample.pid,
            parent_pid: Some(sample.parent_pid),
            started_us: Some(sample.started_us),
            name: Some(sample.name),
            state: Some(sample.state),
            cpu_ns: Some(sample.cpu_ns),
            cpu_user_ns: Some(sample.cpu_user_ns),
            cpu_system_ns: Some(sample.cpu_system_ns),
            rss_bytes: sample.rss_bytes,
            peak_rss_bytes: sample.peak_rss_bytes,
            virtual_bytes: Some(sample.virtual_bytes),
            threads: Some(sample.threads),
            open_descriptors: sample.open_descriptors,
            unread: sample.unread.only(&["rss_bytes", "peak_rss_bytes", "open_descriptors"]),
        }
    }
}
