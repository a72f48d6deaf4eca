//! A straight line by least squares over the last points, kept up to date point by point. Knows neither time nor unit.
//!
//! Nothing is ever subtracted from a sum: points leave by the two-stack method (Tangwongsan, Hirzel & Schneider 2017), sums of the
//! older points from each of them to the youngest of them, and one sum of those that came since. When the older ones are used up, or a
//! sum would lose more than four bits to the distance from the point it is made about, all are summed again about the middle of the
//! window. So the state after 10^7 points is as good as after the first.

use std::collections::VecDeque;

use super::InputError;
use super::least_squares::Fit;
use super::pairs::Centred;
use super::twofold::Twofold;

/// Most points of a window, 1 GiB of state; and no sum of so many squares of [`GREATEST`] leaves the range of doubles.
pub const POINT_LIMIT: usize = 1 << 24;
/// Greatest x and y.
const GREATEST: f64 = 1e149;
/// So many times may a sum of squares exceed the one about the mean: four bits.
const LOSS: f64 = 16.0;
/// Points that may be summed again for one that came or went: what makes a push cheap on average whatever comes.
const GAIN: usize = 4;
/// How often all points may be summed again at once, for as many levels that leave the window one after the other.
const SAVED: usize = 8;
/// Points whose median the sums are made about.
const PROBES: usize = 15;

/// Sums of points about an origin.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    x: f64,
    y: f64,
    xx: f64,
    xy: f64,
    yy: f64,
}

impl Sums {
    fn of((x, y): (f64, f64), origin: (f64, f64)) -> Sums {
        let (x, y) = (x - origin.0, y - origin.1);
        Sums { x, y, xx: x * x, xy: x * y, yy: y * y }
    }

    fn and(self, other: Sums) -> Sums {
        Sums {
            x: self.x + other.x,
            y: self.y + other.y,
            xx: self.xx + other.xx,
            xy: self.xy + other.xy,
            yy: self.yy + other.yy,
        }
    }
}

/// The line through the last points.
#[derive(Clone, Debug)]
pub struct SlidingFit {
    most: usize,
    span: Option<f64>,
    /// All points of the window, oldest first.
    points: VecDeque<(f64, f64)>,
    /// For each of the oldest points, the youngest of them first: the sums of it and those between.
    older: Vec<Sums>,
    /// The sums of the points after those.
    younger: Sums,
    origin: (f64, f64),
    /// Points that may be summed again because the origin is far.
    credit: usize,
}

impl SlidingFit {
    /// An empty window of at most `most` points (1 to [`POINT_LIMIT`]); with a span, also only of those whose x is at most so much
    /// below the last one.
    pub fn new(most: usize, span: Option<f64>) -> Result<SlidingFit, InputError> {
        if !(1..=POINT_LIMIT).contains(&most) {
            return Err(InputError::Parameter { name: "most", value: most as f64, allowed: "from 1 to 16777216" });
        }
        if let Some(span) = span
            && !(span >= 0.0 && span.is_finite())
        {
            return Err(InputError::Parameter { name: "span", value: span, allowed: "finite and not below 0" });
        }
        Ok(SlidingFit {
            most,
            span,
            points: VecDeque::new(),
            older: Vec::new(),
            younger: Sums::default(),
            origin: (0.0, 0.0),
            credit: 0,
        })
    }

    /// Takes a point in and lets go of those that are too old, and returns the slope, None without two different x. With a span, x must
    /// not be less than the one before. A refused point changes nothing. Some 10 ns on average; once in a while all points are summed
    /// again, about 4 ns each.
    pub fn push(&mut self, x: f64, y: f64) -> Result<Option<f64>, InputError> {
        for (name, value) in [("x", x), ("y", y)] {
            if value.is_nan() || value.abs() > GREATEST {
                return Err(InputError::Parameter { name, value, allowed: "between -1e149 and 1e149" });
            }
        }
        if self.span.is_some() && self.points.back().is_some_and(|last| x < last.0) {
            return Err(InputError::Parameter {
                name: "x",
                value: x,
                allowed: "no less than the one before, with a span",
            });
        }
        if self.points.is_empty() {
            self.origin = (x, y);
        }
        self.points.push_back((x, y));
        self.younger = self.younger.and(Sums::of((x, y), self.origin));
        self.earn();
        while self.points.len() > self.most || self.span.is_some_and(|span| self.points[0].0 < x - span) {
            self.leave();
        }
        let mut sums = self.sums();
        if self.is_far(sums) && self.credit >= self.points.len() {
            self.credit -= self.points.len();
            self.sum_again();
            sums = self.sums();
        }
        Ok(self.slope_of(sums))
    }

    /// How many points the window has now.
    pub fn count(&self) -> usize {
        self.points.len()
    }

    /// The slope, as [`push`](SlidingFit::push) returned it.
    pub fn slope(&self) -> Option<f64> {
        self.slope_of(self.sums())
    }

    /// The whole line; None without two different x. What it says of residuals is a difference of sums: it is worth 1e-13 of the
    /// variance of y, not less.
    pub fn fit(&self) -> Option<Fit> {
        let Sums { x, y, xx, xy, yy } = self.sums();
        let n = Twofold::of(self.points.len() as f64);
        let centred =
            |product: f64, one: f64, other: f64| Twofold::of(product) - (Twofold::of(one) * Twofold::of(other)).over(n);
        let least_0 = |square: Twofold| if square.high > 0.0 { square } else { Twofold::default() };
        let found = Centred {
            n: self.points.len(),
            mean_x: Twofold::of(self.origin.0) + Twofold::of(x).over(n),
            mean_y: Twofold::of(self.origin.1) + Twofold::of(y).over(n),
            xx: least_0(centred(xx, x, x)),
            xy: centred(xy, x, y),
            yy: least_0(centred(yy, y, y)),
        };
        let explained = found.xy.over(found.xx) * found.xy;
        Fit::of(&found, |_| (found.yy - explained).value().max(0.0))
    }

    fn sums(&self) -> Sums {
        self.older.last().map_or(self.younger, |older| older.and(self.younger))
    }

    fn slope_of(&self, sums: Sums) -> Option<f64> {
        let n = self.points.len() as f64;
        let xx = sums.xx - sums.x * sums.x / n;
        (xx > 0.0).then(|| (sums.xy - sums.x * sums.y / n) / xx)
    }

    /// Lets go of the oldest point.
    fn leave(&mut self) {
        // It must be gone before the middle of the others is taken.
        self.points.pop_front();
        if self.older.pop().is_none() {
            self.sum_again();
        }
        self.earn();
    }

    fn earn(&mut self) {
        self.credit = (self.credit + GAIN).min(SAVED * self.points.len());
    }

    /// Whether the origin is too far from the window for the sums to be good.
    ///
    /// It is the median of a sample of what was there when all were summed: so it stays among the points until some half of those left.
    fn is_far(&self, sums: Sums) -> bool {
        let n = self.points.len() as f64;
        let far = |square: f64, sum: f64| square > LOSS * (square - sum * sum / n);
        far(sums.xx, sums.x) || far(sums.yy, sums.y)
    }

    /// Sums all points again, about their middle.
    fn sum_again(&mut self) {
        self.origin = (self.middle(|point| point.0), self.middle(|point| point.1));
        self.older.clear();
        let mut sums = Sums::default();
        for point in self.points.iter().rev() {
            sums = sums.and(Sums::of(*point, self.origin));
            self.older.push(sums);
        }
        self.younger = Sums::default();
    }

    /// The median of a sample of the points; 0 without any. The places are those of multiples of the golden ratio, since what comes at
    /// even distances must not fill the sample.
    fn middle(&self, of: impl Fn(&(f64, f64)) -> f64) -> f64 {
        const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15; // 2^64 by the golden ratio
        let count = self.points.len();
        let mut sample = [0.0; PROBES];
        let taken = count.min(PROBES);
        for (at, place) in sample[..taken].iter_mut().enumerate() {
            let part = u128::from(GOLDEN.wrapping_mul(at as u64 + 1));
            *place = of(&self.points[if count <= PROBES { at } else { ((part * count as u128) >> 64) as usize }]);
        }
        *sample[..taken.max(1)].select_nth_unstable_by(taken / 2, f64::total_cmp).1
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::least_squares;
    use super::*;

    /// The size of the long tests: 1 unless `QM_TEST_SCALE` says otherwise.
    fn scale() -> f64 {
        std::env::var("QM_TEST_SCALE").ok().and_then(|scale| scale.parse().ok()).unwrap_or(1.0)
    }

    /// Numbers that look random, from 0 to 1.
    struct Draws(u64);

    impl Draws {
        fn next(&mut self) -> f64 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            (self.0 >> 11) as f64 / (1_u64 << 53) as f64
        }
    }

    /// Holds a window against the fit of its points from scratch; tolerances in units of the condition.
    fn agrees(window: &SlidingFit, tolerance: f64) {
        let (x, y): (Vec<f64>, Vec<f64>) = window.points.iter().copied().unzip();
        let (found, expected) = (window.fit(), least_squares::fit(&x, &y).unwrap());
        assert_eq!(found.is_some(), expected.is_some(), "{x:?}");
        assert_eq!(window.slope().is_some(), expected.is_some());
        let (Some(found), Some(expected)) = (found, expected) else { return };
        let spread = |values: &[f64], mean: f64| values.iter().map(|value| (value - mean).powi(2)).sum::<f64>().sqrt();
        let (spread_x, spread_y) = (spread(&x, expected.mean_x()), spread(&y, expected.mean_y()));
        let condition = tolerance * f64::EPSILON * spread_y / spread_x;
        for slope in [found.slope(), window.slope().unwrap()] {
            assert!((slope - expected.slope()).abs() <= condition, "{slope} for {}", expected.slope());
        }
        let at = |fit: &least_squares::Fit| fit.at(fit.mean_x());
        assert!((at(&found) - at(&expected)).abs() <= tolerance * f64::EPSILON * (at(&expected).abs() + spread_y));
        let squares = |fit: &least_squares::Fit| fit.residual_deviation().map_or(0.0, |s| s * s * (x.len() - 2) as f64);
        let error = (squares(&found) - squares(&expected)).abs();
        assert!(error <= 4.0 * tolerance * f64::EPSILON * spread_y * spread_y, "{error} of {}", squares(&expected));
    }

    #[test]
    fn a_window_never_drifts() {
        // 10^7 points at a scale of 50: each phase lets outliers, levels and ramps in and out again.
        let mut draws = Draws(88_172_645_463_325_252);
        let mut window = SlidingFit::new(500, None).unwrap();
        for at in 0..(200_000.0 * scale()) as u64 {
            let x = 1.7e9 + at as f64 * 0.5;
            let y = match at / 1_700 % 6 {
                0 => draws.next(),
                1 => 1e9 + draws.next(),
                2 if at % 97 == 0 => 1e12 * draws.next(),
                2 => draws.next(),
                3 => 5.0,
                4 => x - 1.7e9 + draws.next(),
                _ => -1e9 + 1e-3 * draws.next(),
            };
            window.push(x, y).unwrap();
            if at % 997 == 0 {
                agrees(&window, 200.0);
            }
        }
    }

    #[test]
    fn all_is_summed_again_no_oftener_than_it_pays() {
        let mut window = SlidingFit::new(100, None).unwrap();
        let (mut again, mut before) = (0, 0);
        for at in 0..20_000_u32 {
            // Constants, jumps and numbers a unit in the last place apart, in which no origin is ever good enough.
            let y = [1e9, 0.1, 1e9 + 1.2e-7 * f64::from(at % 50 / 49), f64::from(at % 3) * 1e12][at as usize / 250 % 4];
            window.push(f64::from(at / 700), y).unwrap();
            again += usize::from(window.credit < before) * window.count();
            before = window.credit;
        }
        assert!(again < GAIN * 2 * 20_000, "{again}");
        assert!(again > 0);
    }

    #[test]
    fn a_level_that_left_leaves_nothing_behind() {
        for most in [2, 3, 10, 64] {
            let mut window = SlidingFit::new(most, None).unwrap();
            for at in 0..500_u32 {
                let y = if at % 150 < 70 { 1e15 } else { 1e9 } + f64::from(at * at % 7);
                window.push(f64::from(at), y).unwrap();
                agrees(&window, 100.0);
            }
        }
    }

    #[test]
    fn a_span_lets_go_by_x() {
        let mut window = SlidingFit::new(1_000, Some(10.0)).unwrap();
        for at in 0..300 {
            window.push(f64::from(at / 3), f64::from(at % 11)).unwrap();
            assert!(window.points[0].0 >= f64::from(at / 3) - 10.0);
            assert_eq!(window.count(), (at as usize + 1).min(30 + at as usize % 3 + 1));
            agrees(&window, 100.0);
        }
        assert!(window.push(98.0, 1.0).is_err());
        assert_eq!(window.push(1e6, 1.0), Ok(None));
        assert_eq!(window.count(), 1);
        assert_eq!(window.push(1e6 + 2.0, 5.0), Ok(Some(2.0)));
    }

    #[test]
    fn few_alike_and_refused_points() {
        let mut window = SlidingFit::new(5, None).unwrap();
        assert_eq!((window.slope(), window.fit(), window.count()), (None, None, 0));
        assert_eq!(window.push(0.1, 7.0), Ok(None));
        for (x, y) in [(f64::NAN, 1.0), (1.0, f64::INFINITY), (-1e150, 0.0)] {
            assert!(window.push(x, y).is_err());
        }
        assert_eq!((window.count(), window.push(0.1, 8.0)), (1, Ok(None)));
        assert_eq!(window.push(1.1, 7.5), Ok(Some(0.0)));
        for _ in 0..20 {
            window.push(1e9 + 0.1, 3.0).unwrap();
        }
        assert_eq!((window.slope(), window.fit()), (None, None));
        for at in 0..20 {
            window.push(f64::from(at), 1e9 + 0.1).unwrap();
        }
        let flat = window.fit().unwrap();
        assert_eq!((window.slope(), flat.r_squared(), flat.residual_deviation()), (Some(0.0), None, Some(0.0)));
        let mut one = SlidingFit::new(1, None).unwrap();
        assert_eq!((one.push(1.0, 1.0), one.push(2.0, 5.0), one.count()), (Ok(None), Ok(None), 1));
        for (most, span) in [(0, None), (POINT_LIMIT + 1, None), (5, Some(-1.0)), (5, Some(f64::NAN))] {
            assert!(SlidingFit::new(most, span).is_err());
        }
    }

    proptest! {
        #[test]
        fn any_window_is_the_fit_of_its_points(
            most in 1_usize..40,
            span in prop_oneof![Just(None), (0.0_f64..30.0).prop_map(Some)],
            steps in prop::collection::vec((0_u32..4, 0_i64..1_000, 0_usize..3), 1..200),
        ) {
            let mut window = SlidingFit::new(most, span).unwrap();
            let mut x = 1e9;
            for (step, y, level) in steps {
                x += f64::from(step);
                window.push(x, [0.0, 1e9, -1e6][level] + y as f64 / 8.0).unwrap();
                prop_assert!(window.count() <= most);
                agrees(&window, 100.0);
            }
        }
    }
}
