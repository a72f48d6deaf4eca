//! Names as bytes: label lists, their ids, and the hashes of job ids.

use std::borrow::Cow;

use blake2b_simd::Params;
use xxhash_rust::xxh3::xxh3_64;

use crate::error::{Error, Result};

/// Kind of a series: labels connection, queue, task.
pub const TASK: u8 = 1;
/// Kind of a series: labels connection, queue.
pub const QUEUE: u8 = 2;
/// Kind of a series: labels connection, queue, task, type.
pub const EXCEPTION: u8 = 3;
/// Kind of a series: labels host, pid, start time in clock ticks.
pub const WORKER: u8 = 4;
/// Kind of a series: label host.
pub const SERVER: u8 = 5;
/// Kind of a series: labels host, connection, queue, task.
pub const SERVER_TASK: u8 = 6;
/// Kind of a series that is only a name: one label.
pub const NAME: u8 = 7;

/// Longest label in bytes; a longer one is cut and marked with its hash.
pub const LABEL_LIMIT: usize = 16_384;

/// BLAKE2b with 8 bytes of digest, read as a little-endian number.
pub fn hash64(data: &[u8]) -> u64 {
    let digest = Params::new().hash_length(8).hash(data);
    let mut bytes = [0; 8];
    bytes.copy_from_slice(digest.as_bytes());
    u64::from_le_bytes(bytes)
}

/// The hash of the text of a job id: XXH3, since each record of a job takes one; never 0.
pub fn job_hash(text: &str) -> u64 {
    xxh3_64(text.as_bytes()).max(1)
}

/// The canonical bytes of a kind of series and its labels; NULs replaced, overlong labels cut.
///
/// # Panics
/// With more than 255 labels; every caller has a fixed number.
pub fn label_list(kind: u8, labels: &[&str]) -> Vec<u8> {
    let count = u8::try_from(labels.len()).expect("a series has at most seven labels");
    let mut list = Vec::with_capacity(2 + labels.iter().map(|label| 4 + label.len().min(LABEL_LIMIT)).sum::<usize>());
    list.push(kind);
    list.push(count);
    for label in labels {
        let label = storable(label);
        list.extend_from_slice(&(label.len() as u32).to_le_bytes());
        list.extend_from_slice(label.as_bytes());
    }
    list
}

/// The id of a series.
pub fn series_id(kind: u8, labels: &[&str]) -> u64 {
    hash64(&label_list(kind, labels))
}

/// The kind and labels in canonical bytes. Takes only what [`label_list`] can make.
pub fn parse_label_list(data: &[u8]) -> Result<(u8, Vec<&str>)> {
    let broken = |at: usize| Error::Decode { what: "a label list", at };
    let [kind, count, ..] = *data else {
        return Err(broken(0));
    };
    let mut labels = Vec::with_capacity(usize::from(count));
    let mut at = 2;
    for _ in 0..count {
        let length: [u8; 4] = data.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).ok_or(broken(at))?;
        let length = u32::from_le_bytes(length) as usize;
        if length > LABEL_LIMIT {
            return Err(broken(at));
        }
        at += 4;
        let text = data.get(at..at + length).ok_or(broken(at))?;
        let text = std::str::from_utf8(text).map_err(|error| broken(at + error.valid_up_to()))?;
        if let Some(nul) = text.find('\0') {
            return Err(broken(at + nul));
        }
        labels.push(text);
        at += length;
    }
    if at == data.len() { Ok((kind, labels)) } else { Err(broken(at)) }
}

/// The beginning of a text in at most `limit` bytes, cut at a character.
pub fn cut(text: &str, limit: usize) -> &str {
    &text[..text.floor_char_boundary(limit)]
}

/// A label as it is stored: without NUL, and cut so that it is not longer than the limit with its hash behind it.
fn storable(label: &str) -> Cow<'_, str> {
    let label = if label.contains('\0') { Cow::Owned(label.replace('\0', "\u{fffd}")) } else { Cow::Borrowed(label) };
    if label.len() <= LABEL_LIMIT {
        return label;
    }
    let hash = hash64(label.as_bytes());
    Cow::Owned(format!("{}~{hash:016x}", cut(&label, LABEL_LIMIT - 17)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ids_are_those_of_the_specification() {
        assert_eq!(series_id(TASK, &["broker", "default", "app.send"]), 0x577b_b8ec_4411_9cc2);
        assert_eq!(series_id(QUEUE, &["broker", "default"]), 0x8c42_ff0e_cdcc_35a3);
        assert_eq!(series_id(NAME, &["ValueError"]), 0xf2be_d9f1_da99_832a);
        assert_eq!(job_hash("job-1"), 0x2e0b_2cbd_f4a8_b6cc);
    }

    #[test]
    fn an_overlong_label_is_cut_once_and_stays_told_apart() {
        let (one, other) = ("é".repeat(9_000), "é".repeat(9_001));
        let list = label_list(NAME, &[&one]);
        let (_, labels) = parse_label_list(&list).unwrap();
        assert!(labels[0].len() <= LABEL_LIMIT);
        assert_eq!(label_list(NAME, &[labels[0]]), list);
        assert_ne!(series_id(NAME, &[&one]), series_id(NAME, &[&other]));
    }

    #[test]
    fn labels_without_a_separator_are_never_confused() {
        assert_ne!(series_id(QUEUE, &["ab", "c"]), series_id(QUEUE, &["a", "bc"]));
        assert_eq!(parse_label_list(&label_list(NAME, &["a\0b"])).unwrap(), (NAME, vec!["a\u{fffd}b"]));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(kind: u8, labels in prop::collection::vec("[^\0]{0,40}", 0..5)) {
            let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
            let list = label_list(kind, &labels);
            prop_assert_eq!(parse_label_list(&list).unwrap(), (kind, labels));
        }

        #[test]
        fn any_bytes_are_refused_or_canonical(data: Vec<u8>) {
            if let Ok((kind, labels)) = parse_label_list(&data) {
                prop_assert_eq!(label_list(kind, &labels), data);
            }
        }
    }
}
