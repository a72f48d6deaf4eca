//! Numbers of twice the precision, as the unevaluated sum of two doubles, for the last steps of sums that cancel.
//!
//! Source: Dekker (1971) and Knuth (1969, 4.2.2) for the error-free sum and product; Ogita, Rump & Oishi (2005) for sums.

use std::ops::{Add, Mul, Sub};

/// `high + low`, where `low` is at most half a unit in the last place of `high`. About 31 digits.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Twofold {
    pub high: f64,
    pub low: f64,
}

/// The sum of two doubles, exactly.
#[inline]
fn two_sum(a: f64, b: f64) -> Twofold {
    let high = a + b;
    let part = high - a;
    Twofold { high, low: (a - (high - part)) + (b - part) }
}

impl Twofold {
    /// A double.
    #[inline]
    pub fn of(high: f64) -> Twofold {
        Twofold { high, low: 0.0 }
    }

    /// Adds a double; what is rounded off gathers in `low`.
    #[inline]
    pub fn gather(&mut self, value: f64) {
        let sum = two_sum(self.high, value);
        self.high = sum.high;
        self.low += sum.low;
    }

    /// The nearest double.
    #[inline]
    pub fn value(self) -> f64 {
        self.high + self.low
    }

    /// The quotient.
    pub fn over(self, divisor: Twofold) -> Twofold {
        let first = self.high / divisor.high;
        let rest = self - Twofold::of(first) * divisor;
        two_sum(first, rest.value() / divisor.high)
    }
}

impl Add for Twofold {
    type Output = Twofold;

    fn add(self, other: Twofold) -> Twofold {
        let sum = two_sum(self.high, other.high);
        // In this order the sum does not depend on which of them is the other.
        two_sum(sum.high, sum.low + (self.low + other.low))
    }
}

impl Sub for Twofold {
    type Output = Twofold;

    fn sub(self, other: Twofold) -> Twofold {
        self + Twofold { high: -other.high, low: -other.low }
    }
}

impl Mul for Twofold {
    type Output = Twofold;

    fn mul(self, other: Twofold) -> Twofold {
        let high = self.high * other.high;
        // Without the instruction in hardware this is a call of some nanoseconds; it is used a few times a fit.
        let low = self.high.mul_add(other.high, -high);
        two_sum(high, low + (self.high * other.low + self.low * other.high))
    }
}

/// The sum of numbers, right to the last digit or nearly so; NaN where one is not finite.
pub fn sum(values: &[f64]) -> f64 {
    let mut sum = Twofold::default();
    values.iter().for_each(|value| sum.gather(*value));
    sum.value()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sums_by_hand() {
        assert_eq!((sum(&[]), sum(&[1e16, 1.0, -1e16]), sum(&[0.1; 10])), (0.0, 1.0, 1.0));
        assert!(sum(&[1.0, f64::NAN]).is_nan() && sum(&[f64::INFINITY, 1.0]).is_nan());
    }

    #[test]
    fn what_a_double_cannot_hold_is_kept() {
        let mut sum = Twofold::default();
        for value in [1e16, 1.0, -1e16, 1e-3] {
            sum.gather(value);
        }
        assert_eq!(sum.value(), 1.001);
        let third = Twofold::of(1.0).over(Twofold::of(3.0));
        assert!((third * Twofold::of(3.0) - Twofold::of(1.0)).value().abs() < 1e-31);
    }

    proptest! {
        #[test]
        fn whole_numbers_of_twice_the_length_are_exact(a in -(1_i64 << 52)..1 << 52, b in -(1_i64 << 52)..1 << 52) {
            let product = Twofold::of(a as f64) * Twofold::of(b as f64);
            prop_assert_eq!(product.high as i128 + product.low as i128, i128::from(a) * i128::from(b));
            let back = product - Twofold::of(a as f64) * Twofold::of(b as f64);
            prop_assert_eq!(back.value(), 0.0);
        }
    }
}
