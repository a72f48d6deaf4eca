//! The processes that wrote in the segments of a spool.

use std::collections::HashMap;

use crate::fold::Series;
use crate::ids::IdMap;
use crate::journal::format::Worker;

/// What is known about a worker.
#[derive(Clone, Debug)]
pub struct Known {
    /// Its WORKER record.
    pub record: Worker,
    /// True when it said STOP.
    pub stopped: bool,
    /// Series of its server, once an execution needs it: hosts that only enqueue have none.
    server: Option<Series>,
}

/// Workers by key, as long as a segment names them.
#[derive(Debug, Default)]
pub struct Workers {
    known: IdMap<Known>,
    segments: HashMap<u64, usize>,
}

impl Workers {
    /// A process says who it is.
    pub fn introduce(&mut self, record: &Worker) {
        self.known.entry(record.worker).or_insert(Known { record: *record, stopped: false, server: None });
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

    /// The series of a worker's server, made from the id of its label list; None when nobody said who it is.
    pub fn server(&mut self, worker: u64, made: impl FnOnce(u64) -> Series) -> Option<&Series> {
        let known = self.known.get_mut(&worker)?;
        Some(known.server.get_or_insert_with(|| made(known.record.identity)))
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
