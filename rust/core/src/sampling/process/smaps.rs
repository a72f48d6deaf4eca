//! `/proc/<pid>/smaps_rollup`: proportional memory. Source: proc_pid_smaps(5).
//!
//! The kernel walks the page tables for it: 0.3 ms of a small process, milliseconds of a large one. Only on demand.

use crate::sampling::text::keyed;

/// Resident memory with each shared page divided by the number of processes that map it, bytes.
pub fn parse_pss(rollup: &[u8]) -> Option<u64> {
    keyed(rollup, "Pss:")?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_and_not_its_parts() {
        let text =
            b"5581c0000000-7ffd1a1f2000 ---p 00000000 00:00 0 [rollup]\nRss: 900 kB\nPss_Anon: 3 kB\nPss:   412 kB\n";
        assert_eq!(parse_pss(text), Some(412 << 10));
        assert_eq!(parse_pss(b""), None);
        assert_eq!(parse_pss(b"Rss: 900 kB\nPss:   41"), None);
    }
}
