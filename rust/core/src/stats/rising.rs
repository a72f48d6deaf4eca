//! How many pairs of points rise less how many fall, and how far chance alone takes that number. Knows no line.
//!
//! Source: Mann (1945), Kendall (1970) for the score and its variance, with ties; Hamed & Rao (1998) for what neighbours that are alike
//! make of it; Shaman & Stine (1988) for the bias of how alike the residuals of a line are.

use super::InputError;
use super::autocorrelation::{MOST, at_lag};

/// Neighbours that swing are counted as if they swung no more than so: the estimate from few points is too rough for more.
const LEAST: f64 = -0.5;
/// What the bias leaves of a first lag, at least; below ten points its series says nothing.
const LEFT: f64 = 0.5;

/// The middle of the ranks of each number: 1 is the least; numbers that are no further apart than `rounding` share the mean of theirs.
pub fn ranks(values: &[f64], rounding: f64) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_unstable_by(|one, other| values[*one].total_cmp(&values[*other]));
    let mut ranks = vec![0.0; values.len()];
    let mut from = 0;
    for alike in order.chunk_by(|one, other| values[*other] - values[*one] <= rounding) {
        let middle = from as f64 + (alike.len() + 1) as f64 / 2.0;
        alike.iter().for_each(|at| ranks[*at] = middle);
        from += alike.len();
    }
    ranks
}

/// The first lag of the ranks of residuals of a line through n points, without most of its bias `-(2 + 5 r) / n`, from -0.5 to 0.99. 0 of
/// residuals that are all alike, up to `rounding`. Of ranks, so that a single far point is not all that neighbours have in common.
pub fn first_lag(residuals: &[f64], rounding: f64) -> Result<f64, InputError> {
    let n = residuals.len() as f64;
    let first = at_lag(&ranks(residuals, rounding), 1)?;
    Ok(first.map_or(0.0, |first| ((first + 2.0 / n) / (1.0 - 5.0 / n).max(LEFT)).clamp(LEAST, MOST)))
}

/// How many times as wide the score of n points is when each has an autocorrelation r with its neighbour, r^2 with the next, ...:
/// `1 + 2 / (n (n - 1) (n - 2)) sum (n - k) (n - k - 1) (n - k - 2) r^k`. 1 below 3 points.
pub fn widening(n: usize, r: f64) -> f64 {
    if n < 3 {
        return 1.0;
    }
    let triples = |points: usize| points as f64 * (points as f64 - 1.0) * (points as f64 - 2.0);
    let (mut power, mut sum) = (1.0, 0.0);
    for lag in 1..n - 2 {
        power *= r;
        if power.abs() < f64::EPSILON {
            break;
        }
        sum += triples(n - lag) * power;
    }
    1.0 + 2.0 * sum / triples(n)
}

/// The variance of the score of independent points, when as many of them share an x, or a y, as these groups of equal numbers have.
pub fn variance(n: usize, alike_x: &[usize], alike_y: &[usize]) -> f64 {
    let over = |groups: &[usize], each: &dyn Fn(f64) -> f64| groups.iter().map(|many| each(*many as f64)).sum::<f64>();
    let n = n as f64;
    let whole = |many: f64| many * (many - 1.0) * (2.0 * many + 5.0);
    let pairs = |many: f64| many * (many - 1.0);
    let triples = |many: f64| many * (many - 1.0) * (many - 2.0);
    let plain = (whole(n) - over(alike_x, &whole) - over(alike_y, &whole)) / 18.0;
    let two = if n < 2.0 { 0.0 } else { over(alike_x, &pairs) * over(alike_y, &pairs) / (2.0 * pairs(n)) };
    let three = if n < 3.0 { 0.0 } else { over(alike_x, &triples) * over(alike_y, &triples) / (9.0 * triples(n)) };
    plain + two + three
}

/// How many numbers share each value that more than one has.
pub fn alike(values: &[f64]) -> Vec<usize> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted.chunk_by(|one, other| one == other).map(<[f64]>::len).filter(|many| *many > 1).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn by_hand() {
        assert_eq!(ranks(&[3.0, 1.0, 3.0, -0.0, 0.0], 0.0), [4.5, 3.0, 4.5, 1.5, 1.5]);
        assert_eq!(ranks(&[3.0, 1.0, 3.1, 2.0], 0.2), [3.5, 1.0, 3.5, 2.0]);
        assert_eq!(alike(&[3.0, 1.0, 3.0, -0.0, 0.0, 7.0]).iter().sum::<usize>(), 4);
        assert_eq!((variance(4, &[], &[]), variance(10, &[], &[])), (26.0 / 3.0, 125.0));
        // Lags 1 and 2 of 5 points: 24 r and 6 r^2 of 60.
        assert!((widening(5, 0.5) - (1.0 + 2.0 * (12.0 + 1.5) / 60.0)).abs() < 1e-15);
        assert_eq!((widening(60, 0.0), widening(2, 0.9)), (1.0, 1.0));
        assert!((widening(100_000, 0.5) - 3.0).abs() < 1e-3 && widening(60, -0.5) < 0.4);
    }

    #[test]
    fn residuals_of_no_spread_and_of_few_points() {
        assert_eq!((first_lag(&[], 0.0), first_lag(&[0.0; 9], 0.0)), (Ok(0.0), Ok(0.0)));
        let ramp: Vec<f64> = (0..100).map(f64::from).collect();
        assert!(first_lag(&ramp, 0.0).unwrap() > 0.95);
        assert_eq!(first_lag(&ramp, 1.0), Ok(0.0));
        let swing: Vec<f64> = (0..100).map(|at| f64::from(at % 2)).collect();
        assert_eq!(first_lag(&swing, 0.0), Ok(LEAST));
    }

    /// The score of numbers in their order.
    fn score(y: &[f64]) -> f64 {
        let sign = |rise: f64| if rise == 0.0 { 0.0 } else { rise.signum() };
        (0..y.len()).map(|at| y[at + 1..].iter().map(|later| sign(later - y[at])).sum::<f64>()).sum()
    }

    fn orders(mut y: Vec<f64>, from: usize, each: &mut impl FnMut(&[f64])) {
        if from == y.len() {
            return each(&y);
        }
        for at in from..y.len() {
            y.swap(from, at);
            orders(y.clone(), from + 1, each);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20))]
        #[test]
        fn the_variance_is_that_of_all_orders(y in prop::collection::vec(-2_i8..3, 3..7)) {
            let y: Vec<f64> = y.into_iter().map(f64::from).collect();
            let (mut sum, mut count) = (0.0, 0.0);
            orders(y.clone(), 0, &mut |y| {
                sum += score(y) * score(y);
                count += 1.0;
            });
            prop_assert!((variance(y.len(), &[], &alike(&y)) - sum / count).abs() < 1e-9);
        }
    }
}
