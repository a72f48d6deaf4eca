//! CRC32C over a record: its fixed size lets it take a dozen instructions where the general function takes a hundred.

#![cfg_attr(target_arch = "x86_64", expect(unsafe_code, reason = "an instruction of the processor"))]

#[cfg(target_arch = "x86_64")]
use std::arch::asm;

use super::format::{RECORD_SIZE, SegmentId, WORDS};

/// The checksum of records of one segment, salted with its id.
#[derive(Clone, Copy, Debug)]
pub struct Checksum {
    salt: u32,
    /// The processor has the instruction; asked once a segment.
    #[cfg(target_arch = "x86_64")]
    instruction: bool,
}

impl Checksum {
    /// For the records of this segment.
    pub fn new(segment: &SegmentId) -> Checksum {
        Checksum {
            salt: crc32c::crc32c(segment),
            #[cfg(target_arch = "x86_64")]
            instruction: is_x86_feature_detected!("sse4.2"),
        }
    }

    /// Of bytes 4-63 of a record, given as little-endian words.
    #[inline(always)]
    pub fn of(self, words: &[u64; WORDS]) -> u32 {
        #[cfg(target_arch = "x86_64")]
        if self.instruction {
            // SAFETY: the processor has the instruction.
            return unsafe { by_instruction(self.salt, words) };
        }
        by_table(self.salt, words)
    }
}

/// By the processor's own instruction. In assembly, since a function that is compiled for it cannot be inlined where an append is, and the
/// words would take a way through memory.
///
/// # Safety
///
/// The processor must have SSE 4.2.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
unsafe fn by_instruction(salt: u32, words: &[u64; WORDS]) -> u32 {
    let mut sum = u64::from(!salt);
    let head = (words[0] >> 32) as u32;
    // SAFETY: the instruction reads and writes these registers only.
    unsafe {
        asm!("crc32 {sum:e}, {head:e}", sum = inout(reg) sum, head = in(reg) head, options(pure, nomem, nostack, preserves_flags));
        for word in &words[1..] {
            asm!("crc32 {sum}, {word}", sum = inout(reg) sum, word = in(reg) *word, options(pure, nomem, nostack, preserves_flags));
        }
    }
    !(sum as u32)
}

#[cold]
#[inline(never)]
fn by_table(salt: u32, words: &[u64; WORDS]) -> u32 {
    let mut bytes = [0; RECORD_SIZE];
    for (place, word) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(words) {
        *place = word.to_le_bytes();
    }
    crc32c::crc32c_append(salt, &bytes[4..])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn instruction_and_table_agree(words: [u64; WORDS], segment: SegmentId) {
            let sum = Checksum::new(&segment);
            prop_assert_eq!(sum.of(&words), by_table(sum.salt, &words));
        }
    }
}
