//! The read side of a spool: segments in, batches out, each execution counted once.
//!
//! What is counted is told by the store's mark alone. All else here, above all the table of open executions, is a function of
//! the records in front of the mark and is rebuilt from them. `docs/protocol.md` has the rules and why each is needed.

mod caps;
mod definitions;
mod executions;
mod holes;
mod ledger;
mod liveness;
mod pages;
mod positions;
mod read;
mod segments;
mod status;
mod tidy;
mod verdicts;
mod workers;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

pub use self::caps::{Caps, Limits, Name, OTHER, admitted};
use self::definitions::Definitions;
use self::executions::Executions;
use self::ledger::{Ledger, Lost};
use self::liveness::Observer;
use self::pages::Pages;
pub use self::positions::Positions;
use self::segments::{Segment, Segments};
pub use self::status::Status;
use self::workers::Workers;
use crate::error::Result;
use crate::fold::{Batch, Fold};
use crate::ids::IdSet;
use crate::journal::own::Owners;
use crate::journal::spool::Spool;
use crate::sampling::clock::wall_us;

/// Waits and bounds of a drainer.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Time between a death or provisional END and the verdict, µs.
    pub grace: i64,
    /// Time that a superfluous segment is kept for a store that goes back, µs.
    pub window: i64,
    /// Time that a slot of a map may stay reserved and empty while somebody can fill it, µs.
    pub patience: i64,
    /// Bound of all segments together; above three quarters of it nothing superfluous is kept.
    pub spool_bytes: u64,
    /// Most names that have series of their own.
    pub limits: Limits,
    /// Who may write to the spool.
    pub owners: Owners,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            grace: 10_000_000,
            window: 3_600_000_000,
            patience: 2_000_000,
            spool_bytes: 256 << 20,
            limits: Limits::default(),
            owners: Owners::User,
        }
    }
}

/// What was met since the last restore and cannot be counted as it should.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    duplicates: u64,
    damaged: u64,
    unknown: u64,
    undefined: u64,
}

/// Reads a spool. Not for two processes at once: hold the spool's lock. A forked child must not use its parent's.
#[derive(Debug)]
pub struct Drainer {
    spool: Spool,
    spool_id: String,
    options: Options,
    observer: Observer,

    sequence: u64,
    /// The positions of the mark as the store has them.
    base: Vec<u8>,
    mark: Positions,
    /// Where reading ends, while only what lies in front of another mark is wanted.
    until: Option<Positions>,
    pending: Option<Arc<Batch>>,
    /// True when what is in memory does not belong to the mark, since reading failed half way.
    stale: bool,

    segments: Segments,
    definitions: Definitions,
    executions: Executions,
    workers: Workers,
    ledger: Ledger,
    /// Keys of executions that ended in deleted segments.
    ended: IdSet,
    rolled_back: u64,
    lost: Lost,
    counts: Counts,

    /// Number of the last look at the spool.
    looks: u64,
    /// Number of the last look of which everything was folded.
    folded: u64,
    /// Keys of STARTs seen and not read; only while an END waits for one.
    ahead: Option<IdSet>,

    /// When a worker was first seen dead, µs.
    deaths: HashMap<u64, i64>,
    uncertain: usize,
    pages: Pages,
}

impl Drainer {
    /// Opens a spool, made if need be. Counts from its beginning until [`restore`](Drainer::restore) says otherwise.
    pub fn new(spool: &Path, options: Options) -> Result<Drainer> {
        let spool = Spool::open(spool, options.owners)?;
        let mut drainer = Drainer {
            spool_id: spool.id()?,
            options,
            observer: Observer::here(),
            sequence: 0,
            base: Vec::new(),
            mark: Positions::default(),
            until: None,
            pending: None,
            stale: true,
            segments: Segments::new(spool.directory()),
            definitions: Definitions::new(options.limits),
            executions: Executions::default(),
            workers: Workers::default(),
            ledger: Ledger::load(&spool)?,
            ended: IdSet::default(),
            rolled_back: 0,
            lost: Lost::default(),
            counts: Counts::default(),
            looks: 0,
            folded: 0,
            ahead: None,
            deaths: HashMap::new(),
            uncertain: 0,
            pages: Pages::default(),
            spool,
        };
        drainer.fresh()?;
        Ok(drainer)
    }

    /// The id of the spool in marks.
    pub fn spool_id(&self) -> &str {
        &self.spool_id
    }

    /// Which names have series of their own. What a store has let in is to be known before [`restore`](Drainer::restore), and what is new
    /// here is to be let in before the store gets the batch in hand; else `restore` must follow.
    pub fn names(&mut self) -> &mut Caps {
        self.definitions.caps()
    }

    /// Takes the store's mark as what is counted.
    pub fn restore(&mut self, sequence: u64, positions: &[u8]) -> Result<()> {
        self.restore_until(sequence, positions, None)
    }

    /// The same, and reads no further than to the positions of a later mark: so a shard that stayed behind gets the very records that
    /// the others have.
    pub fn restore_until(&mut self, sequence: u64, positions: &[u8], until: Option<&[u8]>) -> Result<()> {
        Positions::decode(positions)?;
        self.until = until.map(Positions::decode).transpose()?;
        self.sequence = sequence;
        self.base = positions.to_vec();
        self.stale = true;
        self.fresh()
    }

    /// Opens the spool again where its path leads elsewhere by now, or a job has closed its descriptor: what stands there is checked anew.
    fn renew(&mut self) -> Result<()> {
        if !self.spool.is_there() {
            self.spool = Spool::reopen(self.spool.path(), self.options.owners)?;
            self.segments.go_on_in(self.spool.directory());
            self.ledger.go_on_in(self.spool.directory());
        }
        Ok(())
    }

    /// Rebuilds everything from the mark if it must.
    fn fresh(&mut self) -> Result<()> {
        self.renew()?;
        if !self.stale {
            return Ok(());
        }
        self.mark = Positions::decode(&self.base)?;
        self.pending = None;
        self.segments = Segments::new(self.spool.directory());
        self.definitions.renew();
        self.executions = Executions::default();
        self.workers = Workers::default();
        self.counts = Counts::default();
        self.ahead = None;
        self.ledger = Ledger::load(&self.spool)?;
        self.ended = self.ledger.ended().collect();
        let found = self.segments.look()?.found;
        self.looks += 1;
        for id in &found {
            if let (Some(segment), Some(position)) = (self.segments.get_mut(id), self.mark.segments.get(id)) {
                segment.position = *position;
                segment.committed = *position;
            }
        }
        self.shorten();
        self.replay(&found)?;
        let lost = self.ledger.lost(&self.mark, |id| self.segments.get(id).is_some());
        self.rolled_back = self.mark.rolled_back + lost.records;
        self.lost.records = self.lost.records.max(lost.records);
        self.lost.starts = self.lost.starts.max(lost.starts);
        self.stale = false;
        Ok(())
    }

    /// Runs something that leaves the memory stale when it fails.
    fn guarded<T>(&mut self, work: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        self.fresh()?;
        let done = work(self);
        self.stale |= done.is_err();
        done
    }

    /// Rebuilds everything from the mark at the next call.
    pub fn distrust(&mut self) {
        self.stale = true;
    }

    /// Looks for new records; answers how many wait to be folded.
    pub fn poll(&mut self) -> Result<u64> {
        self.guarded(|drainer| {
            drainer.look()?;
            Ok(drainer.segments.unread())
        })
    }

    /// Lists the spool anew.
    fn look(&mut self) -> Result<()> {
        let look = self.segments.look()?;
        self.looks += 1;
        self.ahead = None;
        self.shorten();
        for segment in look.gone {
            self.forget(&segment);
        }
        for (_, segment) in self.segments.iter_mut().filter(|(_, segment)| segment.size > segment.committed) {
            segment.superfluous_since = None;
        }
        // A file that the mark knows came back: only a rebuild puts its executions in place. Until then none of it is read.
        for id in &look.found {
            if let (Some(segment), Some(position)) = (self.segments.get_mut(id), self.mark.segments.get(id)) {
                (segment.position, segment.committed) = (*position, *position);
                self.stale = true;
            }
        }
        Ok(())
    }

    /// Lets nothing be seen that lies behind the end of reading.
    fn shorten(&mut self) {
        let Some(until) = &self.until else { return };
        for (id, segment) in self.segments.iter_mut() {
            segment.size = segment.size.min(until.segments.get(id).copied().unwrap_or(0).max(segment.position));
        }
    }

    /// Lets go of what only this segment held.
    fn forget(&mut self, segment: &Segment) {
        segment.defined.iter().for_each(|id| self.definitions.release(*id));
        segment.workers.iter().for_each(|worker| self.workers.release(*worker));
    }

    /// The next batch of at most so many series, or None when all that was seen is folded. The same again until
    /// [`committed`](Drainer::committed) or [`restore`](Drainer::restore).
    pub fn next_batch(&mut self, max_series: usize) -> Result<Option<Arc<Batch>>> {
        self.guarded(|drainer| {
            if drainer.pending.is_none() {
                let mut fold = Fold::new(max_series);
                drainer.advance(&mut fold)?;
                while drainer.stale {
                    drainer.fresh()?;
                    fold = Fold::new(max_series);
                    drainer.advance(&mut fold)?;
                }
                if drainer.segments.unread() == 0 {
                    drainer.folded = drainer.looks;
                }
                if fold.records() > 0 || drainer.owes_a_mark()? {
                    drainer.pending = Some(Arc::new(drainer.batch(fold)?));
                } else {
                    drainer.settle(wall_us());
                }
            }
            Ok(drainer.pending.clone())
        })
    }

    fn batch(&self, fold: Fold) -> Result<Batch> {
        let segments = self.segments.iter().map(|(id, segment)| (*id, segment.position)).collect();
        let deleted = self.ledger.records(|id| self.segments.get(id).is_some());
        let positions = Positions { segments, deleted, rolled_back: self.rolled_back };
        Ok(Batch {
            spool_id: self.spool_id.clone(),
            sequence: self.sequence + 1,
            base: self.base.clone(),
            positions: positions.encode(),
            records: fold.records(),
            rows: fold.rows()?,
        })
    }

    /// True when a segment that nobody appends to ends with records that count nothing, and no batch came to move its position.
    fn owes_a_mark(&self) -> Result<bool> {
        for (_, segment) in self.segments.iter() {
            if segment.committed < segment.position && segment.unread() == 0 && segment.is_abandoned()? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The store has the last batch.
    pub fn committed(&mut self) {
        let Some(batch) = self.pending.take() else { return };
        self.sequence = batch.sequence;
        self.base = batch.positions.clone();
        match Positions::decode(&batch.positions) {
            Ok(mark) => self.mark = mark,
            Err(_) => self.stale = true,
        }
        for (_, segment) in self.segments.iter_mut() {
            segment.committed = segment.position;
        }
        self.settle(wall_us());
    }
}
