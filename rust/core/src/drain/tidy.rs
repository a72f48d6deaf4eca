//! Deletes segments that nobody needs any more, and notes them in the ledger first.

use std::collections::HashSet;

use super::ledger::Line;
use super::{Drainer, Segment};
use crate::error::Result;
use crate::journal::format::{PROVISIONAL, Record, SegmentId, Slot};
use crate::sampling::clock::wall_us;

impl Drainer {
    /// Notes since when segments are superfluous. Only when everything seen is folded and in the mark, and of a segment that did
    /// not grow since the look before: then the last look saw the STARTs of all executions that it may tell something about.
    pub(super) fn settle(&mut self, now: i64) {
        if self.pending.is_some() || self.segments.unread() > 0 {
            return;
        }
        let needed = self.executions.needed();
        for (id, segment) in self.segments.iter_mut() {
            let since = segment.superfluous_since.unwrap_or(now);
            segment.superfluous_since = (segment.is_whole() && !needed.contains(id)).then_some(since);
        }
    }

    /// Deletes the segments that were superfluous for the window, or, in a spool three quarters full, the oldest superfluous
    /// ones; answers how many.
    pub fn tidy(&mut self, now: i64) -> Result<usize> {
        self.guarded(|drainer| {
            drainer.segments.sweep()?;
            drainer.look()?;
            drainer.settle(wall_us());
            let mut bytes = drainer.segments.bytes();
            let mut deleted = 0;
            for id in drainer.segments.order() {
                let Some(segment) = drainer.segments.get(&id) else { continue };
                let Some(since) = segment.superfluous_since else { continue };
                let crowded = bytes > drainer.options.spool_bytes / 4 * 3;
                let old = now.saturating_sub(since) >= drainer.options.window;
                if (old || crowded) && !drainer.shows_life(segment)? && segment.is_finished()? {
                    let taken = segment.bytes;
                    if drainer.delete(&id, now)? {
                        bytes -= taken.min(bytes);
                        deleted += 1;
                    }
                } else {
                    segment.trim();
                }
            }
            Ok(deleted)
        })
    }

    /// True when the lock of this segment says of an open execution that its worker lives: where nothing else can be seen of it, the
    /// worker would be taken for dead without.
    fn shows_life(&self, segment: &Segment) -> Result<bool> {
        let needed: HashSet<u64> = self.executions.open.values().map(|execution| execution.worker).collect();
        let shows = |worker: &u64| {
            let known = self.workers.get(*worker);
            segment.workers.contains(worker) || known.is_some_and(|known| segment.is_of(&known.record))
        };
        Ok(needed.iter().any(shows) && !segment.is_abandoned()?)
    }

    /// Notes a segment in the ledger and deletes it. False when it must stay, since it holds ENDs of other segments' STARTs and that
    /// could not be noted: those would look open to the next drainer.
    fn delete(&mut self, id: &SegmentId, now: i64) -> Result<bool> {
        let Some(segment) = self.segments.get(id) else { return Ok(false) };
        let line = summary(id, segment, now)?;
        let noted = self.ledger.add(line.clone());
        if noted.is_err() && !line.ended.is_empty() {
            return Ok(false);
        }
        segment.delete()?;
        self.ended.extend(&line.ended);
        if noted.is_err() {
            // No space was left: now there is some.
            let _ = self.ledger.add(line);
        }
        if let Some(segment) = self.segments.remove(id) {
            self.forget(&segment);
        }
        Ok(true)
    }
}

/// The line of a segment in the ledger.
fn summary(id: &SegmentId, segment: &Segment, now: i64) -> Result<Line> {
    let mut starts = HashSet::new();
    let mut ends = HashSet::new();
    if let Some(reader) = segment.open()? {
        for slot in reader.records(0, segment.committed) {
            match slot?.1 {
                Slot::Record(Record::Start(start)) => {
                    starts.insert(start.key);
                }
                Slot::Record(Record::End(end)) if end.flags & PROVISIONAL == 0 => {
                    ends.insert(end.key);
                }
                _ => {}
            }
        }
    }
    let mut ended: Vec<u64> = ends.difference(&starts).copied().collect();
    ended.sort_unstable();
    Ok(Line { id: *id, records: segment.committed, starts: starts.len() as u64, at: now, ended })
}
