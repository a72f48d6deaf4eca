//! The state of a worker as bytes: the heartbeat of `docs/journal-format.md` 5.1 and the page that holds it.

use crate::error::{Error, Result};
use crate::journal::format::{NO_TIME, NO_VALUE};
use crate::names::cut;

/// Size of a worker page.
pub const PAGE_SIZE: usize = 4096;
/// Magic of a worker page.
pub const PAGE_MAGIC: [u8; 8] = *b"QMWORKER";
/// Version of a worker page.
pub const PAGE_VERSION: u32 = 1;
/// Offset of the heartbeat in a page.
pub const HEARTBEAT_OFFSET: usize = 64;
/// Offset of the counters in a page.
pub const COUNTERS_OFFSET: usize = 3_584;
/// Number of counters: 15 reasons of dropped records, then hook errors.
pub const COUNTERS: usize = 16;
/// Index of the counter of hook errors.
pub const HOOK_ERRORS: usize = 15;

const VERSION: u16 = 1;
/// Length of a heartbeat before its texts.
pub const FIXED: usize = 128;
/// Bytes that each text may have, in their order.
pub const LIMITS: [usize; 6] = [255, 64, 255, 512, 1_024, 255];
/// The longest heartbeat.
pub const LONGEST: usize = FIXED + 2 * 6 + 255 + 64 + 255 + 512 + 1_024 + 255;

/// State of a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum State {
    /// It has not executed anything yet.
    Starting = 1,
    /// It waits for a job.
    Idle = 2,
    /// It executes.
    Busy = 3,
    /// It left in an orderly way.
    Stopped = 4,
    /// Its process died.
    Lost = 5,
}

/// What a worker says of itself. Numbers are raw: [`NO_TIME`] and [`NO_VALUE`] are unknown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heartbeat<Texts = [String; 6]> {
    /// State, by number of [`State`].
    pub state: u8,
    /// Role, by number.
    pub role: u8,
    /// Pid.
    pub pid: u32,
    /// Parent's pid.
    pub parent: u32,
    /// Executions running now.
    pub running: u32,
    /// Worker key.
    pub worker: u64,
    /// Start time, clock ticks since boot.
    pub start_ticks: u64,
    /// Inode of the pid namespace.
    pub pid_namespace: u64,
    /// Process started, µs.
    pub process_started: i64,
    /// Written, µs.
    pub written: i64,
    /// The running job started, µs.
    pub job_started: i64,
    /// Busy time, µs.
    pub busy: u64,
    /// Idle time, µs.
    pub idle: u64,
    /// Executions finished.
    pub finished: u64,
    /// Of these, with another outcome than succeeded or retried.
    pub failed: u64,
    /// Resident memory, bytes.
    pub rss: u64,
    /// Peak resident memory, bytes.
    pub rss_peak: u64,
    /// CPU time of the process, µs.
    pub cpu: u64,
    /// First 8 bytes of the boot id.
    pub boot: u64,
    /// Host, library, connection, queue, task, job id; nothing where they are encoded apart.
    pub texts: Texts,
}

impl Heartbeat {
    /// Index of the host in `texts`.
    pub const HOST: usize = 0;
    /// Index of the library in `texts`.
    pub const LIBRARY: usize = 1;
    /// Index of the connection in `texts`.
    pub const CONNECTION: usize = 2;
    /// Index of the queue in `texts`.
    pub const QUEUE: usize = 3;
    /// Index of the task in `texts`.
    pub const TASK: usize = 4;
    /// Index of the job id in `texts`.
    pub const JOB: usize = 5;

    /// Reads a heartbeat; takes any bytes. Bytes behind the texts belong to newer versions.
    pub fn decode(bytes: &[u8]) -> Result<Heartbeat> {
        let broken = |at: usize| Error::Decode { what: "a heartbeat", at };
        let fixed: &[u8; FIXED] = bytes.first_chunk().ok_or(broken(bytes.len()))?;
        if u16::from_le_bytes([fixed[0], fixed[1]]) != VERSION {
            return Err(broken(0));
        }
        if !(State::Starting as u8..=State::Lost as u8).contains(&fixed[2]) {
            return Err(broken(2));
        }
        let half = |at: usize| u32::from_le_bytes(*fixed[at..].first_chunk().unwrap_or(&[0; 4]));
        let word = |at: usize| u64::from_le_bytes(*fixed[at..].first_chunk().unwrap_or(&[0; 8]));
        let mut texts = [const { String::new() }; 6];
        let mut at = FIXED;
        for (text, limit) in texts.iter_mut().zip(LIMITS) {
            let length = bytes.get(at..).and_then(|rest| rest.first_chunk()).ok_or(broken(at))?;
            let length = usize::from(u16::from_le_bytes(*length));
            let content = bytes.get(at + 2..at + 2 + length).filter(|_| length <= limit).ok_or(broken(at))?;
            let content = std::str::from_utf8(content).map_err(|error| broken(at + 2 + error.valid_up_to()))?;
            *text = content.to_owned();
            at += 2 + length;
        }
        Ok(Heartbeat {
            state: fixed[2],
            role: fixed[3],
            pid: half(4),
            parent: half(8),
            running: half(12),
            worker: word(16),
            start_ticks: word(24),
            pid_namespace: word(32),
            process_started: word(40) as i64,
            written: word(48) as i64,
            job_started: word(56) as i64,
            busy: word(64),
            idle: word(72),
            finished: word(80),
            failed: word(88),
            rss: word(96),
            rss_peak: word(104),
            cpu: word(112),
            boot: word(120),
            texts,
        })
    }

    /// The bytes of version 1.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = self.fixed().to_vec();
        for (index, text) in self.texts.iter().enumerate() {
            put_text(&mut bytes, index, text);
        }
        bytes
    }
}

/// Appends the text with this index as a heartbeat holds it; texts stand behind each other in their order.
pub fn put_text(bytes: &mut Vec<u8>, index: usize, text: &str) {
    let text = cut(text, LIMITS[index]);
    bytes.extend_from_slice(&(text.len() as u16).to_le_bytes());
    bytes.extend_from_slice(text.as_bytes());
}

impl<Texts> Heartbeat<Texts> {
    /// Everything before the texts. It is made at each start and end of an execution, hence offsets that the compiler knows.
    pub fn fixed(&self) -> [u8; FIXED] {
        let mut bytes = [0; FIXED];
        bytes[..2].copy_from_slice(&VERSION.to_le_bytes());
        bytes[2..4].copy_from_slice(&[self.state, self.role]);
        let mut half = |at: usize, number: u32| bytes[at..at + 4].copy_from_slice(&number.to_le_bytes());
        half(4, self.pid);
        half(8, self.parent);
        half(12, self.running);
        let mut word = |at: usize, number: u64| bytes[at..at + 8].copy_from_slice(&number.to_le_bytes());
        word(16, self.worker);
        word(24, self.start_ticks);
        word(32, self.pid_namespace);
        word(40, self.process_started as u64);
        word(48, self.written as u64);
        word(56, self.job_started as u64);
        word(64, self.busy);
        word(72, self.idle);
        word(80, self.finished);
        word(88, self.failed);
        word(96, self.rss);
        word(104, self.rss_peak);
        word(112, self.cpu);
        word(120, self.boot);
        bytes
    }
}

impl<Texts> Heartbeat<Texts> {
    /// Offset of the second part of what [`changing`](Self::changing) answers; the first stands at 0.
    pub const CHANGING: usize = 48;

    /// What changes from job to job, as it stands in the bytes of version 1: state to running, then written to failed.
    pub fn changing(&self) -> ([u8; 16], [u8; 48]) {
        let fixed = self.fixed();
        let (mut first, mut second) = ([0; 16], [0; 48]);
        first.copy_from_slice(&fixed[..16]);
        second.copy_from_slice(&fixed[Self::CHANGING..Self::CHANGING + 48]);
        (first, second)
    }
}

/// What a worker page holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The heartbeat, or None while it was being written: read the page again.
    pub heartbeat: Option<Heartbeat>,
    /// Dropped records by reason, then hook errors.
    pub counters: [u64; COUNTERS],
}

/// Reads a copy of a worker page; takes any bytes. The copy must have been made by one `read`, so that a page being written
/// shows by an odd or changed sequence: give the sequence that was read *after* the copy.
pub fn read_page(copy: &[u8], sequence_after: u64) -> Result<Page> {
    let broken = |at: usize| Error::Decode { what: "a worker page", at };
    let page: &[u8; PAGE_SIZE] = copy.first_chunk().ok_or(broken(copy.len()))?;
    let half = |at: usize| u32::from_le_bytes(*page[at..].first_chunk().unwrap_or(&[0; 4]));
    let word = |at: usize| u64::from_le_bytes(*page[at..].first_chunk().unwrap_or(&[0; 8]));
    if page[..8] != PAGE_MAGIC {
        return Err(broken(0));
    }
    if half(8) != PAGE_VERSION {
        return Err(broken(8));
    }
    let counters = std::array::from_fn(|index| word(COUNTERS_OFFSET + 8 * index));
    let sequence = word(16);
    if sequence % 2 == 1 || sequence != sequence_after {
        return Ok(Page { heartbeat: None, counters });
    }
    let end = HEARTBEAT_OFFSET.saturating_add(half(12) as usize);
    let bytes = page.get(HEARTBEAT_OFFSET..end).filter(|_| end <= COUNTERS_OFFSET).ok_or(broken(12))?;
    Ok(Page { heartbeat: Some(Heartbeat::decode(bytes)?), counters })
}

/// An unknown moment as None.
pub fn moment(raw: i64) -> Option<i64> {
    (raw != NO_TIME).then_some(raw)
}

/// An unknown number as None.
pub fn number(raw: u64) -> Option<u64> {
    (raw != NO_VALUE).then_some(raw)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn example(texts: [String; 6]) -> Heartbeat {
        Heartbeat {
            state: State::Busy as u8,
            role: 2,
            pid: 4242,
            parent: 4200,
            running: 1,
            worker: 0x1111,
            start_ticks: 987_654,
            pid_namespace: 4_026_531_836,
            process_started: 1,
            written: 2,
            job_started: NO_TIME,
            busy: 3,
            idle: 4,
            finished: 5,
            failed: 6,
            rss: NO_VALUE,
            rss_peak: 7,
            cpu: 8,
            boot: 9,
            texts,
        }
    }

    #[test]
    fn texts_are_cut_at_a_character() {
        let long = example([const { String::new() }; 6].map(|_: String| "€".repeat(2_000)));
        let bytes = long.encode();
        assert!(bytes.len() <= LONGEST && HEARTBEAT_OFFSET + LONGEST <= COUNTERS_OFFSET);
        let read = Heartbeat::decode(&bytes).unwrap();
        assert_eq!(read.texts.each_ref().map(String::len), [255, 63, 255, 510, 1_023, 255]);
    }

    #[test]
    fn a_longer_heartbeat_of_a_newer_minor_layout_is_read() {
        let heartbeat = example(["h", "celery", "c", "q", "t", "j"].map(String::from));
        let bytes = [heartbeat.encode(), vec![1, 2, 3]].concat();
        assert_eq!(Heartbeat::decode(&bytes).unwrap(), heartbeat);
        assert!(Heartbeat::decode(&[&[2][..], &bytes[1..]].concat()).is_err());
    }

    #[test]
    fn every_shorter_heartbeat_is_refused() {
        let bytes = example(["host", "celery", "c", "q", "task", "job"].map(String::from)).encode();
        for length in 0..bytes.len() {
            assert!(Heartbeat::decode(&bytes[..length]).is_err(), "{length}");
        }
    }

    #[test]
    fn a_page_being_written_has_counters_but_no_heartbeat() {
        let bytes = example(["h", "l", "c", "q", "t", "j"].map(String::from)).encode();
        let mut page = [0; PAGE_SIZE];
        page[..8].copy_from_slice(&PAGE_MAGIC);
        page[8] = 1;
        page[12..16].copy_from_slice(&(bytes.len() as u32).to_le_bytes());
        page[HEARTBEAT_OFFSET..HEARTBEAT_OFFSET + bytes.len()].copy_from_slice(&bytes);
        page[COUNTERS_OFFSET + 8 * HOOK_ERRORS] = 7;
        assert!(read_page(&page, 0).unwrap().heartbeat.is_some());
        assert!(read_page(&page, 2).unwrap().heartbeat.is_none());
        page[16] = 1;
        let read = read_page(&page, 1).unwrap();
        assert!(read.heartbeat.is_none());
        assert_eq!(read.counters[HOOK_ERRORS], 7);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(texts: [String; 6]) {
            let heartbeat = example(texts);
            let read = Heartbeat::decode(&heartbeat.encode()).unwrap();
            prop_assert_eq!(read.encode(), heartbeat.encode());
        }

        #[test]
        fn any_bytes_are_read_or_refused(mut noise in prop::collection::vec(any::<u8>(), 0..4_200), headed: bool, after: u64) {
            let _ = Heartbeat::decode(&noise);
            if headed && noise.len() >= 64 {
                noise[..12].copy_from_slice(b"QMWORKER\x01\0\0\0");
            }
            let _ = read_page(&noise, after);
        }
    }
}
