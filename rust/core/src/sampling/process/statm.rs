//! `/proc/<pid>/statm`: virtual and resident memory in pages. Source: proc_pid_statm(5).

use std::sync::OnceLock;

use crate::kernel;
use crate::sampling::text::decimal;

/// Memory in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Statm {
    /// Virtual memory.
    pub virtual_bytes: u64,
    /// Resident memory; 0 of a process that ended and of a kernel thread.
    pub resident_bytes: u64,
    /// Of the resident memory, pages of files and shared memory.
    pub shared_bytes: u64,
}

/// The content of `/proc/<pid>/statm`: seven numbers. Anything else is not statm.
pub fn parse_statm(statm: &[u8]) -> Option<Statm> {
    let mut fields = statm.strip_suffix(b"\n")?.split(|byte| *byte == b' ');
    let mut bytes = || decimal(fields.next()?)?.checked_mul(page_size());
    let found = Statm { virtual_bytes: bytes()?, resident_bytes: bytes()?, shared_bytes: bytes()? };
    (fields.count() == 4).then_some(found)
}

/// Resident memory in bytes by the content of `/proc/<pid>/statm`. Read between jobs, hence apart: only one number of the seven is
/// decoded. The last one is 0 since Linux 2.6, and the end of the line tells statm from what else a descriptor might show.
#[inline]
pub fn parse_resident(statm: &[u8]) -> Option<u64> {
    let bytes = statm.strip_suffix(b" 0\n")?;
    let mut at = 0;
    while *bytes.get(at)? != b' ' {
        at += 1;
    }
    let (begin, mut pages) = (at + 1, 0_u64);
    loop {
        at += 1;
        match bytes.get(at)?.wrapping_sub(b'0') {
            digit @ 0..=9 => pages = pages.wrapping_mul(10).wrapping_add(u64::from(digit)),
            _ => break,
        }
    }
    // More digits than these could be too many for a number.
    let known = bytes[at] == b' ' && (1..=MOST_DIGITS).contains(&(at - begin));
    if known { pages.checked_mul(page_size()) } else { None }
}

/// Digits that a number of 64 bits always has room for.
const MOST_DIGITS: usize = 19;

/// Bytes of a page.
#[inline]
pub fn page_size() -> u64 {
    static SIZE: OnceLock<u64> = OnceLock::new();
    *SIZE.get_or_init(|| kernel::sysconf(libc::_SC_PAGESIZE).unwrap_or(4096))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn pages_are_taken_from_statm_only() {
        let text = b"2190 876 700 14 0 300 0\n";
        assert_eq!(parse_resident(text), Some(876 * page_size()));
        let [virtual_bytes, resident_bytes, shared_bytes] = [2190, 876, 700].map(|pages| pages * page_size());
        assert_eq!(parse_statm(text), Some(Statm { virtual_bytes, resident_bytes, shared_bytes }));
        for other in [
            &b"2190 876 700 14 0 300\n"[..],
            b"2190 876 700 14 0 300 0 9\n",
            b"2190 x 7 1 0 3 0\n",
            b"2190 876 700 14 0 300 0",
            b"2190 18446744073709551615 7 1 0 3 0\n",
            b"",
        ] {
            assert_eq!((parse_resident(other), parse_statm(other)), (None, None));
        }
    }

    #[test]
    fn this_process_has_memory() {
        assert!(parse_resident(&fs::read("/proc/self/statm").unwrap()).unwrap() > 100_000);
    }

    proptest! {
        #[test]
        fn any_bytes_are_parsed(noise: Vec<u8>) {
            let resident = parse_statm(&noise).map(|statm| statm.resident_bytes);
            prop_assert!(resident.is_none() || resident == parse_resident(&noise));
        }
    }
}
