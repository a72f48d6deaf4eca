//! A whole spool of any bytes, given to a drainer: it may set files aside and count damage, and never fails or takes much memory.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use queue_metrics_core::drain::{Drainer, Options, Positions};
use queue_metrics_core::journal::format::{HEADER_SIZE, RECORD_SIZE, SegmentId, Way};
use queue_metrics_core::names::parse_label_list;
use queue_metrics_core::value::Value;

use super::Target;
use super::segment::{file, sign_header, signed};

pub const TARGET: Target = Target { name: "spool", longest: 12_000, bytes: 2 << 20, bytes_each: 512, run, seeds };

/// Bytes of an input that choose; what follows are slots.
const CHOICES: usize = 16;

fn run(input: &[u8]) {
    let mut choices = [0; CHOICES];
    let (first, slots) = input.split_at(input.len().min(CHOICES));
    choices[..first.len()].copy_from_slice(first);
    let spool = directory();
    let _ = fs::remove_dir_all(spool);
    fs::create_dir(spool).unwrap();
    let paths = lay_out(spool, &choices, slots);
    let mut drainer = Drainer::new(spool, Options { grace: 0, window: 0, ..Options::default() }).unwrap();
    let mut mark = Positions::default();
    if choices[12] & 1 == 1 {
        mark.segments = [([1; 16], u64::from(choices[0])), ([9; 16], 7)].into();
    }
    drainer.restore(1, &mark.encode()).unwrap();
    drainer.poll().unwrap();
    if choices[1] & 1 == 1 {
        // Cut under a reader that has seen its size.
        let _ = fs::OpenOptions::new().write(true).open(&paths[0]).map(|file| file.set_len(u64::from(choices[2]) * 40));
    }
    while let Some(batch) = drainer.next_batch(1 + usize::from(choices[3] % 4)).unwrap() {
        for row in &batch.rows {
            Value::decode(&row.value).unwrap();
            parse_label_list(&row.labels).unwrap();
        }
        drainer.committed();
    }
    drainer.heartbeats(0).unwrap();
    drainer.verdicts(i64::MAX, |_, _| choices[4] & 1 == 0).unwrap();
    drainer.poll().unwrap();
    drainer.status().unwrap();
    drainer.tidy(i64::MAX).unwrap();
}

/// Where the files go; best a directory in memory, which the runner names by TMPDIR.
fn directory() -> &'static Path {
    static DIRECTORY: OnceLock<PathBuf> = OnceLock::new();
    DIRECTORY.get_or_init(|| std::env::temp_dir().join(format!("queue-metrics-fuzz-{}", std::process::id())))
}

/// Two segments of sound headers, one file that is nothing, a page and a ledger.
fn lay_out(spool: &Path, choices: &[u8; CHOICES], slots: &[u8]) -> Vec<PathBuf> {
    let cut = slots.len() * usize::from(choices[5]) / 256;
    let pieces = [&slots[..cut], &slots[cut..]];
    let segments = pieces.iter().enumerate().map(|(number, piece)| {
        let id = [1 + number as u8; 16];
        let way = if choices[6] >> number & 1 == 0 { Way::Write } else { Way::Map };
        let mut bytes = file(id, way);
        bytes.truncate(HEADER_SIZE);
        sign_header(&mut bytes);
        bytes[128..130].copy_from_slice(&choices[8 + 2 * number..10 + 2 * number]);
        let (whole, rest) = piece.as_chunks::<RECORD_SIZE>();
        bytes.extend(whole.iter().flat_map(|slot| met(slot, &id)));
        bytes.extend(rest);
        write(spool.join(format!("{:032x}.seg", u128::from_be_bytes(id))), &bytes)
    });
    let paths = segments.collect();
    let name = u128::from(choices[7]);
    for path in [format!("{name:032x}.seg"), format!("{name:016x}.wrk"), "ledger".to_owned()] {
        write(spool.join(path), slots);
    }
    paths
}

fn write(path: PathBuf, bytes: &[u8]) -> PathBuf {
    fs::write(&path, bytes).unwrap();
    path
}

/// A slot with few distinct keys, so that records meet; most with their checksum.
fn met(slot: &[u8; RECORD_SIZE], segment: &SegmentId) -> [u8; RECORD_SIZE] {
    let mut slot = *slot;
    if slot[0] % 8 == 7 {
        return slot;
    }
    slot[4] = slot[4] % 12 + u8::from(slot[4] == 0);
    if slot[4] != 1 && slot[0] % 8 > 1 {
        slot[17..24].fill(0);
    }
    signed(&slot, segment)
}

fn seeds() -> Vec<Vec<u8>> {
    let slots = file([1; 16], Way::Write).split_off(HEADER_SIZE);
    let choices = |way: u8| vec![3, 0, 120, 1, 0, 128, way, 77, 255, 255, 255, 255, 0, 0, 0, 0];
    let reversed: Vec<u8> = slots.chunks(RECORD_SIZE).rev().flatten().copied().collect();
    vec![
        [choices(0), slots.clone(), slots.clone()].concat(),
        [choices(3), slots.clone(), reversed.clone()].concat(),
        [choices(1), reversed, slots].concat(),
        b"00000000000000000000000000000001 5 2 1700000000000000 00000000abcdef00\n".to_vec(),
    ]
}
