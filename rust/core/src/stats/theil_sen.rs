//! A straight line by the median of the slopes between points, and whether its slope is more than chance. Knows no forecast.
//!
//! Source: Theil (1950), Sen (1968), both for the slope and for its interval by the ranks of slopes. A test that takes neighbouring points
//! for independent calls trends where there are none (half of all series with r = 0.8); this one counts what they are worth: [`super::rising`].

use super::distributions::{student_t_cdf, student_t_quantile};
use super::pairs::{Xs, centred};
use super::quantiles::Selection;
use super::rising::{alike, first_lag, variance, widening};
use super::robust::median;
use super::{InputError, check_probability};

/// Up to so many points all pairs are taken: 130,816 slopes, some 2 ms.
pub const EXACT: usize = 512;
/// Pairs that are taken of more points, about.
const PAIRS: usize = EXACT * (EXACT - 1) / 2;
/// The fraction of the golden ratio: its multiples fill 0 to 1 evenly, however many there are.
const GOLDEN: f64 = 0.618_033_988_749_894_9;

/// The line of Theil and Sen through n points.
#[derive(Clone, Debug, PartialEq)]
pub struct TheilSen {
    n: usize,
    slope: f64,
    /// Median of x, and the height of the line there.
    middle: f64,
    height: f64,
    /// The slopes that were taken, of all pairs or of some.
    slopes: Selection,
    /// The part of them that rises less the part that falls, and what of it is chance: one standard deviation.
    rising: f64,
    chance: f64,
    /// Nothing is left but rounding.
    perfect: bool,
    autocorrelation: f64,
    effective_size: f64,
}

/// The line through points in any order of x; None without two different x.
///
/// Exact up to [`EXACT`] points. Of more, each is paired with as many others as make about as many pairs, spread evenly over all
/// distances and the same each time; the line is less certain by what was [`left_out`]: its standard error is 1 % greater for 1,440 points and 7 %
/// for 10,080. Refuses slices of different lengths, NaN, infinity, and spreads whose squares or slopes are no doubles.
pub fn theil_sen(x: &[f64], y: &[f64]) -> Result<Option<TheilSen>, InputError> {
    let Some(sums) = centred(Xs::Given(x), y)?.filter(|sums| sums.xx.high > 0.0) else { return Ok(None) };
    let mut points: Vec<(f64, f64)> = x.iter().copied().zip(y.iter().copied()).collect();
    points.sort_by(|one, other| one.0.total_cmp(&other.0));
    // An infinite slope is one of two points nearly above each other; it has its place in the order all the same.
    let slopes = slopes(&points);
    let mut selection = Selection::of(&slopes)?;
    let slope = selection.linear(&[0.5])?.map(|found| found[0]).filter(|slope| slope.abs() < f64::MAX);
    let slope = slope.ok_or(InputError::TooWide { name: "y" })?;
    let rising =
        slopes.iter().map(|slope| f64::from(u8::from(*slope > 0.0)) - f64::from(u8::from(*slope < 0.0))).sum::<f64>();
    let middle = median(x)?.unwrap_or(points[0].0);
    // Residuals first about the middle of the points: at x = 0, decades away, they would be lost in the height of the line.
    let mut residuals: Vec<f64> = points.iter().map(|(x, y)| (y - sums.mean_y.high) - slope * (x - middle)).collect();
    let height = median(&residuals)?.unwrap_or(0.0);
    residuals.iter_mut().for_each(|residual| *residual -= height);
    // What rounding alone leaves of a perfect line is no residual, and as alike as rounding happens to be.
    let steepest = slope.abs() * (points[x.len() - 1].0 - points[0].0);
    let widest = y.iter().fold(steepest, |widest, y| widest.max((y - sums.mean_y.high).abs()));
    let rounding = 4.0 * f64::EPSILON * widest;
    let perfect = residuals.iter().all(|residual| residual.abs() <= rounding);
    let n = x.len();
    let autocorrelation = if perfect { 0.0 } else { first_lag(&residuals, 2.0 * rounding)? };
    let widening = widening(n, autocorrelation);
    let alike_x = alike(x);
    let shared: usize = alike_x.iter().map(|many| many * (many - 1) / 2).sum();
    let pairs = (n * (n - 1) / 2 - shared) as f64;
    Ok(Some(TheilSen {
        n,
        slope,
        middle,
        height: sums.mean_y.high + height,
        rising: rising / slopes.len() as f64,
        chance: (variance(n, &alike_x, &alike(y)).max(0.0) * widening / (pairs * pairs)
            + left_out(slopes.len(), pairs))
        .sqrt(),
        slopes: selection,
        perfect,
        autocorrelation,
        effective_size: n as f64 / widening.max(1.0),
    }))
}

/// What taking some of the pairs adds to the variance of the mean of their signs: a sign varies by 1, of which two ninths are those of its two
/// points, which all pairs have in common with others. Source: Blom (1976), incomplete U-statistics.
fn left_out(taken: usize, pairs: f64) -> f64 {
    7.0 / 9.0 * (1.0 / taken as f64 - 1.0 / pairs).max(0.0)
}

/// Slopes between points of different x, which are in order of x.
fn slopes(points: &[(f64, f64)]) -> Vec<f64> {
    let n = points.len();
    let mut slopes = Vec::with_capacity((n * (n - 1) / 2).min(PAIRS + n));
    if n <= EXACT {
        let (x, y): (Vec<f64>, Vec<f64>) = points.iter().copied().unzip();
        for (at, (x0, y0)) in points.iter().enumerate() {
            // None of equal x, and no question about each pair, so that several are divided at once.
            let from = at + 1 + x[at + 1..].iter().take_while(|x| *x == x0).count();
            slopes.extend(x[from..].iter().zip(&y[from..]).map(|(x, y)| held((y - y0) / (x - x0))));
        }
        return slopes;
    }
    let mut add = |one: (f64, f64), other: (f64, f64)| {
        if one.0 < other.0 {
            slopes.push(held((other.1 - one.1) / (other.0 - one.0)));
        }
    };
    // A lattice over all pairs: each point has its own offset, so that no period of the series is met by all distances alike.
    let mut owed = 0.0;
    for (at, one) in points.iter().enumerate() {
        let behind = n - 1 - at;
        owed += PAIRS as f64 * behind as f64 / (n as f64 * (n as f64 - 1.0) / 2.0);
        let count = owed as usize;
        owed -= count as f64;
        let offset = (at as f64 * GOLDEN).fract();
        let step = behind as f64 / count as f64;
        for place in 0..count {
            let distance = ((place as f64 + offset) * step) as usize;
            add(*one, points[at + 1 + distance.min(behind - 1)]);
        }
    }
    add(points[0], points[n - 1]); // they differ, should all others be alike
    slopes
}

/// An infinite slope as the steepest there is.
fn held(slope: f64) -> f64 {
    slope.clamp(f64::MIN, f64::MAX)
}

impl TheilSen {
    /// How many points.
    pub fn n(&self) -> usize {
        self.n
    }

    /// The median of the slopes, in units of y a unit of x.
    pub fn slope(&self) -> f64 {
        self.slope
    }

    /// The y of the line at x = 0, such that the median residual is 0.
    pub fn intercept(&self) -> f64 {
        self.at(0.0)
    }

    /// The y of the line at an x.
    pub fn at(&self, x: f64) -> f64 {
        self.height + self.slope * (x - self.middle)
    }

    /// The autocorrelation of the ranks of the residuals at lag 1, in order of x, without most of its bias, from -0.5 to 0.99; 0 of a perfect
    /// line.
    pub fn autocorrelation(&self) -> f64 {
        self.autocorrelation
    }

    /// How many independent points the line rests on: n by [`widening`], and n at most.
    pub fn effective_size(&self) -> f64 {
        self.effective_size
    }

    /// The probability that the slope is above 0, by how many pairs rise: Student's t with `n_eff - 2` degrees of freedom, since how alike
    /// neighbours are is itself an estimate. 0, one half or 1 of a perfect line; None when 2 points or fewer are left: nothing speaks of
    /// chance then.
    pub fn growing(&self) -> Option<f64> {
        let freedom = self.freedom()?;
        if self.perfect || self.chance == 0.0 {
            return Some(0.5 + 0.5 * if self.slope == 0.0 { 0.0 } else { self.slope.signum() });
        }
        student_t_cdf(self.rising / self.chance, freedom).ok()
    }

    /// The probability that a series without a trend, with residuals as alike as these, has so many pairs more that rise, or that fall. 0 of a
    /// perfect line that is not level; None as [`growing`](TheilSen::growing).
    pub fn p_value(&self) -> Option<f64> {
        self.growing().map(|growing| 2.0 * growing.min(1.0 - growing))
    }

    /// Between which values the slope lies with a probability of `level`, `0 < level < 1`: slopes of such ranks that as many lie between them
    /// as by chance more pairs rise than fall. Its ends are on one side of 0 when [`growing`](TheilSen::growing) is that far from one half.
    /// Where not even all slopes are so many, it reaches from the least of them to the greatest and holds 0. None as there. It selects again, and
    /// takes as long as that.
    pub fn slope_interval(&self, level: f64) -> Result<Option<(f64, f64)>, InputError> {
        check_probability("level", level)?;
        let Some(freedom) = self.freedom() else { return Ok(None) };
        if self.perfect {
            return Ok(Some((self.slope, self.slope)));
        }
        let within = self.chance * student_t_quantile(0.5 + level / 2.0, freedom)?;
        let count = self.slopes.count();
        let below = (count as f64 * (1.0 - within) / 2.0).ceil();
        let part = |rank: f64| rank / count as f64;
        let ends =
            self.slopes.clone().nearest_rank(&[part(below.max(1.0)), part(count as f64 + 1.0 - below.max(1.0))])?;
        let ends =
            ends.map(|ends| if below >= 1.0 { (ends[0], ends[1]) } else { (ends[0].min(0.0), ends[1].max(0.0)) });
        // An infinite slope is held; that end is not known.
        Ok(ends.filter(|ends| ends.0 > f64::MIN && ends.1 < f64::MAX))
    }

    /// Degrees of freedom, if there are any.
    fn freedom(&self) -> Option<f64> {
        Some(self.effective_size - 2.0).filter(|freedom| *freedom > 0.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn line(x: &[f64], y: &[f64]) -> TheilSen {
        theil_sen(x, y).unwrap().unwrap()
    }

    fn counted(n: u32) -> Vec<f64> {
        (0..n).map(f64::from).collect()
    }

    /// Random numbers from -0.5 to 0.5, always the same: the generator of Knuth (MMIX).
    fn noise(n: u32) -> Vec<f64> {
        let mut state = 1_u64;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 11) as f64 / (1_u64 << 53) as f64 - 0.5
        };
        (0..n).map(|_| next()).collect()
    }

    #[test]
    fn by_hand() {
        // Slopes 1, 4, 3, 7, 4, 1: their median is 3.5.
        let found = line(&[0.0, 1.0, 2.0, 3.0], &[0.0, 1.0, 8.0, 9.0]);
        assert_eq!((found.n(), found.slope(), found.intercept()), (4, 3.5, -0.75));
        assert_eq!((found.at(1.5), found.at(0.0)), (4.5, -0.75));
        let other_order = line(&[3.0, 0.0, 2.0, 1.0], &[9.0, 0.0, 8.0, 1.0]);
        assert_eq!(other_order, found);
    }

    #[test]
    fn nothing_one_two_and_alike() {
        assert_eq!((theil_sen(&[], &[]), theil_sen(&[1.0], &[2.0])), (Ok(None), Ok(None)));
        assert_eq!(theil_sen(&[5.0; 40], &counted(40)), Ok(None));
        let two = line(&[1.0, 3.0], &[5.0, 1.0]);
        assert_eq!((two.slope(), two.intercept(), two.growing(), two.p_value()), (-2.0, 7.0, None, None));
        assert_eq!(two.slope_interval(0.9), Ok(None));
        let flat = line(&counted(50), &[1e9 + 0.1; 50]);
        assert_eq!(
            (flat.slope(), flat.at(7.0), flat.growing(), flat.p_value()),
            (0.0, 1e9 + 0.1, Some(0.5), Some(1.0))
        );
        assert_eq!(flat.slope_interval(0.9), Ok(Some((0.0, 0.0))));
        assert_eq!((flat.autocorrelation(), flat.effective_size()), (0.0, 50.0));
    }

    #[test]
    fn a_perfect_line_is_certain_whatever_is_rounded() {
        for (step, scale) in [(1.0, 0.1), (60.0, 1.0 / 3.0), (0.1, -7.7)] {
            let x: Vec<f64> = counted(60).iter().map(|at| 1.76e9 + at * step).collect();
            let y: Vec<f64> = counted(60).iter().map(|at| at * scale).collect();
            let found = line(&x, &y);
            assert!((found.slope() / (scale / step) - 1.0).abs() < 1e-6, "{}", found.slope());
            // Where x is rounded to a quarter of a microsecond, it is no perfect line, but all pairs rise, or fall.
            assert!(found.p_value().unwrap() < 1e-20 && found.effective_size() == 60.0, "{found:?}");
        }
    }

    #[test]
    fn a_third_of_wrong_points_moves_it_little() {
        let x = counted(300);
        let mut y: Vec<f64> = x.iter().zip(noise(300)).map(|(x, noise)| 2.0 * x + noise).collect();
        y.iter_mut().step_by(4).for_each(|y| *y = 1e6);
        assert!((line(&x, &y).slope() - 2.0).abs() < 0.05);
    }

    #[test]
    fn a_walk_is_worth_few_points() {
        let mut place = 0.0;
        let walk: Vec<f64> = noise(200)
            .into_iter()
            .map(|step| {
                place += step;
                place
            })
            .collect();
        let found = line(&counted(200), &walk);
        assert!(found.autocorrelation() > 0.8 && found.effective_size() < 25.0, "{found:?}");
        let still = line(&counted(200), &noise(200));
        assert!(still.effective_size() > 150.0 && still.p_value().unwrap() > 0.01, "{still:?}");
    }

    #[test]
    fn many_points_give_the_slope_of_all_pairs_nearly() {
        let n = 2 * EXACT as u32;
        let x: Vec<f64> = counted(n).iter().map(|at| 1.76e9 + 60.0 * at).collect();
        let y: Vec<f64> = noise(n)
            .iter()
            .zip(&x)
            .map(|(noise, x)| 1e9 + 3.0 * noise + 1e-6 * (x - x.trunc()) + (x / 9_000.0).sin())
            .collect();
        let mut all: Vec<f64> = Vec::new();
        for at in 0..x.len() {
            (at + 1..x.len()).for_each(|other| all.push((y[other] - y[at]) / (x[other] - x[at])));
        }
        let exact = median(&all).unwrap().unwrap();
        let found = line(&x, &y);
        let (low, high) = found.slope_interval(0.9).unwrap().unwrap();
        assert!((found.slope() - exact).abs() < 0.1 * (high - low), "{} {exact}", found.slope());
        let taken = slopes(&x.iter().copied().zip(y).collect::<Vec<_>>()).len();
        assert!(taken.abs_diff(PAIRS) < x.len(), "{taken}");
        let mut lone = vec![0.0; n as usize];
        lone[7] = 1.0;
        assert_eq!(line(&lone, &lone).slope(), 1.0);
    }

    #[test]
    fn what_is_refused() {
        assert!(matches!(theil_sen(&[1.0], &[]), Err(InputError::Lengths { .. })));
        assert!(matches!(
            theil_sen(&[1.0, f64::NAN], &[1.0, 2.0]),
            Err(InputError::NotFinite { name: "x", at: 1, .. })
        ));
        assert!(matches!(theil_sen(&[1.0, 2.0], &[f64::INFINITY, 2.0]), Err(InputError::NotFinite { name: "y", .. })));
        assert!(matches!(theil_sen(&[1.0, 2.0], &[1e200, 2.0]), Err(InputError::TooWide { name: "y" })));
        assert!(line(&[0.0, 1.0, 2.0], &[1.0, 2.0, 4.0]).slope_interval(1.0).is_err());
    }

    proptest! {
        #[test]
        fn it_is_the_median_of_all_slopes_and_turns_with_the_axes(
            points in prop::collection::vec((-50_i32..50, -50_i32..50), 2..40),
            steps in 1_i32..9,
        ) {
            let x: Vec<f64> = points.iter().map(|point| f64::from(point.0)).collect();
            let y: Vec<f64> = points.iter().map(|point| f64::from(point.1)).collect();
            let mut all = Vec::new();
            for one in &points {
                all.extend(points.iter().filter(|other| other.0 > one.0).map(|other| {
                    f64::from(other.1 - one.1) / f64::from(other.0 - one.0)
                }));
            }
            let found = theil_sen(&x, &y).unwrap();
            prop_assert_eq!(found.as_ref().map(TheilSen::slope), median(&all).unwrap());
            if let Some(found) = &found {
                let residuals: Vec<f64> = x.iter().zip(&y).map(|(x, y)| y - found.at(*x)).collect();
                prop_assert!(median(&residuals).unwrap().unwrap().abs() < 1e-12);
                let steeper: Vec<f64> = x.iter().zip(&y).map(|(x, y)| 1e9 + y + f64::from(steps) * x).collect();
                let far: Vec<f64> = x.iter().map(|x| x + 1_760_000_000.0).collect();
                let turned = line(&far, &steeper);
                prop_assert!((turned.slope() - found.slope() - f64::from(steps)).abs() < 1e-12);
                prop_assert!((turned.autocorrelation() - found.autocorrelation()).abs() < 1e-6);
            }
        }
    }
}
