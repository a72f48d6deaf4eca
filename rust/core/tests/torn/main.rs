//! What a power failure, a cut or a bad sector leaves of a segment: no record that was never written, and every record that is whole.

#![allow(clippy::unwrap_used, clippy::print_stdout)] // all of this is a test, and its counts are for the reader of a run

#[path = "../common/chance.rs"]
mod chance;
mod images;
#[path = "../common/scratch.rs"]
mod scratch;
mod source;

use std::collections::HashMap;

use chance::Chance;
use images::Tearing;
use queue_metrics_core::drain::{Drainer, Options};
use queue_metrics_core::journal::format::{HEADER_SIZE, RECORD_SIZE, Record, Slot};
use queue_metrics_core::journal::read::{Opened, SegmentReader};
use queue_metrics_core::journal::spool::hex;
use queue_metrics_core::journal::way::Wish;
use queue_metrics_core::value::{Value, counter};
use scratch::Scratch;
use source::Source;

/// Images of each way at scale 1.
const IMAGES: f64 = 10_000.0;
/// One in so many is drained as well.
const DRAINED: u64 = 50;
/// No boot of this machine: the machine went down since.
const LATER_BOOT: [u8; 16] = [0xee; 16];

#[derive(Debug, Default)]
struct Seen {
    images: u64,
    set_aside: u64,
    records: u64,
    damaged: u64,
    empty: u64,
    torn_slots: u64,
}

#[test]
fn torn_segments_of_the_write_way_show_no_phantom_and_hide_nothing_whole() {
    tear(Wish::Write);
}

#[test]
fn torn_segments_of_the_map_way_show_no_phantom_and_hide_nothing_whole() {
    tear(Wish::Map);
}

fn tear(wish: Wish) {
    let scale = std::env::var("QM_TEST_SCALE").ok().and_then(|scale| scale.parse().ok()).unwrap_or(1.0);
    let seed = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().subsec_nanos();
    let mut chance = Chance(u64::from(seed));
    let mut seen = Seen::default();
    let count = ((IMAGES * scale) as u64).max(1);
    let (mut source, mut other) = (Source::new(wish, &mut chance), Source::new(wish, &mut chance));
    while seen.images < count {
        if seen.images % 500 == 499 {
            (other, source) = (source, Source::new(wish, &mut chance));
        }
        let tearing = Tearing::any(&mut chance);
        let image = tearing.apply(&source, &other, &mut chance);
        let told = format!("{wish:?}, seed {seed}, image {}, {tearing:?}", seen.images);
        check(&source, &image, &told, &mut seen);
        if seen.images % DRAINED == 0 {
            drain(&source, &image, &told);
        }
        seen.images += 1;
    }
    println!("{wish:?}, seed {seed}: {seen:?}, 0 phantoms");
    let few = count / 100;
    assert!(seen.records > seen.images && seen.damaged >= few && seen.empty >= few && seen.torn_slots > seen.images);
    assert!(seen.set_aside >= few / 10 && seen.set_aside < seen.images / 2, "{seen:?}");
}

/// Reads an image as after a restart of the machine.
fn check(source: &Source, image: &[u8], told: &str, seen: &mut Seen) {
    let path = source.scratch.path().join("torn");
    std::fs::write(&path, image).unwrap();
    let reader = match SegmentReader::open(&path).unwrap() {
        Opened::Readable(reader) if source.name == format!("{}.seg", hex(&reader.header().id)) => reader,
        // The header of a deleted file: the drainer sees that its name is another.
        Opened::Readable(_) => {
            seen.set_aside += 1;
            return;
        }
        Opened::Damaged => {
            assert!(!image.starts_with(&source.last()[..128]) || image.len() < HEADER_SIZE, "{told}: a whole header");
            seen.set_aside += 1;
            return;
        }
        Opened::Newer(version) => {
            assert_ne!(image[8..12], source.last()[8..12], "{told}: version {version}");
            seen.set_aside += 1;
            return;
        }
    };
    let slots = reader.extent(&LATER_BOOT).unwrap().slots;
    let found: HashMap<u64, Slot> = reader.records(0, slots).map(Result::unwrap).collect();
    assert_eq!(found.len() as u64, slots, "{told}");
    let (held, _) = image[HEADER_SIZE..].as_chunks::<RECORD_SIZE>();
    for (number, bytes) in held.iter().enumerate() {
        let slot = found.get(&(number as u64));
        match slot {
            Some(Slot::Record(record)) => {
                assert_eq!(source.written.get(bytes), Some(record), "{told}: slot {number} is a phantom");
                seen.records += 1;
            }
            Some(Slot::Damaged) => seen.damaged += 1,
            Some(Slot::Empty | Slot::Tombstone) | None => seen.empty += 1,
            Some(Slot::Unknown(kind)) => panic!("{told}: slot {number} is of kind {kind}"),
        }
        if let Some(record) = source.written.get(bytes) {
            assert_eq!(slot, Some(&Slot::Record(*record)), "{told}: slot {number} is whole");
        }
        seen.torn_slots += u64::from(
            source.last().get(HEADER_SIZE + number * RECORD_SIZE..).is_some_and(|rest| !rest.starts_with(bytes)),
        );
    }
}

/// Drains an image: nothing fails, and no more executions are counted than its STARTs.
fn drain(source: &Source, image: &[u8], told: &str) {
    let scratch = Scratch::new();
    std::fs::write(scratch.path().join(&source.name), image).unwrap();
    let starts = |record: &Record| matches!(record, Record::Start(_));
    let (held, _) = image.get(HEADER_SIZE..).unwrap_or_default().as_chunks::<RECORD_SIZE>();
    let most = held.iter().filter_map(|bytes| source.written.get(bytes)).filter(|record| starts(record)).count();
    let mut drainer = Drainer::new(scratch.path(), Options { patience: 0, ..Options::default() }).unwrap();
    drainer.poll().unwrap();
    let mut counted = 0;
    while let Some(batch) = drainer.next_batch(50).unwrap() {
        let totals = batch.rows.iter().filter(|row| row.kind() == queue_metrics_core::names::TASK && row.step == 0);
        counted += totals.map(|row| Value::decode(&row.value).unwrap().counter(counter::STARTED)).sum::<u64>();
        drainer.committed();
    }
    assert!(counted <= most as u64, "{told}: {counted} executions of {most}");
    drainer.tidy(i64::MAX).unwrap();
}
