//! The page of a worker: its state and counters in shared memory, so that they outlive it.

#![expect(unsafe_code, reason = "maps memory")]

use std::io::{self, Write};
use std::mem;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering, fence};

use crate::heartbeat::{
    COUNTERS, COUNTERS_OFFSET, FIXED, HEARTBEAT_OFFSET, Heartbeat, LIMITS, LONGEST, PAGE_MAGIC, PAGE_SIZE, PAGE_VERSION,
};
use crate::journal::Map;
use crate::journal::place::FilePlace;
use crate::journal::spool::{Spool, c_name};
use crate::kernel;
use crate::names::cut;

const LENGTH_OFFSET: usize = 12;
const SEQUENCE_OFFSET: usize = 16;

const _: () = assert!(HEARTBEAT_OFFSET + LONGEST <= COUNTERS_OFFSET);

/// What changes from job to job in a heartbeat.
#[derive(Debug)]
pub struct Change<'a> {
    /// The numbers that change, as [`Heartbeat::changing`] has them.
    pub numbers: ([u64; 2], [u64; 7]),
    /// Length of the texts of the process, which stay.
    pub kept: usize,
    /// The texts behind them.
    pub texts: &'a [u8],
    /// The job id behind these, if it is not among them.
    pub job: Option<&'a str>,
}

/// The right to write the heartbeat of a page.
pub struct Writing<'a>(&'a Page);

impl Writing<'_> {
    /// Changes it; false when it has to be written anew, since it does not fit or another thread was here meanwhile.
    #[inline(always)]
    pub fn change(self, change: Change) -> bool {
        if !self.0.put_change(change) {
            return false;
        }
        let page = self.0;
        mem::forget(self);
        // One instruction for the store of `drop` and the fence of `write`: what a thread left that found this taken is seen.
        page.writing.swap(false, Ordering::AcqRel);
        !page.outdated.load(Ordering::Acquire)
    }
}

impl Drop for Writing<'_> {
    #[inline]
    fn drop(&mut self) {
        self.0.writing.store(false, Ordering::Release);
    }
}

/// A mapped page: of a file `<worker key>.wrk`, or of anonymous memory that forked children share.
#[derive(Debug)]
pub struct Page {
    map: NonNull<u8>,
    /// Of a file: its mapping, which bears that others cut the file, and where it lies.
    file: Option<(Map, FilePlace)>,
    /// Somebody has news that are not written yet.
    outdated: AtomicBool,
    /// Who has set it is the one that writes.
    writing: AtomicBool,
    /// One more than the serial of the description that the heartbeat is of; 0: none is written yet.
    description: AtomicU64,
}

// SAFETY: the heartbeat is written by the one that has the right to, all the rest is atomics at fixed, aligned offsets. In this process
// nobody reads the heartbeat; other processes take it when its sequence says that it is whole.
unsafe impl Send for Page {}
// SAFETY: as above.
unsafe impl Sync for Page {}

impl Page {
    /// Anonymous memory, shared with all children that are forked later; only its counters are used.
    pub fn anonymous() -> io::Result<Page> {
        Ok(Page::new(anonymous_map()?, None))
    }

    /// Makes the page of a worker, under a temporary name until it is whole.
    pub fn create(spool: &Spool, worker: u64) -> io::Result<Page> {
        let temporary = c_name(&format!(".{worker:016x}.tmp"))?;
        let mut file = spool.create(&temporary, libc::O_RDWR)?;
        let made = (|| {
            let mut content = [0; PAGE_SIZE];
            content[..8].copy_from_slice(&PAGE_MAGIC);
            content[8..12].copy_from_slice(&PAGE_VERSION.to_le_bytes());
            kernel::keep_in_place(&file);
            // Written and reserved before it is mapped: a store to a page that the disk has no room for kills the process.
            file.write_all(&content)?;
            // File systems without it have written the block.
            let _ = kernel::allocate(&file, PAGE_SIZE as libc::off_t);
            let map = Map::new(&file, 0, PAGE_SIZE)?;
            let place = FilePlace::of(&file, &spool.path().join(file_name(worker)))?;
            let page = Page::new(map.first(), Some((map, place)));
            spool.rename(&temporary, &c_name(&file_name(worker))?)?;
            Ok(page)
        })();
        if made.is_err() {
            spool.remove(&temporary);
        }
        made
    }

    /// True when the file of this page is still where a drainer reads it, and still shows what is written here.
    pub fn is_whole(&self) -> bool {
        // Cut to nothing and grown again, it is of the same length.
        let begins_well = || self.word(0).load(Ordering::Relaxed) == u64::from_le_bytes(PAGE_MAGIC).to_le();
        let whole =
            |(map, place): &(Map, FilePlace)| place.is_whole(PAGE_SIZE as u64) && begins_well() && !map.is_broken();
        self.file.as_ref().is_some_and(whole)
    }

    /// Lets go of the file for good and removes it from the spool, where it would show a state that stands still.
    pub fn leave(&self, spool: Option<&Spool>, worker: u64) {
        if let Some((map, _)) = &self.file {
            map.detach();
            if let (Some(spool), Ok(name)) = (spool, c_name(&file_name(worker))) {
                spool.remove(&name);
            }
        }
    }

    /// Replaces the heartbeat by what `encode` appends; it answers the serial of the description that it was made of. Never waits: a
    /// thread that finds another one here leaves its news to it.
    pub fn write(&self, encode: impl Fn(&mut Vec<u8>) -> u64) {
        self.outdated.store(true, Ordering::Release);
        loop {
            // Between the flag or the unlocking and what follows, so that of two threads that meet here one writes for both.
            fence(Ordering::SeqCst);
            if !self.outdated.load(Ordering::Acquire) {
                return;
            }
            let Some(_writing) = self.begin() else { return };
            self.outdated.store(false, Ordering::Release);
            let mut bytes = Vec::with_capacity(LONGEST);
            let description = encode(&mut bytes);
            bytes.truncate(LONGEST);
            self.replace(bytes.len(), || self.put(0, &bytes));
            self.description.store(description + 1, Ordering::Relaxed);
        }
    }

    /// Takes the right to change the heartbeat that stands here, which must be of the description with this serial; None when it has to
    /// be written anew, since it is of another one or another thread is here.
    #[inline(always)]
    pub fn begin_change(&self, description: u64) -> Option<Writing<'_>> {
        let writing = self.begin()?;
        (self.description.load(Ordering::Relaxed) == description + 1).then_some(writing)
    }

    /// False when it does not fit.
    #[inline(always)]
    fn put_change(&self, Change { numbers, kept, texts, job }: Change) -> bool {
        let from = FIXED + kept;
        let end = from + texts.len();
        let job = job.map(|job| cut(job, LIMITS[<Heartbeat>::JOB]).as_bytes());
        let length = end + job.map_or(0, |job| 2 + job.len());
        if length > LONGEST {
            return false;
        }
        self.replace(length, || {
            self.put_words(0, &numbers.0);
            self.put_words(Heartbeat::<()>::CHANGING, &numbers.1);
            self.put(from, texts);
            if let Some(job) = job {
                self.put(end, &(job.len() as u16).to_le_bytes());
                self.put(end + 2, job);
            }
        });
        true
    }

    /// Takes the right to write, if nobody has it.
    #[inline]
    fn begin(&self) -> Option<Writing<'_>> {
        (!self.writing.swap(true, Ordering::AcqRel)).then(|| Writing(self))
    }

    /// A counter: dropped records by reason, then hook errors.
    pub fn counter(&self, index: usize) -> &AtomicU64 {
        self.word(COUNTERS_OFFSET + 8 * index.min(COUNTERS - 1))
    }

    fn new(map: NonNull<u8>, file: Option<(Map, FilePlace)>) -> Page {
        Page {
            map,
            file,
            outdated: AtomicBool::new(false),
            writing: AtomicBool::new(false),
            description: AtomicU64::new(0),
        }
    }

    /// Has the heartbeat replaced by one of this length, by the one that has the right to.
    #[inline(always)]
    fn replace(&self, length: usize, put: impl FnOnce()) {
        let sequence = self.word(SEQUENCE_OFFSET);
        let before = sequence.load(Ordering::Relaxed);
        sequence.store(before + 1, Ordering::Relaxed);
        fence(Ordering::Release);
        // SAFETY: the offset is inside the page and aligned to 4 bytes; the page lives as long as self.
        let place = unsafe { &*self.map.as_ptr().add(LENGTH_OFFSET).cast::<AtomicU32>() };
        place.store(length as u32, Ordering::Relaxed);
        put();
        sequence.store(before + 2, Ordering::Release);
    }

    /// Copies bytes into the heartbeat, by the one that has the right to.
    #[inline(always)]
    fn put(&self, offset: usize, bytes: &[u8]) {
        debug_assert!(offset + bytes.len() <= LONGEST);
        // SAFETY: all callers stay inside of the heartbeat's room; who has the right to write is the only one in this process that
        // touches it.
        unsafe {
            let place = self.map.as_ptr().add(HEARTBEAT_OFFSET + offset);
            ptr::copy_nonoverlapping(bytes.as_ptr(), place, bytes.len());
        }
    }

    /// As [`put`](Self::put), at an offset that is a multiple of 8.
    #[inline(always)]
    fn put_words<const N: usize>(&self, offset: usize, words: &[u64; N]) {
        for (index, word) in words.iter().enumerate() {
            self.word(HEARTBEAT_OFFSET + offset + 8 * index).store(word.to_le(), Ordering::Relaxed);
        }
    }

    #[inline]
    fn word(&self, offset: usize) -> &AtomicU64 {
        debug_assert!(offset.is_multiple_of(8) && offset + 8 <= PAGE_SIZE);
        // SAFETY: the offset is inside the page and aligned to 8 bytes; the page lives as long as self.
        unsafe { &*self.map.as_ptr().add(offset).cast() }
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        if self.file.is_none() {
            // SAFETY: the mapping is ours and no reference into it outlives self.
            unsafe { libc::munmap(self.map.as_ptr().cast(), PAGE_SIZE) };
        }
    }
}

fn file_name(worker: u64) -> String {
    format!("{worker:016x}.wrk")
}

fn anonymous_map() -> io::Result<NonNull<u8>> {
    let (access, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_ANONYMOUS);
    // SAFETY: a new mapping of one page, at a place of the kernel's choice.
    let map = unsafe { libc::mmap(ptr::null_mut(), PAGE_SIZE, access, flags, -1, 0) };
    if map == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    NonNull::new(map.cast()).ok_or_else(|| io::Error::other("the kernel mapped a page at address 0"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::heartbeat::read_page;
    use crate::journal::own::Owners;
    use crate::journal::scratch::Scratch;

    fn all(bytes: &mut Vec<u8>, content: &[u8]) -> u64 {
        bytes.extend_from_slice(content);
        5
    }

    fn heartbeat(page: &Page) -> Vec<u8> {
        // SAFETY: nobody writes to the page any more.
        let page = unsafe { std::slice::from_raw_parts(page.map.as_ptr(), PAGE_SIZE) };
        let length = usize::from(page[LENGTH_OFFSET]) | usize::from(page[LENGTH_OFFSET + 1]) << 8;
        page[HEARTBEAT_OFFSET..HEARTBEAT_OFFSET + length].to_vec()
    }

    #[test]
    fn a_change_leaves_the_rest_as_it_was() {
        let page = Page::anonymous().unwrap();
        let change = |texts, job| Change {
            numbers: ([0x0101_0101_0101_0101; 2], [0x0202_0202_0202_0202; 7]),
            kept: 3,
            texts,
            job,
        };
        assert!(page.begin_change(5).is_none(), "nothing is written yet");
        page.write(|bytes| all(bytes, &[[9; FIXED].as_slice(), b"hostqueue"].concat()));
        let numbers = [&[1; 16][..], &[9; 32], &[2; 56], &[9; 56]].concat();
        for (texts, job, tail) in [(&b"task"[..], Some("é-1"), &b"hostask\x04\0\xc3\xa9-1"[..]), (b"", None, b"hos")] {
            assert!(page.begin_change(5).unwrap().change(change(texts, job)));
            assert_eq!(heartbeat(&page), [&numbers, tail].concat());
        }
        assert!(page.begin_change(6).is_none(), "of another description");
        assert_eq!(heartbeat(&page), [&numbers[..], b"hos"].concat());
        let long = "x".repeat(300);
        assert!(page.begin_change(5).unwrap().change(change(b"", Some(&long))));
        assert_eq!(heartbeat(&page).len(), FIXED + 3 + 2 + 255);
        let held = page.begin().unwrap();
        assert!(page.begin_change(5).is_none(), "another thread is here");
        drop(held);
        assert!(!page.begin_change(5).unwrap().change(change(&[b'x'; LONGEST], None)));
        let here = page.begin_change(5).unwrap();
        page.write(|bytes| all(bytes, b"left to who is here"));
        assert!(!here.change(change(b"", None)), "another thread left its news");
        assert!(page.begin_change(5).is_some());
    }

    #[test]
    fn what_is_written_is_read_from_the_file() {
        let scratch = Scratch::directory();
        let spool = Spool::open(scratch.path(), Owners::User).unwrap();
        let page = Page::create(&spool, 0xabc).unwrap();
        page.counter(3).fetch_add(5, Ordering::Relaxed);
        page.write(|bytes| all(bytes, &[7; 100]));
        let file = scratch.path().join("0000000000000abc.wrk");
        let content = std::fs::read(&file).unwrap();
        assert_eq!(content.len(), PAGE_SIZE);
        assert_eq!(content[HEARTBEAT_OFFSET..HEARTBEAT_OFFSET + 101], [&[7; 100][..], &[0]].concat());
        assert_eq!(content[16], 2);
        assert_eq!(read_page(&content, 0).unwrap().counters[3], 5);
        assert!(page.is_whole());
        std::fs::remove_file(&file).unwrap();
        assert!(!page.is_whole());
        page.write(|bytes| all(bytes, &[8; 5_000]));
    }

    #[test]
    fn a_page_that_others_cut_is_written_on_and_no_longer_counts_as_there() {
        let scratch = Scratch::directory();
        let spool = Spool::open(scratch.path(), Owners::User).unwrap();
        let page = Page::create(&spool, 0xabc).unwrap();
        page.counter(3).fetch_add(5, Ordering::Relaxed);
        let file = std::fs::File::options().write(true).open(scratch.path().join("0000000000000abc.wrk")).unwrap();
        file.set_len(0).unwrap();
        assert!(!page.is_whole(), "also before anything was stored");
        page.counter(3).fetch_add(2, Ordering::Relaxed);
        page.write(|bytes| {
            bytes.extend([7; 100]);
            1
        });
        assert!(!page.is_whole());
        assert_eq!(page.counter(3).load(Ordering::Relaxed), 2);
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
                        page.write(|bytes| all(bytes, &latest.load(Ordering::SeqCst).to_le_bytes()));
                    }
                });
            }
        });
        page.write(|bytes| all(bytes, &latest.load(Ordering::SeqCst).to_le_bytes()));
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
