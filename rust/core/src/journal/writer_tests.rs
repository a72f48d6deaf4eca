//! Segments that follow each other, forked children, and spools that are full or take nothing.

use super::*;
use crate::journal::format::{Slot, Stop};
use crate::journal::read::{Opened, SegmentReader};
use crate::journal::scratch::Scratch;

fn stop(worker: u64) -> Record {
    Record::Stop(Stop { at: 0, worker })
}

fn journal_in(scratch: &Scratch, spool_bytes: u64) -> Journal {
    let bounds = Bounds { segment_bytes: 8_192, spool_bytes, wish: Wish::Auto, owners: Owners::User };
    Journal::new(scratch.path(), bounds)
}

fn append(journal: &Journal, record: &Record) -> Result<(), Dropped> {
    journal.append(&Identity::of_this_process(), |current| current.append(record))
}

/// The worker keys of all records, by segment.
fn written(path: &Path) -> Vec<Vec<u64>> {
    let segments = std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
    segments
        .filter(|path| path.extension().is_some_and(|extension| extension == "seg"))
        .map(|path| {
            let Opened::Readable(reader) = SegmentReader::open(&path).unwrap() else { panic!("not readable") };
            reader
                .records(0, reader.slots().unwrap())
                .map(|slot| match slot.unwrap().1 {
                    Slot::Record(Record::Stop(stop)) => stop.worker,
                    other => panic!("{other:?}"),
                })
                .collect()
        })
        .collect()
}

#[test]
fn a_full_segment_is_followed_by_the_next_and_nothing_is_lost() {
    let scratch = Scratch::directory();
    let journal = journal_in(&scratch, 1 << 20);
    for worker in 0..300 {
        append(&journal, &stop(worker)).unwrap();
    }
    let segments = written(scratch.path());
    assert!((3..=5).contains(&segments.len()), "{}", segments.len());
    assert!(segments.iter().all(|segment| segment.len() <= 64 + 33));
    let mut all = segments.concat();
    all.sort_unstable();
    assert_eq!(all, (0..300).collect::<Vec<_>>());
}

#[test]
fn a_child_goes_on_in_the_segment_and_lets_go_of_it_with_the_next() {
    let scratch = Scratch::directory();
    let parent = journal_in(&scratch, 1 << 20);
    append(&parent, &stop(1)).unwrap();
    let shared = parent.segment().unwrap().id;
    // As in a child, where the parent's journal is a copy that nobody uses any more.
    let child = parent.forked();
    append(&child, &stop(2)).unwrap();
    assert_eq!(child.segment().unwrap().id, shared);
    for worker in 3..100 {
        append(&child, &stop(worker)).unwrap();
    }
    assert_ne!(child.segment().unwrap().id, shared);
    let path = scratch.path().join(format!("{shared}.seg"));
    let Opened::Readable(reader) = SegmentReader::open(&path).unwrap() else { panic!("not readable") };
    assert!(reader.is_abandoned().unwrap());
    assert_eq!(written(scratch.path()).concat().len(), 99);
}

#[test]
fn a_full_spool_refuses_with_its_reason_and_says_so() {
    let scratch = Scratch::directory();
    let journal = journal_in(&scratch, 8_191);
    for _ in 0..3 {
        assert_eq!(append(&journal, &stop(1)), Err(Dropped::SpoolFull));
    }
    assert_eq!(journal.last_reason(), Dropped::SpoolFull);
    assert!(journal.last_error().unwrap().contains("8191"));
    assert!(journal.segment().is_none());
}

#[test]
fn a_spool_that_may_take_nothing_is_never_made_and_refuses_nothing() {
    let scratch = Scratch::directory();
    let path = scratch.path().join("spool");
    let bounds = Bounds { segment_bytes: 8_192, spool_bytes: 0, wish: Wish::Auto, owners: Owners::User };
    let journal = Journal::new(&path, bounds);
    assert_eq!(append(&journal, &stop(1)), Ok(()));
    assert_eq!(append(&journal.forked(), &stop(2)), Ok(()));
    journal.before_fork(&Identity::of_this_process());
    assert!(!path.exists() && journal.segment().is_none() && journal.last_error().is_none());
}
