//! One process as `/proc` shows it: who it is and what memory it holds. Reading is apart from parsing.

use std::fs;
use std::sync::OnceLock;

use super::clock;

/// Who this process is, so that another process can tell whether it still lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Pid, as the process itself sees it.
    pub pid: u32,
    /// Its parent's pid.
    pub parent: u32,
    /// Start time, clock ticks since boot; 0 when unknown.
    pub start_ticks: u64,
    /// Inode of its pid namespace; 0 when unknown.
    pub pid_namespace: u64,
    /// Boot id of the kernel; zeros when unknown.
    pub boot: [u8; 16],
    /// Process started, µs of the wall clock.
    pub started: i64,
}

impl Identity {
    /// This process, now.
    pub fn of_this_process() -> Identity {
        let start_ticks = start_ticks("self").unwrap_or(0);
        Identity {
            pid: std::process::id(),
            parent: std::os::unix::process::parent_id(),
            start_ticks,
            pid_namespace: pid_namespace().unwrap_or(0),
            boot: boot_id().unwrap_or([0; 16]),
            started: started_us(start_ticks),
        }
    }

    /// The first 8 bytes of the boot id as a number.
    pub fn boot_word(&self) -> u64 {
        let mut word = [0; 8];
        word.copy_from_slice(&self.boot[..8]);
        u64::from_le_bytes(word)
    }
}

/// Start time in clock ticks since boot of the process with this name under `/proc`: a pid or `self`. None: no such process.
pub fn start_ticks(process: &str) -> Option<u64> {
    parse_start_ticks(&fs::read(format!("/proc/{process}/stat")).ok()?)
}

/// Inode of the pid namespace of this process.
pub fn pid_namespace() -> Option<u64> {
    parse_namespace(fs::read_link("/proc/self/ns/pid").ok()?.to_str()?)
}

/// Boot id of the kernel.
pub fn boot_id() -> Option<[u8; 16]> {
    parse_boot_id(&fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?)
}

/// Peak resident memory of this process in bytes and its CPU time in µs.
pub fn peak_and_cpu() -> Option<(u64, u64)> {
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::uninit();
    // SAFETY: the kernel fills the structure when it answers 0.
    let usage = unsafe { (libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr()) == 0).then(|| usage.assume_init()) }?;
    let micros = |time: libc::timeval| time.tv_sec as u64 * 1_000_000 + time.tv_usec as u64;
    Some((usage.ru_maxrss as u64 * 1024, micros(usage.ru_utime) + micros(usage.ru_stime)))
}

/// The wall clock at a start time in clock ticks since boot; now when it is not known.
pub fn started_us(start_ticks: u64) -> i64 {
    let now = clock::wall_us();
    let (Some(since_boot), true) = (clock::boot_ns(), start_ticks > 0) else { return now };
    let age = (since_boot / 1_000) as i64 - (start_ticks as i64).saturating_mul(1_000_000) / ticks_a_second();
    now - age.max(0)
}

/// Field 22 of `/proc/<pid>/stat`. The name of the command, field 2, may hold spaces and brackets.
fn parse_start_ticks(stat: &[u8]) -> Option<u64> {
    let behind_name = stat.iter().rposition(|byte| *byte == b')')? + 1;
    std::str::from_utf8(&stat[behind_name..]).ok()?.split_ascii_whitespace().nth(19)?.parse().ok()
}

/// `pid:[4026531836]`
fn parse_namespace(link: &str) -> Option<u64> {
    link.strip_prefix("pid:[")?.strip_suffix(']')?.parse().ok()
}

/// A UUID in text.
fn parse_boot_id(text: &str) -> Option<[u8; 16]> {
    let digits: Vec<u8> = text
        .trim()
        .bytes()
        .filter(|byte| *byte != b'-')
        .map(|byte| (byte as char).to_digit(16).map(|digit| digit as u8))
        .collect::<Option<_>>()?;
    if digits.len() != 32 {
        return None;
    }
    Some(std::array::from_fn(|index| digits[2 * index] << 4 | digits[2 * index + 1]))
}

/// Resident memory in bytes by the content of `/proc/<pid>/statm`: the second of its seven numbers. Anything else is not statm.
pub fn parse_resident(statm: &[u8]) -> Option<u64> {
    // Read between jobs, hence as bytes: a text and its searcher take three times as long.
    let mut fields = statm.strip_suffix(b"\n")?.split(|byte| *byte == b' ');
    let pages = decimal(fields.nth(1)?)?;
    if fields.count() == 5 { pages.checked_mul(page_size()) } else { None }
}

fn decimal(digits: &[u8]) -> Option<u64> {
    let value = digits.iter().try_fold(0_u64, |value, digit| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        value.checked_mul(10)?.checked_add(digit)
    })?;
    (!digits.is_empty()).then_some(value)
}

fn page_size() -> u64 {
    static SIZE: OnceLock<u64> = OnceLock::new();
    // SAFETY: sysconf only reads.
    *SIZE.get_or_init(|| u64::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096))
}

fn ticks_a_second() -> i64 {
    // SAFETY: sysconf only reads.
    match unsafe { libc::sysconf(libc::_SC_CLK_TCK) } {
        ticks if ticks > 0 => ticks,
        _ => 100,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_start_time_is_found_behind_any_command_name() {
        let rest = "S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 987654 20 21";
        for name in ["python", "a b", "x) R 1 (y", "(", "((sd-pam))"] {
            assert_eq!(parse_start_ticks(format!("4242 ({name}) {rest}\n").as_bytes()), Some(987_654), "{name}");
        }
        assert_eq!(parse_start_ticks(b"4242 (\xff\xfe) S 1"), None);
    }

    #[test]
    fn resident_pages_are_taken_from_statm_only() {
        assert_eq!(parse_resident(b"2190 876 700 14 0 300 0\n"), Some(876 * page_size()));
        for other in [
            &b"2190 876 700 14 0 300\n"[..],
            b"2190 876 700 14 0 300 0 9\n",
            b"2190 x 7 1 0 3 0\n",
            b"2190 876 700 14 0 300 0",
            b"",
        ] {
            assert_eq!(parse_resident(other), None);
        }
    }

    #[test]
    fn boot_ids_and_namespaces() {
        let id = parse_boot_id("00112233-4455-6677-8899-aabbccddeeff\n").unwrap();
        assert_eq!((id[0], id[1], id[15]), (0x00, 0x11, 0xff));
        assert_eq!(parse_boot_id("00112233-4455"), None);
        assert_eq!(parse_namespace("pid:[4026531836]"), Some(4_026_531_836));
        assert_eq!(parse_namespace("net:[1]"), None);
    }

    #[test]
    fn this_process_knows_itself() {
        let identity = Identity::of_this_process();
        assert_eq!(start_ticks(&identity.pid.to_string()), Some(identity.start_ticks));
        assert!(identity.started <= clock::wall_us());
        assert!(parse_resident(&fs::read("/proc/self/statm").unwrap()).unwrap() > 100_000);
        assert_eq!(start_ticks("0"), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_parsed(noise: Vec<u8>, text: String) {
            let _ = (parse_start_ticks(&noise), parse_resident(&noise), parse_boot_id(&text), parse_namespace(&text));
        }
    }
}
