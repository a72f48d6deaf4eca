//! A file mapped into memory that other processes share. Knows nothing of what is in it.

#![expect(unsafe_code, reason = "maps memory")]

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::ptr::{self, NonNull};
use std::slice;
use std::sync::atomic::{AtomicU64, Ordering};

use super::guard::{self, Place};
use crate::kernel;

/// A shared mapping that truncation of its file cannot turn into a death of this process.
#[derive(Debug)]
pub struct Map {
    start: NonNull<u8>,
    /// Bytes mapped, whole pages.
    mapped: usize,
    /// Bytes that may be used.
    length: usize,
    /// The first byte that may be used.
    first: NonNull<u8>,
    place: &'static Place,
}

// SAFETY: all access is by atomics inside the mapping.
unsafe impl Send for Map {}
// SAFETY: as above.
unsafe impl Sync for Map {}

impl Map {
    /// Maps `length` bytes of a file from `offset`, a multiple of 8. They must be allocated, or the disk may have no room for them later.
    pub fn new(file: &File, offset: u64, length: usize) -> io::Result<Map> {
        let place = Place::take().ok_or_else(|| io::Error::other("this process has too many mapped files"))?;
        if !guard::arm() {
            place.give_back();
            return Err(io::Error::other("another handler has taken SIGBUS over"));
        }
        let page = page_size();
        let skip = (offset % page as u64) as usize;
        let mapped = (skip + length).next_multiple_of(page);
        let (access, from) = (libc::PROT_READ | libc::PROT_WRITE, offset - skip as u64);
        // SAFETY: a new mapping at a place of the kernel's choice.
        let map = unsafe {
            libc::mmap(ptr::null_mut(), mapped, access, libc::MAP_SHARED, file.as_raw_fd(), from as libc::off_t)
        };
        match NonNull::new(map.cast()) {
            Some(start) if map != libc::MAP_FAILED => {
                place.guard(start.as_ptr() as usize, mapped);
                // SAFETY: not behind the end of the mapping.
                let first = unsafe { start.add(skip) };
                Ok(Map { start, mapped, length, first, place })
            }
            _ => {
                let error = io::Error::last_os_error();
                place.give_back();
                Err(error)
            }
        }
    }

    /// Makes all pages present and writable, so that no store waits for one soon.
    pub fn populate(&self) {
        if !kernel::populate(self.start.as_ptr().cast(), self.mapped) {
            for offset in (0..self.length).step_by(page_size()) {
                self.word(offset).fetch_add(0, Ordering::Relaxed);
            }
        }
    }

    /// Eight bytes at a multiple of 8.
    #[inline]
    pub fn word(&self, offset: usize) -> &AtomicU64 {
        assert!(offset.is_multiple_of(8) && offset < self.length.saturating_sub(7));
        // SAFETY: the word is inside the mapping, aligned, and any bytes are a valid AtomicU64; it lives as long as self.
        unsafe { &*self.first.as_ptr().add(offset).cast() }
    }

    /// Everything in pieces of 64 bytes.
    #[inline]
    pub fn lines(&self) -> &[[AtomicU64; 8]] {
        // SAFETY: as above; what is left behind the last whole piece is left out.
        unsafe { slice::from_raw_parts(self.first.as_ptr().cast(), self.length / 64) }
    }

    /// Where the bytes are, as long as self lives.
    pub fn first(&self) -> NonNull<u8> {
        self.first
    }

    /// Lets go of the file, also under threads that store to it: from now on they store to memory of this process alone.
    pub fn detach(&self) {
        self.place.detach();
    }

    /// True when the file was taken away under the mapping: what is stored here is stored nowhere.
    #[inline]
    pub fn is_broken(&self) -> bool {
        self.place.is_broken()
    }
}

impl Drop for Map {
    fn drop(&mut self) {
        self.place.give_back();
        // SAFETY: the mapping is ours and no reference into it outlives self.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.mapped) };
    }
}

fn page_size() -> usize {
    // SAFETY: sysconf only reads.
    usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).ok().filter(|size| *size > 0).unwrap_or(4096)
}
