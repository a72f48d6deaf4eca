//! What travels behind the message of a job, where the library's own message has no room: when it could run, and our own count of
//! attempts. 20 bytes, little-endian: magic, moment in µs (or [`NO_TIME`]), attempt, four zeros.

use crate::record::NO_TIME;

/// Bytes of a stamp.
pub const STAMP_SIZE: usize = 20;

const MAGIC: [u8; 4] = *b"\0qm\x01";

/// What a message says of its job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// The moment the job could run, µs, or [`NO_TIME`].
    pub ready_at: i64,
    /// Attempt, 0 for the first.
    pub attempt: u32,
}

impl Stamp {
    /// Of a message that has none.
    pub const NONE: Stamp = Stamp { ready_at: NO_TIME, attempt: 0 };

    /// The stamp at the end of a message; None if the last bytes are no stamp.
    #[inline]
    pub fn read(message: &[u8]) -> Option<Stamp> {
        let (_, [m0, m1, m2, m3, rest @ ..]) = message.split_last_chunk::<STAMP_SIZE>()?;
        let (ready_at, rest) = rest.split_first_chunk()?;
        let (attempt, _) = rest.split_first_chunk()?;
        let stamp = Stamp { ready_at: i64::from_le_bytes(*ready_at), attempt: u32::from_le_bytes(*attempt) };
        ([*m0, *m1, *m2, *m3] == MAGIC).then_some(stamp)
    }

    /// Its bytes.
    #[inline]
    pub fn bytes(self) -> [u8; STAMP_SIZE] {
        let mut bytes = [0; STAMP_SIZE];
        bytes[..4].copy_from_slice(&MAGIC);
        bytes[4..12].copy_from_slice(&self.ready_at.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.attempt.to_le_bytes());
        bytes
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn its_bytes_are_fixed() {
        let stamp = Stamp { ready_at: 0x0102_0304_0506_0708, attempt: 9 };
        assert_eq!(stamp.bytes(), *b"\0qm\x01\x08\x07\x06\x05\x04\x03\x02\x01\x09\0\0\0\0\0\0\0");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(message: Vec<u8>, ready_at: i64, attempt: u32) {
            let stamp = Stamp { ready_at, attempt };
            prop_assert_eq!(Stamp::read(&[message, stamp.bytes().to_vec()].concat()), Some(stamp));
        }

        #[test]
        fn other_bytes_are_none(message in prop::collection::vec(1_u8.., 0..60)) {
            prop_assert_eq!(Stamp::read(&message), None);
        }
    }
}
