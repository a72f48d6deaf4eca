//! A segment that this process, or one it was forked from, has made; and how records are appended to it.

use std::fmt::Debug;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::descriptor::Descriptor;
use super::format::{Checksum, HEADER_SIZE, Header, LARGEST_CAPACITY, RECORD_SIZE, Record, SegmentId, Way, encode};
use super::place::FilePlace;
use super::random;
use super::spool::{Spool, c_name, hex};
use crate::sampling::clock;
use crate::sampling::process::Identity;

/// The kernel is asked for size and name of the file at least once in so many own records...
const CHECK_RECORDS: u32 = 32;
/// ...and once in so many ns.
const CHECK_NS: u64 = 1_000_000_000;

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
    fn append(&self, record: &Record) -> Result<(), Refused>;

    /// To be called in a forked child before it appends.
    fn forked(&self);

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
    // SAFETY: flock takes a descriptor and flags; ours is open.
    if unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_SH | libc::LOCK_NB) } == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// One `write(2)` with O_APPEND a record. Works on every file system, and disk full is an error code.
#[derive(Debug)]
pub struct WriteSegment {
    file: Descriptor,
    place: FilePlace,
    id: SegmentId,
    checksum: Checksum,
    limit: u64,
    until_check: AtomicU32,
    checked_at: AtomicU64,
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
                until_check: AtomicU32::new(CHECK_RECORDS),
                checked_at: AtomicU64::new(clock::monotonic_ns()),
            }),
            Err(error) => {
                spool.remove(&temporary);
                Err(error)
            }
        }
    }

    /// Whether it is time to ask the kernel about the file. Threads that ask at once do no harm.
    fn is_check_due(&self) -> bool {
        let left = self.until_check.load(Ordering::Relaxed);
        self.until_check.store(left.saturating_sub(1), Ordering::Relaxed);
        left == 0 || clock::monotonic_ns().saturating_sub(self.checked_at.load(Ordering::Relaxed)) >= CHECK_NS
    }

    fn check(&self) -> Result<(), Refused> {
        match self.file.state() {
            Some(state) if state.size < self.limit && self.place.is_whole(0) => {
                self.until_check.store(CHECK_RECORDS, Ordering::Relaxed);
                self.checked_at.store(clock::monotonic_ns(), Ordering::Relaxed);
                Ok(())
            }
            _ => Err(Refused::Ended),
        }
    }
}

impl Append for WriteSegment {
    fn append(&self, record: &Record) -> Result<(), Refused> {
        if self.is_check_due() {
            self.check()?;
        }
        let bytes = encode(record, self.checksum);
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
