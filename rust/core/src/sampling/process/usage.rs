//! `getrusage(2)` and the same structure as `wait4(2)` fills it for a child that ended.

#![cfg_attr(test, expect(unsafe_code, reason = "a test calls the kernel"))]

use crate::kernel;

/// What a process, or all children that it waited for, used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// CPU time outside the kernel, ns in steps of 1,000.
    pub cpu_user_ns: u64,
    /// CPU time inside the kernel, ns in steps of 1,000.
    pub cpu_system_ns: u64,
    /// Peak of resident memory, bytes. Never below what the process had when it was executed, so a small program that a large
    /// one started shows the large one's memory. Of children: of the largest, not a sum.
    pub peak_rss_bytes: u64,
    /// Switches because a thread waited, of all threads.
    pub voluntary_switches: u64,
    /// Switches because a thread's time was up, of all threads.
    pub involuntary_switches: u64,
}

impl Usage {
    /// Of this process, all threads, those that ended too.
    pub fn own() -> Option<Usage> {
        read(libc::RUSAGE_SELF)
    }

    /// Of the children that this process waited for, with theirs.
    pub fn children() -> Option<Usage> {
        read(libc::RUSAGE_CHILDREN)
    }

    /// From the kernel's structure.
    pub fn of(usage: &libc::rusage) -> Usage {
        let ns = |time: libc::timeval| time.tv_sec as u64 * 1_000_000_000 + time.tv_usec as u64 * 1_000;
        Usage {
            cpu_user_ns: ns(usage.ru_utime),
            cpu_system_ns: ns(usage.ru_stime),
            peak_rss_bytes: peak_bytes(usage.ru_maxrss as u64),
            voluntary_switches: usage.ru_nvcsw as u64,
            involuntary_switches: usage.ru_nivcsw as u64,
        }
    }

    /// From the fields that Python's `os.wait4` and `resource.getrusage` answer: seconds, and the unit of `ru_maxrss` of the
    /// system. None if one of them is no such number.
    pub fn from_fields(user: f64, system: f64, max_rss: u64, voluntary: u64, involuntary: u64) -> Option<Usage> {
        // Rounded to the µs that the kernel gave: a double holds it exactly for 270 years.
        let ns = |seconds: f64| (0.0..8e9).contains(&seconds).then(|| (seconds * 1e6).round() as u64 * 1_000);
        Some(Usage {
            cpu_user_ns: ns(user)?,
            cpu_system_ns: ns(system)?,
            peak_rss_bytes: peak_bytes(max_rss),
            voluntary_switches: voluntary,
            involuntary_switches: involuntary,
        })
    }
}

/// Peak resident memory of this process in bytes and its CPU time in µs.
pub fn peak_and_cpu() -> Option<(u64, u64)> {
    let usage = Usage::own()?;
    Some((usage.peak_rss_bytes, (usage.cpu_user_ns + usage.cpu_system_ns) / 1_000))
}

/// Linux counts in KiB, macOS in bytes.
fn peak_bytes(max_rss: u64) -> u64 {
    if cfg!(target_os = "macos") { max_rss } else { max_rss.saturating_mul(1024) }
}

fn read(who: libc::c_int) -> Option<Usage> {
    kernel::usage(who).map(|usage| Usage::of(&usage))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn this_process_used_something() {
        let usage = Usage::own().unwrap();
        assert!(usage.cpu_user_ns + usage.cpu_system_ns > 0);
        assert!(usage.peak_rss_bytes > 100_000);
        assert_eq!(usage.cpu_user_ns % 1_000, 0);
    }

    #[test]
    fn fields_that_are_no_times_make_no_usage() {
        for wrong in [f64::NAN, -0.1, f64::INFINITY, 8e9] {
            assert_eq!(Usage::from_fields(wrong, 0.0, 0, 0, 0), None);
            assert_eq!(Usage::from_fields(0.0, wrong, 0, 0, 0), None);
        }
    }

    proptest! {
        /// Python's numbers lose nothing of the kernel's structure.
        #[test]
        fn both_ways_agree(seconds in 0_i64..100_000_000, micros in 0_i64..1_000_000, kib in 0_i64..1 << 40, switches in 0_i64..1 << 40) {
            // SAFETY: all zeros is a valid rusage.
            let mut raw: libc::rusage = unsafe { std::mem::zeroed() };
            raw.ru_utime = libc::timeval { tv_sec: seconds, tv_usec: micros };
            raw.ru_stime = libc::timeval { tv_sec: 0, tv_usec: micros };
            (raw.ru_maxrss, raw.ru_nvcsw, raw.ru_nivcsw) = (kib, switches, switches / 2);
            let seconds = seconds as f64 + micros as f64 * 1e-6;
            let fields = Usage::from_fields(seconds, micros as f64 * 1e-6, kib as u64, switches as u64, switches as u64 / 2);
            prop_assert_eq!(fields, Some(Usage::of(&raw)));
        }
    }
}
