//! A segment that this process, or one it was forked from, has made; and how records are appended to it.

use std::fmt::Debug;
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::descriptor::Descriptor;
use super::format::{Checksum, HEADER_SIZE, Header, RECORD_SIZE, Record, SegmentId, Way, encode};
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

    /// Name of the way.
    fn way(&self) -> &'static str;
}

/// One `write(2)` with O_APPEND a record. Works on every file system, and disk full is an error code.
#[derive(Debug)]
pub struct WriteSegment {
    file: Descriptor,
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
        let (temporary, name) = (c_name(&format!(".{}.tmp", hex(&id)))?, c_name(&format!("{}.seg", hex(&id)))?);
        let capacity = (bytes.saturating_sub(HEADER_SIZE as u64) / RECORD_SIZE as u64).max(16);
        let header = Header {
            id,
            boot: identity.boot,
            created: clock::wall_us(),
            created_monotonic: clock::monotonic_ns(),
            start_ticks: identity.start_ticks,
            pid: identity.pid,
            way: Way::Write,
            capacity,
            pid_namespace: identity.pid_namespace,
        };
        let mut file = spool.create(&temporary, libc::O_WRONLY | libc::O_APPEND)?;
        let made = (|| {
            file.write_all(&header.encode())?;
            // SAFETY: flock takes a descriptor and flags; ours is open.
            if unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_SH | libc::LOCK_NB) } != 0 {
                return Err(io::Error::last_os_error());
            }
            let file = Descriptor::keep(file)?;
            spool.rename(&temporary, &name)?;
            Ok(file)
        })();
        match made {
            Ok(file) => Ok(WriteSegment {
                file,
                id,
                checksum: Checksum::new(&id),
                limit: HEADER_SIZE as u64 + capacity * RECORD_SIZE as u64,
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
            Some(state) if state.linked && state.size < self.limit => {
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

    fn way(&self) -> &'static str {
        "write"
    }
}
