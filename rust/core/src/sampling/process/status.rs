//! `/proc/<pid>/status`: peak memory, swap, context switches. Source: proc_pid_status(5).
//!
//! The dearest of the small files (some 12 µs of printing in the kernel): never read between jobs.

use crate::sampling::text::keyed;

/// The fields that are used; a line that is missing is None. A process that ended has no memory lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Peak of resident memory since the start or the last reset (`VmHWM`), bytes.
    pub peak_rss_bytes: Option<u64>,
    /// Swapped out (`VmSwap`), bytes; without shared memory.
    pub swap_bytes: Option<u64>,
    /// Switches because a thread waited. Of one thread: the file of a process speaks of its first thread.
    pub voluntary_switches: Option<u64>,
    /// Switches because its time was up; of one thread.
    pub involuntary_switches: Option<u64>,
}

/// The content of `/proc/<pid>/status` or `/proc/<pid>/task/<tid>/status`.
pub fn parse_status(status: &[u8]) -> Status {
    Status {
        peak_rss_bytes: parse_peak(status),
        swap_bytes: kib(status, "VmSwap:"),
        voluntary_switches: keyed(status, "voluntary_ctxt_switches:"),
        involuntary_switches: keyed(status, "nonvoluntary_ctxt_switches:"),
    }
}

/// `VmHWM` alone, bytes.
pub fn parse_peak(status: &[u8]) -> Option<u64> {
    kib(status, "VmHWM:")
}

fn kib(status: &[u8], key: &str) -> Option<u64> {
    keyed(status, key)?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lines_are_found_by_their_whole_key() {
        let text =
            b"Name:\tVmHWM: 9\nState:\tS (sleeping)\nVmHWM:\t    1732 kB\nVmRSS:\t 1700 kB\nVmSwap:\t       8 kB\n\
            voluntary_ctxt_switches:\t12\nnonvoluntary_ctxt_switches:\t3\n";
        let expected = Status {
            peak_rss_bytes: Some(1732 << 10),
            swap_bytes: Some(8 << 10),
            voluntary_switches: Some(12),
            involuntary_switches: Some(3),
        };
        assert_eq!(parse_status(text), expected);
    }

    #[test]
    fn an_ended_process_has_no_memory_and_a_cut_line_no_number() {
        let text = b"Name:\tx\nState:\tZ (zombie)\nvoluntary_ctxt_switches:\t12\nnonvoluntary_ctxt_switches:\t3";
        let status = parse_status(text);
        assert_eq!(
            (status.peak_rss_bytes, status.voluntary_switches, status.involuntary_switches),
            (None, Some(12), None)
        );
        assert_eq!(parse_status(b""), Status::default());
    }

    proptest! {
        #[test]
        fn any_bytes_are_parsed(noise: Vec<u8>) {
            let _ = parse_status(&noise);
        }
    }
}
