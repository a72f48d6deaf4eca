//! The index of dispersion of counts, or Fano factor: how much burstier than a Poisson process something happens.
//!
//! Source: Fano (1947); Cox & Lewis (1966), chapter 6.

use super::moments::Moments;
use super::{InputError, check_finite};

/// Variance of a sample by mean of counts in windows of equal length: about 1 of a Poisson process, 0 if all are alike, above 1 of bursts.
/// Of a Poisson process its standard error is about `sqrt(2 / (n - 1))`. None below two counts and when all are 0.
///
/// About 2 ns a count; refuses NaN, infinity and counts below 0.
pub fn index(counts: &[f64]) -> Result<Option<f64>, InputError> {
    check_finite("counts", counts)?;
    if let Some(at) = counts.iter().position(|count| *count < 0.0) {
        return Err(InputError::Negative { name: "counts", at });
    }
    let moments = Moments::of(counts).map_err(|_| InputError::TooWide { name: "counts" })?;
    Ok(moments.variance().zip(moments.mean()).filter(|(_, mean)| *mean > 0.0).map(|(variance, mean)| variance / mean))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn by_hand() {
        assert_eq!(index(&[2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0]), Ok(Some(32.0 / 7.0 / 5.0)));
        assert_eq!(index(&[0.0, 10.0]), Ok(Some(10.0)));
        assert_eq!(index(&[3.0; 50]), Ok(Some(0.0)));
    }

    #[test]
    fn nothing_one_and_zeros_have_none() {
        assert_eq!((index(&[]), index(&[7.0]), index(&[0.0; 9])), (Ok(None), Ok(None), Ok(None)));
    }

    #[test]
    fn what_is_no_count_is_refused() {
        assert_eq!(index(&[1.0, -1.0]), Err(InputError::Negative { name: "counts", at: 1 }));
        assert!(matches!(index(&[f64::NAN]), Err(InputError::NotFinite { name: "counts", .. })));
        assert_eq!(index(&[0.0, 1e200]), Err(InputError::TooWide { name: "counts" }));
    }

    proptest! {
        #[test]
        fn counts_in_tens_are_ten_times_as_dispersed(counts in prop::collection::vec(0_u32..1_000_000, 2..200)) {
            let counts: Vec<f64> = counts.into_iter().map(f64::from).collect();
            let tens: Vec<f64> = counts.iter().map(|count| 10.0 * count).collect();
            let (one, ten) = (index(&counts).unwrap(), index(&tens).unwrap());
            match one.zip(ten) {
                Some((one, ten)) => prop_assert!((ten - 10.0 * one).abs() <= 1e-13 * ten),
                None => prop_assert_eq!(one, ten),
            }
        }
    }
}
