//! Ways in which a file is not what was written.

use crate::chance::Chance;
use crate::source::Source;

/// What a disk writes whole or not at all.
const SECTOR: usize = 512;

/// What happens to an image; each once in so many sectors, never when 0.
#[derive(Clone, Copy, Debug)]
pub struct Tearing {
    /// A sector as it was earlier.
    stale: usize,
    /// A sector that never reached the disk.
    zeroed: usize,
    /// A sector that lies where another belongs.
    swapped: usize,
    /// A sector of a file that was deleted.
    foreign: usize,
    /// Bits flipped in all.
    flips: usize,
    /// The file is shorter.
    cut: bool,
    /// The first sector, with the header, is spared.
    spares_header: bool,
}

impl Tearing {
    pub fn any(chance: &mut Chance) -> Tearing {
        let mut some = |most: usize| if chance.once_in(2) { 0 } else { 1 + chance.below(most) };
        let (stale, zeroed, swapped, foreign) = (some(6), some(20), some(40), some(40));
        Tearing {
            stale,
            zeroed,
            swapped,
            foreign,
            flips: chance.below(4) * chance.below(3),
            cut: chance.once_in(4),
            spares_header: !chance.once_in(4),
        }
    }

    pub fn apply(self, source: &Source, other: &Source, chance: &mut Chance) -> Vec<u8> {
        let mut image = source.last().to_vec();
        let sectors = image.len().div_ceil(SECTOR);
        let happens = |times: usize, chance: &mut Chance| times > 0 && chance.once_in(times);
        for number in usize::from(self.spares_header)..sectors {
            let range = number * SECTOR..image.len().min((number + 1) * SECTOR);
            if happens(self.stale, chance) {
                let older = &source.snapshots[chance.below(source.snapshots.len())];
                place(&mut image[range.clone()], older.get(range.start..).unwrap_or_default());
            }
            if happens(self.zeroed, chance) {
                image[range.clone()].fill(0);
            }
            if happens(self.foreign, chance) {
                place(&mut image[range.clone()], other.last().get(range.start..).unwrap_or_default());
            }
            let there = usize::from(self.spares_header) + chance.below(sectors - 1);
            if happens(self.swapped, chance) && (there + 1) * SECTOR <= image.len() && range.len() == SECTOR {
                let piece = image[range.clone()].to_vec();
                image.copy_within(there * SECTOR..(there + 1) * SECTOR, range.start);
                image[there * SECTOR..(there + 1) * SECTOR].copy_from_slice(&piece);
            }
        }
        for _ in 0..self.flips {
            let spared = if self.spares_header { SECTOR } else { 0 };
            let at = spared + chance.below(image.len() - spared);
            image[at] ^= 1 << chance.below(8);
        }
        if self.cut {
            let length = if chance.once_in(2) { chance.below(sectors) * SECTOR } else { chance.below(image.len()) };
            image.truncate(length);
        }
        image
    }
}

/// Fills a sector with what there is of another, and zeros.
fn place(sector: &mut [u8], from: &[u8]) {
    let length = sector.len().min(from.len());
    sector[..length].copy_from_slice(&from[..length]);
    sector[length..].fill(0);
}
