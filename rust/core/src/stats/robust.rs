//! Median and median absolute deviation, plain and weighted: centre and spread that half of the numbers may be wrong in. Knows no time.
//!
//! Source: Hampel (1974); Rousseeuw & Croux (1993). The breakdown point of both is one half.

use super::quantiles::Selection;
use super::{InputError, check_finite};

/// What the median absolute deviation is multiplied by to estimate the standard deviation of normal numbers: `1 / z(3/4)`.
pub const MAD_TO_DEVIATION: f64 = 1.482_602_218_505_602;

/// The median: of an even number of numbers the middle of the two in the middle. None of nothing.
///
/// By selection, O(n); refuses NaN and infinity.
pub fn median(values: &[f64]) -> Result<Option<f64>, InputError> {
    Ok(Selection::of(values)?.linear(&[0.5])?.map(|found| found[0]))
}

/// The median, and the median of the absolute distances from it, not yet multiplied by [`MAD_TO_DEVIATION`]. None of nothing; the
/// second is 0 if more than half of the numbers are alike, so of one number and of a constant series.
pub fn median_and_mad(values: &[f64]) -> Result<Option<(f64, f64)>, InputError> {
    let Some(centre) = median(values)? else { return Ok(None) };
    let distances: Vec<f64> = values.iter().map(|value| (value - centre).abs()).collect();
    match median(&distances) {
        Ok(spread) => Ok(spread.map(|spread| (centre, spread))),
        Err(_) => Err(InputError::TooWide { name: "values" }),
    }
}

/// The weighted median: the number up to which half of the weight lies; where it is exactly half, the middle of that number and the
/// next one with a weight. With equal weights the median. None without a weight above 0.
///
/// Refuses NaN, infinity, weights below 0, and weights whose sum is no double. O(n log n).
pub fn weighted_median(values: &[f64], weights: &[f64]) -> Result<Option<f64>, InputError> {
    if values.len() != weights.len() {
        return Err(InputError::Lengths { first: values.len(), second: weights.len() });
    }
    check_finite("values", values)?;
    check_finite("weights", weights)?;
    if let Some(at) = weights.iter().position(|weight| *weight < 0.0) {
        return Err(InputError::Negative { name: "weights", at });
    }
    let mut pairs: Vec<(f64, f64)> = values.iter().copied().zip(weights.iter().copied()).collect();
    pairs.retain(|pair| pair.1 > 0.0);
    pairs.sort_unstable_by(|one, other| one.0.total_cmp(&other.0));
    let total: f64 = pairs.iter().map(|pair| pair.1).sum();
    if !total.is_finite() {
        return Err(InputError::TooWide { name: "weights" });
    }
    // From both ends, so that rounding cannot favour one side: what is left over belongs to the middle.
    let (mut low, mut high) = (0, pairs.len());
    let (mut below, mut above) = (0.0, 0.0);
    while high - low > 1 {
        if below + pairs[low].1 < above + pairs[high - 1].1 {
            below += pairs[low].1;
            low += 1;
        } else if below + pairs[low].1 > above + pairs[high - 1].1 {
            above += pairs[high - 1].1;
            high -= 1;
        } else if high - low == 2 {
            return Ok(Some(pairs[low].0.midpoint(pairs[low + 1].0)));
        } else {
            below += pairs[low].1;
            above += pairs[high - 1].1;
            (low, high) = (low + 1, high - 1);
        }
    }
    Ok(pairs.get(low).map(|pair| pair.0))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::stats::distributions::normal_quantile;

    #[test]
    fn the_factor_makes_the_deviation_of_normal_numbers() {
        let exact = 1.0 / normal_quantile(0.75).unwrap();
        assert!((MAD_TO_DEVIATION / exact - 1.0).abs() < 1e-15);
    }

    #[test]
    fn nothing_one_alike_and_even() {
        assert_eq!((median(&[]), median_and_mad(&[]), weighted_median(&[], &[])), (Ok(None), Ok(None), Ok(None)));
        assert_eq!((median(&[0.1]), median_and_mad(&[0.1])), (Ok(Some(0.1)), Ok(Some((0.1, 0.0)))));
        assert_eq!(median_and_mad(&[1e9 + 0.1; 77]), Ok(Some((1e9 + 0.1, 0.0))));
        assert_eq!(median(&[4.0, 1.0, 3.0, 2.0]), Ok(Some(2.5)));
        assert_eq!(median_and_mad(&[1.0, 1.0, 2.0, 2.0, 4.0, 6.0, 9.0]), Ok(Some((2.0, 1.0))));
        assert_eq!(median(&[f64::MAX, f64::MAX]), Ok(Some(f64::MAX)));
    }

    #[test]
    fn weights_by_hand() {
        assert_eq!(weighted_median(&[1.0, 2.0, 3.0], &[1.0, 1.0, 2.0]), Ok(Some(2.5)), "half of the weight is up to 2");
        assert_eq!(weighted_median(&[3.0, 1.0, 2.0], &[1.0, 1.0, 1.5]), Ok(Some(2.0)));
        assert_eq!(
            weighted_median(&[1.0, 2.0, 9.0], &[0.1, 0.2, 0.0]),
            Ok(Some(2.0)),
            "without a weight it is not there"
        );
        assert_eq!(weighted_median(&[5.0], &[0.3]), Ok(Some(5.0)));
        assert_eq!(weighted_median(&[5.0, 6.0], &[0.0, 0.0]), Ok(None));
        assert_eq!(weighted_median(&[1.0, 9.0], &[1e-300, 1e-300]), Ok(Some(5.0)));
    }

    #[test]
    fn what_is_no_number_or_weight_is_refused() {
        assert!(matches!(median(&[f64::NAN]), Err(InputError::NotFinite { .. })));
        assert!(matches!(median_and_mad(&[1.0, f64::INFINITY]), Err(InputError::NotFinite { at: 1, .. })));
        assert_eq!(median_and_mad(&[f64::MAX, f64::MIN, f64::MIN]), Err(InputError::TooWide { name: "values" }));
        assert!(matches!(weighted_median(&[1.0], &[f64::NAN]), Err(InputError::NotFinite { name: "weights", .. })));
        assert!(matches!(weighted_median(&[1.0], &[]), Err(InputError::Lengths { .. })));
        let negative = weighted_median(&[1.0, 2.0], &[1.0, -0.5]);
        assert_eq!(negative, Err(InputError::Negative { name: "weights", at: 1 }));
        assert_eq!(weighted_median(&[1.0; 2], &[f64::MAX; 2]), Err(InputError::TooWide { name: "weights" }));
    }

    proptest! {
        #[test]
        fn as_many_numbers_lie_above_as_below(values in prop::collection::vec(-1e9_f64..1e9, 1..80)) {
            let (centre, spread) = median_and_mad(&values).unwrap().unwrap();
            let half = values.len() / 2;
            prop_assert!(values.iter().filter(|value| **value < centre).count() <= half);
            prop_assert!(values.iter().filter(|value| **value > centre).count() <= half);
            prop_assert!(values.iter().filter(|value| (*value - centre).abs() < spread).count() <= half);
        }

        #[test]
        fn whole_weights_are_repetitions(pairs in prop::collection::vec((-9_i32..9, 0_usize..5), 1..30)) {
            let values: Vec<f64> = pairs.iter().map(|pair| f64::from(pair.0)).collect();
            let weights: Vec<f64> = pairs.iter().map(|pair| pair.1 as f64).collect();
            let repeated: Vec<f64> = pairs.iter().flat_map(|pair| vec![f64::from(pair.0); pair.1]).collect();
            prop_assert_eq!(weighted_median(&values, &weights), median(&repeated));
        }

        #[test]
        fn a_shift_shifts_and_a_minority_moves_nothing_far(values in prop::collection::vec(-100_i32..100, 3..60), far: f64) {
            let values: Vec<f64> = values.into_iter().map(f64::from).collect();
            let (centre, spread) = median_and_mad(&values).unwrap().unwrap();
            let shifted: Vec<f64> = values.iter().map(|value| value + 1e9).collect();
            prop_assert_eq!(median_and_mad(&shifted), Ok(Some((centre + 1e9, spread))));
            let mut spoilt = values.clone();
            let wrong = (values.len() - 1) / 2;
            spoilt[..wrong].fill(if far.is_finite() { far } else { 1e300 });
            let moved = median(&spoilt).unwrap().unwrap();
            prop_assert!((-100.0..=100.0).contains(&moved));
        }
    }
}
