//! Segments, pages, ledgers and marks of any bytes.

use proptest::prelude::*;
use queue_metrics_core::drain::Positions;
use queue_metrics_core::journal::format::{Checksum, HEADER_SIZE, Record, Stop, TAIL_OFFSET, Way, encode};

use crate::cases;
use crate::scratch::Scratch;
use crate::spool::header;
use crate::world::drainer;

proptest! {
    #![proptest_config(cases(200))]

    #[test]
    fn any_segment_is_drained_without_failing(
        slots in prop::collection::vec((0_u8..12, any::<[u8; 56]>(), any::<bool>()), 0..40),
        tail in prop::collection::vec(any::<u8>(), 0..70),
        other in prop::collection::vec(any::<u8>(), 0..5_000),
        position: u64,
        maps: [bool; 2],
        reserved: u64,
    ) {
        let scratch = Scratch::new();
        for (segment, map) in [[1; 16], [2; 16]].into_iter().zip(maps) {
            let mut bytes = header(segment, 0, if map { Way::Map } else { Way::Write });
            // Often within the file.
            let tail_word = if reserved.is_multiple_of(2) { reserved } else { reserved % 64 };
            bytes[TAIL_OFFSET..TAIL_OFFSET + 8].copy_from_slice(&tail_word.to_le_bytes());
            for (kind, body, valid) in &slots {
                let mut slot = encode(&Record::Pad, Checksum::new(&segment));
                slot[4] = *kind;
                slot[8..].copy_from_slice(body);
                // Few distinct keys, outcomes and reasons, so that records meet.
                slot[6..8].copy_from_slice(&[body[0] % 8, 0]);
                slot[9..16].fill(0);
                slot[17..24].fill(0);
                if *valid {
                    let salted = [segment.as_slice(), &slot[4..]].concat();
                    slot[..4].copy_from_slice(&crc32c::crc32c(&salted).to_le_bytes());
                }
                if *kind == 0 {
                    slot[..8].fill(0);
                }
                bytes.extend(slot);
            }
            bytes.extend(&tail);
            std::fs::write(scratch.path().join(format!("{:032x}.seg", u128::from_be_bytes(segment))), bytes).unwrap();
        }
        std::fs::write(scratch.path().join(format!("{:032x}.seg", 3)), &other).unwrap();
        std::fs::write(scratch.path().join(format!("{:016x}.wrk", 3)), &other).unwrap();
        std::fs::write(scratch.path().join("ledger"), &other).unwrap();
        let mut drainer = drainer(&scratch, 0);
        let beyond = Positions { segments: [([1; 16], position), ([9; 16], 7)].into(), ..Positions::default() };
        for mark in [Positions::default(), beyond] {
            drainer.restore(1, &mark.encode()).unwrap();
            drainer.poll().unwrap();
            let mut batches = 0;
            while let Some(batch) = drainer.next_batch(3).unwrap() {
                drainer.committed();
                prop_assert!(batch.records > 0 || batches < 2);
                batches += 1;
            }
            drainer.heartbeats(0).unwrap();
            drainer.verdicts(i64::MAX, |_, _| true).unwrap();
            let status = drainer.status().unwrap();
            prop_assert_eq!((status.waiting, status.set_aside, status.damaged_pages), (0, 1, 1));
        }
        drainer.tidy(i64::MAX).unwrap();
    }
}

#[test]
fn a_file_that_gets_shorter_does_no_harm() {
    let scratch = Scratch::new();
    let path = scratch.path().join(format!("{:032x}.seg", 1));
    let id = 1_u128.to_be_bytes();
    let mut bytes = header(id, 0, Way::Write);
    for worker in 0..100 {
        bytes.extend(encode(&Record::Stop(Stop { at: 0, worker }), Checksum::new(&id)));
    }
    std::fs::write(&path, &bytes).unwrap();
    let mut drainer = drainer(&scratch, 0);
    assert_eq!(drainer.poll().unwrap(), 100);
    std::fs::write(&path, &bytes[..HEADER_SIZE + 64 * 10]).unwrap();
    drainer.next_batch(50).unwrap();
    assert_eq!(drainer.poll().unwrap(), 0);
    drainer.committed();
    assert_eq!(drainer.status().unwrap().damaged, 0);
}
