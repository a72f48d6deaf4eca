//! The source that reads `/proc` and `/sys`.

use super::super::host::{Reading, Sampler, Snapshot};
use super::super::process::{self, Absent, Wish};
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
