//! A segment that this process, or one it was forked from, has made; and how records are appended to it.

use std::fmt::Debug;
use std::fs::File;
use std::io::{self, Write};
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use super::descriptor::Descriptor;
use super::format::{Checksum, HEADER_SIZE, Header, LARGEST_CAPACITY, Payload, RECORD_SIZE, SegmentId, Way};
use super::place::FilePlace;
use super::random;
use super::spool::{Spool, c_name, hex};
use crate::kernel;
use crate::sampling::clock;
use crate::sampling::process::Identity;

/// The kernel is asked for size and name of the file after so many own records, fewer as its end comes near...
const CHECK_RECORDS: RangeInclusive<u64> = 16..=256;
/// ...and when the time in a record is so far from that of the last question, µs. No clock is read for it.
pub const CHECK_US: u64 = 1_000_000;

/// Why a record was not appended.
#[derive(Debug)]
pub enum Refused {
    /// Full, deleted, or its descriptor was closed: the next segment will take the record.
    Ended,
    /// The kernel said no.
    Failed(io::Error),
}

/// A way of appending records; any thread, any process that inherited it.
pub trait Append: Debug + Send + Sync {
    /// Appends one record whole, or nothing.
    fn append(&self, payload: &Payload) -> Result<(), Refused>;

    /// To be called in a forked child before it appends.
    fn forked(&self);

    /// Has the next record look whether the file is still there.
    fn doubt(&self);

    /// Id of the segment.
    fn id(&self) -> &SegmentId;

    /// The way of this segment.
    fn way(&self) -> Way;

    /// True when so much of it is used that children forked now had better get a new one.
    fn is_past_half(&self) -> bool;
}

/// Records in a segment of about so many bytes.
pub fn capacity(bytes: u64) -> u64 {
    (bytes.saturating_sub(HEADER_SIZE as u64) / RECORD_SIZE as u64).clamp(16, LARGEST_CAPACITY)
}

/// Takes the lock that says that somebody may append; it belongs to the open file, so forked children hold it too.
pub fn lock_shared(file: &File) -> io::Result<()> {
    kernel::flock(file, libc::LOCK_SH | libc::LOCK_NB)
}

/// One `write(2)` with O_APPEND a record. Works on every file system, and disk full is an error code.
#[derive(Debug)]
pub struct WriteSegment {
    file: Descriptor,
    place: FilePlace,
    id: SegmentId,
    checksum: Checksum,
    limit: u64,
    until_check: AtomicU64,
    checked_at: AtomicI64,
}

impl WriteSegment {
    /// Makes a segment of about `bytes`.
    pub fn create(spool: &Spool, identity: &Identity, bytes: u64) -> io::Result<WriteSegment> {
        let id = random::bytes();
        let (temporary, name) = (c_name(&format!(".{}.tmp", hex(&id)))?, format!("{}.seg", hex(&id)));
        let header = Header::new(id, identity, Way::Write, capacity(bytes));
        let mut file = spool.create(&temporary, libc::O_WRONLY | libc::O_APPEND)?;
        let made = (|| {
            file.write_all(&header.encode())?;
            lock_shared(&file)?;
            let place = FilePlace::of(&file, &spool.path().join(&name))?;
            let file = Descriptor::keep(file)?;
            spool.rename(&temporary, &c_name(&name)?)?;
            Ok((file, place))
        })();
        match made {
            Ok((file, place)) => Ok(WriteSegment {
                file,
                place,
                id,
                checksum: Checksum::new(&id),
                limit: HEADER_SIZE as u64 + header.capacity * RECORD_SIZE as u64,
                until_check: AtomicU64::new(0),
                checked_at: AtomicI64::new(clock::wall_us()),
            }),
            Err(error) => {
                spool.remove(&temporary);
                Err(error)
            }
        }
    }

    /// Whether the file is still ours, where a drainer finds it, and not full.
    #[cold]
    fn check(&self, at: i64) -> Result<(), Refused> {
        match self.file.state() {
            Some(state) if state.size < self.limit && self.place.is_whole(0) => {
                let room = (self.limit - state.size) / RECORD_SIZE as u64;
                self.until_check
                    .store((room / 4).clamp(*CHECK_RECORDS.start(), *CHECK_RECORDS.end()), Ordering::Relaxed);
                self.checked_at.store(at, Ordering::Relaxed);
                Ok(())
            }
            _ => Err(Refused::Ended),
        }
    }
}

impl Append for WriteSegment {
    fn append(&self, payload: &Payload) -> Result<(), Refused> {
        let checked_at = self.checked_at.load(Ordering::Relaxed);
        let at = payload.at().unwrap_or(checked_at);
        let left = self.until_check.load(Ordering::Relaxed);
        // Threads that count and ask at once do no harm.
        self.until_check.store(left.saturating_sub(1), Ordering::Relaxed);
        if left == 0 || at.abs_diff(checked_at) >= CHECK_US {
            self.check(at)?;
        }
        let bytes = payload.bytes(self.checksum);
        match self.file.write(&bytes) {
            Ok(RECORD_SIZE) => Ok(()),
            Ok(short) => {
                // Only a limit of the file's size can cut a record in two. The rest, should it fit after all, keeps the slots of
                // siblings in step; a record that stays cut is a slot that a reader skips.
                match self.file.write(&bytes[short..]) {
                    Ok(rest) if short + rest == RECORD_SIZE => Ok(()),
                    _ => Err(Refused::Ended),
                }
            }
            Err(error) => match error.raw_os_error() {
                // Closed under us, or larger than this process may write: a new file can take it.
                Some(libc::EBADF | libc::EFBIG) => Err(Refused::Ended),
                _ => Err(Refused::Failed(error)),
            },
        }
    }

    fn forked(&self) {
        self.doubt();
    }

    fn doubt(&self) {
        self.until_check.store(0, Ordering::Relaxed);
    }

    fn id(&self) -> &SegmentId {
        &self.id
    }

    fn way(&self) -> Way {
        Way::Write
    }

    /// Never asks: a segment of this way is only about full, and a child finds that out by itself.
    fn is_past_half(&self) -> bool {
        false
    }
}
