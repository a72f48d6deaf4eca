//! The page of a worker: its state and counters in shared memory, so that they outlive it.

use std::ffi::CString;
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering, fence};
use std::sync::{Mutex, TryLockError};

use crate::heartbeat::{COUNTERS, COUNTERS_OFFSET, HEARTBEAT_OFFSET, PAGE_MAGIC, PAGE_SIZE, PAGE_VERSION};
use crate::journal::spool::{Spool, c_name};

const LENGTH_OFFSET: usize = 12;
const SEQUENCE_OFFSET: usize = 16;

/// A mapped page: of a file `<worker key>.wrk`, or of anonymous memory that forked children share.
#[derive(Debug)]
pub struct Page {
    map: NonNull<u8>,
    inode: u64,
    outdated: AtomicBool,
    /// Where a heartbeat is put together; who has it is the one that writes.
    heartbeat: Mutex<Vec<u8>>,
}

// SAFETY: all access is by atomics at fixed, aligned offsets.
unsafe impl Send for Page {}
// SAFETY: as above.
unsafe impl Sync for Page {}

impl Page {
    /// Anonymous memory, shared with all children that are forked later; only its counters are used.
    pub fn anonymous() -> io::Result<Page> {
        Ok(Page::new(map(libc::MAP_SHARED | libc::MAP_ANONYMOUS, -1)?, 0))
    }

    /// Makes the page of a worker, under a temporary name until it is whole.
    pub fn create(spool: &Spool, worker: u64) -> io::Result<Page> {
        let temporary = c_name(&format!(".{worker:016x}.tmp"))?;
        let mut file = spool.create(&temporary, libc::O_RDWR)?;
        let made = (|| {
            let mut content = [0; PAGE_SIZE];
            content[..8].copy_from_slice(&PAGE_MAGIC);
            content[8..12].copy_from_slice(&PAGE_VERSION.to_le_bytes());
            // Written and reserved before it is mapped: a store to a page that the disk has no room for kills the process.
            file.write_all(&content)?;
            // SAFETY: fallocate takes a descriptor and numbers; ours is open. File systems without it have written the block.
            unsafe { libc::fallocate(file.as_raw_fd(), 0, 0, PAGE_SIZE as libc::off_t) };
            let page = Page::new(map(libc::MAP_SHARED, file.as_raw_fd())?, file.metadata()?.ino());
            spool.rename(&temporary, &name(worker)?)?;
            Ok(page)
        })();
        if made.is_err() {
            spool.remove(&temporary);
        }
        made
    }

    /// True when the file of this page is still in the spool.
    pub fn is_in(&self, spool: &Spool, worker: u64) -> bool {
        let path = spool.path().join(format!("{worker:016x}.wrk"));
        std::fs::symlink_metadata(path).is_ok_and(|about| about.ino() == self.inode)
    }

    /// Replaces the heartbeat by what `encode` appends. Never waits: a thread that finds another one here leaves its news to it.
    pub fn write(&self, encode: impl Fn(&mut Vec<u8>)) {
        self.outdated.store(true, Ordering::Release);
        loop {
            // Between the flag or the unlocking and what follows, so that of two threads that meet here one writes for both.
            fence(Ordering::SeqCst);
            if !self.outdated.load(Ordering::Acquire) {
                return;
            }
            let mut heartbeat = match self.heartbeat.try_lock() {
                Ok(heartbeat) => heartbeat,
                Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
                Err(TryLockError::WouldBlock) => return,
            };
            self.outdated.store(false, Ordering::Release);
            heartbeat.clear();
            encode(&mut heartbeat);
            let sequence = self.word(SEQUENCE_OFFSET);
            let before = sequence.load(Ordering::Relaxed);
            sequence.store(before + 1, Ordering::Relaxed);
            fence(Ordering::Release);
            self.fill(&heartbeat);
            sequence.store(before + 2, Ordering::Release);
        }
    }

    /// A counter: dropped records by reason, then hook errors.
    pub fn counter(&self, index: usize) -> &AtomicU64 {
        self.word(COUNTERS_OFFSET + 8 * index.min(COUNTERS - 1))
    }

    fn new(map: NonNull<u8>, inode: u64) -> Page {
        Page { map, inode, outdated: AtomicBool::new(false), heartbeat: Mutex::new(Vec::new()) }
    }

    fn fill(&self, bytes: &[u8]) {
        let bytes = &bytes[..bytes.len().min(COUNTERS_OFFSET - HEARTBEAT_OFFSET - 8)];
        // SAFETY: the offset is inside the page and aligned to 4 bytes; the page lives as long as self.
        let length = unsafe { &*self.map.as_ptr().add(LENGTH_OFFSET).cast::<AtomicU32>() };
        length.store(bytes.len() as u32, Ordering::Relaxed);
        let (words, rest) = bytes.as_chunks::<8>();
        for (index, word) in words.iter().enumerate() {
            self.word(HEARTBEAT_OFFSET + 8 * index).store(u64::from_le_bytes(*word), Ordering::Relaxed);
        }
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        self.word(HEARTBEAT_OFFSET + 8 * words.len()).store(u64::from_le_bytes(last), Ordering::Relaxed);
    }

    fn word(&self, offset: usize) -> &AtomicU64 {
        debug_assert!(offset.is_multiple_of(8) && offset + 8 <= PAGE_SIZE);
        // SAFETY: the offset is inside the page and aligned to 8 bytes; the page lives as long as self.
        unsafe { &*self.map.as_ptr().add(offset).cast() }
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours and no reference into it outlives self.
        unsafe { libc::munmap(self.map.as_ptr().cast(), PAGE_SIZE) };
    }
}

fn name(worker: u64) -> io::Result<CString> {
    c_name(&format!("{worker:016x}.wrk"))
}

fn map(flags: libc::c_int, fd: libc::c_int) -> io::Result<NonNull<u8>> {
    // SAFETY: a new mapping of one page, at a place of the kernel's choice.
    let map = unsafe { libc::mmap(ptr::null_mut(), PAGE_SIZE, libc::PROT_READ | libc::PROT_WRITE, flags, fd, 0) };
    if map == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    NonNull::new(map.cast()).ok_or_else(|| io::Error::other("the kernel mapped a page at address 0"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::heartbeat::read_page;
    use crate::journal::scratch::Scratch;

    #[test]
    fn what_is_written_is_read_from_the_file() {
        let scratch = Scratch::directory();
        let spool = Spool::open(scratch.path()).unwrap();
        let page = Page::create(&spool, 0xabc).unwrap();
        page.counter(3).fetch_add(5, Ordering::Relaxed);
        page.write(|bytes| bytes.extend([7; 100]));
        let file = scratch.path().join("0000000000000abc.wrk");
        let content = std::fs::read(&file).unwrap();
        assert_eq!(content.len(), PAGE_SIZE);
        assert_eq!(content[HEARTBEAT_OFFSET..HEARTBEAT_OFFSET + 101], [&[7; 100][..], &[0]].concat());
        assert_eq!(content[16], 2);
        assert_eq!(read_page(&content, 0).unwrap().counters[3], 5);
        assert!(page.is_in(&spool, 0xabc));
        std::fs::remove_file(file).unwrap();
        assert!(!page.is_in(&spool, 0xabc));
        page.write(|bytes| bytes.extend([8; 5_000]));
    }

    #[test]
    fn the_last_of_many_writers_is_seen() {
        let page = Page::anonymous().unwrap();
        let latest = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..2_000 {
                        latest.fetch_add(1, Ordering::SeqCst);
                        page.write(|bytes| bytes.extend(latest.load(Ordering::SeqCst).to_le_bytes()));
                    }
                });
            }
        });
        page.write(|bytes| bytes.extend(latest.load(Ordering::SeqCst).to_le_bytes()));
        assert_eq!(page.word(HEARTBEAT_OFFSET).load(Ordering::SeqCst), 8_000);
    }

    #[test]
    fn children_count_into_an_anonymous_page() {
        let page = Page::anonymous().unwrap();
        // SAFETY: the child only adds to an atomic and leaves by _exit.
        unsafe {
            let child = libc::fork();
            if child == 0 {
                page.counter(0).fetch_add(3, Ordering::Relaxed);
                libc::_exit(0);
            }
            libc::waitpid(child, ptr::null_mut(), 0);
        }
        assert_eq!(page.counter(0).load(Ordering::Relaxed), 3);
    }
}
