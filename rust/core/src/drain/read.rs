//! From slots to open executions and a batch; holds a segment back at an END whose START was not read yet.

use std::sync::Arc;

use super::Drainer;
use super::definitions::Defined;
use super::executions::Execution;
use crate::error::Result;
use crate::fold::{Cell, Fold, ServerTask, Task};
use crate::ids::{IdMap, IdSet};
use crate::journal::format::{Def, End, Outcome, PROVISIONAL, Record, SegmentId, Slot, Start};

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Taken {
    Yes,
    /// It belongs to the next batch.
    Full,
    /// Its segment waits for the START of this key.
    Held(u64),
}

impl Drainer {
    /// Folds what was seen, until the batch is full or nothing is left.
    pub(super) fn advance(&mut self, fold: &mut Fold) -> Result<()> {
        loop {
            let mut moved = false;
            for id in self.segments.order() {
                let (records, full) = self.read_segment(&id, fold)?;
                if full {
                    return Ok(());
                }
                moved |= records > 0;
            }
            if !moved && !self.settle_holds()? {
                return Ok(());
            }
        }
    }

    /// Decides about ENDs of unknown keys when all that can be read without them is read; false when there are none, or when that is not the
    /// time.
    ///
    /// A START is older than its END. So a look that began after the END was met shows the START in some segment, or there is
    /// none. The START may lie behind another held END: seen is enough, it need not be folded.
    fn settle_holds(&mut self) -> Result<bool> {
        let held =
            |(id, segment): (&SegmentId, &super::Segment)| segment.held.is_some().then_some((*id, segment.position));
        let holds: Vec<(SegmentId, u64)> = self.segments.iter().filter_map(held).collect();
        if holds.is_empty() {
            return Ok(false);
        }
        let before_last_look = |(id, slot): &(SegmentId, u64)| {
            self.segments.get(id).is_some_and(|segment| segment.is_older_than_look(*slot, self.looks))
        };
        if !holds.iter().all(before_last_look) {
            self.look()?;
        } else if self.ahead.is_none() {
            self.ahead = Some(self.starts_ahead()?);
        } else if self.segments.iter().any(|(_, segment)| segment.waits_for_slot()) {
            // A held START may lie behind a slot that is empty as yet.
            return Ok(false);
        } else if let Some((id, slot)) = holds.first()
            && let Some(segment) = self.segments.get_mut(id)
        {
            // Each held START lies behind another held END. Processes cannot write that, since along such a circle time only
            // grows; a damaged journal can.
            segment.released = Some(*slot);
        }
        Ok(true)
    }

    /// Keys of all STARTs that were seen and not read.
    fn starts_ahead(&self) -> Result<IdSet> {
        let mut keys = IdSet::default();
        for (_, segment) in self.segments.iter().filter(|(_, segment)| segment.unread() > 0) {
            let Some(reader) = segment.open()? else { continue };
            for slot in reader.records(segment.position, segment.size) {
                if let Slot::Record(Record::Start(start)) = slot?.1 {
                    keys.insert(start.key);
                }
            }
        }
        Ok(keys)
    }

    /// True when the END in this slot has no open execution and none will come.
    fn is_duplicate(&self, id: &SegmentId, slot: u64, key: u64) -> bool {
        let Some(segment) = self.segments.get(id) else { return true };
        let looked_again = segment.is_older_than_look(slot, self.looks);
        segment.released == Some(slot) || looked_again && self.ahead.as_ref().is_some_and(|ahead| !ahead.contains(&key))
    }

    /// Reads one segment as far as it was seen. Answers how many slots, and whether the batch is full.
    fn read_segment(&mut self, id: &SegmentId, fold: &mut Fold) -> Result<(u64, bool)> {
        let Some(segment) = self.segments.get(id) else { return Ok((0, false)) };
        let (position, size) = (segment.position, segment.size);
        let waits = |key: &u64| !self.executions.open.contains_key(key) && !self.is_duplicate(id, position, *key);
        if segment.unread() == 0 || segment.held.as_ref().is_some_and(waits) {
            return Ok((0, false));
        }
        let reader = segment.open()?;
        let (mut next, mut last, mut worker) = (position, Taken::Yes, 0);
        for (reader, slot) in
            reader.iter().flat_map(|reader| reader.records(position, size).map(move |slot| (reader, slot)))
        {
            let (number, slot) = slot?;
            let Some(slot) = self.settled(id, number, slot, reader)? else { break };
            match slot {
                Slot::Record(record) => last = self.take(id, number, &record, &mut worker, fold),
                other => self.skip(&other),
            }
            if last != Taken::Yes {
                break;
            }
            next = number + 1;
        }
        let look = self.looks;
        if let Some(segment) = self.segments.get_mut(id) {
            segment.position = next;
            segment.held = if let Taken::Held(key) = last { Some(key) } else { None };
            if segment.held.is_some() && segment.met.is_none_or(|(met, _)| met != next) {
                segment.met = Some((next, look));
            }
            if reader.is_none() {
                segment.size = next;
            }
        }
        Ok((next - position, last == Taken::Full))
    }

    /// Counts a slot without a record.
    fn skip(&mut self, slot: &Slot) {
        match slot {
            Slot::Damaged | Slot::Empty => self.counts.damaged += 1,
            Slot::Unknown(_) => self.counts.unknown += 1,
            Slot::Record(_) | Slot::Tombstone => {}
        }
    }

    /// Folds one record. `worker` is the worker of the last START in this segment.
    fn take(&mut self, id: &SegmentId, slot: u64, record: &Record, worker: &mut u64, fold: &mut Fold) -> Taken {
        let taken = match record {
            Record::Start(start) => {
                if self.executions.open.contains_key(&start.key) || self.ended.contains(&start.key) {
                    self.counts.duplicates += 1;
                    self.no_longer_ahead(start.key);
                    return Taken::Yes;
                }
                let (place, undefined) = self.place(start);
                let taken = fold.start(&place, start);
                if taken {
                    self.no_longer_ahead(start.key);
                    self.counts.undefined += undefined;
                    self.executions.open.insert(start.key, Execution::new(start, place, *id));
                    if *worker != start.worker {
                        *worker = start.worker;
                        self.note_worker(id, start.worker);
                    }
                }
                taken
            }
            Record::End(end) => return self.take_end(id, slot, end, fold),
            Record::Arrive(arrive) => {
                let (task, undefined) = self.task(arrive.task);
                let taken = fold.arrive(&task, arrive);
                self.counts.undefined += undefined * u64::from(taken);
                taken
            }
            Record::Discard(discard) if Cell::knows(discard.reason) => {
                let (task, undefined) = self.task(discard.task);
                let taken = fold.discard(&task, discard);
                self.counts.undefined += undefined * u64::from(taken);
                taken
            }
            Record::Gauge(gauge) => {
                let taken = self.definitions.queue(gauge.queue).is_none_or(|queue| fold.gauge(&queue, gauge));
                let undefined = self.definitions.list(gauge.queue).is_none();
                self.counts.undefined += u64::from(taken && undefined);
                taken
            }
            other => {
                self.remember(id, other);
                true
            }
        };
        if taken { Taken::Yes } else { Taken::Full }
    }

    fn no_longer_ahead(&mut self, key: u64) {
        if let Some(ahead) = &mut self.ahead {
            ahead.remove(&key);
        }
    }

    fn take_end(&mut self, id: &SegmentId, slot: u64, end: &End, fold: &mut Fold) -> Taken {
        let Some(outcome) = Outcome::from_number(end.outcome) else {
            self.counts.unknown += 1;
            return Taken::Yes;
        };
        let Some(execution) = self.executions.open.get(&end.key) else {
            if !self.is_duplicate(id, slot, end.key) {
                return Taken::Held(end.key);
            }
            self.counts.duplicates += 1;
            return Taken::Yes;
        };
        if end.flags & PROVISIONAL != 0 {
            self.executions.suggest(end, *id);
            return Taken::Yes;
        }
        let place = Arc::clone(&execution.place);
        let exception = (end.exception != 0).then(|| self.definitions.exception(&place.task, end.exception));
        if !fold.end(&place, exception.as_ref(), outcome, end) {
            return Taken::Full;
        }
        self.counts.undefined += u64::from(end.exception != 0 && self.definitions.list(end.exception).is_none());
        self.executions.open.remove(&end.key);
        Taken::Yes
    }

    /// Takes a record that counts nothing by itself.
    fn remember(&mut self, id: &SegmentId, record: &Record) {
        match record {
            Record::Def(def) => self.define(id, def),
            Record::Worker(worker) => {
                self.workers.introduce(worker);
                self.note_worker(id, worker.worker);
            }
            Record::Stop(stop) => self.workers.stop(stop.worker),
            Record::Hint(hint) if Outcome::from_number(hint.outcome).is_some() => self.executions.hint(hint, *id),
            Record::Discard(discard) if Cell::knows(discard.reason) => {}
            Record::Hint(_) | Record::Discard(_) => self.counts.unknown += 1,
            Record::Start(_) | Record::End(_) | Record::Arrive(_) | Record::Gauge(_) | Record::Pad => {}
        }
    }

    fn define(&mut self, id: &SegmentId, def: &Def) {
        match self.definitions.define(def) {
            Defined::Yes => {
                if self.segments.get_mut(id).is_some_and(|segment| segment.defined.insert(def.id)) {
                    self.definitions.retain(def.id);
                }
            }
            Defined::NotYet => {}
            Defined::Damaged => self.counts.damaged += 1,
        }
    }

    fn note_worker(&mut self, id: &SegmentId, worker: u64) {
        if self.segments.get_mut(id).is_some_and(|segment| segment.workers.insert(worker)) {
            self.workers.retain(worker);
        }
    }

    /// The task of an id, and 1 if it is not defined.
    fn task(&mut self, id: u64) -> (Arc<Task>, u64) {
        let undefined = u64::from(self.definitions.list(id).is_none());
        (self.definitions.task(id), undefined)
    }

    /// Where an execution counts, and 1 if its task is not defined.
    fn place(&mut self, start: &Start) -> (Arc<ServerTask>, u64) {
        let undefined = u64::from(self.definitions.list(start.task).is_none());
        let server = self.workers.server(start.worker, |identity| self.definitions.server(identity));
        (self.definitions.server_task(start.task, server), undefined)
    }

    /// Rebuilds what is open from the records in front of the mark. Their order does not matter.
    pub(super) fn replay(&mut self, segments: &[SegmentId]) -> Result<()> {
        let mut open: IdMap<(Start, SegmentId)> = IdMap::default();
        let mut ended = IdSet::default();
        let mut provisional: Vec<(End, SegmentId)> = Vec::new();
        for id in segments {
            let Some(segment) = self.segments.get(id).filter(|segment| segment.position > 0) else { continue };
            let (position, Some(reader)) = (segment.position, segment.open()?) else { continue };
            let mut worker = 0;
            for slot in reader.records(0, position) {
                let record = match slot?.1 {
                    Slot::Record(record) => record,
                    other => {
                        self.skip(&other);
                        continue;
                    }
                };
                match record {
                    Record::Start(start) => {
                        if worker != start.worker {
                            worker = start.worker;
                            self.note_worker(id, worker);
                        }
                        // Both are forgotten when they have met, so that the tables stay small.
                        if !self.ended.contains(&start.key) && !ended.remove(&start.key) {
                            open.entry(start.key).or_insert((start, *id));
                        }
                    }
                    Record::End(end) if Outcome::from_number(end.outcome).is_none() => self.counts.unknown += 1,
                    Record::End(end) if end.flags & PROVISIONAL != 0 => provisional.push((end, *id)),
                    Record::End(end) => {
                        if open.remove(&end.key).is_none() {
                            ended.insert(end.key);
                        }
                    }
                    other => self.remember(id, &other),
                }
            }
        }
        for (key, (start, id)) in open {
            let (place, _) = self.place(&start);
            self.executions.open.insert(key, Execution::new(&start, place, id));
        }
        for (end, id) in provisional {
            self.executions.suggest(&end, id);
        }
        Ok(())
    }
}
