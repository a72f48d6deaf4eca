//! Random ids from the kernel.

use crate::kernel;
use crate::names::hash64;
use crate::sampling::clock;

/// Random bytes.
pub fn bytes() -> [u8; 16] {
    let mut bytes = [0; 16];
    if !kernel::random(&mut bytes) {
        // No getrandom(2), as in some sandboxes: pid and time are still unique on this machine.
        let seed =
            [u64::from(std::process::id()), clock::monotonic_ns(), clock::wall_us() as u64, &raw const bytes as u64];
        let seed: Vec<u8> = seed.iter().flat_map(|word| word.to_le_bytes()).collect();
        bytes[..8].copy_from_slice(&hash64(&seed).to_le_bytes());
        bytes[8..].copy_from_slice(&hash64(&[&seed[..], b"2"].concat()).to_le_bytes());
    }
    bytes
}

/// A random number that is not 0.
pub fn number() -> u64 {
    let bytes = bytes();
    let (low, high) = bytes.split_at(8);
    let word = |half: &[u8]| half.iter().rev().fold(0, |word: u64, byte| word << 8 | u64::from(*byte));
    if word(low) == 0 { word(high).max(1) } else { word(low) }
}
