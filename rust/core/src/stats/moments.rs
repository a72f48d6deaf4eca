//! Count, mean, variance, skewness, kurtosis, least and greatest of numbers, in a state that merges. Knows no distribution.
//!
//! Source: Chan, Golub & LeVeque (1983) for the merge of variances, Pébay (2008) for the higher moments. Sums are of deviations from a
//! mean of twice the precision, so values of 1e9 and a little lose nothing.

use super::twofold::Twofold;
use super::{InputError, check_finite};
use crate::error::{Error, Result};

/// Numbers of a block: its mean is known before its deviations are summed, and it is still in the first cache then.
const BLOCK: usize = 256;
/// Version of the packed state.
const VERSION: u8 = 1;
/// Bytes of the packed state.
pub const PACKED: usize = 65;

/// The moments of n numbers. The default one, of none, is neutral in [`merge`](Moments::merge).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Moments {
    n: u64,
    mean: Twofold,
    /// Sums of deviations from the mean, to the powers 2, 3 and 4.
    m2: f64,
    m3: f64,
    m4: f64,
    min: f64,
    max: f64,
}

/// Sums of a block by lane: as [`super::pairs`] does it, in functions that only write them down, or the compiler mixes the lanes.
struct Sums {
    powers: [[f64; 4]; 4],
    min: [f64; 4],
    max: [f64; 4],
}

/// Sums of distances from a number.
#[inline(never)]
fn shifts(values: &[[f64; 4]], from: f64, sums: &mut [f64; 4]) {
    let mut all = *sums;
    for values in values {
        for lane in 0..4 {
            all[lane] += values[lane] - from;
        }
    }
    *sums = all;
}

/// Sums of the first four powers of distances from a number, least and greatest.
#[inline(never)]
fn deviations(values: &[[f64; 4]], from: f64, sums: &mut Sums) {
    let [mut one, mut two, mut three, mut four] = sums.powers;
    let (mut min, mut max) = (sums.min, sums.max);
    for values in values {
        for lane in 0..4 {
            let value = values[lane];
            let deviation = value - from;
            let square = deviation * deviation;
            one[lane] += deviation;
            two[lane] += square;
            three[lane] += deviation * square;
            four[lane] += square * square;
            min[lane] = if value < min[lane] { value } else { min[lane] };
            max[lane] = if value > max[lane] { value } else { max[lane] };
        }
    }
    *sums = Sums { powers: [one, two, three, four], min, max };
}

impl Moments {
    /// The moments of numbers; refuses NaN, infinity and spreads above 1e75, whose fourth powers leave the range of doubles. About
    /// 1 ns a number.
    pub fn of(values: &[f64]) -> std::result::Result<Moments, InputError> {
        let found =
            values.chunks(BLOCK).map(Moments::of_block).fold(Moments::default(), |all, block| all.joined(&block));
        if !found.is_sound() {
            check_finite("values", values)?;
            return Err(InputError::TooWide { name: "values" });
        }
        Ok(found)
    }

    fn of_block(values: &[f64]) -> Moments {
        let (first, n) = (values[0], values.len() as f64);
        let (fours, rest) = values.as_chunks::<4>();
        let mut shift = [0.0; 4];
        shifts(fours, first, &mut shift);
        let shift = rest.iter().fold((shift[0] + shift[1]) + (shift[2] + shift[3]), |sum, value| sum + (value - first));
        let centre = first + shift / n;
        let mut sums = Sums { powers: [[0.0; 4]; 4], min: [first; 4], max: [first; 4] };
        deviations(fours, centre, &mut sums);
        for (lane, value) in rest.iter().enumerate() {
            let deviation = value - centre;
            let square = deviation * deviation;
            for (power, sum) in [deviation, square, deviation * square, square * square].iter().zip(&mut sums.powers) {
                sum[lane] += power;
            }
            (sums.min[lane], sums.max[lane]) = (sums.min[lane].min(*value), sums.max[lane].max(*value));
        }
        let [one, two, three, four] = sums.powers.map(|lanes| (lanes[0] + lanes[1]) + (lanes[2] + lanes[3]));
        // The centre is the mean but for its rounding; the sums are moved by what is left of it.
        let left = one / n;
        let least_0 = |sum: f64| if sum < 0.0 { 0.0 } else { sum }; // keeps NaN, which `max` does not
        Moments {
            n: values.len() as u64,
            mean: Twofold::of(centre) + Twofold::of(left),
            m2: least_0(two - n * left * left),
            m3: three - left * (3.0 * two - 2.0 * n * left * left),
            m4: least_0(four - left * (4.0 * three - left * (6.0 * two - 3.0 * n * left * left))),
            min: sums.min.into_iter().fold(first, f64::min),
            max: sums.max.into_iter().fold(first, f64::max),
        }
    }

    /// Both together; refuses what lies so far apart that [`of`](Moments::of) would refuse the numbers. Commutative to the last bit; associative up to rounding: in any order and grouping the mean is within two units
    /// in the last place of the greatest number, and the deviation within 1e-14 for up to a million parts.
    pub fn merge(&self, other: &Moments) -> std::result::Result<Moments, InputError> {
        let both = self.joined(other);
        if both.is_sound() { Ok(both) } else { Err(InputError::TooWide { name: "both" }) }
    }

    fn joined(&self, other: &Moments) -> Moments {
        if self.n == 0 || other.n == 0 {
            return if self.n == 0 { *other } else { *self };
        }
        let (a, b) = (self.n as f64, other.n as f64);
        let n = a + b;
        let apart = (other.mean - self.mean).value();
        let square = apart * apart;
        let product = a * b / n;
        let weighted = self.mean * Twofold::of(a) + other.mean * Twofold::of(b);
        Moments {
            n: self.n.saturating_add(other.n),
            mean: weighted.over(Twofold::of(n)),
            m2: (self.m2 + other.m2) + square * product,
            m3: (self.m3 + other.m3)
                + apart * square * product * ((a - b) / n)
                + 3.0 * apart * ((a * other.m2 - b * self.m2) / n),
            m4: (self.m4 + other.m4)
                + square * square * product * (((a * a + b * b) - a * b) / (n * n))
                + 6.0 * square * ((a * a * other.m2 + b * b * self.m2) / (n * n))
                + 4.0 * apart * ((a * other.m3 - b * self.m3) / n),
            min: self.min.min(other.min),
            max: self.max.max(other.max),
        }
    }

    /// Whether numbers can have these moments, and everything that is said of them is a number.
    fn is_sound(&self) -> bool {
        if self.n == 0 {
            return *self == Moments::default();
        }
        let said = [self.mean.high, self.mean.low, self.m2, self.m3, self.m4, self.min, self.max];
        let of_shape = [self.skewness(), self.kurtosis()];
        said.iter().chain(of_shape.iter().flatten()).all(|number| number.is_finite())
            && self.m2 >= 0.0
            && self.m4 >= 0.0
            && self.min <= self.max
    }

    /// How many numbers.
    pub fn n(&self) -> u64 {
        self.n
    }

    /// The mean; None of nothing.
    pub fn mean(&self) -> Option<f64> {
        (self.n > 0).then(|| self.mean.value().clamp(self.min, self.max))
    }

    /// The variance of a sample, `m2 / (n - 1)`; None below two numbers.
    pub fn variance(&self) -> Option<f64> {
        (self.n > 1).then(|| self.m2 / (self.n - 1) as f64)
    }

    /// The variance of a whole population, `m2 / n`, which the original's deviations are the root of; None of nothing.
    pub fn population_variance(&self) -> Option<f64> {
        (self.n > 0).then(|| self.m2 / self.n as f64)
    }

    /// The skewness of a population, `sqrt(n) m3 / m2^(3/2)`; None if all are alike.
    pub fn skewness(&self) -> Option<f64> {
        self.shaped().then(|| (self.n as f64).sqrt() * self.m3 / (self.m2 * self.m2.sqrt()))
    }

    /// The excess kurtosis of a population, `n m4 / m2^2 - 3`; None if all are alike.
    pub fn kurtosis(&self) -> Option<f64> {
        self.shaped().then(|| self.n as f64 * self.m4 / (self.m2 * self.m2) - 3.0)
    }

    /// Whether there is a spread, and one whose fourth power a double can hold.
    fn shaped(&self) -> bool {
        self.m2 * self.m2 >= f64::MIN_POSITIVE / f64::EPSILON
    }

    /// The least; None of nothing.
    pub fn min(&self) -> Option<f64> {
        (self.n > 0).then_some(self.min)
    }

    /// The greatest; None of nothing.
    pub fn max(&self) -> Option<f64> {
        (self.n > 0).then_some(self.max)
    }

    /// The state, to be kept: version, then n and seven doubles, little-endian: mean and its rest, m2, m3, m4, min, max.
    pub fn encode(&self) -> [u8; PACKED] {
        let mut bytes = [0; PACKED];
        bytes[0] = VERSION;
        bytes[1..9].copy_from_slice(&self.n.to_le_bytes());
        let numbers = [self.mean.high, self.mean.low, self.m2, self.m3, self.m4, self.min, self.max];
        for (place, number) in bytes[9..].as_chunks_mut::<8>().0.iter_mut().zip(numbers) {
            *place = number.to_le_bytes();
        }
        bytes
    }

    /// What [`encode`](Moments::encode) packed.
    pub fn decode(bytes: &[u8]) -> Result<Moments> {
        let bad = |at| Error::Decode { what: "moments", at };
        let (&version, rest) = bytes.split_first().ok_or(bad(0))?;
        if version != VERSION {
            return Err(bad(0));
        }
        let ([n, numbers @ ..], []) = rest.as_chunks::<8>() else { return Err(bad(bytes.len())) };
        let numbers: [[u8; 8]; 7] = numbers.try_into().map_err(|_| bad(bytes.len()))?;
        let numbers = numbers.map(f64::from_le_bytes);
        let [high, low, m2, m3, m4, min, max] = numbers;
        let found = Moments { n: u64::from_le_bytes(*n), mean: Twofold { high, low }, m2, m3, m4, min, max };
        if found.is_sound() { Ok(found) } else { Err(bad(1)) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn near(one: f64, other: f64, tolerance: f64) {
        assert!((one - other).abs() <= tolerance, "{one} for {other}");
    }

    #[test]
    fn known_moments_also_far_from_0() {
        for offset in [0.0, 1e9, -1.7e9, 1e15] {
            let values: Vec<f64> = (0..1_000).map(|at| offset + f64::from(at % 10) * 0.5).collect();
            let found = Moments::of(&values).unwrap();
            // 0 to 9 evenly: variance 33 / 4, kurtosis -6 (n^2 + 1) / (5 (n^2 - 1)) for n = 10; halves are exact also at 1e15
            assert_eq!(found.mean(), Some(offset + 2.25));
            near(found.population_variance().unwrap(), 8.25 / 4.0, 1e-14);
            near(found.variance().unwrap(), 8.25 / 4.0 * 1_000.0 / 999.0, 1e-14);
            near(found.skewness().unwrap(), 0.0, 1e-14);
            near(found.kurtosis().unwrap(), -6.0 * 101.0 / 495.0, 1e-13);
            assert_eq!((found.min(), found.max(), found.n()), (Some(offset), Some(offset + 4.5), 1_000));
        }
    }

    #[test]
    fn nothing_one_and_alike() {
        let none = Moments::of(&[]).unwrap();
        assert_eq!(none, Moments::default());
        assert_eq!((none.mean(), none.variance(), none.population_variance()), (None, None, None));
        assert_eq!((none.min(), none.max(), none.skewness(), none.kurtosis()), (None, None, None, None));
        let one = Moments::of(&[0.1]).unwrap();
        assert_eq!((one.mean(), one.variance(), one.population_variance()), (Some(0.1), None, Some(0.0)));
        let alike = Moments::of(&[1e9 + 0.1; 3_001]).unwrap();
        assert_eq!((alike.mean(), alike.variance(), alike.skewness()), (Some(1e9 + 0.1), Some(0.0), None));
    }

    #[test]
    fn numbers_without_moments_are_refused() {
        let mut values = vec![1.0; 700];
        values[600] = f64::NAN;
        assert!(matches!(Moments::of(&values), Err(InputError::NotFinite { at: 600, .. })));
        assert!(matches!(Moments::of(&[1.0, f64::INFINITY]), Err(InputError::NotFinite { at: 1, .. })));
        assert_eq!(Moments::of(&[-1e100, 1e100]), Err(InputError::TooWide { name: "values" }));
        assert_eq!(Moments::of(&[1e300; 9]).unwrap().mean(), Some(1e300));
        for apart in [1e100, 1.7e308] {
            let [low, high] = [-apart, apart].map(|value| Moments::of(&[value]).unwrap());
            assert_eq!(low.merge(&high), Err(InputError::TooWide { name: "both" }));
        }
    }

    #[test]
    fn other_bytes_are_no_moments() {
        let good = Moments::of(&[1.0, 2.0, 4.0]).unwrap().encode();
        for length in 0..good.len() {
            assert!(Moments::decode(&good[..length]).is_err());
        }
        assert!(Moments::decode(&[&good[..], &[0]].concat()).is_err());
        for (place, byte) in [(0, 2), (0, 0), (32, 0xff), (64, 0xff), (1, 0)] {
            let mut bytes = good;
            bytes[place] = byte;
            assert!(Moments::decode(&bytes).is_err(), "{place}");
        }
        let mut no_shape = good;
        no_shape[41..49].copy_from_slice(&1e308_f64.to_le_bytes());
        assert!(Moments::decode(&no_shape).is_err(), "its kurtosis would be infinite");
    }

    fn any_values() -> impl Strategy<Value = Vec<f64>> {
        (0_u32..4, prop::collection::vec(-1e3..1e3, 0..600)).prop_map(|(shift, values)| {
            let offset = [0.0, 1e9, -1e12, 1.0][shift as usize];
            values.into_iter().map(|value| offset + value).collect()
        })
    }

    proptest! {
        #[test]
        fn merging_has_no_order_and_no_grouping_but_for_rounding(a in any_values(), b in any_values(), c in any_values()) {
            let [x, y, z] = [&a, &b, &c].map(|values| Moments::of(values).unwrap());
            prop_assert_eq!(x.merge(&y), y.merge(&x));
            prop_assert_eq!(x.merge(&y), Ok(x.joined(&y)));
            let all = Moments::of(&[a, b, c].concat()).unwrap();
            for merged in [x.joined(&y).joined(&z), x.joined(&y.joined(&z)), z.joined(&x).joined(&y)] {
                prop_assert_eq!((merged.n(), merged.min(), merged.max()), (all.n(), all.min(), all.max()));
                let greatest = all.min.abs().max(all.max.abs());
                prop_assert!((merged.mean - all.mean).value().abs() <= 2.0 * f64::EPSILON * greatest);
                prop_assert!((merged.m2 - all.m2).abs() <= 1e-14 * all.m2);
                let (m3, m4) = (all.m2.powf(1.5), all.m2 * all.m2);
                prop_assert!((merged.m3 - all.m3).abs() <= 1e-13 * m3);
                prop_assert!((merged.m4 - all.m4).abs() <= 1e-13 * m4);
            }
        }

        #[test]
        fn what_can_be_unpacked_says_numbers_only(n: u64, numbers in prop::array::uniform7(prop::num::f64::ANY)) {
            let [high, low, m2, m3, m4, min, max] = numbers;
            let packed = Moments { n, mean: Twofold { high, low }, m2, m3, m4, min, max }.encode();
            if let Ok(found) = Moments::decode(&packed) {
                prop_assert_eq!(found.encode(), packed);
                let said = [found.mean(), found.variance(), found.skewness(), found.kurtosis(), found.min(), found.max()];
                prop_assert!(said.iter().flatten().all(|number| number.is_finite()));
            }
        }

        #[test]
        fn a_packed_state_comes_back_the_same(values in any_values()) {
            let found = Moments::of(&values).unwrap();
            prop_assert_eq!(Moments::decode(&found.encode()).unwrap(), found);
        }
    }
}
