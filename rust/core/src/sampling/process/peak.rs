//! The true peak of resident memory between two moments, by resetting the kernel's high-water mark.
//!
//! Source: Linux, Documentation/filesystems/proc.rst (`clear_refs`, value 5). The mark is one for the whole process: whoever else reads
//! it, such as Celery's `max_memory_per_child`, sees the last reset. So this is for those who ask for it.

#![cfg_attr(test, expect(unsafe_code, reason = "a test calls the kernel"))]

use std::fs::{File, OpenOptions};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::status::parse_peak;
use super::usage::Usage;
use crate::journal::Descriptor;
use crate::sampling::kept::Kept;
use crate::sampling::root::reason;

/// The high-water mark of this process. For all threads and in forked children.
#[derive(Debug, Default)]
pub struct PeakMark {
    files: Kept<Files>,
}

#[derive(Debug)]
struct Files {
    clear_refs: Descriptor,
    status: Descriptor,
    /// The greatest peak ever seen, bytes: what the process's own mark would say without resets.
    life: AtomicU64,
    /// `ru_maxrss` never falls below what the process had when it was executed. This is the least that it said after a reset, bytes:
    /// that memory or more. Only what is above it is sure to be a peak.
    floor: AtomicU64,
}

impl PeakMark {
    /// Lets the mark begin anew at what is resident now: three system calls.
    ///
    /// # Errors
    /// The reason why the kernel does not let this process do it.
    pub fn reset(&self) -> Result<(), String> {
        let files = match self.files.get() {
            Some(files) if files.reset().is_ok() => return Ok(()),
            // The first time in this process, or closed under us.
            _ => self.open()?,
        };
        files.reset()
    }

    /// The peak since the last reset, bytes: one system call, or two where the cheap mark cannot tell. `resident` is what is resident
    /// now, if that was read. None without a reset in this process.
    pub fn peak(&self, resident: Option<u64>) -> Option<u64> {
        self.files.get()?.peak(resident)
    }

    /// The peak of this process's life, bytes, whatever was reset in between.
    pub fn of_life(&self) -> Option<u64> {
        let now = Usage::own()?.peak_rss_bytes;
        Some(self.files.get().map_or(now, |files| files.life.fetch_max(now, Ordering::Relaxed).max(now)))
    }

    fn open(&self) -> Result<Arc<Files>, String> {
        let life = self.files.get().map_or(0, |files| files.life.load(Ordering::Relaxed));
        let kept = |path: &str, file: std::io::Result<File>| {
            file.and_then(Descriptor::keep).map_err(|error| reason(path, &error))
        };
        let (clear_refs, status) = ("/proc/self/clear_refs", "/proc/self/status");
        Ok(self.files.keep(Files {
            clear_refs: kept(clear_refs, OpenOptions::new().write(true).open(clear_refs))?,
            status: kept(status, File::open(status))?,
            life: AtomicU64::new(life),
            floor: AtomicU64::new(u64::MAX),
        }))
    }
}

impl Files {
    fn reset(&self) -> Result<(), String> {
        let mark = || Usage::own().map(|usage| usage.peak_rss_bytes).ok_or("getrusage: refused".to_owned());
        self.life.fetch_max(mark()?, Ordering::Relaxed);
        let written = self.clear_refs.write(b"5").map_err(|error| reason("/proc/self/clear_refs", &error))?;
        if written != 1 {
            return Err("/proc/self/clear_refs: not taken".into());
        }
        self.floor.fetch_min(mark()?, Ordering::Relaxed);
        Ok(())
    }

    fn peak(&self, resident: Option<u64>) -> Option<u64> {
        let mark = Usage::own()?.peak_rss_bytes;
        self.life.fetch_max(mark, Ordering::Relaxed);
        if mark > self.floor.load(Ordering::Relaxed) {
            return Some(mark);
        }
        match resident {
            // The peak lies between what is there now and the mark.
            Some(resident) if resident >= mark => Some(resident),
            _ => self.printed(),
        }
    }

    /// `VmHWM`: always right, and 20 µs of the kernel's printing.
    fn printed(&self) -> Option<u64> {
        let mut buffer = [0; 4096];
        let length = self.status.read(&mut buffer)?;
        parse_peak(&buffer[..length])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sampling::fixture::in_child;

    /// Takes memory, touches it and gives it back.
    fn take(bytes: usize) {
        let length = bytes;
        // SAFETY: a new private mapping, written within its length and unmapped.
        unsafe {
            let access = libc::PROT_READ | libc::PROT_WRITE;
            let page = libc::mmap(std::ptr::null_mut(), length, access, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1, 0);
            assert_ne!(page, libc::MAP_FAILED);
            std::ptr::write_bytes(page.cast::<u8>(), 1, length);
            libc::munmap(page, length);
        }
    }

    /// A forked child maps its program's pages anew as it runs, a megabyte at a touch: so much may come between two readings.
    fn near(a: u64, b: u64) -> bool {
        a.abs_diff(b) < 8 << 20
    }

    // In children, since the mark belongs to the process and other tests reset it, too.

    #[test]
    fn memory_that_was_given_back_is_seen_and_forgotten_at_the_next_reset() {
        const TAKEN: u64 = 96 << 20;
        assert!(in_child(|| {
            let mark = PeakMark::default();
            assert_eq!(mark.peak(None), None);
            mark.reset().unwrap();
            let before = mark.peak(None).unwrap();
            take(TAKEN as usize);
            let during = mark.peak(None).unwrap();
            assert!(near(during, before + TAKEN), "{before} then {during}");
            assert!(near(mark.files.get().unwrap().printed().unwrap(), during));
            mark.reset().unwrap();
            let after = mark.peak(None).unwrap();
            assert!(near(after, before), "{during} then {after}");
            assert!(mark.of_life().unwrap() >= during);
            // Also what came and went between two executions, when nobody asked for it.
            take(2 * TAKEN as usize);
            mark.reset().unwrap();
            near(mark.of_life().unwrap(), before + 2 * TAKEN)
        }));
    }

    #[test]
    fn where_the_cheap_mark_is_stuck_the_printed_one_tells() {
        assert!(in_child(|| {
            let mark = PeakMark::default();
            take(96 << 20);
            mark.reset().unwrap();
            let files = mark.files.get().unwrap();
            files.floor.store(u64::MAX, Ordering::Relaxed); // as in a process that a large one executed
            assert_eq!(
                mark.peak(Some(u64::MAX)),
                Some(u64::MAX),
                "what is there now is the peak if the mark is not above it"
            );
            let (told, printed) = (mark.peak(None).unwrap(), files.printed().unwrap());
            assert!(near(told, printed), "{told} then {printed}");
            printed + (64 << 20) < mark.of_life().unwrap() // without what was taken before the reset
        }));
    }
}
