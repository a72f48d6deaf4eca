//! Counts of the executions of a process, and its time with and without one.

use std::sync::atomic::{AtomicU64, Ordering};

use super::slots::SLOTS;

/// Bits of the number of running executions in [`Times::state`]; those above count the starts.
const RUNNING_BITS: u32 = 16;
const RUNNING: u64 = (1 << RUNNING_BITS) - 1;

// A slot more for each thread that is between its slot and its start.
const _: () = assert!(SLOTS as u64 * 8 < RUNNING);

/// How many executions started, run and finished, and for how long at least one ran.
#[derive(Debug)]
pub struct Times {
    /// Starts in this line of descent, and how many of this process run: one word, so that a start or an end changes both in one step.
    state: AtomicU64,
    /// Starts of the processes before.
    inherited: u64,
    born_ns: u64,
    failed: AtomicU64,
    busy_ns: AtomicU64,
    busy_since_ns: AtomicU64,
}

/// The executions of a process at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    /// Started.
    pub started: u64,
    /// Of these, still running.
    pub running: u64,
}

impl Counts {
    /// Of those that started, the ones that do not run any more.
    pub fn finished(self) -> u64 {
        self.started.saturating_sub(self.running)
    }
}

/// The start of an execution.
#[derive(Clone, Copy, Debug)]
pub struct Turn {
    /// Differs from that of every other start in this line of descent; above 0.
    pub serial: u64,
    /// No other one ran.
    pub alone: bool,
}

impl Times {
    /// Nothing started yet in a process that begins now; `before` are the times of the process that forked it.
    pub fn new(now_ns: u64, before: Option<&Times>) -> Times {
        // A child counts on, so that a ticket of its parent never opens a slot of its own.
        let inherited = before.map_or(0, |before| before.state.load(Ordering::Relaxed) >> RUNNING_BITS);
        Times {
            state: AtomicU64::new(inherited << RUNNING_BITS),
            inherited,
            born_ns: now_ns,
            failed: AtomicU64::new(0),
            busy_ns: AtomicU64::new(0),
            busy_since_ns: AtomicU64::new(0),
        }
    }

    /// An execution starts.
    #[inline]
    pub fn enter(&self, now_ns: u64) -> Turn {
        let before = self.state.fetch_add(1 << RUNNING_BITS | 1, Ordering::AcqRel);
        let alone = before & RUNNING == 0;
        if alone {
            self.busy_since_ns.store(now_ns, Ordering::Relaxed);
        }
        Turn { serial: (before >> RUNNING_BITS) + 1, alone }
    }

    /// An execution ended; answers whether no other one ran beside it since its `turn`, which is 0 if one ran already.
    #[inline]
    pub fn leave(&self, now_ns: u64, turn: u64, failed: bool) -> bool {
        let before = self.state.fetch_sub(1, Ordering::AcqRel);
        if before & RUNNING == 1 {
            let since = self.busy_since_ns.load(Ordering::Relaxed);
            self.busy_ns.fetch_add(now_ns.saturating_sub(since), Ordering::Relaxed);
        }
        if failed {
            self.failed.fetch_add(1, Ordering::Relaxed);
        }
        before >> RUNNING_BITS == turn // a serial is above 0
    }

    /// How many started and run now.
    #[inline]
    pub fn counts(&self) -> Counts {
        let state = self.state.load(Ordering::Relaxed);
        Counts { started: (state >> RUNNING_BITS) - self.inherited, running: state & RUNNING }
    }

    /// How many finished, neither succeeded nor retried.
    #[inline]
    pub fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    /// Busy and idle time until now, µs; busy if `running`.
    #[inline]
    pub fn busy_and_idle_us(&self, now_ns: u64, running: bool) -> (u64, u64) {
        let mut busy = self.busy_ns.load(Ordering::Relaxed);
        if running {
            busy += now_ns.saturating_sub(self.busy_since_ns.load(Ordering::Relaxed));
        }
        let age = now_ns.saturating_sub(self.born_ns);
        (busy.min(age) / 1_000, age.saturating_sub(busy) / 1_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn starts_and_ends_are_counted_and_timed() {
        let times = Times::new(1_000_000, None);
        let first = times.enter(2_000_000);
        assert!(first.alone && first.serial == 1);
        assert_eq!(times.counts(), Counts { started: 1, running: 1 });
        assert_eq!(times.busy_and_idle_us(5_000_000, true), (3_000, 1_000));
        assert!(times.leave(6_000_000, first.serial, true), "nothing came in between");
        assert_eq!((times.counts().finished(), times.failed()), (1, 1));
        assert_eq!(times.busy_and_idle_us(8_000_000, false), (4_000, 3_000));
    }

    #[test]
    fn an_execution_beside_another_is_not_alone() {
        let times = Times::new(0, None);
        let (outer, inner) = (times.enter(10), times.enter(20));
        assert!(outer.alone && !inner.alone && inner.serial == outer.serial + 1);
        assert!(!times.leave(30, 0, false));
        assert!(!times.leave(40, outer.serial, false), "one ran beside it for a while");
        assert_eq!((times.counts(), times.failed()), (Counts { started: 2, running: 0 }, 0));
        assert_eq!(times.busy_and_idle_us(2_000, false).0, 0);
        assert_eq!(times.busy_ns.load(Ordering::Relaxed), 30);
    }

    #[test]
    fn a_child_counts_its_own_and_goes_on_behind_its_parent() {
        let parent = Times::new(0, None);
        let last = [parent.enter(1), parent.enter(2)][1].serial;
        let child = Times::new(3, Some(&parent));
        assert_eq!(child.counts(), Counts { started: 0, running: 0 });
        assert!(child.enter(4).serial > last);
        assert_eq!(child.counts(), Counts { started: 1, running: 1 });
        let grandchild = Times::new(5, Some(&child));
        assert!(grandchild.enter(6).serial > last + 1);
    }

    #[test]
    fn threads_get_a_serial_each() {
        let times = Times::new(0, None);
        let serials = std::thread::scope(|scope| {
            let thread = || {
                let mut serials = Vec::new();
                for _ in 0..2_000 {
                    serials.push(times.enter(1).serial);
                    times.leave(2, 0, false);
                }
                serials
            };
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(thread)).collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect::<std::collections::HashSet<_>>()
        });
        assert_eq!((serials.len(), times.counts()), (8_000, Counts { started: 8_000, running: 0 }));
    }
}
