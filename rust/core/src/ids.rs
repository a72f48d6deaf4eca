//! Tables by ids and keys, which are random numbers already and need no second hash.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};

/// A map by id.
pub type IdMap<V> = HashMap<u64, V, BuildHasherDefault<IdHasher>>;
/// A set of ids.
pub type IdSet = HashSet<u64, BuildHasherDefault<IdHasher>>;

/// Spreads an id over all bits, since execution keys of one process differ in the low ones only.
#[derive(Clone, Copy, Debug, Default)]
pub struct IdHasher(u64);

impl Hasher for IdHasher {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, id: u64) {
        // 2^64 divided by the golden ratio.
        self.0 = (self.0 ^ id).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counted_keys_differ_in_the_bits_that_tell_entries_apart() {
        let hash = |id: u64| {
            let mut hasher = IdHasher::default();
            hasher.write_u64(id);
            hasher.finish()
        };
        let high: HashSet<u64> = (0..1_000).map(|count| hash(0xabcd_0000_0000_0000 + count) >> 57).collect();
        let low: HashSet<u64> = (0..1_000).map(|count| hash(0xabcd_0000_0000_0000 + count) & 1_023).collect();
        assert!(high.len() == 128 && low.len() == 1_000);
    }
}
