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
const PROBES: usize = 7;

/// A part of a sum that is only its rounding: a spread below it is none.
const NOISE: f64 = 1e-13;

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
    /// The number of points after the last push, and one by it.
    counted: usize,
    inverse: f64,
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
            counted: 0,
            inverse: 0.0,
            credit: 0,
        })
    }

    /// Takes a point in and lets go of those that are too old, and returns the slope, None without two different x. With a span, x must
    /// not be less than the one before. A refused point changes nothing. Some 10 ns on average; once in a while all points are summed
    /// again, about 4 ns each.
    pub fn push(&mut self, x: f64, y: f64) -> Result<Option<f64>, InputError> {
        if !(x.abs() <= GREATEST && y.abs() <= GREATEST) {
            return Err(too_great(x, y));
        }
        if let Some(span) = self.span {
            if self.points.back().is_some_and(|last| x < last.0) {
                return Err(InputError::Parameter {
                    name: "x",
                    value: x,
                    allowed: "no less than the one before, with a span",
                });
            }
            while self.points.front().is_some_and(|first| first.0 < x - span) {
                self.leave();
            }
        }
        if self.points.len() == self.most {
            self.leave();
        }
        if self.points.is_empty() {
            self.origin = (x, y);
        }
        self.points.push_back((x, y));
        if self.points.len() != self.counted {
            self.counted = self.points.len();
            self.inverse = 1.0 / self.counted as f64;
        }
        self.younger = self.younger.and(Sums::of((x, y), self.origin));
        self.earn();
        let mut sums = self.sums();
        if self.is_far(sums) && self.credit >= self.points.len() {
            sums = self.sum_about_new_origin();
        }
        Ok(self.slope_of(sums))
    }

    /// Pushes points one after the other; the slope after each, NaN where there is none. A point that is refused ends it: those before
    /// it are in.
    pub fn push_all(&mut self, x: &[f64], y: &[f64]) -> Result<Vec<f64>, InputError> {
        if x.len() != y.len() {
            return Err(InputError::Lengths { first: x.len(), second: y.len() });
        }
        let mut push = |(at, (x, y)): (usize, (&f64, &f64))| match self.push(*x, *y) {
            Ok(slope) => Ok(slope.unwrap_or(f64::NAN)),
            Err(why) => Err(InputError::Point { at, why: Box::new(why) }),
        };
        x.iter().zip(y).enumerate().map(&mut push).collect()
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
        let xx = sums.xx - sums.x * sums.x * self.inverse;
        (xx > NOISE * sums.xx).then(|| (sums.xy - sums.x * sums.y * self.inverse) / xx)
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
        let far = |square: f64, sum: f64| square > LOSS * (square - sum * sum * self.inverse);
        far(sums.xx, sums.x) | far(sums.yy, sums.y)
    }

    #[cold]
    fn sum_about_new_origin(&mut self) -> Sums {
        self.credit -= self.points.len();
        self.sum_again();
        self.sums()
    }

    /// Sums all points again, about their middle.
    #[cold]
    fn sum_again(&mut self) {
        self.origin = (self.middle(|point| point.0), self.middle(|point| point.1));
        let origin = self.origin;
        let mut sums = Sums::default();
        self.older.clear();
        self.older.extend(self.points.iter().rev().map(|point| {
            sums = sums.and(Sums::of(*point, origin));
            sums
        }));
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

#[cold]
fn too_great(x: f64, y: f64) -> InputError {
    let (name, value) = if x.abs() <= GREATEST { ("y", y) } else { ("x", x) };
    InputError::Parameter { name, value, allowed: "between -1e149 and 1e149" }
}

#[cfg(test)]
mod tests;
