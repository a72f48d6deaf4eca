//! The state of a worker as bytes: the heartbeat of `docs/journal-format.md` 5.1. Knows no file and no process.

mod json;
mod meter;
mod page;

use std::str::Utf8Error;

use crate::error::{Error, Result};
use crate::names::cut;
use crate::record::{NO_TIME, NO_VALUE};

pub use json::json;
pub use meter::Meter;
pub use page::{
    COUNTERS, COUNTERS_OFFSET, Content, HEARTBEAT_OFFSET, HOOK_ERRORS, PAGE_MAGIC, PAGE_SIZE, PAGE_VERSION, Page,
    read_page,
};

const VERSION: u16 = 1;
/// Length of a heartbeat before its texts.
pub const FIXED: usize = 160;
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

/// Names of [`State`], in order.
pub const STATES: [&str; 5] = ["starting", "idle", "busy", "stopped", "lost"];
/// Names of [`Role`](crate::record::Role), in order.
pub const ROLES: [&str; 4] = ["main", "child", "producer", "agent"];

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
    /// The state became what it is, µs.
    pub state_changed: i64,
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
    /// Who passes the heartbeat on saw the process alive or dead, µs; not known to the worker itself.
    pub seen: i64,
    /// CPU time between the last two readings, µs.
    pub cpu_spent: u64,
    /// Time between these two readings, µs.
    pub cpu_over: u64,
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

    /// Reads a heartbeat; takes any bytes.
    pub fn decode(bytes: &[u8]) -> Result<Heartbeat> {
        read(bytes, |text| std::str::from_utf8(text).map(str::to_owned))
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

impl<'a> Heartbeat<[&'a str; 6]> {
    /// Reads a heartbeat and leaves its texts where they are; takes any bytes.
    pub fn borrowed(bytes: &'a [u8]) -> Result<Self> {
        read(bytes, std::str::from_utf8)
    }
}

/// Reads a heartbeat. Bytes behind the texts belong to newer versions.
fn read<'a, Text>(
    bytes: &'a [u8],
    mut text: impl FnMut(&'a [u8]) -> std::result::Result<Text, Utf8Error>,
) -> Result<Heartbeat<[Text; 6]>> {
    let broken = |at: usize| Error::Decode { what: "a heartbeat", at };
    let version = u16::from_le_bytes(*bytes.first_chunk().ok_or(broken(bytes.len()))?);
    if version > VERSION {
        return Err(Error::Newer { what: "a heartbeat", version: version.into() });
    }
    let fixed: &[u8; FIXED] = bytes.first_chunk().ok_or(broken(bytes.len()))?;
    if version != VERSION {
        return Err(broken(0));
    }
    if !(State::Starting as u8..=State::Lost as u8).contains(&fixed[2]) {
        return Err(broken(2));
    }
    let half = |at: usize| u32::from_le_bytes(*fixed[at..].first_chunk().unwrap_or(&[0; 4]));
    let word = |at: usize| u64::from_le_bytes(*fixed[at..].first_chunk().unwrap_or(&[0; 8]));
    let mut at = FIXED;
    let mut next = |limit: usize| {
        let length = bytes.get(at..).and_then(|rest| rest.first_chunk()).ok_or(broken(at))?;
        let (begin, length) = (at + 2, usize::from(u16::from_le_bytes(*length)));
        let content = bytes.get(begin..begin + length).filter(|_| length <= limit).ok_or(broken(at))?;
        at = begin + length;
        text(content).map_err(|error| broken(begin + error.valid_up_to()))
    };
    let [host, library, connection, queue, task, job] = LIMITS;
    let texts = [next(host)?, next(library)?, next(connection)?, next(queue)?, next(task)?, next(job)?];
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
        state_changed: word(64) as i64,
        busy: word(72),
        idle: word(80),
        finished: word(88),
        failed: word(96),
        rss: word(104),
        rss_peak: word(112),
        cpu: word(120),
        boot: word(128),
        seen: word(136) as i64,
        cpu_spent: word(144),
        cpu_over: word(152),
        texts,
    })
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
        word(64, self.state_changed as u64);
        word(72, self.busy);
        word(80, self.idle);
        word(88, self.finished);
        word(96, self.failed);
        word(104, self.rss);
        word(112, self.rss_peak);
        word(120, self.cpu);
        word(128, self.boot);
        word(136, self.seen as u64);
        word(144, self.cpu_spent);
        word(152, self.cpu_over);
        bytes
    }
}

impl<Texts> Heartbeat<Texts> {
    /// Offset of the second part of what [`changing`](Self::changing) answers; the first stands at 0.
    pub const CHANGING: usize = 48;

    /// What changes from job to job, as little-endian words of version 1: state to running, then written to failed.
    #[inline]
    pub fn changing(&self) -> ([u64; 2], [u64; 7]) {
        let about = u64::from(VERSION) | u64::from(self.state) << 16 | u64::from(self.role) << 24;
        let first = [about | u64::from(self.pid) << 32, u64::from(self.parent) | u64::from(self.running) << 32];
        let moments = [self.written as u64, self.job_started as u64, self.state_changed as u64];
        (first, [moments[0], moments[1], moments[2], self.busy, self.idle, self.finished, self.failed])
    }

    /// Takes what a [`Meter`] answers.
    pub fn measure(&mut self, measured: [u64; 5]) {
        [self.rss, self.rss_peak, self.cpu, self.cpu_spent, self.cpu_over] = measured;
    }

    /// As it would have been written at a later moment in the same state: busy or idle time goes on until then.
    pub fn carry_on(&mut self, until: i64) {
        let Some(more) = until.checked_sub(self.written).filter(|more| *more > 0) else { return };
        match self.state {
            state if state == State::Busy as u8 => self.busy = self.busy.saturating_add(more as u64),
            state if state == State::Idle as u8 || state == State::Starting as u8 => {
                self.idle = self.idle.saturating_add(more as u64);
            }
            _ => return,
        }
        self.written = until;
    }
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
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    pub(crate) fn example(texts: [String; 6]) -> Heartbeat {
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
            state_changed: 10,
            seen: NO_TIME,
            cpu_spent: NO_VALUE,
            cpu_over: NO_VALUE,
            texts,
        }
    }

    #[test]
    fn what_changes_stands_where_it_is_said_to() {
        let heartbeat = example([const { String::new() }; 6]);
        let (first, second) = heartbeat.changing();
        let bytes = |words: &[u64]| words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<_>>();
        assert_eq!(heartbeat.fixed()[..16], bytes(&first));
        assert_eq!(heartbeat.fixed()[<Heartbeat>::CHANGING..][..56], bytes(&second));
    }

    #[test]
    fn time_goes_on_in_the_state_that_was_written_and_never_back() {
        let texts = [const { String::new() }; 6];
        let carried = |state: State, until| {
            let mut heartbeat = Heartbeat { state: state as u8, ..example(texts.clone()) };
            heartbeat.carry_on(until);
            (heartbeat.busy, heartbeat.idle, heartbeat.written)
        };
        assert_eq!(carried(State::Busy, 12), (13, 4, 12));
        assert_eq!(carried(State::Idle, 12), (3, 14, 12));
        assert_eq!(carried(State::Starting, 12), (3, 14, 12));
        for (state, until) in [(State::Busy, 1), (State::Stopped, 12), (State::Lost, 12), (State::Idle, NO_TIME)] {
            assert_eq!(carried(state, until), (3, 4, 2));
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
    }

    #[test]
    fn a_newer_version_is_told_from_damage() {
        let bytes = example(["h", "celery", "c", "q", "t", "j"].map(String::from)).encode();
        let of = |version: u16| Heartbeat::decode(&[&version.to_le_bytes(), &bytes[2..]].concat());
        assert!(matches!(of(2), Err(Error::Newer { version: 2, .. })));
        assert!(matches!(of(u16::MAX), Err(Error::Newer { .. })));
        assert!(matches!(of(0), Err(Error::Decode { at: 0, .. })));
        assert!(matches!(Heartbeat::decode(&[2, 0]), Err(Error::Newer { .. })), "of a newer one nothing else is known");
    }

    #[test]
    fn every_shorter_heartbeat_is_refused() {
        let bytes = example(["host", "celery", "c", "q", "task", "job"].map(String::from)).encode();
        for length in 0..bytes.len() {
            assert!(Heartbeat::decode(&bytes[..length]).is_err(), "{length}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(texts: [String; 6]) {
            let heartbeat = example(texts);
            let read = Heartbeat::decode(&heartbeat.encode()).unwrap();
            prop_assert_eq!(read.encode(), heartbeat.encode());
        }

        #[test]
        fn any_bytes_are_read_or_refused(noise in prop::collection::vec(any::<u8>(), 0..400)) {
            let _ = Heartbeat::decode(&noise);
        }
    }
}
