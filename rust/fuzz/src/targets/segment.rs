//! Headers and records of a segment: `docs/journal-format.md`, sections 2 and 3.

use queue_metrics_core::journal::format::{
    Arrive, Checksum, Def, Discard, End, Gauge, HEADER_SIZE, Header, HeaderRead, Hint, NO_CHANGE, NO_TIME, NO_VALUE,
    RECORD_SIZE, Record, SEALED, SegmentId, Slot, Start, Stop, TAIL_OFFSET, Way, Worker, decode, definition, encode,
};
use queue_metrics_core::names::{self, TASK};

use super::Target;

pub const TARGET: Target = Target { name: "segment", longest: 8_192, bytes: 16_384, bytes_each: 16, run, seeds };

fn run(input: &[u8]) {
    header(input);
    let mut sound = input.to_vec();
    sign_header(&mut sound);
    header(&sound);
    let id = input.get(16..32).and_then(|bytes| bytes.first_chunk()).copied().unwrap_or([7; 16]);
    let checksum = Checksum::new(&id);
    let (slots, rest) = input.get(HEADER_SIZE..).unwrap_or(input).as_chunks::<RECORD_SIZE>();
    for slot in slots {
        again(decode(slot, checksum), checksum);
        let sound = signed(slot, &id);
        match decode(&sound, checksum) {
            Slot::Damaged => panic!("a slot with its checksum is damaged"),
            found => again(found, checksum),
        }
        // One bit of it is another checksum.
        let mut torn = sound;
        torn[8 + usize::from(sound[8]) % 56] ^= 1 << (sound[9] % 8);
        assert_eq!(decode(&torn, checksum), Slot::Damaged);
    }
    let parts: Vec<u8> = definition(rest)
        .flat_map(|record| match record {
            Record::Def(Def { part, .. }) => part,
            other => panic!("{other:?}"),
        })
        .collect();
    assert!(parts.starts_with(rest));
}

fn header(page: &[u8]) {
    if let Ok(HeaderRead::Known(header)) = Header::decode(page) {
        let again = header.encode();
        assert_eq!(Header::decode(&again).unwrap(), HeaderRead::Known(header));
        assert_eq!(again[..104], page[..104]);
    }
}

fn again(slot: Slot, checksum: Checksum) {
    if let Slot::Record(record) = slot {
        assert_eq!(decode(&encode(&record, checksum), checksum), slot);
    }
}

/// The slot with the checksum that belongs to its bytes.
pub fn signed(slot: &[u8; RECORD_SIZE], segment: &SegmentId) -> [u8; RECORD_SIZE] {
    let mut slot = *slot;
    slot[4] = slot[4].max(1); // no kind is 0, so no record is a word of 0 or 1
    let sum = crc32c::crc32c(&[segment.as_slice(), &slot[4..]].concat());
    slot[..4].copy_from_slice(&sum.to_le_bytes());
    slot
}

/// Makes a header out of what is none, as far as a writer of another version may have written it.
pub fn sign_header(page: &mut Vec<u8>) {
    page.resize(page.len().max(HEADER_SIZE), 0);
    let way = u32::from(page[84] % 3);
    page[..8].copy_from_slice(b"QMSEGMNT");
    page[8..16].copy_from_slice(&[1, 0, 0, 0, 0x0d, 0x0c, 0x0b, 0x0a]);
    for (at, number) in [(76, RECORD_SIZE as u32), (80, HEADER_SIZE as u32), (84, way)] {
        page[at..at + 4].copy_from_slice(&number.to_le_bytes());
    }
    let sum = crc32c::crc32c(&page[..124]);
    page[124..128].copy_from_slice(&sum.to_le_bytes());
}

/// One record of each kind, and a definition.
pub fn records() -> Vec<Record> {
    let list = names::label_list(TASK, &["broker", "default", "app.send"]);
    let (at, task, key, job, worker) = (1_700_000_000_000_000, names::hash64(&list), 0x00ab_cdef, 0x6bb5, 0x1111);
    let mut records: Vec<Record> = definition(&list).collect();
    records.extend([
        Record::Worker(Worker {
            role: 2,
            at,
            worker,
            pid: 4242,
            parent: 1,
            start_ticks: 9,
            pid_namespace: 8,
            boot: 7,
            identity: task,
        }),
        Record::Arrive(Arrive { attempt: 0, at, task, job, ready_at: at }),
        Record::Start(Start { attempt: 1, at, key, task, job, ready_at: NO_TIME, worker }),
        Record::End(End {
            outcome: 3,
            flags: 1,
            at: at + 5,
            key,
            runtime: 2_000_000_000,
            cpu: NO_VALUE,
            rss_peak: 51_200,
            rss_change: NO_CHANGE,
            exception: task,
            worker,
        }),
        Record::Discard(Discard { reason: 2, at, task, job }),
        Record::Hint(Hint { outcome: 4, at, job, worker, exception: 0 }),
        Record::Gauge(Gauge {
            at,
            queue: task,
            ready: Some(12),
            reserved: None,
            scheduled: Some(3),
            running: None,
            age: Some(9),
            due: None,
        }),
        Record::Pad,
        Record::Stop(Stop { at, worker }),
    ]);
    records
}

/// A whole segment.
pub fn file(id: SegmentId, way: Way) -> Vec<u8> {
    let records = records();
    let header = Header {
        id,
        boot: [1; 16],
        created: 1_700_000_000_000_000,
        created_monotonic: 5,
        start_ticks: 9,
        pid: 4242,
        way,
        capacity: 1_023,
        pid_namespace: 8,
    };
    let mut bytes = header.encode().to_vec();
    let tail = SEALED | records.len() as u64;
    bytes[TAIL_OFFSET..TAIL_OFFSET + 8].copy_from_slice(&tail.to_le_bytes());
    bytes.extend(records.iter().flat_map(|record| encode(record, Checksum::new(&id))));
    bytes
}

fn seeds() -> Vec<Vec<u8>> {
    let slots: Vec<u8> = records().iter().flat_map(|record| encode(record, Checksum::new(&[7; 16]))).collect();
    vec![file([7; 16], Way::Write), file([9; 16], Way::Map), slots, vec![0; RECORD_SIZE], Vec::new()]
}
