//! The time of the wall and of the monotonic clock by one reading.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use crate::sampling::clock;

/// For so long the wall clock is taken to go as the monotonic one does. Both follow the same corrections of their rate; apart they get
/// only when somebody sets the clock or the machine slept, which a record may learn so late.
const FRESH_NS: u64 = 1_000_000;
/// Readings of the two clocks that lie further apart tell nothing about each other.
const CLOSE_NS: u64 = 10_000;

/// One moment on two clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Monotonic, ns.
    pub ns: u64,
    /// Of the wall, µs since 1970.
    pub us: i64,
}

/// How far the wall clock is before the monotonic one, as it was a moment ago.
#[derive(Debug, Default)]
pub struct Clocks {
    ahead_ns: AtomicI64,
    /// When that was, monotonic ns; 0: never.
    read_at: AtomicU64,
}

impl Clocks {
    /// Now.
    #[inline]
    pub fn now(&self) -> Moment {
        let ns = clock::monotonic_ns();
        // Together with what was stored before it.
        let read_at = self.read_at.load(Ordering::Acquire);
        if ns.wrapping_sub(read_at) < FRESH_NS {
            return Moment { ns, us: wall(ns, self.ahead_ns.load(Ordering::Relaxed)) };
        }
        self.read(ns)
    }

    /// Reads both clocks. Threads that do at once store what is as good.
    #[cold]
    #[inline(never)]
    fn read(&self, before_ns: u64) -> Moment {
        let (wall_ns, ns) = (clock::wall_ns(), clock::monotonic_ns());
        if ns.saturating_sub(before_ns) < CLOSE_NS {
            // By the later reading, so that no moment lies in the future.
            self.ahead_ns.store(wall_ns - ns as i64, Ordering::Relaxed);
            self.read_at.store(ns, Ordering::Release);
        }
        Moment { ns, us: wall_ns / 1_000 }
    }
}

#[inline]
fn wall(ns: u64, ahead_ns: i64) -> i64 {
    (ns.wrapping_add_signed(ahead_ns) / 1_000) as i64 // of a moment behind 1970
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_lies_between_readings_of_the_clocks() {
        let clocks = Clocks::default();
        for _ in 0..10_000 {
            let before = (clock::monotonic_ns(), clock::wall_us());
            let now = clocks.now();
            let after = (clock::monotonic_ns(), clock::wall_us());
            assert!((before.0..=after.0).contains(&now.ns));
            assert!((before.1 - 10..=after.1).contains(&now.us), "{before:?} {now:?} {after:?}");
        }
    }

    #[test]
    fn a_clock_that_is_set_is_seen_a_millisecond_later() {
        let clocks = Clocks::default();
        let now = clocks.now();
        clocks.ahead_ns.fetch_add(3_600_000_000_000, Ordering::Relaxed);
        clocks.read_at.store(now.ns - FRESH_NS, Ordering::Relaxed);
        assert!(clocks.now().us.abs_diff(clock::wall_us()) < 1_000_000);
        clocks.ahead_ns.fetch_add(3_600_000_000_000, Ordering::Relaxed);
        clocks.read_at.store(clock::monotonic_ns() + FRESH_NS, Ordering::Relaxed);
        assert!(clocks.now().us.abs_diff(clock::wall_us()) < 1_000_000, "another thread's reading is ahead of ours");
    }
}
