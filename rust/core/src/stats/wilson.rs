//! Wilson's interval of a share: of failures, of jobs within a goal. Knows no series.
//!
//! Source: Wilson (1927); Brown, Cai & DasGupta (2001) on why this one.

use super::distributions::normal_quantile;
use super::{InputError, check_probability};

/// Between which values the share behind `k` of `n` lies with a confidence of `level`, `0 < level < 1`: the values p that a test of k
/// does not reject, `|k / n - p| <= z sqrt(p (1 - p) / n)`. Within 0 and 1, 0 at k = 0 and 1 at k = n, and never of no width. None of n = 0.
///
/// Refuses k above n. About 0.2 us.
pub fn interval(k: u64, n: u64, level: f64) -> Result<Option<(f64, f64)>, InputError> {
    check_probability("level", level)?;
    if k > n {
        return Err(InputError::Parameter { name: "k", value: k as f64, allowed: "at most n" });
    }
    if n == 0 {
        return Ok(None);
    }
    // The upper tail as it is: 1/2 + level/2 would round to 1 where level is almost 1.
    let z = -normal_quantile((1.0 - level) / 2.0)?;
    let (p, rest, count) = (k as f64 / n as f64, (n - k) as f64 / n as f64, n as f64);
    let part = z * z / count;
    let sum = p + part / 2.0 + z * (p * rest / count + part / count / 4.0).sqrt();
    // Both ends are the roots of a square equation. Their product is known, so the lower one is no difference of near numbers.
    let (low, high) = (p * p / sum, if k == n { 1.0 } else { sum / (1.0 + part) });
    Ok(Some((low.min(p), high.max(p))))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn close(found: (f64, f64), expected: (f64, f64)) -> bool {
        (found.0 - expected.0).abs() < 5e-5 && (found.1 - expected.1).abs() < 5e-5
    }

    #[test]
    fn published_values() {
        // Newcombe (1998), table I: method 3.
        for (k, n, expected) in [
            (81, 263, (0.2553, 0.3662)),
            (15, 148, (0.0624, 0.1605)),
            (0, 20, (0.0, 0.1611)),
            (1, 29, (0.0061, 0.1718)),
        ] {
            let found = interval(k, n, 0.95).unwrap().unwrap();
            assert!(close(found, expected), "{found:?}");
        }
    }

    #[test]
    fn nothing_none_and_all() {
        assert_eq!(interval(0, 0, 0.9), Ok(None));
        for n in [1, 7, 1_000_000, 10_u64.pow(14)] {
            let (none, all) = (interval(0, n, 0.9).unwrap().unwrap(), interval(n, n, 0.9).unwrap().unwrap());
            assert_eq!((none.0, all.1), (0.0, 1.0));
            assert!(none.1 > 0.0 && all.0 < 1.0);
        }
        let rare = interval(1, 10_u64.pow(15), 0.95).unwrap().unwrap();
        // Of a Poisson count of 1: (1 + z^2 / 2 -+ z sqrt(1 + z^2 / 4)).
        assert!((rare.0 * 1e15 - 0.176_53).abs() < 1e-4 && (rare.1 * 1e15 - 5.664_93).abs() < 1e-4, "{rare:?}");
        assert_eq!(interval(5, u64::MAX, 0.9).unwrap().map(|ends| ends.1 < 1e-17), Some(true));
    }

    #[test]
    fn what_is_no_share_is_refused() {
        assert!(matches!(interval(2, 1, 0.9), Err(InputError::Parameter { name: "k", .. })));
        for level in [0.0, 1.0, f64::NAN] {
            assert!(matches!(interval(1, 2, level), Err(InputError::Parameter { name: "level", .. })));
        }
    }

    proptest! {
        #[test]
        fn the_ends_are_where_the_test_turns(n in 1_u64..100_000, part in 0.0_f64..=1.0, level in 0.01_f64..0.999_999) {
            let k = (part * n as f64) as u64;
            let (low, high) = interval(k, n, level).unwrap().unwrap();
            let p = k as f64 / n as f64;
            prop_assert!(0.0 <= low && low <= p && p <= high && high <= 1.0);
            let z = -normal_quantile((1.0 - level) / 2.0).unwrap();
            for end in [low, high] {
                if end > 0.0 && end < 1.0 {
                    let distance = z * (end * (1.0 - end) / n as f64).sqrt();
                    prop_assert!(((p - end).abs() - distance).abs() < 1e-9 * distance + 1e-15, "{} {}", (p - end).abs(), distance);
                }
            }
        }
    }
}
