//! What a drainer says of itself and of its spool. Changes nothing.

use super::Drainer;
use crate::error::Result;
use crate::heartbeat::COUNTERS;

/// What `doctor` shows of a drainer.
#[derive(Clone, Debug, Default)]
pub struct Status {
    /// Records seen and not folded.
    pub waiting: u64,
    /// Segments in the spool.
    pub segments: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Executions without an outcome.
    pub open: usize,
    /// Of these, with a provisional END.
    pub provisional: usize,
    /// ENDs without an open START, and STARTs of an open or ended key.
    pub duplicates: u64,
    /// Slots that cannot be read.
    pub damaged: u64,
    /// Records of kinds, outcomes or reasons that this version does not know.
    pub unknown: u64,
    /// Records with an id that nothing defines.
    pub undefined: u64,
    /// Files without a readable header.
    pub set_aside: usize,
    /// Segments of a newer version.
    pub newer: usize,
    /// Records that the store misses for good, since it went back below deleted segments.
    pub lost_to_rollback: u64,
    /// Of those lost since this drainer was made, STARTs; an upper bound where a segment had been counted in part.
    pub starts_lost_to_rollback: u64,
    /// Open executions of workers that nobody here can judge.
    pub uncertain: usize,
    /// Names of tasks, queues, exceptions and servers that have no series of their own, since there are too many.
    pub other_names: usize,
    /// Worker pages that cannot be read.
    pub damaged_pages: usize,
    /// Worker pages that a newer version writes.
    pub newer_pages: usize,
    /// Dropped records by reason, then hook errors, over all workers.
    pub drops: [u64; COUNTERS],
}

impl Drainer {
    /// What `doctor` shows; counts drops over all worker pages.
    pub fn status(&mut self) -> Result<Status> {
        self.renew()?;
        let pages = self.pages.summary(self.spool.directory())?;
        Ok(Status {
            waiting: self.segments.unread(),
            segments: self.segments.iter().count(),
            bytes: self.segments.bytes(),
            open: self.executions.open.len(),
            provisional: self.executions.open.values().filter(|execution| execution.provisional.is_some()).count(),
            duplicates: self.counts.duplicates,
            damaged: self.counts.damaged,
            unknown: self.counts.unknown,
            undefined: self.counts.undefined,
            set_aside: self.segments.set_aside(),
            newer: self.segments.newer,
            lost_to_rollback: self.rolled_back,
            starts_lost_to_rollback: self.lost.starts,
            uncertain: self.uncertain,
            other_names: self.definitions.caps().refused(),
            damaged_pages: pages.damaged,
            newer_pages: pages.newer,
            drops: pages.counters,
        })
    }
}
