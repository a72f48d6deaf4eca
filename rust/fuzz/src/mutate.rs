//! Inputs for the runner without coverage: seeds, changed a little.

/// Numbers that are the same for the same seed (SplitMix64).
#[derive(Clone, Debug)]
pub struct Chance(pub u64);

impl Chance {
    /// The next number.
    pub fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// A number below `bound`, 0 when there is none.
    pub fn below(&mut self, bound: usize) -> usize {
        if bound == 0 { 0 } else { (self.word() % bound as u64) as usize }
    }
}

/// Bytes at which lengths, kinds and signs change.
const EDGES: [u8; 12] = [0, 1, 2, 7, 10, 31, 32, 0x7f, 0x80, 0x90, 0xc0, 0xff];

/// Changes an input, mostly once or twice; `others` are inputs to take pieces from.
pub fn mutate(input: &mut Vec<u8>, others: &[Vec<u8>], longest: usize, chance: &mut Chance) {
    for _ in 0..=chance.word().trailing_ones().min(16) {
        let at = chance.below(input.len());
        match chance.below(9) {
            0 if !input.is_empty() => input[at] ^= 1 << chance.below(8),
            1 if !input.is_empty() => input[at] = EDGES[chance.below(EDGES.len())],
            2 if !input.is_empty() => input[at] = chance.word() as u8,
            3 => input.insert(at, chance.word() as u8),
            4 if !input.is_empty() => {
                let end = (at + 1 + chance.below(64)).min(input.len());
                input.drain(at..end);
            }
            5 => {
                let width = [1, 2, 4, 8][chance.below(4)];
                let number = [0, 1, u64::MAX, i64::MAX as u64, i64::MIN as u64, chance.word()][chance.below(6)];
                for (byte, new) in input.iter_mut().skip(at).take(width).zip(number.to_le_bytes()) {
                    *byte = new;
                }
            }
            6 => {
                let other = &others[chance.below(others.len())];
                let from = chance.below(other.len());
                let to = (from + 1 + chance.below(128)).min(other.len());
                input.splice(at..at, other[from..to].iter().copied());
            }
            7 => {
                let end = (at + 1 + chance.below(128)).min(input.len());
                let piece = input[at..end].to_vec();
                let place = chance.below(input.len());
                input.splice(place..place, piece);
            }
            _ => input.truncate(if chance.below(4) == 0 { at } else { input.len() }),
        }
    }
    input.truncate(longest);
}
