//! What children begin and finish, counted in memory that they share with their parent and that the journal knows nothing of.

#![expect(unsafe_code, reason = "counts in memory that processes share")]

use std::ptr::{self, NonNull};
use std::slice;
use std::sync::atomic::{AtomicU64, Ordering, compiler_fence};

use queue_metrics_core::journal::format::{End, Record};

/// What one writer may do and has done; the latter by plain stores of its own, so that a kill between any two instructions leaves it right.
#[repr(align(64))]
pub struct Line {
    allowed: AtomicU64,
    begun: AtomicU64,
    done: AtomicU64,
    refused: AtomicU64,
}

impl Line {
    /// Lets the writer append so many records more.
    pub fn allow(&self, records: u64) {
        self.allowed.fetch_add(records, Ordering::Relaxed);
    }

    /// Records 0 up to this may be appended.
    pub fn allowed(&self) -> u64 {
        self.allowed.load(Ordering::Relaxed)
    }

    /// To be called before a record is appended.
    pub fn begin(&self, number: u64) {
        self.begun.store(number + 1, Ordering::Relaxed);
        compiler_fence(Ordering::SeqCst);
    }

    /// To be called when the append has returned.
    pub fn finish(&self, number: u64) {
        compiler_fence(Ordering::SeqCst);
        self.done.store(number + 1, Ordering::Relaxed);
    }

    pub fn refuse(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    /// Records 0 up to this were begun.
    pub fn begun(&self) -> u64 {
        self.begun.load(Ordering::SeqCst)
    }

    /// Records 0 up to this were appended.
    pub fn done(&self) -> u64 {
        self.done.load(Ordering::SeqCst)
    }

    /// Records that the journal did not take.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::SeqCst)
    }
}

/// A line for each writer of a round.
pub struct Truth {
    first: NonNull<Line>,
    writers: usize,
}

impl Truth {
    pub fn new(writers: usize) -> Truth {
        let (access, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_ANONYMOUS);
        // SAFETY: a new mapping at a place of the kernel's choice.
        let map = unsafe { libc::mmap(ptr::null_mut(), writers * size_of::<Line>(), access, flags, -1, 0) };
        assert_ne!(map, libc::MAP_FAILED);
        Truth { first: NonNull::new(map.cast()).unwrap(), writers }
    }

    pub fn lines(&self) -> &[Line] {
        // SAFETY: the mapping holds so many lines, which are atomics for which zeros are valid, and lives as long as self.
        unsafe { slice::from_raw_parts(self.first.as_ptr(), self.writers) }
    }
}

impl Drop for Truth {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours and no reference into it outlives self.
        unsafe { libc::munmap(self.first.as_ptr().cast(), self.writers * size_of::<Line>()) };
    }
}

/// The record of this number of a writer. No word of it is 0, so that each that was stored can be seen.
pub fn record(at: i64, writer: usize, number: u64) -> Record {
    let key = (writer as u64 + 1) << 32 | (number + 1);
    let mixed = key.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    Record::End(End {
        outcome: 1 + (number % 5) as u16,
        flags: 0,
        at,
        key,
        runtime: mixed | 1,
        cpu: mixed.rotate_left(17) | 1,
        rss_peak: number as u32 | 1,
        rss_change: -(number as i32 | 1),
        exception: mixed.rotate_left(33) | 1,
        worker: mixed.rotate_left(49) | 1,
    })
}

/// Writer and number in the key of a record; None for one that cannot be of ours.
pub fn of_key(key: u64) -> Option<(usize, u64)> {
    Some(((key >> 32).checked_sub(1)? as usize, (key & 0xffff_ffff).checked_sub(1)?))
}
