//! What belongs to one process of a recorder. A forked child makes its own and waits for none of its parent's locks.

#![expect(unsafe_code, reason = "shares state without a lock")]

use std::collections::HashMap;
use std::path::Path;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicPtr, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::children::Children;
use super::memory::Memory;
use super::moment::Clocks;
use super::page::Page;
use super::series::{Clock, Series, Table};
use super::slots::Slots;
use super::times::Times;
use crate::heartbeat::{HOOK_ERRORS, Meter, State};
use crate::journal::writer::{Bounds, Current, Journal};
use crate::journal::{guard, random};
use crate::names;
use crate::sampling::clock;
use crate::sampling::process::Identity;

/// What others do to the file of a page is noticed by the next job after so long.
const LOOK_NS: u64 = 1_000_000_000;

/// The state of a recorder in one process.
#[derive(Debug)]
pub struct Local {
    /// Generation of the process that this belongs to.
    pub generation: u64,
    /// Made in a forked child.
    pub forked: bool,
    /// Differs from every other state in this line of descent.
    pub serial: u64,
    /// Who the process is.
    pub identity: Identity,
    /// Its labels as a name.
    pub series: Series,
    /// Worker key.
    pub worker: u64,
    /// Its segments.
    pub journal: Journal,
    /// Its running executions.
    pub slots: Slots,
    /// Its memory.
    pub memory: Memory,
    /// CPU time of its children.
    pub children: Children,
    /// How its time was spent.
    pub times: Times,
    /// Its clocks.
    pub clocks: Clocks,
    /// Records written, without those of executions: they are as many as its executions that started and finished...
    pub records: AtomicU64,
    /// ...less these, which could not be written.
    pub unwritten: AtomicU64,
    /// Ticket of the execution that the page shows.
    pub shown: AtomicI64,
    /// It left in an orderly way.
    pub stopped: AtomicBool,
    /// Whether it said that it is ready to execute.
    pub ready: AtomicBool,
    /// Its state as last told, and since when.
    pub told: Told,
    /// What its heartbeats compare with; of a process that tells the store itself.
    pub meter: Mutex<Meter>,
    /// Key of an execution of serial 0, if there were one.
    first_key: u64,
    handles: Mutex<HashMap<(u64, Clock), u32>>,
    page: AtomicPtr<Page>,
    page_serial: AtomicU64,
    page_looked_ns: AtomicU64,
}

/// The state that was told last and the moment it began: µs, and the state in the lowest three bits.
#[derive(Debug)]
pub struct Told(AtomicU64);

impl Told {
    /// Since when the process has been in this state, that it has at `now` at the latest, µs. Threads that meet here may both begin it.
    #[inline]
    pub fn since(&self, state: State, now: i64) -> i64 {
        let before = self.0.load(Ordering::Relaxed);
        if before & 7 == state as u64 {
            return (before as i64) >> 3;
        }
        self.0.store((now << 3) as u64 | state as u64, Ordering::Relaxed);
        now
    }
}

impl Local {
    /// The state of the first process of a recorder, or of a child of the process that `parent` belongs to.
    pub fn new(
        generation: u64,
        parent: Option<&Local>,
        path: &Path,
        host: &str,
        bounds: Bounds,
        memory_ns: Option<u64>,
        table: &Table,
    ) -> Local {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let identity = Identity::of_this_process();
        if let Some(parent) = parent {
            parent.memory.abandon();
        }
        let labels = [host, &identity.pid.to_string(), &identity.start_ticks.to_string()];
        Local {
            generation,
            forked: parent.is_some(),
            serial: NEXT.fetch_add(1, Ordering::Relaxed),
            identity,
            series: Series::new(names::label_list(names::WORKER, &labels), Clock::None),
            worker: random::number(),
            journal: parent.map_or_else(|| Journal::new(path, bounds), |parent| parent.journal.forked()),
            slots: Slots::new(),
            memory: Memory::new(memory_ns),
            children: Children::default(),
            times: Times::new(clock::monotonic_ns(), parent.map(|parent| &parent.times)),
            clocks: Clocks::default(),
            records: AtomicU64::new(0),
            unwritten: AtomicU64::new(0),
            shown: AtomicI64::new(-1),
            stopped: AtomicBool::new(false),
            ready: AtomicBool::new(false),
            told: Told(AtomicU64::new(0)),
            meter: Mutex::new(Meter::default()),
            first_key: random::number(),
            handles: Mutex::new(table.iter().map(|(handle, series)| ((series.id, series.clock), handle)).collect()),
            page: AtomicPtr::new(ptr::null_mut()),
            page_serial: AtomicU64::new(0),
            page_looked_ns: AtomicU64::new(clock::monotonic_ns()),
        }
    }

    /// The key of the execution with this serial; never 0.
    #[inline]
    pub fn key(&self, serial: u64) -> u64 {
        match self.first_key.wrapping_add(serial) {
            0 => self.first_key, // which has no serial: those are above 0
            key => key,
        }
    }

    /// The handle of a name, kept at its first use; the name itself when the table is full.
    pub fn handle(&self, table: &Table, list: Vec<u8>, clock: Clock) -> Result<u32, Series> {
        let series = Series::new(list, clock);
        let key = (series.id, clock);
        let mut handles = self.handles();
        if let Some(handle) = handles.get(&key) {
            return Ok(*handle);
        }
        let handle = table.add(series)?;
        handles.insert(key, handle);
        Ok(handle)
    }

    /// Records written.
    pub fn records(&self) -> u64 {
        let counts = self.times.counts();
        let of_executions = (counts.started + counts.finished()).saturating_sub(self.unwritten.load(Ordering::Relaxed));
        of_executions + self.records.load(Ordering::Relaxed)
    }

    /// The page of this process, if there is one.
    #[inline]
    pub fn page(&self) -> Option<&Page> {
        // SAFETY: a page, once published, lives as long as this state.
        unsafe { self.page.load(Ordering::Acquire).as_ref() }
    }

    /// Whether [`ensure_page`](Self::ensure_page) has something to look at.
    #[inline]
    pub fn needs_page(&self, current: &Current) -> bool {
        self.page_serial.load(Ordering::Acquire) != current.serial()
    }

    /// Makes the page at the first use of a segment, and again when its file is gone. Counts that waited in shared memory move in.
    /// True when a page was made, which is empty as yet.
    #[cold]
    pub fn ensure_page(&self, current: &Current, shared: Option<&Page>) -> bool {
        if self.page_serial.swap(current.serial(), Ordering::AcqRel) == current.serial() {
            return false;
        }
        let Ok(spool) = self.journal.open_spool() else { return false };
        if self.page().is_some_and(Page::is_whole) {
            return false;
        }
        let Ok(page) = Page::create(&spool, self.worker) else { return false };
        if let Some(source) = self.page().or(shared) {
            move_counts(source, &page);
        }
        // The page before is not unmapped: a thread may be writing to it. It happens once each time a spool is deleted.
        self.page.store(Box::into_raw(Box::new(page)), Ordering::Release);
        true
    }

    /// The page, for a job at this moment: after a look at its file once a second. One that was cut or deleted is made again with the
    /// next record. Where somebody took SIGBUS over, so that nothing guards it any more, there is none.
    #[inline]
    pub fn page_at(&self, now_ns: u64, shared: Option<&Page>) -> Option<&Page> {
        if now_ns.saturating_sub(self.page_looked_ns.load(Ordering::Relaxed)) >= LOOK_NS {
            self.look_at_page(now_ns, shared);
        }
        self.page()
    }

    #[cold]
    #[inline(never)]
    fn look_at_page(&self, now_ns: u64, shared: Option<&Page>) {
        self.page_looked_ns.store(now_ns, Ordering::Relaxed);
        let Some(page) = self.page() else { return };
        if !guard::arm() {
            // Not unmapped: a thread may be writing to it.
            self.page.store(ptr::null_mut(), Ordering::Release);
            if let Some(shared) = shared {
                move_counts(page, shared);
            }
            page.leave(self.journal.open_spool().ok().as_ref(), self.worker);
        } else if !page.is_whole() {
            self.page_serial.store(0, Ordering::Release);
            self.journal.doubt();
        }
    }

    /// The ticket shown on the page: the last one if it still runs, else the one that runs longest.
    pub fn shown(&self) -> Option<i64> {
        let shown = self.shown.load(Ordering::Relaxed);
        if self.slots.is_running(shown) {
            return Some(shown);
        }
        if self.times.counts().running == 0 {
            return None;
        }
        let oldest = self.slots.oldest()?;
        self.shown.store(oldest, Ordering::Relaxed);
        Some(oldest)
    }

    fn handles(&self) -> MutexGuard<'_, HashMap<(u64, Clock), u32>> {
        self.handles.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        let page = *self.page.get_mut();
        if !page.is_null() {
            // SAFETY: it came from a Box, and nobody else has this state any more.
            drop(unsafe { Box::from_raw(page) });
        }
    }
}

/// Moves counts to where they are read from now on.
fn move_counts(from: &Page, to: &Page) {
    for index in 0..=HOOK_ERRORS {
        let waiting = from.counter(index).swap(0, Ordering::AcqRel);
        to.counter(index).fetch_add(waiting, Ordering::Relaxed);
    }
}

/// Counts a dropped record or hook error: in the page if there is one, else where it waits for one.
pub fn count(local: &Local, shared: Option<&Page>, index: usize) {
    if let Some(page) = local.page().or(shared) {
        page.counter(index).fetch_add(1, Ordering::Relaxed);
    }
}
