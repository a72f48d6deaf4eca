//! Tells a forked child from its parent without a system call.
//!
//! One anonymous page is wiped by the kernel in every child (`MADV_WIPEONFORK`). It holds the generation of the process; a
//! child finds 0 there and gives itself the next number.

#![expect(unsafe_code, reason = "keeps memory that a forked child finds wiped")]

use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering};

use crate::kernel;

static WORD: AtomicPtr<AtomicU64> = AtomicPtr::new(ptr::null_mut());
/// Ordinary memory: a child counts on where its parent was.
static NEXT: AtomicU64 = AtomicU64::new(1);
/// Where the kernel does not wipe: the pid that the word was written by; 0 where it does.
static OWNER: AtomicU32 = AtomicU32::new(0);

/// A number that is different in each process of a line of descent; never 0.
#[inline]
pub fn generation() -> u64 {
    let word = WORD.load(Ordering::Acquire);
    if word.is_null() {
        return begin();
    }
    // SAFETY: the word was published by `begin` and is never unmapped.
    let word = unsafe { &*word };
    let owner = OWNER.load(Ordering::Relaxed);
    if owner != 0 && owner != std::process::id() {
        OWNER.store(std::process::id(), Ordering::Relaxed);
        word.store(0, Ordering::Relaxed);
    }
    match word.load(Ordering::Acquire) {
        0 => claim(word),
        generation => generation,
    }
}

/// Gives this process its number; threads that come at once agree on one.
#[cold]
fn claim(word: &AtomicU64) -> u64 {
    let next = NEXT.fetch_add(1, Ordering::Relaxed);
    match word.compare_exchange(0, next, Ordering::AcqRel, Ordering::Acquire) {
        Ok(_) => next,
        Err(other) => other,
    }
}

#[cold]
fn begin() -> u64 {
    let word = wiped_word().unwrap_or_else(|| {
        OWNER.store(std::process::id(), Ordering::Relaxed);
        Box::into_raw(Box::new(AtomicU64::new(0)))
    });
    // The page of a thread that comes second is left alone: it happens once in a process at most.
    let _ = WORD.compare_exchange(ptr::null_mut(), word, Ordering::AcqRel, Ordering::Acquire);
    generation()
}

/// A word on a page that the kernel wipes in every child, if it can.
fn wiped_word() -> Option<*mut AtomicU64> {
    let (length, access) = (4096, libc::PROT_READ | libc::PROT_WRITE);
    // SAFETY: a new private mapping, on which nobody else has a claim; it is aligned to a page and zero, which is a valid AtomicU64.
    unsafe {
        let page = libc::mmap(ptr::null_mut(), length, access, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1, 0);
        if page == libc::MAP_FAILED {
            return None;
        }
        if !kernel::wipe_in_children(page, length) {
            libc::munmap(page, length);
            return None;
        }
        Some(page.cast())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_share_a_generation_and_a_child_has_its_own() {
        let mine = generation();
        assert_eq!(std::thread::spawn(generation).join().unwrap(), mine);
        // SAFETY: the child only reads atomics and leaves by _exit.
        let status = unsafe {
            let child = libc::fork();
            if child == 0 {
                let own = generation();
                libc::_exit(if own > mine && generation() == own { 0 } else { 1 });
            }
            let mut status = -1;
            libc::waitpid(child, &mut status, 0);
            status
        };
        assert_eq!(status, 0);
        assert_eq!(generation(), mine);
    }
}
