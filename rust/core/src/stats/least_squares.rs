//! A straight line by least squares, with the errors of what it says. Knows neither time nor unit.
//!
//! Source of the formulas: Draper & Smith (1998), chapters 1 and 3. The sums behind them are those of [`super::pairs`], so a slope is
//! within 4 units in the last place of its condition, `s_y / s_x`, of the exact one.

use super::distributions::student_t_quantile;
use super::pairs::{Centred, Xs, centred, residual_squares};
use super::{InputError, check_probability};

/// Where the residuals are a smaller part of the squares than this, they are summed one by one: the difference of sums has lost ten
/// of its bits there.
const NEARLY_PERFECT: f64 = 1.0 / 1024.0;

/// A straight line through n points, at least two of different x.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fit {
    n: usize,
    mean_x: f64,
    mean_y: f64,
    squares_x: f64,
    slope: f64,
    intercept: f64,
    r_squared: Option<f64>,
    residual_deviation: Option<f64>,
}

/// The line through points (x, y); None without two different x. About 0.5 ns a point, three times that if the line fits nearly
/// perfectly.
pub fn fit(x: &[f64], y: &[f64]) -> Result<Option<Fit>, InputError> {
    line(Xs::Given(x), y)
}

/// The line through points whose x are 0, 1, 2, ...; None below two.
pub fn fit_counted(y: &[f64]) -> Result<Option<Fit>, InputError> {
    line(Xs::Counted, y)
}

fn line(x: Xs<'_>, y: &[f64]) -> Result<Option<Fit>, InputError> {
    let Some(found) = centred(x, y)? else { return Ok(None) };
    Ok(Fit::of(&found, |slope| residual_squares(x, y, &found, slope)))
}

impl Fit {
    /// The line of centred sums; `residuals` sums squared residuals about the line of a slope.
    pub(super) fn of(found: &Centred, residuals: impl FnOnce(f64) -> f64) -> Option<Fit> {
        if found.n < 2 || found.xx.high <= 0.0 {
            return None;
        }
        let slope = found.xy.over(found.xx);
        let explained = slope * found.xy;
        let mut rest = (found.yy - explained).value().max(0.0);
        if rest < NEARLY_PERFECT * found.yy.high {
            rest = residuals(slope.value());
        }
        let share = if explained.high < 0.5 * found.yy.high {
            explained.high / found.yy.high
        } else {
            1.0 - rest / found.yy.high
        };
        Some(Fit {
            n: found.n,
            mean_x: found.mean_x.value(),
            mean_y: found.mean_y.value(),
            squares_x: found.xx.value(),
            slope: slope.value(),
            intercept: (found.mean_y - slope * found.mean_x).value(),
            r_squared: (found.yy.high > 0.0).then(|| share.clamp(0.0, 1.0)),
            residual_deviation: (found.n > 2).then(|| (rest / (found.n - 2) as f64).sqrt()),
        })
    }

    /// How many points.
    pub fn n(&self) -> usize {
        self.n
    }

    /// The mean x. Within a unit in the last place, as is [`mean_y`](Fit::mean_y).
    pub fn mean_x(&self) -> f64 {
        self.mean_x
    }

    /// The mean y.
    pub fn mean_y(&self) -> f64 {
        self.mean_y
    }

    /// `Sxy / Sxx`, in units of y a unit of x; 0 if all y are alike.
    pub fn slope(&self) -> f64 {
        self.slope
    }

    /// The y of the line at x = 0. Far from the points (x in seconds since 1970) it says little: see [`intercept_error`](Fit::intercept_error).
    pub fn intercept(&self) -> f64 {
        self.intercept
    }

    /// The part of the variance of y that the line explains, 0 to 1; None if all y are alike (the original says 0).
    pub fn r_squared(&self) -> Option<f64> {
        self.r_squared
    }

    /// `sqrt(sum of squared residuals / (n - 2))`, in units of y; None for two points.
    pub fn residual_deviation(&self) -> Option<f64> {
        self.residual_deviation
    }

    /// The standard error of the slope, `s / sqrt(Sxx)`; None for two points.
    pub fn slope_error(&self) -> Option<f64> {
        Some(self.residual_deviation? / self.squares_x.sqrt())
    }

    /// The standard error of the intercept, `s sqrt(1 / n + mean_x^2 / Sxx)`; None for two points.
    pub fn intercept_error(&self) -> Option<f64> {
        Some(self.residual_deviation? * (1.0 / self.n as f64 + self.leverage(0.0)).sqrt())
    }

    /// The y of the line at an x.
    pub fn at(&self, x: f64) -> f64 {
        self.mean_y + self.slope * (x - self.mean_x)
    }

    /// Between which y one more point at x lies with a probability of `level`, `0 < level < 1`, if residuals are independent and
    /// normal: `at(x) +- t s sqrt(1 + 1 / n + (x - mean_x)^2 / Sxx)` with n - 2 degrees of freedom. None for two points.
    pub fn prediction(&self, x: f64, level: f64) -> Result<Option<(f64, f64)>, InputError> {
        if !x.is_finite() {
            return Err(InputError::Parameter { name: "x", value: x, allowed: "finite" });
        }
        let error = self.residual_deviation.map(|s| s * (1.0 + 1.0 / self.n as f64 + self.leverage(x)).sqrt());
        self.around(self.at(x), error, level)
    }

    /// Between which values the slope lies with a probability of `level`, `0 < level < 1`, under the same conditions. None for two
    /// points.
    pub fn slope_interval(&self, level: f64) -> Result<Option<(f64, f64)>, InputError> {
        self.around(self.slope, self.slope_error(), level)
    }

    fn leverage(&self, x: f64) -> f64 {
        let distance = x - self.mean_x;
        distance * distance / self.squares_x
    }

    fn around(&self, middle: f64, error: Option<f64>, level: f64) -> Result<Option<(f64, f64)>, InputError> {
        check_probability("level", level)?;
        let Some(error) = error else { return Ok(None) };
        let half = error * student_t_quantile(0.5 + level / 2.0, (self.n - 2) as f64)?;
        Ok(Some((middle - half, middle + half)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Slope, residual squares and squares of y of whole numbers, exactly until the last division.
    fn exact(x: &[i64], y: &[i64]) -> (f64, f64, f64) {
        let n = x.len() as i128;
        let sum = |product: &dyn Fn(i128, i128) -> i128| -> i128 {
            x.iter().zip(y).map(|(x, y)| product(i128::from(*x), i128::from(*y))).sum()
        };
        let (x1, y1) = (sum(&|x, _| x), sum(&|_, y| y));
        let xx = n * sum(&|x, _| x * x) - x1 * x1;
        let xy = n * sum(&|x, y| x * y) - x1 * y1;
        let yy = n * sum(&|_, y| y * y) - y1 * y1;
        // yy xx - xy^2 has up to 180 bits: what is left of the division is enough of them.
        let rest = (yy - xy * (xy / xx)) as f64 - xy as f64 * ((xy % xx) as f64 / xx as f64);
        (xy as f64 / xx as f64, rest / n as f64, yy as f64 / n as f64)
    }

    fn doubles(values: &[i64]) -> Vec<f64> {
        values.iter().map(|value| *value as f64).collect()
    }

    #[test]
    fn a_line_through_exact_points_is_that_line() {
        for offset in [0.0, 1e9, 1.7e9] {
            let x: Vec<f64> = (0..500).map(|at| offset + f64::from(at) * 0.5).collect();
            let y: Vec<f64> = x.iter().map(|x| 3.0 * (x - offset) - 7.0).collect();
            let fit = fit(&x, &y).unwrap().unwrap();
            assert_eq!((fit.slope(), fit.r_squared()), (3.0, Some(1.0)));
            assert!(fit.residual_deviation().unwrap() < 1e-12);
            assert_eq!(fit.intercept(), -7.0 - 3.0 * offset);
            assert_eq!(fit.at(offset + 1000.0), 2993.0);
        }
    }

    #[test]
    fn too_few_or_alike_have_no_line_or_no_error() {
        assert_eq!(fit(&[], &[]), Ok(None));
        assert_eq!(fit(&[1.0], &[1.0]), Ok(None));
        assert_eq!(fit(&[1e9 + 0.1; 300], &doubles(&(0..300).collect::<Vec<_>>())), Ok(None));
        assert_eq!(fit_counted(&[3.0]), Ok(None));
        let two = fit(&[1.0, 3.0], &[5.0, 1.0]).unwrap().unwrap();
        assert_eq!((two.slope(), two.intercept(), two.r_squared()), (-2.0, 7.0, Some(1.0)));
        assert_eq!((two.residual_deviation(), two.slope_error(), two.intercept_error()), (None, None, None));
        assert_eq!((two.prediction(2.0, 0.9), two.slope_interval(0.9)), (Ok(None), Ok(None)));
        let flat = fit_counted(&[1e9 + 0.1; 1000]).unwrap().unwrap();
        assert_eq!((flat.slope(), flat.intercept(), flat.r_squared()), (0.0, 1e9 + 0.1, None));
        assert_eq!((flat.residual_deviation(), flat.slope_error()), (Some(0.0), Some(0.0)));
        assert_eq!(flat.prediction(2000.0, 0.99), Ok(Some((1e9 + 0.1, 1e9 + 0.1))));
    }

    #[test]
    fn numbers_that_are_no_points_are_refused() {
        let name = |error| match error {
            Err(InputError::NotFinite { name, at, .. }) => (name, at),
            other => panic!("{other:?}"),
        };
        assert_eq!(name(fit(&[1.0, f64::NAN], &[1.0, f64::NAN])), ("x", 1));
        assert_eq!(name(fit(&[1.0, 2.0], &[f64::INFINITY, 1.0])), ("y", 0));
        let mut y = vec![1.0; 1000];
        y[777] = f64::NEG_INFINITY;
        assert_eq!(name(fit_counted(&y)), ("y", 777));
        assert_eq!(fit(&[1.0], &[]), Err(InputError::Lengths { first: 1, second: 0 }));
        for spread in [1e-200, 1e200] {
            assert_eq!(fit(&[0.0, spread], &[1.0, 2.0]), Err(InputError::TooWide { name: "x" }));
            assert_eq!(fit(&[1.0, 2.0, 3.0], &[0.0, spread, 0.0]), Err(InputError::TooWide { name: "y" }));
        }
    }

    #[test]
    fn residuals_of_a_nearly_perfect_line_are_not_the_rounding_of_its_squares() {
        // 1, -1, -1, 1 has neither mean nor slope, so the line is known and the residuals are these.
        let y: Vec<i64> = (0..400).map(|at| (at << 20) + [1, -1, -1, 1][at as usize % 4]).collect();
        let fit = fit_counted(&doubles(&y)).unwrap().unwrap();
        assert_eq!(fit.slope(), f64::from(1 << 20));
        assert!((fit.residual_deviation().unwrap() / (400.0_f64 / 398.0).sqrt() - 1.0).abs() < 1e-9);
    }

    #[test]
    fn roundings_of_a_million_points_do_not_add_up() {
        let x: Vec<i64> = (0..1_000_000).map(|at| (1 << 33) + at).collect();
        let y: Vec<i64> = (0..1_000_000).map(|at| (1 << 33) + ((at * at) >> 9)).collect();
        let fit = fit(&doubles(&x), &doubles(&y)).unwrap().unwrap();
        let (slope, _, squares) = exact(&x, &y);
        let condition = (squares / fit.squares_x).sqrt();
        assert!((fit.slope() - slope).abs() <= f64::EPSILON * condition, "{:e}", (fit.slope() - slope) / condition);
    }

    #[test]
    fn far_points_spoil_nothing() {
        // They are all that the first guess of the middle sees, from which all others are far.
        let noise = |at: i64| at * 7_919_777_771 % (1 << 30);
        let far = |at: i64| at % 12_500 == 0;
        let x: Vec<i64> = (0..200_000).map(|at| noise(at) + if far(at) { -1 << 40 } else { 1 << 40 }).collect();
        let y: Vec<i64> = (0..200_000).map(|at| noise(3 * at) + if far(at) { 5 << 39 } else { 0 }).collect();
        let fit = fit(&doubles(&x), &doubles(&y)).unwrap().unwrap();
        let (slope, ..) = exact(&x, &y);
        assert!((fit.slope() - slope).abs() <= 4.0 * f64::EPSILON * slope.abs());
    }

    #[test]
    fn counted_points_are_those_of_their_numbers() {
        let y: Vec<f64> = (0..1_000).map(|at| f64::from(at * at % 97)).collect();
        let x: Vec<f64> = (0..1_000).map(f64::from).collect();
        let (one, two) = (fit_counted(&y).unwrap().unwrap(), fit(&x, &y).unwrap().unwrap());
        assert!((one.slope() - two.slope()).abs() < 1e-15 && (one.intercept() - two.intercept()).abs() < 1e-12);
        assert_eq!((one.mean_x(), one.mean_y()), (499.5, two.mean_y()));
    }

    #[test]
    fn levels_and_places_are_checked() {
        let fit = fit_counted(&[1.0, 2.0, 4.0]).unwrap().unwrap();
        assert!(fit.prediction(f64::NAN, 0.9).is_err());
        for level in [0.0, 1.0, f64::NAN] {
            assert!(fit.prediction(1.0, level).is_err());
            assert!(fit.slope_interval(level).is_err());
        }
    }

    proptest! {
        #[test]
        fn a_slope_is_within_four_units_of_its_condition(
            points in prop::collection::vec((0_i64..1 << 20, -1_i64 << 20..1 << 20), 2..400),
            (from_x, from_y) in (0_i64..1 << 33, -1_i64 << 33..1 << 33),
        ) {
            let x: Vec<i64> = points.iter().map(|(x, _)| from_x + x).collect();
            let y: Vec<i64> = points.iter().map(|(_, y)| from_y + y).collect();
            prop_assume!(x.iter().any(|value| *value != x[0]));
            let found = fit(&doubles(&x), &doubles(&y)).unwrap().unwrap();
            let (slope, rest, squares) = exact(&x, &y);
            let condition = (squares / found.squares_x).sqrt();
            prop_assert!((found.slope() - slope).abs() <= 4.0 * f64::EPSILON * condition, "{} for {slope}", found.slope());
            if let (Some(deviation), true) = (found.residual_deviation(), rest > 1e-6 * squares) {
                let exact = (rest / (x.len() - 2) as f64).sqrt();
                prop_assert!((deviation - exact).abs() <= 4.0 * f64::EPSILON * squares / rest * exact);
                let share = found.r_squared().unwrap();
                prop_assert!((share - (1.0 - rest / squares)).abs() < 1e-14);
            }
        }
    }
}
