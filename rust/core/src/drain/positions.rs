//! How far each segment is counted: the positions of a mark.

use std::collections::BTreeMap;

use crate::error::{Error, Result};
use crate::journal::format::SegmentId;

/// Stands before the number of records in deleted segments that are behind the mark.
const DELETED: SegmentId = *b"deleted-segments";
/// Stands before the number of records that no mark can count any more.
const ROLLED_BACK: SegmentId = *b"lost-to-rollback";

const ENTRY: usize = 24;

/// The positions of a mark.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Positions {
    /// Records consumed of each segment.
    pub segments: BTreeMap<SegmentId, u64>,
    /// Records of deleted segments that are behind the mark.
    pub deleted: u64,
    /// Records lost because a store went back below deleted segments.
    pub rolled_back: u64,
}

impl Positions {
    /// Reads what [`encode`](Positions::encode) makes, nothing else.
    pub fn decode(bytes: &[u8]) -> Result<Positions> {
        let mut segments = BTreeMap::new();
        let mut last = None;
        for (index, entry) in bytes.chunks(ENTRY).enumerate() {
            let broken = Error::Decode { what: "positions", at: index * ENTRY };
            let (Some(id), Some(count)) = (entry.first_chunk::<16>(), entry.last_chunk::<8>()) else {
                return Err(broken);
            };
            if entry.len() != ENTRY || last.is_some_and(|last| last >= *id) {
                return Err(broken);
            }
            last = Some(*id);
            segments.insert(*id, u64::from_le_bytes(*count));
        }
        let deleted = segments.remove(&DELETED).unwrap_or(0);
        let rolled_back = segments.remove(&ROLLED_BACK).unwrap_or(0);
        Ok(Positions { segments, deleted, rolled_back })
    }

    /// Id and count of each entry that is not 0, in order of ids.
    pub fn encode(&self) -> Vec<u8> {
        let mut entries = self.segments.clone();
        entries.extend([(DELETED, self.deleted), (ROLLED_BACK, self.rolled_back)]);
        let mut bytes = Vec::with_capacity(ENTRY * entries.len());
        for (id, count) in entries.iter().filter(|(_, count)| **count > 0) {
            bytes.extend(id);
            bytes.extend(count.to_le_bytes());
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn positions_are_read_as_written(segments in prop::collection::btree_map(any::<SegmentId>(), 1_u64.., 0..9), deleted: u64, rolled_back: u64) {
            let positions = Positions { segments, deleted, rolled_back };
            prop_assert_eq!(Positions::decode(&positions.encode()).unwrap(), positions);
        }

        #[test]
        fn any_bytes_are_refused_or_positions(bytes: Vec<u8>, entries in prop::collection::vec(any::<[u8; 3]>(), 0..4)) {
            let few: Vec<u8> = entries.iter().flat_map(|entry| [[entry[0] % 3; 16].as_slice(), &u64::from(entry[1]).to_le_bytes()].concat()).collect();
            for bytes in [bytes, few] {
                if let Ok(positions) = Positions::decode(&bytes) {
                    prop_assert_eq!(Positions::decode(&positions.encode()).unwrap().encode(), positions.encode());
                }
            }
        }
    }
}
