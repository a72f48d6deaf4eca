//! Appending to a map, beside drainers that seal it and give up slots, and by writers that are killed.

#![expect(unsafe_code, reason = "forks writers")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::journal::directory::Entry;
use crate::journal::format::{Record, Slot, Stop};
use crate::journal::own::Owners;
use crate::journal::read::{Opened, SegmentReader};
use crate::journal::repair;
use crate::journal::scratch::Scratch;
use crate::journal::way::Wish;
use crate::journal::writer::{Bounds, Journal};

#[path = "map_trouble_tests.rs"]
mod trouble;

fn stop(at: i64, worker: u64) -> Payload {
    record(at, worker).payload()
}

fn record(at: i64, worker: u64) -> Record {
    Record::Stop(Stop { at, worker })
}

fn made(scratch: &Scratch, bytes: u64) -> (MapSegment, PathBuf) {
    let spool = Spool::open(scratch.path(), Owners::User).unwrap();
    let segment = MapSegment::create(&spool, &Identity::of_this_process(), bytes).unwrap();
    let path = scratch.path().join(format!("{}.seg", hex(segment.id())));
    (segment, path)
}

fn reader(path: &Path) -> SegmentReader {
    match SegmentReader::open(path).unwrap() {
        Opened::Readable(reader) => reader,
        other => panic!("{other:?}"),
    }
}

fn slots(path: &Path) -> Vec<Slot> {
    let reader = reader(path);
    reader.records(0, reader.slots().unwrap()).map(|slot| slot.unwrap().1).collect()
}

/// The worker keys of all records of a spool.
fn written(spool: &Path) -> Vec<u64> {
    let mut keys = Vec::new();
    for entry in fs::read_dir(spool).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "seg")
            && let Opened::Readable(_) = SegmentReader::open(&path).unwrap()
        {
            keys.extend(slots(&path).into_iter().filter_map(|slot| match slot {
                Slot::Record(Record::Stop(stop)) => Some(stop.worker),
                Slot::Empty | Slot::Tombstone => None,
                other => panic!("{other:?}"),
            }));
        }
    }
    keys
}

fn journal(path: &Path, segment_bytes: u64) -> Journal {
    Journal::new(path, Bounds { segment_bytes, spool_bytes: 64 << 20, wish: Wish::Map, owners: Owners::User })
}

#[test]
fn what_is_appended_is_read_up_to_the_end_and_the_file_is_whole_from_the_beginning() {
    let scratch = Scratch::directory();
    let (segment, path) = made(&scratch, 8_192);
    assert_eq!(fs::metadata(&path).unwrap().len(), 8_192);
    assert!(slots(&path).is_empty() && !segment.is_past_half());
    for worker in 0..64 {
        segment.append(&stop(0, worker)).unwrap();
    }
    assert!(matches!(segment.append(&stop(0, 64)), Err(Refused::Ended)));
    assert!(segment.is_past_half());
    let expected: Vec<Slot> = (0..64).map(|worker| Slot::Record(record(0, worker))).collect();
    assert_eq!(slots(&path), expected);
    assert_eq!(fs::metadata(&path).unwrap().len(), 8_192);
}

#[test]
fn the_lock_is_held_while_the_file_is_mapped_also_without_a_descriptor() {
    let scratch = Scratch::directory();
    let (segment, path) = made(&scratch, 8_192);
    assert!(!reader(&path).is_abandoned().unwrap());
    let MapSegment { map, _file: file, .. } = segment;
    drop(file);
    assert!(!reader(&path).is_abandoned().unwrap());
    drop(map);
    assert!(reader(&path).is_abandoned().unwrap());
}

#[test]
fn a_slot_that_a_drainer_gave_up_costs_no_record() {
    let scratch = Scratch::directory();
    let (segment, path) = made(&scratch, 8_192);
    segment.append(&stop(0, 1)).unwrap();
    // As a writer that was stopped between reserving its slot and filling it.
    segment.map.word(TAIL_OFFSET).fetch_add(1, Ordering::Relaxed);
    assert_eq!(slots(&path)[1], Slot::Empty);
    assert!(repair::tombstone(&Entry::at(&path).unwrap(), &reader(&path), 1).unwrap());
    assert!(!repair::tombstone(&Entry::at(&path).unwrap(), &reader(&path), 0).unwrap(), "a record stays");
    // It goes on, and so does one that gets the slot of another's tombstone ahead.
    assert!(repair::tombstone(&Entry::at(&path).unwrap(), &reader(&path), 2).unwrap());
    segment.append(&stop(0, 2)).unwrap();
    assert_eq!(
        slots(&path),
        [Slot::Record(record(0, 1)), Slot::Tombstone, Slot::Tombstone, Slot::Record(record(0, 2))]
    );
    assert!(repair::tombstone(&Entry::at(&path).unwrap(), &reader(&path), 64).is_err(), "behind the end");
}

#[test]
fn a_sealed_segment_takes_nothing_and_keeps_its_size() {
    let scratch = Scratch::directory();
    let (segment, path) = made(&scratch, 8_192);
    segment.append(&stop(0, 1)).unwrap();
    assert_eq!(repair::seal(&Entry::at(&path).unwrap(), &reader(&path)).unwrap(), 1);
    for _ in 0..100 {
        assert!(matches!(segment.append(&stop(0, 2)), Err(Refused::Ended)));
    }
    assert_eq!(repair::seal(&Entry::at(&path).unwrap(), &reader(&path)).unwrap(), 1);
    let extent = reader(&path).extent(&Identity::of_this_process().boot).unwrap();
    assert_eq!((extent.slots, extent.is_last), (1, true));
    drop(segment);
    repair::trim(&Entry::at(&path).unwrap(), &reader(&path), 1).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().len(), 4_096 + 64);
    assert_eq!(slots(&path), [Slot::Record(record(0, 1))]);
}

#[test]
fn sealing_and_tombstones_in_a_race_with_four_writers_lose_nothing() {
    let scratch = Scratch::directory();
    let journal = journal(scratch.path(), 16_384);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..4_u64)
            .map(|thread| {
                let journal = &journal;
                scope.spawn(move || {
                    let identity = Identity::of_this_process();
                    for number in 0..5_000 {
                        let record = stop(0, thread << 32 | number);
                        journal.append(&identity, |current| current.append_payload(&record)).unwrap();
                    }
                })
            })
            .collect();
        scope.spawn(|| {
            // Also slots that nobody reserved yet, so that writers do meet tombstones.
            while !done.load(Ordering::Relaxed) {
                let Some(current) = journal.segment() else { continue };
                let path = scratch.path().join(format!("{}.seg", current.id));
                let Ok(Opened::Readable(reader)) = SegmentReader::open(&path) else { continue };
                let slots = reader.slots().unwrap();
                for slot in [slots.saturating_sub(1), slots, slots + 1, slots + 3] {
                    let _ = repair::tombstone(&Entry::at(&path).unwrap(), &reader, slot);
                }
                if slots > 100 {
                    repair::seal(&Entry::at(&path).unwrap(), &reader).unwrap();
                }
            }
        });
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        done.store(true, Ordering::Relaxed);
    });
    let mut all = written(scratch.path());
    all.sort_unstable();
    let expected: Vec<u64> =
        (0..4_u64).flat_map(|thread| (0..5_000).map(move |number| thread << 32 | number)).collect();
    assert_eq!(all, expected);
}

#[test]
fn killed_writers_leave_whole_records_and_holes_only() {
    let scratch = Scratch::directory();
    let (segment, path) = made(&scratch, 1 << 20);
    let progress = Map::new(&anonymous(), 0, 4_096).unwrap();
    let mut killed = 0;
    for round in 0..60_u64 {
        // SAFETY: the child appends, without a lock or an allocation, until it is killed or the segment ends.
        let child = unsafe { libc::fork() };
        if child == 0 {
            for number in 0.. {
                progress.word(0).fetch_add(1, Ordering::SeqCst);
                if segment.append(&stop(0, round << 32 | number)).is_err() {
                    break;
                }
                progress.word(64).fetch_add(1, Ordering::SeqCst);
            }
            // SAFETY: leaves the child.
            unsafe { libc::_exit(0) };
        }
        let begun = progress.word(0).load(Ordering::SeqCst);
        while progress.word(0).load(Ordering::SeqCst) < begun + 20 && !segment.is_past_half() {
            std::hint::spin_loop();
        }
        let mut status = 0;
        // SAFETY: the child is ours and not waited for yet.
        unsafe {
            libc::kill(child, libc::SIGKILL);
            libc::waitpid(child, &mut status, 0);
        }
        killed += u64::from(libc::WIFSIGNALED(status));
    }
    let (begun, finished) = (progress.word(0).load(Ordering::SeqCst), progress.word(64).load(Ordering::SeqCst));
    let all = slots(&path);
    let records = all.iter().filter(|slot| matches!(slot, Slot::Record(_))).count() as u64;
    let holes = all.iter().filter(|slot| **slot == Slot::Empty).count() as u64;
    assert_eq!(records + holes, all.len() as u64, "nothing is torn");
    assert!((finished..=begun).contains(&records), "{finished} {records} {begun}");
    assert!(holes <= killed && killed > 0, "{holes} {killed}");
}

/// A page that forked children share.
fn anonymous() -> File {
    // SAFETY: the name ends with NUL; the descriptor is new and nobody else has it.
    let file =
        unsafe { std::os::fd::FromRawFd::from_raw_fd(libc::memfd_create(c"progress".as_ptr(), libc::MFD_CLOEXEC)) };
    File::set_len(&file, 4_096).unwrap();
    file
}
