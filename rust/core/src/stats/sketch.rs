//! Counts of integers in base-2 exponential buckets: quantiles and a deviation within a stated error, in a state that merges.
//!
//! Source: DDSketch (Masson, Rim & Lee 2019) with bases that are roots of two, so that ageing joins neighbours as UDDSketch (Epicoco et
//! al. 2020) does; the buckets are those of [`super::buckets`].

use super::InputError;
use super::buckets::middle;
pub use super::buckets::{COARSE, FINE};
use super::quantiles::rank;
use super::tally::Tally;
use crate::error::{Error, Result};

/// Most buckets of a stored sketch: 32 powers of two at scale 5, 1 µs to over an hour if all between are filled.
pub const BUCKET_LIMIT: usize = 1024;
/// Buckets whose counts are added up together to find a rank.
const GROUP: usize = 16;
/// Groups of all buckets there are, which a sketch may have filled before it collapses.
const GROUPS: usize = (64 * 32 + 1_usize).div_ceil(GROUP);

/// Counts by bucket. Any order and grouping of merges among sketches of one scale gives the same counts and so the same bytes.
///
/// Also when it collapses: what is kept are the [`BUCKET_LIMIT`] highest of all buckets that any part filled, since one of these is
/// among the highest of every part and so survives every merge on the way; and a count that had to leave its bucket lies in the lowest
/// kept one, which only ever moves up, in the end to the same. Among sketches of different scales this holds as long as nothing
/// collapsed: a fine one that did no longer knows in which coarse buckets its lowest counts were, and which these are depends on what it
/// was merged with until then. Minutes and hours are never merged with days.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sketch {
    scale: u8,
    collapsed: bool,
    zeros: u64,
    /// Index and count, ascending; counts above 0.
    buckets: Vec<(i32, u64)>,
}

impl Sketch {
    /// An empty sketch of a scale up to [`FINE`].
    pub fn new(scale: u8) -> Sketch {
        Sketch { scale: scale.min(FINE), collapsed: false, zeros: 0, buckets: Vec::new() }
    }

    /// A sketch from its parts; None unless the buckets are ascending, filled, within 64 bits and not too many.
    pub fn from_parts(scale: u8, collapsed: bool, zeros: u64, buckets: Vec<(i32, u64)>) -> Option<Sketch> {
        let ascending = buckets.windows(2).all(|pair| pair[0].0 < pair[1].0);
        let within = |index: i32| (-1..64 << scale).contains(&index);
        let sound = scale <= FINE
            && ascending
            && buckets.len() <= BUCKET_LIMIT
            && buckets.iter().all(|&(index, count)| count > 0 && within(index));
        let mut sum = zeros;
        for (_, count) in &buckets {
            sum = sum.checked_add(*count)?;
        }
        (sound && i64::try_from(sum).is_ok()).then_some(Sketch { scale, collapsed, zeros, buckets })
    }

    /// A sketch of counts that were made with care: ascending, filled, within 64 bits; not collapsed yet.
    pub(super) fn of_counts(scale: u8, zeros: u64, buckets: Vec<(i32, u64)>) -> Sketch {
        Sketch { scale, collapsed: false, zeros, buckets }
    }

    /// A sketch of numbers, none of them below 0, at a scale from 0 to [`FINE`]. Some 2 ns a number.
    pub fn of(values: &[i64], scale: u8) -> std::result::Result<Sketch, InputError> {
        if scale > FINE {
            return Err(InputError::Parameter { name: "scale", value: scale.into(), allowed: "from 0 to 5" });
        }
        let mut tally = Tally::default();
        for (at, value) in values.iter().enumerate() {
            let Ok(value) = u64::try_from(*value) else { return Err(InputError::Negative { name: "values", at }) };
            tally.add(value);
        }
        let mut sketch = tally.sketch(scale);
        sketch.limit();
        Ok(sketch)
    }

    /// The scale: 2^scale buckets for each power of two.
    pub fn scale(&self) -> u8 {
        self.scale
    }

    /// True when the lowest buckets were joined, so that low quantiles are wider than the stated error.
    pub fn collapsed(&self) -> bool {
        self.collapsed
    }

    /// How many zeros were counted.
    pub fn zeros(&self) -> u64 {
        self.zeros
    }

    /// Index and count of each filled bucket, ascending.
    pub fn buckets(&self) -> &[(i32, u64)] {
        &self.buckets
    }

    /// How many numbers were counted.
    pub fn count(&self) -> u64 {
        self.buckets.iter().fold(self.zeros, |sum, (_, count)| sum + count)
    }

    /// Joins the lowest buckets until at most [`BUCKET_LIMIT`] are left.
    pub fn limit(&mut self) {
        let Some(excess) = self.buckets.len().checked_sub(BUCKET_LIMIT).filter(|excess| *excess > 0) else { return };
        let joined: u64 = self.buckets.drain(..excess).map(|(_, count)| count).sum();
        self.buckets[0].1 += joined;
        self.collapsed = true;
    }

    /// The same counts at a scale not above this one.
    pub fn at_scale(&self, scale: u8) -> Sketch {
        let shift = self.scale.saturating_sub(scale);
        let mut buckets: Vec<(i32, u64)> = Vec::with_capacity(self.buckets.len());
        for &(index, count) in &self.buckets {
            match buckets.last_mut() {
                Some(last) if last.0 == index >> shift => last.1 += count,
                _ => buckets.push((index >> shift, count)),
            }
        }
        Sketch { scale: self.scale - shift, collapsed: self.collapsed, zeros: self.zeros, buckets }
    }

    /// The counts of both, without collapsing.
    pub fn joined(&self, other: &Sketch) -> Result<Sketch> {
        let scale = self.scale.min(other.scale);
        let (one, two) = (self.at_scale(scale), other.at_scale(scale));
        let mut buckets = Vec::with_capacity(one.buckets.len().max(two.buckets.len()));
        let (mut left, mut right) = (one.buckets.into_iter().peekable(), two.buckets.into_iter().peekable());
        loop {
            buckets.push(match (left.peek().copied(), right.peek().copied()) {
                (Some(a), Some(b)) if a.0 == b.0 => {
                    left.next();
                    right.next();
                    (a.0, a.1.saturating_add(b.1))
                }
                (Some(a), Some(b)) if a.0 < b.0 => {
                    left.next();
                    a
                }
                (_, Some(b)) => {
                    right.next();
                    b
                }
                (Some(a), None) => {
                    left.next();
                    a
                }
                (None, None) => break,
            });
        }
        let zeros = one.zeros.saturating_add(two.zeros);
        let sum = buckets.iter().fold(zeros, |sum: u64, (_, count)| sum.saturating_add(*count));
        if i64::try_from(sum).is_err() {
            return Err(Error::Overflow { what: "the count of a sketch" });
        }
        Ok(Sketch { scale, collapsed: one.collapsed || two.collapsed, zeros, buckets })
    }

    /// The counts of both in at most [`BUCKET_LIMIT`] buckets.
    pub fn merge(&self, other: &Sketch) -> Result<Sketch> {
        let mut both = self.joined(other)?;
        both.limit();
        Ok(both)
    }

    /// The value of the rank of q, see [`rank`]: within 1.1 % of that number at scale 5, 2.2 % at scale 4, unless it lies in the lowest
    /// bucket of a collapsed sketch. None when nothing was counted. `q` is between 0 and 1.
    pub fn quantile(&self, q: f64) -> Option<f64> {
        self.quantiles(&[q]).map(|values| values[0])
    }

    /// [`quantile`](Sketch::quantile) of each, in one pass over the counts.
    pub fn quantiles(&self, qs: &[f64]) -> Option<Vec<f64>> {
        let mut groups = [0_u64; GROUPS];
        let mut count = self.zeros;
        for (group, buckets) in groups.iter_mut().zip(self.buckets.chunks(GROUP)) {
            *group = buckets.iter().map(|(_, count)| count).sum();
            count += *group;
        }
        (count > 0).then(|| qs.iter().map(|q| self.value_of_rank(rank(*q, count), &groups)).collect())
    }

    /// The value of a rank, from 1 to the count: walks over the groups and through one.
    fn value_of_rank(&self, rank: u64, groups: &[u64]) -> f64 {
        let Some(mut left) = rank.checked_sub(self.zeros).filter(|left| *left > 0) else { return 0.0 };
        let mut here = |count: u64| {
            let found = left <= count;
            left -= if found { 0 } else { count };
            found
        };
        let group = groups.iter().position(|count| here(*count)).unwrap_or(groups.len());
        let bucket = self.buckets.iter().skip(GROUP * group).find(|(_, count)| here(*count));
        bucket.map_or(0.0, |(index, _)| middle(*index, self.scale))
    }

    /// The standard deviation of a sample, from the middles of the buckets; None below two numbers.
    pub fn deviation(&self) -> Option<f64> {
        let n = self.count() as f64;
        if n < 2.0 {
            return None;
        }
        let middles = || self.buckets.iter().map(|&(index, count)| (middle(index, self.scale), count as f64));
        let mean = middles().map(|(value, count)| value * count).sum::<f64>() / n;
        let squares: f64 = middles().map(|(value, count)| count * (value - mean) * (value - mean)).sum();
        Some(((squares + self.zeros as f64 * mean * mean) / (n - 1.0)).sqrt())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sketch(numbers: &[i64], scale: u8) -> Sketch {
        Sketch::of(numbers, scale).unwrap()
    }

    /// Ten thousand numbers of all sizes up to 2^24.
    fn numbers() -> Vec<i64> {
        let mut state = 88_172_645_463_325_252_u64;
        let mut draw = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            ((state >> 40) >> (state % 20)) as i64
        };
        (0..10_000).map(|_| draw()).collect()
    }

    #[test]
    fn quantiles_of_ten_thousand_are_within_one_point_one_percent() {
        let mut numbers = numbers();
        for (scale, tolerance) in [(FINE, 0.010_84), (COARSE, 0.021_67)] {
            let sketch = sketch(&numbers, scale);
            numbers.sort_unstable();
            let qs: Vec<f64> = (0..=1000).map(|permille| f64::from(permille) / 1000.0).collect();
            let read = sketch.quantiles(&qs).unwrap();
            for (q, read) in qs.iter().zip(read) {
                let exact = numbers[rank(*q, 10_000) as usize - 1] as f64;
                assert!((read - exact).abs() <= tolerance * exact, "q {q}: {read} for {exact}");
                assert_eq!(sketch.quantile(*q), Some(read));
            }
            let mean = numbers.iter().sum::<i64>() as f64 / 10_000.0;
            let squares: f64 = numbers.iter().map(|&number| (number as f64 - mean).powi(2)).sum();
            let exact = (squares / 9_999.0).sqrt();
            assert!((sketch.deviation().unwrap() - exact).abs() <= 2.0 * tolerance * exact);
        }
    }

    #[test]
    fn an_empty_sketch_has_neither_quantile_nor_deviation() {
        assert_eq!(Sketch::new(FINE).quantiles(&[0.5]), None);
        assert_eq!(Sketch::new(FINE).deviation(), None);
        let zeros = sketch(&[0; 3], FINE);
        assert_eq!((zeros.quantile(1.0), zeros.deviation()), (Some(0.0), Some(0.0)));
    }

    #[test]
    fn the_lowest_buckets_collapse_first_and_it_says_so() {
        // A count in every bucket there is, so many that each has its own number of them.
        let all: Vec<(i32, u64)> = (-1..2048).map(|index| (index, (index + 2) as u64)).collect();
        let mut sketch = Sketch::of_counts(FINE, 7, all.clone());
        let before = sketch.quantiles(&[0.6, 0.99, 1.0]);
        sketch.limit();
        assert_eq!((sketch.buckets().len(), sketch.collapsed(), sketch.zeros()), (1024, true, 7));
        assert_eq!(sketch.buckets()[1..], all[1026..]);
        assert_eq!(sketch.buckets()[0], (1024, all[..1026].iter().map(|bucket| bucket.1).sum()));
        assert_eq!(sketch.quantiles(&[0.6, 0.99, 1.0]), before);
        let kept = sketch.clone();
        sketch.limit();
        assert_eq!(sketch, kept);
    }

    #[test]
    fn parts_that_no_sketch_can_have_are_refused() {
        assert!(Sketch::from_parts(5, false, 0, vec![(-1, 1), (2047, 9)]).is_some());
        for (scale, zeros, buckets) in [
            (6, 0, vec![]),
            (5, 0, vec![(-2, 1)]),
            (5, 0, vec![(2048, 1)]),
            (4, 0, vec![(1024, 1)]),
            (5, 0, vec![(3, 1), (3, 1)]),
            (5, 0, vec![(3, 0)]),
            (5, u64::MAX, vec![(3, 1)]),
            (5, 0, (0..1025).map(|index| (index, 1)).collect()),
        ] {
            assert!(Sketch::from_parts(scale, false, zeros, buckets).is_none());
        }
    }

    #[test]
    fn what_is_no_count_is_refused() {
        assert_eq!(Sketch::of(&[3, 0, -1], FINE), Err(InputError::Negative { name: "values", at: 2 }));
        assert!(matches!(Sketch::of(&[1], 6), Err(InputError::Parameter { name: "scale", .. })));
    }

    fn any_sketch() -> impl Strategy<Value = Sketch> {
        let number = (0_u32..63, any::<i64>()).prop_map(|(shift, number)| (number & i64::MAX) >> shift);
        prop_oneof![
            prop::collection::vec(number, 0..60).prop_map(|numbers| sketch(&numbers, FINE)),
            // Wide and full, so that merging two of them collapses.
            (0_i32..300, 500_i32..1_300, 1_u64..9).prop_map(|(from, many, count)| {
                let buckets = (from..from + many).map(|at| (at * 9 / 8, count + at as u64 % 3)).collect();
                let mut sketch = Sketch::of_counts(FINE, count, buckets);
                sketch.limit();
                sketch
            }),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]

        #[test]
        fn merging_does_not_depend_on_order_also_when_it_collapses(a in any_sketch(), b in any_sketch(), c in any_sketch()) {
            let left = a.merge(&b).unwrap().merge(&c).unwrap();
            prop_assert_eq!(&left, &b.merge(&c).unwrap().merge(&a).unwrap());
            prop_assert_eq!(&left, &c.merge(&a).unwrap().merge(&b).unwrap());
            prop_assert_eq!(left.count(), a.count() + b.count() + c.count());
            prop_assert!(left.buckets().len() <= BUCKET_LIMIT);
        }

        #[test]
        fn sketches_of_different_scales_merge_in_any_order_as_long_as_none_collapses(
            parts in prop::collection::vec((prop::collection::vec(0_i64..1 << 24, 0..200), 0_u8..=FINE), 3)
        ) {
            let [a, b, c] = [0, 1, 2].map(|at| sketch(&parts[at].0, parts[at].1));
            let left = a.merge(&b).unwrap().merge(&c).unwrap();
            prop_assert_eq!(&left, &b.merge(&c).unwrap().merge(&a).unwrap());
            prop_assert_eq!(&left, &c.merge(&a).unwrap().merge(&b).unwrap());
            let all: Vec<i64> = parts.iter().flat_map(|(numbers, _)| numbers.clone()).collect();
            prop_assert_eq!(left.clone(), sketch(&all, left.scale()));
        }

        #[test]
        fn sketches_of_different_scales_brought_to_the_lowest_first_merge_in_any_order(
            a in any_sketch(), b in any_sketch(), c in any_sketch(), scales in prop::array::uniform3(0_u8..=FINE)
        ) {
            let lowest = *scales.iter().min().unwrap();
            let [a, b, c] = [(a, scales[0]), (b, scales[1]), (c, scales[2])].map(|(one, scale)| one.at_scale(scale).at_scale(lowest));
            let left = a.merge(&b).unwrap().merge(&c).unwrap();
            prop_assert_eq!(&left, &b.merge(&c).unwrap().merge(&a).unwrap());
            prop_assert_eq!(&left, &c.merge(&a).unwrap().merge(&b).unwrap());
        }

        #[test]
        fn a_coarse_sketch_is_the_fine_one_with_neighbours_joined(numbers: Vec<u32>) {
            let numbers: Vec<i64> = numbers.into_iter().map(i64::from).collect();
            prop_assert_eq!(sketch(&numbers, FINE).at_scale(COARSE), sketch(&numbers, COARSE));
        }

        #[test]
        fn a_quantile_is_in_the_bucket_of_its_rank(one in any_sketch(), q in 0.0_f64..=1.0) {
            prop_assume!(one.count() > 0);
            let mut below = one.zeros();
            let mut expected = 0.0;
            for (index, count) in one.buckets() {
                if below < rank(q, one.count()) {
                    expected = middle(*index, FINE);
                }
                below += count;
            }
            prop_assert_eq!(one.quantile(q), Some(expected));
        }
    }
}
