//! The journal of one process: its current segment, the next one, and what to do when there is none.

use std::io;
use std::path::{Path, PathBuf};
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use super::dropped::Dropped;
use super::format::{Payload, Record, Way};
use super::hazard::{Shared, Use};
use super::map_segment::MapSegment;
use super::own::Owners;
use super::segment::{Append, Refused, WriteSegment};
use super::spool::{Spool, hex};
use super::way::{Wish, choose};
use crate::sampling::clock;
use crate::sampling::process::Identity;

/// Size of the first segment of a process.
const FIRST_BYTES: u64 = 64 * 1024;
/// A spool that refused is not tried again for so many ns.
const PAUSE_NS: u64 = 1_000_000_000;
/// A record that met the end of its segment is tried so often again; each further segment takes two.
const ATTEMPTS: u32 = 6;

/// A segment of either way; known by name, so that an append can be inlined.
#[derive(Debug)]
enum Segment {
    Write(WriteSegment),
    Map(MapSegment),
}

impl Segment {
    fn any(&self) -> &dyn Append {
        match self {
            Segment::Write(segment) => segment,
            Segment::Map(segment) => segment,
        }
    }
}

/// A segment as one process uses it.
#[derive(Debug)]
pub struct Current {
    segment: Segment,
    serial: u64,
    announced: AtomicU64,
}

impl Current {
    fn new(segment: Segment) -> Box<Current> {
        // A forked child counts on where its parent was, so a serial is never met twice in one line of descent.
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Box::new(Current { segment, serial: NEXT.fetch_add(1, Ordering::Relaxed), announced: AtomicU64::new(0) })
    }

    /// Number of this use of a segment: what was defined under another number must be defined again.
    #[inline]
    pub fn serial(&self) -> u64 {
        self.serial
    }

    /// Which description of the process was announced here, 0 for none.
    #[inline]
    pub fn announced(&self) -> &AtomicU64 {
        &self.announced
    }

    /// Appends one record.
    pub fn append(&self, record: &Record) -> Result<(), Refused> {
        self.append_payload(&record.payload())
    }

    /// Appends the words of one record if this is a map that has room; false when that takes more.
    #[inline(always)]
    pub fn append_at_once(&self, payload: Payload) -> bool {
        match &self.segment {
            Segment::Map(segment) => segment.append_at_once(payload).is_ok(),
            Segment::Write(_) => false,
        }
    }

    /// Appends the words of one record.
    #[inline]
    pub fn append_payload(&self, payload: &Payload) -> Result<(), Refused> {
        match &self.segment {
            Segment::Map(segment) => segment.append(payload),
            Segment::Write(segment) => segment.append(payload),
        }
    }
}

/// What a spool may take, and how.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Size of a segment after the first of a process.
    pub segment_bytes: u64,
    /// Bound of all segments together; 0: nothing is to be written, which is no loss.
    pub spool_bytes: u64,
    /// The way of appending that the user wishes.
    pub wish: Wish,
    /// Who may write to the spool.
    pub owners: Owners,
}

/// What a segment is, for users.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentStatus {
    /// Its id in hexadecimal digits.
    pub id: String,
    /// How it is appended to.
    pub way: Way,
    /// Why it is done so.
    pub why: String,
}

/// The write side of a spool in one process. Locks are held for an exchange of texts only, never over a system call.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    bounds: Bounds,
    current: Shared<Current>,
    made: AtomicU64,
    pause_until: AtomicU64,
    pause_reason: AtomicU64,
    last_error: Mutex<Option<String>>,
    why: Mutex<String>,
}

impl Journal {
    /// Touches nothing on disk.
    pub fn new(path: &Path, bounds: Bounds) -> Journal {
        Journal {
            path: path.to_owned(),
            bounds,
            current: Shared::none(),
            made: AtomicU64::new(0),
            pause_until: AtomicU64::new(0),
            pause_reason: AtomicU64::new(0),
            last_error: Mutex::new(None),
            why: Mutex::new(String::new()),
        }
    }

    /// The journal of a forked child: it goes on in its parent's segment, and takes it away from the copy of the parent's journal, so
    /// that the child closes it when it goes on to another one. The parent's locks may be held by threads that do not exist
    /// here, so none is waited for.
    pub fn forked(&self) -> Journal {
        let mut journal = Journal::new(&self.path, self.bounds);
        if let Ok(why) = self.why.try_lock() {
            journal.why = Mutex::new(why.clone());
        }
        if let Some(inherited) = self.current.take_alone() {
            inherited.segment.any().forked();
            journal.current.put(Current::new(inherited.segment));
        }
        journal
    }

    /// Begins to use the current segment; None when that takes more than a few stores.
    #[inline(always)]
    pub fn at_once(&self) -> Option<Use<'_, Current>> {
        self.current.at_once()
    }

    /// Appends by `write`, which is given a segment and may append several records to it; with a new segment if the current one ends.
    #[inline]
    pub fn append(
        &self,
        identity: &Identity,
        mut write: impl FnMut(&Current) -> Result<(), Refused>,
    ) -> Result<(), Dropped> {
        match self.current.with(|current| write(current).map_err(|refused| (ptr::from_ref(current), refused))) {
            Some(Ok(())) => Ok(()),
            refused => self.append_elsewhere(identity, refused.and_then(Result::err), &mut write),
        }
    }

    /// Goes on after there was no segment, or this one refused.
    #[cold]
    #[inline(never)]
    fn append_elsewhere(
        &self,
        identity: &Identity,
        mut refused: Option<(*const Current, Refused)>,
        write: &mut dyn FnMut(&Current) -> Result<(), Refused>,
    ) -> Result<(), Dropped> {
        if self.keeps_nothing() {
            return Ok(());
        }
        for _ in 0..ATTEMPTS {
            match refused {
                None => self.begin(identity)?,
                Some((current, Refused::Ended)) => self.current.end(current),
                Some((current, Refused::Failed(error))) => {
                    self.current.end(current);
                    return Err(self.pause(&error, Dropped::from_error(&error)));
                }
            }
            let again =
                self.current.with(|current| write(current).map_err(|refused| (ptr::from_ref(current), refused)));
            match again {
                Some(Ok(())) => return Ok(()),
                again => refused = again.and_then(Result::err),
            }
        }
        let error = io::Error::from_raw_os_error(libc::EFBIG);
        Err(self.pause(&error, Dropped::DiskFull))
    }

    /// Changes to a new segment if the current one is more than half full, so that the children of a fork that is about to come find
    /// room in one they share. Nothing is lost where that fails: they go on in the old one.
    pub fn before_fork(&self, identity: &Identity) {
        if self.current.with(|current| current.segment.any().is_past_half()) == Some(true)
            && let Ok(segment) = self.make(identity)
        {
            self.current.put(Current::new(segment));
        }
    }

    /// Another file of the spool is not as it was left: the segment may have gone with it.
    pub fn doubt(&self) {
        self.current.with(|current| current.segment.any().doubt());
    }

    /// The current segment.
    pub fn segment(&self) -> Option<SegmentStatus> {
        let why = lock(&self.why).clone();
        self.current.with(|current| SegmentStatus {
            id: hex(current.segment.any().id()),
            way: current.segment.any().way(),
            why: why.clone(),
        })
    }

    /// What went wrong last.
    pub fn last_error(&self) -> Option<String> {
        lock(&self.last_error).clone()
    }

    /// Why a record could not be written last.
    pub fn last_reason(&self) -> Dropped {
        reason(self.pause_reason.load(Ordering::Relaxed))
    }

    /// Opens the spool, made if need be.
    pub fn open_spool(&self) -> io::Result<Spool> {
        Spool::open(&self.path, self.bounds.owners)
    }

    /// Whether nothing is to be written: no segment is ever made.
    pub fn keeps_nothing(&self) -> bool {
        self.bounds.spool_bytes == 0
    }

    /// Where the spool is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes a segment the current one.
    #[cold]
    fn begin(&self, identity: &Identity) -> Result<(), Dropped> {
        if clock::monotonic_ns() < self.pause_until.load(Ordering::Relaxed) {
            return Err(self.last_reason());
        }
        // Threads that come here at once make a segment each; the last one stays, the others close with the record that
        // they were made for. So nobody waits for a disk that another thread waits for.
        let segment = self.make(identity).map_err(|(error, reason)| self.pause(&error, reason))?;
        self.current.put(Current::new(segment));
        Ok(())
    }

    fn make(&self, identity: &Identity) -> Result<Segment, (io::Error, Dropped)> {
        let failed = |error: io::Error| {
            let reason = Dropped::from_error(&error);
            (error, reason)
        };
        let bytes = if self.made.load(Ordering::Relaxed) == 0 {
            self.bounds.segment_bytes.min(FIRST_BYTES)
        } else {
            self.bounds.segment_bytes
        };
        let spool = self.open_spool().map_err(|error| match error.kind() {
            io::ErrorKind::PermissionDenied | io::ErrorKind::InvalidData => (error, Dropped::NotWritable),
            _ => failed(error),
        })?;
        if spool.used().map_err(failed)?.saturating_add(bytes) > self.bounds.spool_bytes {
            let text = format!("the segments of the spool have reached {} bytes", self.bounds.spool_bytes);
            return Err((io::Error::other(text), Dropped::SpoolFull));
        }
        let (way, mut why) = choose(&spool, self.bounds.wish);
        let mut made = None;
        if way == Way::Map {
            match MapSegment::create(&spool, identity, bytes) {
                Ok(segment) => made = Some(Segment::Map(segment)),
                // Whatever it is, the other way may do without.
                Err(error) => why = format!("no map: {error}"),
            }
        }
        let segment = match made {
            Some(segment) => segment,
            None => Segment::Write(WriteSegment::create(&spool, identity, bytes).map_err(failed)?),
        };
        self.made.fetch_add(1, Ordering::Relaxed);
        *lock(&self.why) = why;
        Ok(segment)
    }

    /// Notes an error and stays away from the disk for a second.
    #[cold]
    fn pause(&self, error: &io::Error, reason: Dropped) -> Dropped {
        self.pause_reason.store(reason as u64, Ordering::Relaxed);
        self.pause_until.store(clock::monotonic_ns() + PAUSE_NS, Ordering::Relaxed);
        *lock(&self.last_error) = Some(format!("{}: {error}", self.path.display()));
        reason
    }
}

fn reason(number: u64) -> Dropped {
    [Dropped::DiskFull, Dropped::SpoolFull, Dropped::NotWritable]
        .into_iter()
        .find(|reason| *reason as u64 == number)
        .unwrap_or(Dropped::IoError)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
#[path = "writer_tests.rs"]
mod tests;
