//! How alike a series is to itself some steps later, and how many independent numbers it is worth. Knows no time: steps are alike.
//!
//! Source: Box & Jenkins (1976) for the estimate, Kendall (1954) for its bias, Bayley & Hammersley (1946) for the effective size.

use super::pairs::{Xs, centred};
use super::twofold::Twofold;
use super::{InputError, check_finite};

/// Numbers of a block, whose sums are added up in twice the precision.
const BLOCK: usize = 128;
/// No series counts as more alike than this: nothing is left of its size above.
pub const MOST: f64 = 0.99;

/// The autocorrelation at lags 0, 1, ... up to `most`, or as far as there are numbers: `r_k = sum (x_t - m)(x_(t+k) - m) / sum (x_t - m)^2`,
/// from -1 to 1. None of nothing and of a constant series, where it is undefined.
///
/// O(n) a lag, about 1 ns a number; refuses NaN, infinity and spreads whose squares are no doubles.
pub fn lags(values: &[f64], most: usize) -> Result<Option<Vec<f64>>, InputError> {
    check_finite("values", values)?;
    let found = centred(Xs::Counted, values).map_err(|error| match error {
        InputError::TooWide { .. } => InputError::TooWide { name: "values" },
        other => other,
    })?;
    let Some(found) = found.filter(|found| found.yy.high > 0.0) else { return Ok(None) };
    let whole = found.yy.value();
    let lags = 0..=most.min(values.len() - 1);
    Ok(Some(lags.map(|lag| if lag == 0 { 1.0 } else { products(values, lag, found.mean_y) / whole }).collect()))
}

/// The autocorrelation at one lag; None also for a lag without two numbers so far apart.
pub fn at_lag(values: &[f64], lag: usize) -> Result<Option<f64>, InputError> {
    Ok(lags(values, lag)?.and_then(|lags| lags.get(lag).copied()))
}

/// The sum of products of deviations from the mean, so many steps apart.
fn products(values: &[f64], lag: usize, mean: Twofold) -> f64 {
    let deviation = |value: f64| (value - mean.high) - mean.low;
    let mut total = Twofold::default();
    for (early, late) in values.chunks(BLOCK).zip(values[lag..].chunks(BLOCK)) {
        total.gather(early.iter().zip(late).map(|(early, late)| deviation(*early) * deviation(*late)).sum());
    }
    total.value()
}

/// The autocorrelation at lag 1 of n residuals without most of its bias, `r + (1 + 4 r) / n`, held between 0 and [`MOST`]. Less than 0
/// counts as 0, so that no series is worth more than its length.
pub fn corrected(first: f64, n: usize) -> f64 {
    (first + (1.0 + 4.0 * first) / n as f64).clamp(0.0, MOST)
}

/// How many independent numbers have a mean as certain as that of n numbers of an autoregressive series: `n (1 - r) / (1 + r)`.
pub fn worth(n: usize, r: f64) -> f64 {
    n as f64 * (1.0 - r) / (1.0 + r)
}

/// The effective size of a series, by its own first lag without bias. n of a constant series and below 3 numbers, where nothing speaks
/// for less; refuses as [`lags`].
pub fn effective_size(values: &[f64]) -> Result<f64, InputError> {
    let first = if values.len() < 3 { None } else { at_lag(values, 1)? };
    check_finite("values", values)?;
    Ok(first.map_or(values.len() as f64, |first| worth(values.len(), corrected(first, values.len()))))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn by_hand() {
        // Deviations -2 -1 0 1 2: squares 10, products 2 0 0 2 at lag 1, 0 -1 0 at lag 2, -2 -2 at lag 3, -4 at lag 4.
        let expected = vec![1.0, 0.4, -0.1, -0.4, -0.4];
        let found = lags(&[1.0, 2.0, 3.0, 4.0, 5.0], 9).unwrap().unwrap();
        assert_eq!(found.len(), 5);
        assert!(found.iter().zip(&expected).all(|(found, expected)| (found - expected).abs() < 1e-15), "{found:?}");
        assert_eq!(at_lag(&[1.0, 2.0, 3.0, 4.0, 5.0], 5), Ok(None));
    }

    #[test]
    fn nothing_one_and_alike_have_none_and_are_worth_their_length() {
        for values in [&[][..], &[3.0], &[1e9 + 0.1; 300]] {
            assert_eq!((lags(values, 3), at_lag(values, 0)), (Ok(None), Ok(None)));
            assert_eq!(effective_size(values), Ok(values.len() as f64));
        }
        assert_eq!(effective_size(&[1.0, 2.0]), Ok(2.0));
    }

    #[test]
    fn the_distance_from_0_takes_no_digits() {
        // Multiples of 2^-20 are exact around 1e9.
        let near: Vec<f64> = (0..500_i32).map(|at| f64::from(at * at % 37) / 1_048_576.0).collect();
        let far: Vec<f64> = near.iter().map(|value| value + 1e9).collect();
        for (near, far) in lags(&near, 20).unwrap().unwrap().iter().zip(lags(&far, 20).unwrap().unwrap()) {
            assert!((near - far).abs() < 1e-12, "{near} {far}");
        }
    }

    #[test]
    fn a_series_that_hardly_changes_is_worth_little_and_one_that_swings_its_length() {
        let ramp: Vec<f64> = (0..100).map(f64::from).collect();
        assert!(effective_size(&ramp).unwrap() < 1.5);
        let swing: Vec<f64> = (0..100).map(|at| f64::from(at % 2)).collect();
        assert_eq!(effective_size(&swing), Ok(100.0));
        assert_eq!((worth(60, 0.5), corrected(0.5, 60)), (20.0, 0.55));
        assert_eq!((corrected(2.0, 10), corrected(-1.0, 10), corrected(0.0, 10)), (MOST, 0.0, 0.1));
    }

    #[test]
    fn what_is_not_finite_is_refused() {
        assert!(matches!(lags(&[1.0, f64::NAN], 1), Err(InputError::NotFinite { name: "values", at: 1, .. })));
        assert!(matches!(effective_size(&[f64::INFINITY]), Err(InputError::NotFinite { .. })));
        assert_eq!(lags(&[1e200, -1e200], 1), Err(InputError::TooWide { name: "values" }));
    }

    proptest! {
        #[test]
        fn none_is_beyond_1(values in prop::collection::vec(-1e6_f64..1e6, 2..300)) {
            for r in lags(&values, 400).unwrap().unwrap_or_default() {
                prop_assert!(r.abs() <= 1.0 + 1e-12);
            }
        }
    }
}
