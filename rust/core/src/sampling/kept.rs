//! Open files that belong to one process: a forked child, whose `/proc/self` is another, opens its own.

#![expect(unsafe_code, reason = "shares state without a lock")]

use std::fmt;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::{Arc, Mutex, PoisonError, TryLockError};

use crate::recorder::fork;

/// A value of the process that asks for it. No lock is held while a value is made or used, so none is inherited over a system call.
pub struct Kept<T> {
    current: AtomicPtr<Slot<T>>,
}

struct Slot<T> {
    generation: u64,
    value: Mutex<Option<Arc<T>>>,
    /// That of the parent process; null in the first one.
    older: *mut Slot<T>,
}

// SAFETY: a slot is reached through the atomic pointer only, its value through a lock; `older` is followed by `drop` alone.
unsafe impl<T: Send + Sync> Send for Kept<T> {}
// SAFETY: as above.
unsafe impl<T: Send + Sync> Sync for Kept<T> {}

impl<T> Default for Kept<T> {
    fn default() -> Kept<T> {
        Kept { current: AtomicPtr::new(ptr::null_mut()) }
    }
}

impl<T> Kept<T> {
    /// The value of this process; None in a child that has made none yet.
    pub fn get(&self) -> Option<Arc<T>> {
        self.slot().value.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Keeps a value, and gives it back for use.
    pub fn keep(&self, value: T) -> Arc<T> {
        let value = Arc::new(value);
        let replaced = self.slot().value.lock().unwrap_or_else(PoisonError::into_inner).replace(value.clone());
        drop(replaced); // after the lock: closing files is system calls
        value
    }

    fn slot(&self) -> &Slot<T> {
        let generation = fork::generation();
        let current = self.current.load(Ordering::Acquire);
        // SAFETY: a slot, once published, is freed with the whole.
        match unsafe { current.as_ref() } {
            Some(slot) if slot.generation == generation => slot,
            _ => self.begin(generation, current),
        }
    }

    #[cold]
    fn begin(&self, generation: u64, older: *mut Slot<T>) -> &Slot<T> {
        // SAFETY: as in `slot`.
        if let Some(parent) = unsafe { older.as_ref() } {
            parent.abandon();
        }
        let new = Box::into_raw(Box::new(Slot { generation, value: Mutex::new(None), older }));
        match self.current.compare_exchange(older, new, Ordering::AcqRel, Ordering::Acquire) {
            // SAFETY: just published; freed with the whole.
            Ok(_) => unsafe { &*new },
            Err(other) => {
                // SAFETY: ours was not published; the other one is freed with the whole.
                unsafe {
                    drop(Box::from_raw(new));
                    &*other
                }
            }
        }
    }
}

impl<T> Slot<T> {
    /// Lets go of a parent's value in its child; false when a thread of the parent had the lock, and what lies under it is unknown.
    fn abandon(&self) -> bool {
        let inherited = match self.value.try_lock() {
            Ok(mut value) => value.take(),
            Err(TryLockError::Poisoned(value)) => value.into_inner().take(),
            Err(TryLockError::WouldBlock) => return false,
        };
        drop(inherited);
        true
    }
}

impl<T> Drop for Kept<T> {
    fn drop(&mut self) {
        let mut next = *self.current.get_mut();
        while !next.is_null() {
            // SAFETY: it came from a Box, and nobody else has the whole any more.
            let slot = unsafe { Box::from_raw(next) };
            next = slot.older;
            if !slot.abandon() {
                std::mem::forget(slot);
            }
        }
    }
}

impl<T> fmt::Debug for Kept<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kept").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sampling::fixture::in_child;

    #[test]
    fn a_child_makes_its_own_and_the_parent_keeps_its() {
        let kept = Kept::default();
        assert!(kept.get().is_none());
        let value = kept.keep(1);
        assert!(in_child(|| kept.get().is_none() && *kept.keep(2) == 2 && *kept.get().unwrap() == 2));
        assert!(in_child(|| in_child(|| kept.get().is_none()) && kept.get().is_none()));
        assert!(kept.get().is_some_and(|kept| Arc::ptr_eq(&kept, &value)));
        drop(kept);
        assert_eq!(Arc::strong_count(&value), 1);
    }

    #[test]
    fn a_child_waits_for_no_lock_of_its_parent() {
        let kept = Kept::default();
        kept.keep(1);
        let slot = kept.slot();
        let held = slot.value.lock().unwrap();
        assert!(in_child(|| kept.get().is_none() && *kept.keep(2) == 2));
        drop(held);
    }

    #[test]
    fn threads_see_one_value() {
        let kept = Kept::default();
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let kept = &kept;
                scope.spawn(move || (0..1_000).all(|_| *kept.keep(thread) == thread && kept.get().is_some()));
            }
        });
        assert!(*kept.get().unwrap() < 4);
    }
}
