//! A segment that the real writer made, as it was at several moments.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use queue_metrics_core::journal::directory::Entry;
use queue_metrics_core::journal::format::{
    End, HEADER_SIZE, NO_TIME, NO_VALUE, RECORD_SIZE, Record, Start, Stop, TAIL_OFFSET, Way, definition,
};
use queue_metrics_core::journal::own::Owners;
use queue_metrics_core::journal::read::{Opened, SegmentReader};
use queue_metrics_core::journal::repair;
use queue_metrics_core::journal::way::Wish;
use queue_metrics_core::journal::writer::{Bounds, Journal};
use queue_metrics_core::names;
use queue_metrics_core::sampling::process::Identity;

use crate::chance::Chance;
use crate::scratch::Scratch;

/// Slots of a segment.
const SLOTS: u64 = 120;
/// Slots that no record is for.
const SPARE: u64 = 8;
const SNAPSHOTS: u64 = 8;

pub struct Source {
    pub scratch: Scratch,
    /// Name of the file.
    pub name: String,
    /// Its bytes at several moments, the last ones at the end.
    pub snapshots: Vec<Vec<u8>>,
    /// Every record that was appended, by its bytes.
    pub written: HashMap<[u8; RECORD_SIZE], Record>,
}

impl Source {
    pub fn new(wish: Wish, chance: &mut Chance) -> Source {
        let scratch = Scratch::new();
        let bytes = HEADER_SIZE as u64 + SLOTS * RECORD_SIZE as u64;
        let journal = Journal::new(
            scratch.path(),
            Bounds { segment_bytes: bytes, spool_bytes: 1 << 20, wish, owners: Owners::User },
        );
        let identity = Identity::of_this_process();
        let list = names::label_list(names::TASK, &["broker", "default", "app.send"]);
        let mut records: Vec<Record> = definition(&list).collect();
        let task = names::hash64(&list);
        while (records.len() as u64) < SLOTS - SPARE {
            records.push(any_record(records.len() as u64, task, chance));
        }
        let mut source = Source { scratch, name: String::new(), snapshots: Vec::new(), written: HashMap::new() };
        let (mut path, mut abandoned) = (PathBuf::new(), 0);
        for (number, record) in records.iter().enumerate() {
            journal.append(&identity, |current| current.append(record)).unwrap();
            if number == 0 {
                let status = journal.segment().unwrap();
                assert_eq!(status.way, if wish == Wish::Map { Way::Map } else { Way::Write }, "{}", status.why);
                source.name = format!("{}.seg", status.id);
                path = source.scratch.path().join(&source.name);
            }
            if wish == Wish::Map && abandoned < SPARE && chance.once_in(20) {
                abandon(&path, chance);
                abandoned += 1;
            }
            if (number as u64).is_multiple_of(SLOTS / SNAPSHOTS) || number + 1 == records.len() {
                source.snapshots.push(fs::read(&path).unwrap());
            }
        }
        let Opened::Readable(reader) = SegmentReader::open(&path).unwrap() else { panic!("not readable") };
        let slots = source.last()[HEADER_SIZE..].as_chunks::<RECORD_SIZE>().0.to_vec();
        let found = reader.records(0, reader.slots().unwrap()).map(Result::unwrap);
        source.written = found
            .filter_map(|(number, slot)| match slot {
                queue_metrics_core::journal::format::Slot::Record(record) => Some((slots[number as usize], record)),
                _ => None,
            })
            .collect();
        assert!(records.iter().all(|record| source.written.values().any(|written| written == record)));
        assert_eq!(source.written.len(), records.len());
        source
    }

    /// The file when the trouble came.
    pub fn last(&self) -> &[u8] {
        &self.snapshots[self.snapshots.len() - 1]
    }
}

fn any_record(number: u64, task: u64, chance: &mut Chance) -> Record {
    let (at, key, worker) = (1_700_000_000_000_000 + number as i64, 1 + number / 2, 1 + number % 3);
    match chance.below(8) {
        0 => Record::Stop(Stop { at, worker }),
        1..=3 => Record::Start(Start {
            attempt: 0,
            at,
            key: 1_000 + number,
            task,
            job: chance.word(),
            ready_at: NO_TIME,
            worker,
        }),
        _ => Record::End(End {
            outcome: 1 + (number % 5) as u16,
            flags: 0,
            at,
            key: 1_000 + key,
            runtime: chance.word() >> 30,
            cpu: NO_VALUE,
            rss_peak: 5,
            rss_change: -5,
            exception: 0,
            worker,
        }),
    }
}

/// What a writer that was killed between two instructions leaves: a slot that is reserved and empty, half filled, or given up since.
fn abandon(path: &Path, chance: &mut Chance) {
    let file = fs::OpenOptions::new().read(true).write(true).open(path).unwrap();
    let mut tail = [0; 8];
    file.read_exact_at(&mut tail, TAIL_OFFSET as u64).unwrap();
    let slot = u64::from_le_bytes(tail);
    file.write_all_at(&(slot + 1).to_le_bytes(), TAIL_OFFSET as u64).unwrap();
    match chance.below(3) {
        0 => {}
        1 => {
            let words = 1 + chance.below(7);
            let payload: Vec<u8> = (0..words).flat_map(|_| chance.word().to_le_bytes()).collect();
            file.write_all_at(&payload, HEADER_SIZE as u64 + slot * RECORD_SIZE as u64 + 8).unwrap();
        }
        _ => {
            let Opened::Readable(reader) = SegmentReader::open(path).unwrap() else { panic!("not readable") };
            assert!(repair::tombstone(&Entry::at(path).unwrap(), &reader, slot).unwrap());
        }
    }
}
