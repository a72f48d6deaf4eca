//! A pointer that many threads use without counting references, and that is freed when the last of them is done.
//!
//! Each thread says in a seat of its own what it uses: a plain store. Who takes the pointer away makes all threads pass a memory
//! barrier (`membarrier(2)`), so that either they see that it is gone or he sees that they use it (hazard pointers: Michael, "Hazard
//! Pointers: Safe Memory Reclamation for Lock-Free Objects", 2004).

#![expect(unsafe_code, reason = "frees what other threads may look at")]

use std::fmt;
use std::marker::PhantomData;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering, compiler_fence, fence};
use std::sync::{Mutex, PoisonError};

use crate::kernel;
use crate::thread::here;

/// What one thread uses. Seats are never freed, but used again.
#[derive(Debug)]
pub struct Seat {
    uses: AtomicPtr<()>,
    taken: AtomicBool,
    next: Option<&'static Seat>,
}

static SEATS: AtomicPtr<Seat> = AtomicPtr::new(ptr::null_mut());
/// The kernel does not make threads pass a barrier for us: each must do it by itself.
static OWN_BARRIER: AtomicBool = AtomicBool::new(false);

thread_local! {
    static AT_EXIT: LeaveAtExit = const { LeaveAtExit };
}

struct LeaveAtExit;

impl Drop for LeaveAtExit {
    fn drop(&mut self) {
        if let Some(seat) = here(|here| here.seat.take()) {
            seat.taken.store(false, Ordering::Release);
        }
    }
}

impl Seat {
    fn all() -> impl Iterator<Item = &'static Seat> {
        // SAFETY: a seat, once published, is never freed.
        let first = unsafe { SEATS.load(Ordering::Acquire).as_ref() };
        std::iter::successors(first, |seat| seat.next)
    }

    /// A seat that nobody has, a new one if need be.
    #[cold]
    fn take() -> &'static Seat {
        let free =
            |seat: &&Seat| seat.taken.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed).is_ok();
        if let Some(seat) = Seat::all().find(free) {
            return seat;
        }
        let seat = Box::leak(Box::new(Seat { uses: AtomicPtr::default(), taken: AtomicBool::new(true), next: None }));
        let seat = ptr::from_mut(seat);
        loop {
            let first = SEATS.load(Ordering::Acquire);
            // SAFETY: ours alone until it is published; the first is never freed.
            unsafe { (*seat).next = first.as_ref() };
            if SEATS.compare_exchange(first, seat, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
                // SAFETY: from now on it is only shared, and never freed.
                return unsafe { &*seat };
            }
        }
    }
}

/// A value in use. Says at its end that its seat uses nothing any more.
pub struct Use<'a, T> {
    seat: &'static Seat,
    value: *mut T,
    shared: PhantomData<&'a Shared<T>>,
}

impl<T> Use<'_, T> {
    /// The value, if there is one.
    #[inline(always)]
    pub fn value(&self) -> Option<&T> {
        // SAFETY: a value that was there after this thread said that it uses it is freed when it does not any more.
        unsafe { self.value.as_ref() }
    }
}

impl<T> Drop for Use<'_, T> {
    #[inline(always)]
    fn drop(&mut self) {
        self.seat.uses.store(ptr::null_mut(), Ordering::Release);
    }
}

/// A value, or none, that threads use while others replace it.
pub struct Shared<T> {
    value: AtomicPtr<T>,
    /// Taken away while somebody used it.
    retired: Mutex<Vec<Box<T>>>,
}

impl<T: Send + Sync> Shared<T> {
    /// No value.
    pub fn none() -> Shared<T> {
        if !barrier() {
            OWN_BARRIER.store(true, Ordering::Relaxed);
        }
        Shared { value: AtomicPtr::default(), retired: Mutex::new(Vec::new()) }
    }

    /// Uses the value if there is one. It is there until `work` returns, also when others take it away meanwhile.
    #[inline(always)]
    pub fn with<R>(&self, work: impl FnOnce(&T) -> R) -> Option<R> {
        match self.at_once() {
            Some(used) => used.value().map(work),
            None => self.without_seat(work),
        }
    }

    /// Begins to use the value, or that there is none, if this thread has a seat that it does not use: the usual case.
    #[inline(always)]
    pub fn at_once(&self) -> Option<Use<'_, T>> {
        let seat = here(|here| here.seat.get())?;
        seat.uses.load(Ordering::Relaxed).is_null().then(|| self.seated(seat))
    }

    /// With a new seat: for the thread, or for one nested use of a thread that uses its own further down on its stack.
    #[cold]
    #[inline(never)]
    fn without_seat<R>(&self, work: impl FnOnce(&T) -> R) -> Option<R> {
        let (seat, nested) = (Seat::take(), here(|here| here.seat.get()).is_some());
        if !nested {
            here(|here| here.seat.set(Some(seat)));
            // At the end of a thread, when it is too late for that, its seat stays taken.
            let _ = AT_EXIT.try_with(|_| ());
        }
        let done = self.seated(seat).value().map(work);
        if nested {
            seat.taken.store(false, Ordering::Release);
        }
        done
    }

    #[inline(always)]
    fn seated(&self, seat: &'static Seat) -> Use<'_, T> {
        let mut value = self.value.load(Ordering::Acquire);
        loop {
            seat.uses.store(value.cast(), Ordering::Relaxed);
            // Between saying what is used and looking whether it is still there.
            if OWN_BARRIER.load(Ordering::Relaxed) {
                fence(Ordering::SeqCst);
            } else {
                compiler_fence(Ordering::SeqCst);
            }
            let again = self.value.load(Ordering::Acquire);
            if again == value {
                break;
            }
            value = again;
        }
        Use { seat, value, shared: PhantomData }
    }

    /// Puts a value in place of the one that is there.
    pub fn put(&self, value: Box<T>) {
        let before = self.value.swap(Box::into_raw(value), Ordering::SeqCst);
        self.retire(before);
    }

    /// Takes this value away if it is the one that is there.
    pub fn end(&self, value: *const T) {
        let (value, none) = (value.cast_mut(), ptr::null_mut());
        if self.value.compare_exchange(value, none, Ordering::SeqCst, Ordering::Relaxed).is_ok() {
            self.retire(value);
        }
    }

    /// The value, which no other thread may use: in a forked child, whose only thread this is.
    pub fn take_alone(&self) -> Option<Box<T>> {
        let value = self.value.swap(ptr::null_mut(), Ordering::SeqCst);
        // SAFETY: it came from a Box, and nobody else has it.
        (!value.is_null()).then(|| unsafe { Box::from_raw(value) })
    }

    /// Frees what was taken away, or keeps it for the next time while it is used.
    fn retire(&self, value: *mut T) {
        if value.is_null() {
            return;
        }
        // SAFETY: it came from a Box, and only who took it away gets here. Boxed again it is only moved until nobody uses it.
        let value = unsafe { Box::from_raw(value) };
        let passed = barrier();
        let mut retired = self.retired.lock().unwrap_or_else(PoisonError::into_inner);
        retired.push(value);
        if !passed && !OWN_BARRIER.load(Ordering::Relaxed) {
            return; // the kernel changed its mind: nobody can be sure any more
        }
        let used =
            |value: *const T| Seat::all().any(|seat| seat.uses.load(Ordering::Acquire) == value.cast_mut().cast());
        let (kept, free) = retired.drain(..).partition(|value| used(&raw const **value));
        *retired = kept;
        drop(retired);
        drop::<Vec<Box<T>>>(free); // closes and unmaps, without the lock
    }
}

impl<T> Drop for Shared<T> {
    fn drop(&mut self) {
        let value = *self.value.get_mut();
        if !value.is_null() {
            // SAFETY: it came from a Box, and nobody else has it any more.
            drop(unsafe { Box::from_raw(value) });
        }
    }
}

impl<T> fmt::Debug for Shared<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Shared").field(&self.value).finish()
    }
}

/// Has all threads of this process pass a memory barrier; false when the kernel does not do that.
fn barrier() -> bool {
    fence(Ordering::SeqCst);
    let passed = kernel::barrier();
    fence(Ordering::SeqCst);
    passed
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicU64;

    use super::*;

    /// Counts its drops, and notices its use after one.
    struct Probe {
        alive: AtomicU64,
        dropped: Arc<AtomicU64>,
    }

    impl Probe {
        fn new(dropped: &Arc<AtomicU64>) -> Box<Probe> {
            Box::new(Probe { alive: AtomicU64::new(0x5ea7), dropped: Arc::clone(dropped) })
        }
    }

    impl Drop for Probe {
        fn drop(&mut self) {
            self.alive.store(0xdead, Ordering::SeqCst);
            self.dropped.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn what_is_used_is_freed_only_when_nobody_uses_it() {
        let dropped = Arc::new(AtomicU64::new(0));
        let shared = Shared::none();
        assert!(shared.with(|_: &Probe| ()).is_none());
        shared.put(Probe::new(&dropped));
        shared.with(|probe| {
            shared.end(probe);
            shared.put(Probe::new(&dropped));
            // Nested: the second value in a seat of its own.
            shared.with(|second| assert_eq!(second.alive.load(Ordering::SeqCst), 0x5ea7)).unwrap();
            assert_eq!((probe.alive.load(Ordering::SeqCst), dropped.load(Ordering::SeqCst)), (0x5ea7, 0));
        });
        shared.put(Probe::new(&dropped));
        assert_eq!(dropped.load(Ordering::SeqCst), 2, "the first as well, which was kept");
        drop(shared);
        assert_eq!(dropped.load(Ordering::SeqCst), 3);
    }

    #[test]
    fn threads_never_meet_a_freed_value() {
        let (dropped, made) = (Arc::new(AtomicU64::new(0)), AtomicU64::new(0));
        let shared = Shared::none();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for turn in 0..4_000 {
                        let met = shared.with(|probe: &Probe| {
                            assert_eq!(probe.alive.load(Ordering::SeqCst), 0x5ea7);
                            if turn % 7 == 0 {
                                shared.end(probe);
                            }
                            std::hint::spin_loop();
                            assert_eq!(probe.alive.load(Ordering::SeqCst), 0x5ea7);
                        });
                        if met.is_none() {
                            made.fetch_add(1, Ordering::SeqCst);
                            shared.put(Probe::new(&dropped));
                        }
                    }
                });
            }
        });
        drop(shared);
        assert_eq!(dropped.load(Ordering::SeqCst), made.load(Ordering::SeqCst));
    }

    #[test]
    fn the_seat_of_a_thread_that_ended_is_used_again() {
        let shared = Shared::none();
        shared.put(Box::new(1_u8));
        for _ in 0..200 {
            std::thread::scope(|scope| {
                scope.spawn(|| shared.with(|_| ()).unwrap());
            });
        }
        assert!(Seat::all().count() < 100, "{}", Seat::all().count());
    }
}
