//! CPU time of children that this process waited for, read only where an execution can have waited for one.
//!
//! A child that calculates for any time worth the name is not started, run and waited for within a millisecond. So the kernel is asked
//! when an execution ends that took longer, and when one starts after a longer time without one, in which others may have waited for
//! children. Short executions one after the other ask nothing.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::sampling::process::Usage;

/// What happens in a shorter time leaves no child's CPU time behind, ns.
const SHORTEST_NS: u64 = 1_000_000;

/// The last reading of a process. Not for a forked child, whose children are others.
#[derive(Debug, Default)]
pub struct Children {
    kept_ns: AtomicU64,
    /// When the last execution ended, monotonic ns; 0: none did.
    left_ns: AtomicU64,
}

impl Children {
    /// CPU time of all children until now, ns, when an execution starts.
    #[inline]
    pub fn before(&self, now_ns: u64) -> u64 {
        self.since(self.left_ns.load(Ordering::Relaxed), now_ns)
    }

    /// The same when it ends, of one that started at `started_ns`.
    #[inline]
    pub fn after(&self, started_ns: u64, now_ns: u64) -> u64 {
        self.left_ns.store(now_ns, Ordering::Relaxed);
        self.since(started_ns, now_ns)
    }

    #[inline]
    fn since(&self, then_ns: u64, now_ns: u64) -> u64 {
        if now_ns.saturating_sub(then_ns) < SHORTEST_NS { self.kept_ns.load(Ordering::Relaxed) } else { self.read() }
    }

    #[cold]
    #[inline(never)]
    fn read(&self) -> u64 {
        let Some(usage) = Usage::children() else { return self.kept_ns.load(Ordering::Relaxed) };
        let cpu_ns = usage.cpu_user_ns + usage.cpu_system_ns;
        self.kept_ns.store(cpu_ns, Ordering::Relaxed);
        cpu_ns
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sampling::clock;
    use crate::sampling::fixture::in_child;

    const MS: u64 = 1_000_000;

    /// A child that uses some CPU time and is waited for.
    fn burn() {
        assert!(in_child(|| {
            while clock::process_cpu_ns().unwrap() < 20 * MS {}
            true
        }));
    }

    #[test]
    fn the_kernel_is_asked_where_a_child_can_have_ended_in_between() {
        // In a child of its own, since other tests of this program wait for theirs.
        assert!(in_child(|| {
            let children = Children::default();
            let first = children.before(1_000 * MS);
            assert_eq!(first, 0, "a forked child has no children yet");
            burn();
            assert_eq!(children.after(1_000 * MS, 1_001 * MS - 1), first, "nothing ends within a millisecond");
            let second = children.after(1_000 * MS, 1_001 * MS);
            assert!(second >= first + 19 * MS, "{second}");
            burn();
            assert_eq!(children.before(1_002 * MS - 1), second, "at once behind the last execution");
            let third = children.before(1_002 * MS);
            assert!(third >= second + 19 * MS, "others waited for it between two executions: {third}");
            true
        }));
    }
}
