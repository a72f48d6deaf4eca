//! Who this process is, so that another one can tell later whether it still lives.

use std::fs;
use std::io;
use std::path::Path;

use super::stat::parse_stat;
use super::ticks::ns_of_ticks;
use crate::sampling::clock;

/// A process beyond its pid, which may be given to another one.
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
            pid_namespace: pid_namespace().ok().flatten().unwrap_or(0),
            boot: boot_id().ok().flatten().unwrap_or([0; 16]),
            started: started_us(start_ticks),
        }
    }

    /// The first 8 bytes of the boot id as a number.
    pub fn boot_word(&self) -> u64 {
        boot_word(&self.boot)
    }
}

/// The first 8 bytes of a boot id as a number.
pub fn boot_word(boot: &[u8; 16]) -> u64 {
    boot.first_chunk().map_or(0, |word| u64::from_le_bytes(*word))
}

/// Start time in clock ticks since boot of the process with this name under `/proc`: a pid or `self`. None: no such process.
pub fn start_ticks(process: &str) -> Option<u64> {
    Some(parse_stat(&fs::read(format!("/proc/{process}/stat")).ok()?)?.start_ticks)
}

/// Inode of the pid namespace of this process; None where the kernel tells none. An error is none of its answers: it may tell later.
pub fn pid_namespace() -> io::Result<Option<u64>> {
    let link = told(fs::read_link("/proc/self/ns/pid"))?;
    Ok(link.as_deref().and_then(Path::to_str).and_then(parse_namespace))
}

/// Boot id of the kernel; None and an error as above.
pub fn boot_id() -> io::Result<Option<[u8; 16]>> {
    Ok(told(fs::read_to_string("/proc/sys/kernel/random/boot_id"))?.as_deref().and_then(parse_boot_id))
}

fn told<T>(read: io::Result<T>) -> io::Result<Option<T>> {
    match read {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        read => read.map(Some),
    }
}

/// The wall clock at a start time in clock ticks since boot; now when it is not known.
pub fn started_us(start_ticks: u64) -> i64 {
    let now = clock::wall_us();
    let (Some(since_boot), true) = (clock::boot_ns(), start_ticks > 0) else { return now };
    let age = (since_boot / 1_000) as i64 - (ns_of_ticks(start_ticks) / 1_000) as i64;
    now - age.max(0)
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

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
        assert_eq!(start_ticks("0"), None);
    }

    proptest! {
        #[test]
        fn any_text_is_parsed(text: String) {
            let _ = (parse_boot_id(&text), parse_namespace(&text));
        }
    }
}
