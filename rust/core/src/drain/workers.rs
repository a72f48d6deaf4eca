//! The processes that wrote in the segments of a spool.

use std::collections::HashMap;

use crate::journal::format::Worker;

/// What is known about a worker.
#[derive(Clone, Copy, Debug)]
pub struct Known {
    /// Its WORKER record.
    pub record: Worker,
    /// True when it said STOP.
    pub stopped: bool,
}

/// Workers by key, as long as a segment names them.
#[derive(Debug, Default)]
pub struct Workers {
    known: HashMap<u64, Known>,
    segments: HashMap<u64, usize>,
}

impl Workers {
    /// A process says who it is.
    pub fn introduce(&mut self, record: &Worker) {
        self.known.entry(record.worker).or_insert(Known { record: *record, stopped: false });
    }

    /// A process says that it leaves.
    pub fn stop(&mut self, worker: u64) {
        if let Some(known) = self.known.get_mut(&worker) {
            known.stopped = true;
        }
    }

    /// What is known about a worker.
    pub fn get(&self, worker: u64) -> Option<&Known> {
        self.known.get(&worker)
    }

    /// One more segment names it.
    pub fn retain(&mut self, worker: u64) {
        *self.segments.entry(worker).or_insert(0) += 1;
    }

    /// One segment less names it.
    pub fn release(&mut self, worker: u64) {
        let left = self.segments.get(&worker).map_or(0, |segments| segments.saturating_sub(1));
        if left > 0 {
            self.segments.insert(worker, left);
        } else {
            self.segments.remove(&worker);
            self.known.remove(&worker);
        }
    }
}
