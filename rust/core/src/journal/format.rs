//! Bytes of the journal's records. The specification is `docs/journal-format.md`.

pub use super::checksum::Checksum;
pub use super::header::*;
pub use crate::record::*;

/// Size of a record.
pub const RECORD_SIZE: usize = 64;
/// Words of a record.
pub const WORDS: usize = RECORD_SIZE / 8;

/// The commit word of an abandoned slot.
pub const TOMBSTONE: u64 = 1;

/// What lies in a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    /// A record.
    Record(Record),
    /// Commit word 0: nothing was committed here yet.
    Empty,
    /// Commit word 1: abandoned.
    Tombstone,
    /// The checksum is wrong.
    Damaged,
    /// A kind that this version does not know.
    Unknown(u8),
}

/// The bytes of a record in the segment that `checksum` was made for.
pub fn encode(record: &Record, checksum: Checksum) -> [u8; RECORD_SIZE] {
    record.payload().bytes(checksum)
}

/// A record as the words of the format, without its checksum: the same in every segment.
///
/// Made where the fields of the record are at hand, so that they go into the words without a detour through memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Payload([u64; WORDS]);

impl Payload {
    /// The little-endian words in a segment; the first is the commit word.
    #[inline(always)]
    pub fn words(&self, checksum: Checksum) -> [u64; WORDS] {
        let mut words = self.0;
        words[0] |= u64::from(checksum.of(&self.0));
        words
    }

    /// The bytes in a segment.
    pub fn bytes(&self, checksum: Checksum) -> [u8; RECORD_SIZE] {
        let mut bytes = [0; RECORD_SIZE];
        for (place, word) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(self.words(checksum)) {
            *place = word.to_le_bytes();
        }
        bytes
    }

    /// The time in it, µs of the wall clock; None for the kinds without one.
    #[inline(always)]
    pub fn at(&self) -> Option<i64> {
        let kind = (self.0[0] >> 32) as u8;
        (kind != 1 && kind != 10).then_some(self.0[1] as i64)
    }
}

impl Record {
    /// Its words.
    #[inline(always)]
    pub fn payload(&self) -> Payload {
        Payload(payload(self))
    }
}

/// The words of a record without its checksum.
#[inline(always)]
fn payload(record: &Record) -> [u64; WORDS] {
    let head =
        |kind: u8, flags: u8, small: u16| u64::from(kind) << 32 | u64::from(flags) << 40 | u64::from(small) << 48;
    let pair = |low: u32, high: u32| u64::from(low) | u64::from(high) << 32;
    match record {
        Record::Def(def) => {
            let word = |at: usize| u64::from_le_bytes(array(&def.part, at));
            let first = pair(def.length, u32::from_le_bytes(array(&def.part, 0)));
            [head(1, 0, def.part_number), def.id, first, word(4), word(12), word(20), word(28), word(36)]
        }
        Record::Worker(worker) => [
            head(2, worker.role, 0),
            worker.at as u64,
            worker.worker,
            pair(worker.pid, worker.parent),
            worker.start_ticks,
            worker.pid_namespace,
            worker.boot,
            worker.identity,
        ],
        Record::Stop(stop) => [head(3, 0, 0), stop.at as u64, stop.worker, 0, 0, 0, 0, 0],
        Record::Arrive(arrive) => {
            let ready_at = arrive.ready_at as u64;
            [head(4, 0, arrive.attempt), arrive.at as u64, arrive.task, arrive.job, ready_at, 0, 0, 0]
        }
        Record::Start(start) => [
            head(5, 0, start.attempt),
            start.at as u64,
            start.key,
            start.task,
            start.job,
            start.ready_at as u64,
            start.worker,
            0,
        ],
        Record::End(end) => [
            head(6, end.flags, end.outcome),
            end.at as u64,
            end.key,
            end.runtime,
            end.cpu,
            pair(end.rss_peak, end.rss_change as u32),
            end.exception,
            end.worker,
        ],
        Record::Discard(discard) => {
            [head(7, 0, discard.reason), discard.at as u64, discard.task, discard.job, 0, 0, 0, 0]
        }
        Record::Hint(hint) => {
            [head(8, 0, hint.outcome), hint.at as u64, hint.job, hint.worker, hint.exception, 0, 0, 0]
        }
        Record::Gauge(Gauge { at, queue, due: Some(due), .. }) => {
            [head(9, DUE, 0), *at as u64, *queue, *due, 0, 0, 0, 0]
        }
        Record::Gauge(gauge) => {
            let values = [gauge.ready, gauge.reserved, gauge.scheduled, gauge.running, gauge.age];
            let known = (0..).zip(values).fold(0, |known, (bit, value)| known | u8::from(value.is_some()) << bit);
            let [ready, reserved, scheduled, running, age] = values.map(|value| value.unwrap_or(0));
            [head(9, known, 0), gauge.at as u64, gauge.queue, ready, reserved, scheduled, running, age]
        }
        Record::Pad => [head(10, 0, 0), 0, 0, 0, 0, 0, 0, 0],
    }
}

/// The bytes of a slot as little-endian words.
fn split(bytes: &[u8; RECORD_SIZE]) -> [u64; WORDS] {
    std::array::from_fn(|at| u64::from_le_bytes(array(bytes, 8 * at)))
}

/// What 64 bytes of a segment mean. Any bytes give an answer.
pub fn decode(bytes: &[u8; RECORD_SIZE], checksum: Checksum) -> Slot {
    let word = |at: usize| u64::from_le_bytes(array(bytes, at));
    let half = |at: usize| u32::from_le_bytes(array(bytes, at));
    match word(0) {
        0 => return Slot::Empty,
        TOMBSTONE => return Slot::Tombstone,
        _ if half(0) != checksum.of(&split(bytes)) => return Slot::Damaged,
        _ => {}
    }
    let flags = bytes[5];
    let small = u16::from_le_bytes([bytes[6], bytes[7]]);
    let at = word(8) as i64;
    Slot::Record(match bytes[4] {
        1 => Record::Def(Def { part_number: small, id: word(8), length: half(16), part: array(bytes, 20) }),
        2 => Record::Worker(Worker {
            role: flags,
            at,
            worker: word(16),
            pid: half(24),
            parent: half(28),
            start_ticks: word(32),
            pid_namespace: word(40),
            boot: word(48),
            identity: word(56),
        }),
        3 => Record::Stop(Stop { at, worker: word(16) }),
        4 => Record::Arrive(Arrive { attempt: small, at, task: word(16), job: word(24), ready_at: word(32) as i64 }),
        5 => Record::Start(Start {
            attempt: small,
            at,
            key: word(16),
            task: word(24),
            job: word(32),
            ready_at: word(40) as i64,
            worker: word(48),
        }),
        6 => Record::End(End {
            outcome: small,
            flags,
            at,
            key: word(16),
            runtime: word(24),
            cpu: word(32),
            rss_peak: half(40),
            rss_change: half(44) as i32,
            exception: word(48),
            worker: word(56),
        }),
        7 => Record::Discard(Discard { reason: small, at, task: word(16), job: word(24) }),
        8 => Record::Hint(Hint { outcome: small, at, job: word(16), worker: word(24), exception: word(32) }),
        9 => {
            let due = (flags & DUE != 0).then(|| word(24));
            let known = |index: usize| (due.is_none() && flags & 1 << index != 0).then(|| word(24 + 8 * index));
            Record::Gauge(Gauge {
                at,
                queue: word(16),
                ready: known(0),
                reserved: known(1),
                scheduled: known(2),
                running: known(3),
                age: known(4),
                due,
            })
        }
        10 => Record::Pad,
        kind => return Slot::Unknown(kind),
    })
}

/// The DEF records of a label list.
pub fn definition(list: &[u8]) -> impl Iterator<Item = Record> + '_ {
    let id = crate::names::hash64(list);
    list.chunks(PART_SIZE).enumerate().map(move |(number, chunk)| {
        let mut part = [0; PART_SIZE];
        part[..chunk.len()].copy_from_slice(chunk);
        Record::Def(Def { part_number: number as u16, id, length: list.len() as u32, part })
    })
}

/// `N` bytes at a fixed offset.
pub(super) fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&bytes[at..at + N]);
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::journal::vectors::assert_vector;
    use crate::names;

    const SEGMENT: SegmentId = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];
    const AT: i64 = 1_700_000_000_000_000;

    #[test]
    fn records_are_the_bytes_of_the_specification() {
        let list = names::label_list(names::TASK, &["broker", "default", "app.send"]);
        let (task, job) = (names::hash64(&list), names::job_hash("job-1"));
        let exception = names::series_id(names::NAME, &["ValueError"]);
        let worker = Worker {
            role: Role::Child as u8,
            at: AT,
            worker: 0x1111,
            pid: 4242,
            parent: 4200,
            start_ticks: 987_654,
            pid_namespace: 4_026_531_836,
            boot: 0x0706_0504_0302_0100,
            identity: 0x845f_76b1_c633_5518,
        };
        let end = End {
            outcome: Outcome::Retried as u16,
            flags: RETRY_FOLLOWS,
            at: AT + 2_000_100,
            key: 0x00ab_cdef,
            runtime: 2_000_000_000,
            cpu: 1_500_000_000,
            rss_peak: 51_200,
            rss_change: -12,
            exception,
            worker: 0x1111,
        };
        let gauge = Gauge {
            at: AT,
            queue: names::series_id(names::QUEUE, &["broker", "default"]),
            ready: Some(12),
            reserved: None,
            scheduled: Some(3),
            running: None,
            age: Some(1_500_000),
            due: None,
        };
        let due = Gauge { ready: None, scheduled: None, age: None, due: Some(90_000_000), ..gauge };
        let start = Start { attempt: 1, at: AT + 100, key: 0x00ab_cdef, task, job, ready_at: AT + 5, worker: 0x1111 };
        let records = [
            ("DEF.0", definition(&list).next().unwrap()),
            ("WORKER", Record::Worker(worker)),
            ("STOP", Record::Stop(Stop { at: AT + 9, worker: 0x1111 })),
            ("ARRIVE", Record::Arrive(Arrive { attempt: 0, at: AT, task, job, ready_at: AT + 5 })),
            ("START", Record::Start(start)),
            ("END", Record::End(end)),
            ("DISCARD", Record::Discard(Discard { reason: reason::EXPIRED, at: AT, task, job })),
            (
                "HINT",
                Record::Hint(Hint { outcome: Outcome::TimedOut as u16, at: AT + 3, job, worker: 0x2222, exception: 0 }),
            ),
            ("GAUGE", Record::Gauge(gauge)),
            ("DUE", Record::Gauge(due)),
            ("PAD", Record::Pad),
        ];
        for (name, record) in records {
            assert_vector(name, &encode(&record, Checksum::new(&SEGMENT)));
        }
    }

    #[test]
    fn the_parts_of_a_name_are_the_bytes_of_the_specification() {
        let list = names::label_list(
            names::TASK,
            &["broker", "default", "reports.vierteljährliche_überweisungen_für_alle_konten_verschicken"],
        );
        let records = definition(&list).map(|record| encode(&record, Checksum::new(&SEGMENT)));
        assert_vector("NAME", &records.flatten().collect::<Vec<_>>());
    }

    #[test]
    fn empty_and_abandoned_slots_and_unknown_kinds_are_told_apart() {
        let sum = Checksum::new(&SEGMENT);
        let mut slot = [0; RECORD_SIZE];
        slot[20] = 9;
        assert_eq!(decode(&slot, sum), Slot::Empty);
        slot[0] = 1;
        assert_eq!(decode(&slot, sum), Slot::Tombstone);
        slot[4] = 77;
        assert_eq!(decode(&slot, sum), Slot::Damaged);
        let crc = sum.of(&split(&slot)).to_le_bytes();
        slot[..4].copy_from_slice(&crc);
        assert_eq!(decode(&slot, sum), Slot::Unknown(77));
        assert_eq!(decode(&slot, Checksum::new(&[9; 16])), Slot::Damaged);
    }

    #[test]
    fn a_definition_is_whole_in_its_parts() {
        let list = names::label_list(names::TASK, &["a", "b", &"name".repeat(40)]);
        let mut joined = Vec::new();
        for (number, record) in definition(&list).enumerate() {
            let Record::Def(def) = record else { panic!("no DEF") };
            assert_eq!(
                (usize::from(def.part_number), def.length as usize, def.id),
                (number, list.len(), names::hash64(&list))
            );
            joined.extend(def.part);
        }
        assert_eq!(joined[..list.len()], list);
        assert!(joined[list.len()..].iter().all(|byte| *byte == 0));
    }

    proptest! {
        #[test]
        fn what_is_read_is_what_would_be_written(mut slot: [u8; RECORD_SIZE], kind in 1_u8..10) {
            slot[4] = kind;
            let sum = Checksum::new(&SEGMENT);
            let crc = sum.of(&split(&slot)).to_le_bytes();
            slot[..4].copy_from_slice(&crc);
            let Slot::Record(record) = decode(&slot, sum) else { panic!("a right checksum is refused") };
            let again = encode(&record, sum);
            prop_assert_eq!(decode(&again, sum), Slot::Record(record));
        }

        #[test]
        fn any_bytes_have_a_meaning(slot: [u8; RECORD_SIZE], segment: SegmentId) {
            prop_assert!(!matches!(decode(&slot, Checksum::new(&segment)), Slot::Record(_)));
        }
    }
}
