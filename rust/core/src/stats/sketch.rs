//! Counts of integers in base-2 exponential buckets: quantiles and a deviation within a stated error.

use crate::error::{Error, Result};

/// Scale of minutes and hours: a value read back is within 1.1 %.
pub const FINE: u8 = 5;
/// Scale of days: within 2.2 %.
pub const COARSE: u8 = 4;
/// Most buckets of a stored sketch.
pub const BUCKET_LIMIT: usize = 1024;

/// `floor(2^63 * 2^(k / 32))`: the lower bounds of the 32 buckets of one power of two, as mantissas with the top bit set.
const MANTISSAS: [u64; 32] = [
    0x8000_0000_0000_0000,
    0x82cd_8698_ac2b_a1d7,
    0x85aa_c367_cc48_7b14,
    0x8898_0e80_92da_8527,
    0x8b95_c1e3_ea8b_d6e6,
    0x8ea4_398b_45cd_53c0,
    0x91c3_d373_ab11_c336,
    0x94f4_efa8_fef7_0961,
    0x9837_f051_8db8_a96f,
    0x9b8d_39b9_d54e_5538,
    0x9ef5_3260_91a1_11ad,
    0xa270_4303_0c49_6818,
    0xa5fe_d6a9_b151_38ea,
    0xa9a1_5ab4_ea7c_0ef8,
    0xad58_3eea_42a1_4ac6,
    0xb123_f581_d2ac_258f,
    0xb504_f333_f9de_6484,
    0xb8fb_af47_62fb_9ee9,
    0xbd08_a39f_580c_36be,
    0xc12c_4cca_6670_9456,
    0xc567_2a11_5506_dadd,
    0xc9b9_bd86_6e2f_27a2,
    0xce24_8c15_1f84_80e3,
    0xd2a8_1d91_f12a_e45a,
    0xd744_fcca_d69d_6af4,
    0xdbfb_b797_daf2_3755,
    0xe0cc_deec_2a94_e111,
    0xe5b9_06e7_7c83_48a8,
    0xeac0_c6e7_dd24_392e,
    0xefe4_b99b_dcda_f5cb,
    0xf525_7d15_2486_cc2c,
    0xfa83_b2db_722a_033a,
];

/// The bucket at scale 5 of a number above 0: the i with `2^(i/32) < value <= 2^((i+1)/32)`.
///
/// # Panics
/// For 0, which is in no bucket.
pub fn bucket(value: u64) -> i32 {
    let power = value.ilog2() as i32;
    if value.is_power_of_two() {
        return 32 * power - 1;
    }
    // No bound but the first is an integer, so comparing with the floors tells both sides apart exactly.
    let mantissa = value << (63 - power);
    32 * power + MANTISSAS.partition_point(|bound| *bound < mantissa) as i32 - 1
}

/// `2^(index / 32)`.
fn bound(index: i32) -> f64 {
    let mantissa = MANTISSAS[index.rem_euclid(32) as usize] as f64 / (1_u64 << 63) as f64;
    mantissa * f64::powi(2.0, index.div_euclid(32))
}

/// Counts by bucket. Merging is commutative, and associative among sketches of one scale.
///
/// Of different scales too as long as nothing collapsed; minutes and hours are never merged with days.
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

    /// Counts a number. Does not collapse: up to 2,048 buckets while a batch is made; see [`Sketch::limit`].
    pub fn add(&mut self, value: u64) {
        if value == 0 {
            self.zeros += 1;
            return;
        }
        let index = bucket(value) >> (FINE - self.scale);
        match self.buckets.binary_search_by_key(&index, |(index, _)| *index) {
            Ok(at) => self.buckets[at].1 += 1,
            Err(at) => self.buckets.insert(at, (index, 1)),
        }
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

    /// The value of rank `ceil(q n)`, at least 1; None when nothing was counted. `q` is between 0 and 1.
    pub fn quantile(&self, q: f64) -> Option<f64> {
        let count = self.count();
        let rank = ((q * count as f64).ceil() as u64).clamp(1, count.max(1));
        if rank <= self.zeros {
            return Some(0.0);
        }
        let mut seen = self.zeros;
        for &(index, count) in &self.buckets {
            seen += count;
            if seen >= rank {
                return Some(self.middle(index));
            }
        }
        None
    }

    /// The standard deviation of a sample, from the middles of the buckets; None below two numbers.
    pub fn deviation(&self) -> Option<f64> {
        let n = self.count() as f64;
        if n < 2.0 {
            return None;
        }
        let middles = || self.buckets.iter().map(|&(index, count)| (self.middle(index), count as f64));
        let mean = middles().map(|(value, count)| value * count).sum::<f64>() / n;
        let squares: f64 = middles().map(|(value, count)| count * (value - mean) * (value - mean)).sum();
        Some(((squares + self.zeros as f64 * mean * mean) / (n - 1.0)).sqrt())
    }

    /// The harmonic mean of a bucket's bounds: the number whose greatest relative error in the bucket is least.
    fn middle(&self, index: i32) -> f64 {
        let width = 1 << (FINE - self.scale);
        let (low, high) = (bound(index * width), bound((index + 1) * width));
        2.0 * low * high / (low + high)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A natural number as 32-bit digits, least first.
    fn power(base: u64, exponent: u32) -> Vec<u32> {
        (0..exponent).fold(vec![1], |number, _| {
            let mut product = vec![0_u32; number.len() + 2];
            for (shift, digit) in [base as u32, (base >> 32) as u32].into_iter().enumerate() {
                let mut carry = 0_u64;
                for at in 0..product.len() - shift {
                    let value = u64::from(number.get(at).copied().unwrap_or(0)) * u64::from(digit);
                    let value = value + u64::from(product[at + shift]) + carry;
                    product[at + shift] = value as u32;
                    carry = value >> 32;
                }
            }
            while product.last() == Some(&0) {
                product.pop();
            }
            product
        })
    }

    fn at_most(one: &[u32], other: &[u32]) -> bool {
        (one.len(), one.iter().rev().collect::<Vec<_>>()) <= (other.len(), other.iter().rev().collect::<Vec<_>>())
    }

    #[test]
    fn the_table_holds_the_integer_roots() {
        for (k, &mantissa) in MANTISSAS.iter().enumerate() {
            let radicand = power(2, 63 * 32 + k as u32);
            assert!(at_most(&power(mantissa, 32), &radicand), "{k} too great");
            assert!(!at_most(&power(mantissa + 1, 32), &radicand), "{k} too small");
        }
    }

    #[test]
    fn powers_of_two_are_the_upper_bounds_of_their_buckets() {
        assert_eq!(bucket(1), -1);
        for power in 1..64 {
            assert_eq!(bucket(1 << power), 32 * power - 1);
            if power > 5 {
                assert_eq!(bucket((1 << power) + 1), 32 * power, "above 2^{power}");
                assert_eq!(bucket((1 << power) - 1), 32 * power - 1, "below 2^{power}");
            }
        }
        assert_eq!(bucket(u64::MAX), 64 * 32 - 1);
    }

    #[test]
    fn quantiles_of_ten_thousand_are_within_one_point_one_percent() {
        for (scale, tolerance) in [(FINE, 0.011), (COARSE, 0.022)] {
            let mut state = 88_172_645_463_325_252_u64;
            let mut numbers: Vec<u64> = (0..10_000)
                .map(|_| {
                    state ^= state << 13;
                    state ^= state >> 7;
                    state ^= state << 17;
                    (state >> 40) >> (state % 20)
                })
                .collect();
            let mut sketch = Sketch::new(scale);
            numbers.iter().for_each(|number| sketch.add(*number));
            numbers.sort_unstable();
            for permille in 0..=1000 {
                let q = f64::from(permille) / 1000.0;
                let rank = ((q * 10_000.0).ceil() as usize).max(1);
                let (exact, read) = (numbers[rank - 1] as f64, sketch.quantile(q).unwrap());
                assert!((read - exact).abs() <= tolerance * exact, "q {q}: {read} for {exact}");
            }
            let mean = numbers.iter().sum::<u64>() as f64 / 10_000.0;
            let squares: f64 = numbers.iter().map(|&number| (number as f64 - mean).powi(2)).sum();
            let exact = (squares / 9_999.0).sqrt();
            assert!((sketch.deviation().unwrap() - exact).abs() <= 2.0 * tolerance * exact);
        }
    }

    #[test]
    fn an_empty_sketch_has_neither_quantile_nor_deviation() {
        assert_eq!(Sketch::new(FINE).quantile(0.5), None);
        assert_eq!(Sketch::new(FINE).deviation(), None);
        let mut zeros = Sketch::new(FINE);
        (0..3).for_each(|_| zeros.add(0));
        assert_eq!((zeros.quantile(1.0), zeros.deviation()), (Some(0.0), Some(0.0)));
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

    fn any_sketch() -> impl Strategy<Value = Sketch> {
        let number = (0_u32..64, any::<u64>()).prop_map(|(shift, number)| number >> shift);
        prop_oneof![
            prop::collection::vec(number, 0..60),
            // Wide and full, so that merging two of them collapses.
            (0_u64..40, 500_u64..1_300).prop_map(|(from, many)| {
                (from..from + many).map(|k| bound((k * 3 / 2) as i32 + 250).ceil() as u64).collect()
            }),
        ]
        .prop_map(|numbers| {
            let mut sketch = Sketch::new(FINE);
            numbers.into_iter().for_each(|number| sketch.add(number));
            sketch.limit();
            sketch
        })
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
        fn a_coarse_sketch_is_the_fine_one_with_neighbours_joined(numbers: Vec<u64>) {
            let (mut fine, mut coarse) = (Sketch::new(FINE), Sketch::new(COARSE));
            for number in numbers {
                fine.add(number);
                coarse.add(number);
            }
            prop_assert_eq!(fine.at_scale(COARSE), coarse);
        }

        #[test]
        fn a_number_lies_between_the_bounds_of_its_bucket(shift in 0_u32..64, number: u64) {
            let value = (number >> shift).max(1);
            let index = bucket(value);
            let slack = 1.0 + 1e-12;
            prop_assert!(bound(index) < value as f64 * slack && value as f64 <= bound(index + 1) * slack);
        }
    }
}
