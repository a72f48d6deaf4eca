//! Resident memory of this process, read as often as the recorder was told to.

use std::fs::File;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::journal::format::NO_VALUE;
use crate::journal::{Descriptor, Shared};
use crate::sampling::process::parse_resident;

/// How long a reading is good for, ns, unless told otherwise: a reading is a system call that costs as much as all the rest.
pub const FRESH_NS: u64 = 5_000_000;

/// The last reading, and the open file behind it. Not for a forked child: its `/proc/self` is another.
#[derive(Debug)]
pub struct Memory {
    statm: Shared<Descriptor>,
    kept: AtomicU64,
    read_at: AtomicU64,
    fresh_ns: Option<u64>,
}

impl Memory {
    /// Nothing read yet. A reading is good for `fresh_ns`, 0: never twice; None: memory is not read at all.
    pub fn new(fresh_ns: Option<u64>) -> Memory {
        Memory { statm: Shared::none(), kept: AtomicU64::new(NO_VALUE), read_at: AtomicU64::new(0), fresh_ns }
    }

    /// To be called in a forked child on the copy of its parent's: closes the file.
    pub fn abandon(&self) {
        drop(self.statm.take_alone());
    }

    /// Bytes at the last reading, however old; a new reading if there is none.
    #[inline]
    pub fn last(&self, now_ns: u64) -> Option<u64> {
        match self.kept.load(Ordering::Relaxed) {
            NO_VALUE => self.now(now_ns),
            kept => Some(kept),
        }
    }

    /// Something else than an execution ran: the last reading is good for nothing.
    pub fn forget(&self) {
        self.kept.store(NO_VALUE, Ordering::Relaxed);
    }

    /// Bytes now: a new reading, or one that is still good.
    #[inline]
    pub fn now(&self, now_ns: u64) -> Option<u64> {
        let fresh_ns = self.fresh_ns?;
        let kept = self.kept.load(Ordering::Relaxed);
        if kept != NO_VALUE && now_ns.saturating_sub(self.read_at.load(Ordering::Relaxed)) < fresh_ns {
            return Some(kept);
        }
        let read = self.read();
        self.kept.store(read.unwrap_or(NO_VALUE), Ordering::Relaxed);
        self.read_at.store(now_ns, Ordering::Relaxed);
        read
    }

    /// A new reading, whatever was asked for.
    #[inline]
    pub fn read(&self) -> Option<u64> {
        if let Some(used) = self.statm.at_once()
            && let Some(file) = used.value()
            && let Some(bytes) = resident(file)
        {
            return Some(bytes);
        }
        self.read_anew()
    }

    /// As [`read`](Self::read) where the file was closed under us, or is not open yet, or the thread has not used it before.
    #[cold]
    #[inline(never)]
    fn read_anew(&self) -> Option<u64> {
        if let Some(Some(bytes)) = self.statm.with(resident) {
            return Some(bytes);
        }
        let file = Box::new(Descriptor::keep(File::open("/proc/self/statm").ok()?).ok()?);
        let bytes = resident(&file);
        self.statm.put(file);
        bytes
    }
}

#[inline(always)]
fn resident(file: &Descriptor) -> Option<u64> {
    let mut buffer = [0; 128];
    let length = file.read(&mut buffer)?;
    parse_resident(&buffer[..length])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reading_is_kept_for_5_ms_of_the_clock_that_it_is_given() {
        let memory = Memory::new(Some(FRESH_NS));
        let first = memory.now(1_000_000_000).unwrap();
        assert!(first > 100_000);
        memory.kept.store(7, Ordering::Relaxed);
        assert_eq!(memory.now(1_004_999_999), Some(7));
        assert_eq!(memory.last(9_000_000_000), Some(7));
        assert_ne!(memory.now(1_005_000_000), Some(7));
    }

    #[test]
    fn memory_is_read_each_time_or_never_as_told() {
        let each = Memory::new(Some(0));
        assert!(each.now(1).is_some());
        each.kept.store(7, Ordering::Relaxed);
        assert_ne!(each.now(1), Some(7));
        let never = Memory::new(None);
        assert_eq!((never.now(1), never.last(1)), (None, None));
        assert!(never.statm.with(|_| ()).is_none());
    }

    #[test]
    fn a_closed_descriptor_is_opened_again() {
        let memory = Memory::new(Some(FRESH_NS));
        memory.now(0).unwrap();
        memory.statm.put(Box::new(Descriptor::keep(File::open("/dev/null").unwrap()).unwrap()));
        assert!(memory.now(1_000_000_000).is_some());
    }
}
