//! Counts by bucket while numbers come in: an array, so that counting is one addition. Knows no bytes and no limit.

use super::buckets::{FINE, bucket};
use super::sketch::Sketch;

/// Counts are kept for whole powers of two: what [`FINE`] has buckets for each.
const POWER: i32 = 1 << FINE;

/// A sketch that is being made, at scale [`FINE`]. Adding tallies together is exact.
///
/// Room for the buckets between the least and the greatest number, 256 bytes for each power of two between them.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    zeros: u64,
    /// Index of the first count; the start of a power of two.
    first: i32,
    counts: Vec<u64>,
}

impl Tally {
    /// Counts a number. Some 3 ns.
    #[inline]
    pub fn add(&mut self, value: u64) {
        if value == 0 {
            self.zeros += 1;
            return;
        }
        let index = bucket(value);
        match self.counts.get_mut((index - self.first) as usize) {
            Some(count) => *count += 1,
            None => *self.make_room(index) += 1,
        }
    }

    /// The counts of both.
    pub fn absorb(&mut self, other: &Tally) {
        self.zeros += other.zeros;
        if other.counts.is_empty() {
            return;
        }
        self.make_room(other.first);
        self.make_room(other.first + other.counts.len() as i32 - 1);
        let from = (other.first - self.first) as usize;
        for (ours, theirs) in self.counts[from..].iter_mut().zip(&other.counts) {
            *ours += theirs;
        }
    }

    /// True when nothing was counted.
    pub fn is_empty(&self) -> bool {
        self.zeros == 0 && self.counts.is_empty()
    }

    /// What was counted, at a scale up to [`FINE`], without collapsing.
    pub fn sketch(&self, scale: u8) -> Sketch {
        let shift = FINE - scale.min(FINE);
        let mut buckets: Vec<(i32, u64)> = Vec::new();
        let filled = self.counts.iter().enumerate().filter(|(_, count)| **count > 0);
        for (index, count) in filled.map(|(at, count)| ((self.first + at as i32) >> shift, *count)) {
            match buckets.last_mut() {
                Some(last) if last.0 == index => last.1 += count,
                _ => buckets.push((index, count)),
            }
        }
        Sketch::of_counts(scale.min(FINE), self.zeros, buckets)
    }

    /// The count of a bucket for which there was no room yet.
    #[cold]
    fn make_room(&mut self, index: i32) -> &mut u64 {
        let power = index.div_euclid(POWER) * POWER;
        if self.counts.is_empty() {
            self.first = power;
        }
        if power < self.first {
            let missing = (self.first - power) as usize;
            self.counts.splice(0..0, std::iter::repeat_n(0, missing));
            self.first = power;
        }
        let least = (power + POWER - self.first) as usize;
        if self.counts.len() < least {
            self.counts.resize(least, 0);
        }
        &mut self.counts[(index - self.first) as usize]
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn any_number() -> impl Strategy<Value = u64> {
        prop_oneof![
            Just(0),
            Just(1),
            Just(u64::MAX),
            (0_u32..64, any::<u64>()).prop_map(|(shift, number)| number >> shift)
        ]
    }

    fn tally(numbers: &[u64]) -> Tally {
        let mut tally = Tally::default();
        numbers.iter().for_each(|number| tally.add(*number));
        tally
    }

    #[test]
    fn nothing_makes_an_empty_sketch() {
        assert!(Tally::default().is_empty());
        assert_eq!(Tally::default().sketch(FINE), Sketch::new(FINE));
        let mut zeros = tally(&[0, 0]);
        zeros.absorb(&Tally::default());
        assert!(!zeros.is_empty());
        assert_eq!((zeros.sketch(FINE).zeros(), zeros.sketch(FINE).buckets().len()), (2, 0));
    }

    proptest! {
        #[test]
        fn every_number_is_counted_in_its_bucket(numbers in prop::collection::vec(any_number(), 0..80), scale in 0..=FINE) {
            let mut expected: BTreeMap<i32, u64> = BTreeMap::new();
            for number in numbers.iter().filter(|number| **number > 0) {
                *expected.entry(bucket(*number) >> (FINE - scale)).or_default() += 1;
            }
            let sketch = tally(&numbers).sketch(scale);
            prop_assert_eq!(sketch.buckets(), expected.into_iter().collect::<Vec<_>>());
            prop_assert_eq!(sketch.zeros(), numbers.iter().filter(|number| **number == 0).count() as u64);
            prop_assert_eq!((sketch.scale(), sketch.collapsed()), (scale, false));
        }

        #[test]
        fn tallies_add_up(one in prop::collection::vec(any_number(), 0..40), other in prop::collection::vec(any_number(), 0..40)) {
            let mut both = tally(&one);
            both.absorb(&tally(&other));
            prop_assert_eq!(both.sketch(FINE), tally(&[one, other].concat()).sketch(FINE));
        }
    }
}
