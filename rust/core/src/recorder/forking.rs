//! Has the current segment changed before a fork, whoever forks: Python, or a program in C that asks nobody. `pthread_atfork` calls.

#![expect(unsafe_code, reason = "registers with the C library for forks")]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering};

use super::fork;
use super::local::Local;
use crate::kernel;

/// Recorders of one process that are seen to; what is beyond has its children make segments of their own.
const PLACES: usize = 64;

static WATCHED: [AtomicPtr<Local>; PLACES] = [const { AtomicPtr::new(ptr::null_mut()) }; PLACES];
/// Threads that are about to fork and look at the states in [`WATCHED`]. A child inherits it, so it may be too high there.
static LOOKING: AtomicUsize = AtomicUsize::new(0);

/// Sees to this state before each fork from now on. It must not be freed before [`forget`] said that it may.
pub fn watch(local: &Local) {
    static REGISTERED: AtomicBool = AtomicBool::new(false);
    if !REGISTERED.swap(true, Ordering::Relaxed) {
        // SAFETY: the handler is a function of this library, which is never unloaded. Children inherit it.
        unsafe { libc::pthread_atfork(Some(before_fork), None, None) };
    }
    let new = ptr::from_ref(local).cast_mut();
    for place in &WATCHED {
        let found = place.load(Ordering::SeqCst);
        // SAFETY: what stands here is not freed; what a parent had here stays as long as this child.
        let free = found.is_null() || unsafe { (*found).generation } != local.generation;
        if free && place.compare_exchange(found, new, Ordering::SeqCst, Ordering::Relaxed).is_ok() {
            return;
        }
    }
}

/// Sees to it no more. False when a fork may still be looking at it: then it must never be freed.
pub fn forget(local: &Local) -> bool {
    for place in &WATCHED {
        let own = ptr::from_ref(local).cast_mut();
        let _ = place.compare_exchange(own, ptr::null_mut(), Ordering::SeqCst, Ordering::Relaxed);
    }
    LOOKING.load(Ordering::SeqCst) == 0
}

/// Called by the thread that forks, before it does.
extern "C" fn before_fork() {
    // This thread's fork is to change it or nobody.
    let errno = kernel::errno();
    LOOKING.fetch_add(1, Ordering::SeqCst);
    for place in &WATCHED {
        // SAFETY: `forget` answers false from the addition above on, so what is met after it is not freed.
        let local = unsafe { place.load(Ordering::SeqCst).as_ref() };
        if let Some(local) = local.filter(|local| local.generation == fork::generation()) {
            // A panic must not get into the program that forks; there is nobody here to tell.
            let _ = catch_unwind(AssertUnwindSafe(|| local.journal.before_fork(&local.identity)));
        }
    }
    LOOKING.fetch_sub(1, Ordering::SeqCst);
    kernel::set_errno(errno);
}
