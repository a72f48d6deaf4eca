//! Centred sums of pairs: what every estimator of a straight line is made of. Knows nothing of lines.
//!
//! Sums of blocks of 128 pairs in four lanes, added up in twice the precision, about a point near the middle: so no sum has more than
//! some 32 roundings, and none loses its digits to the distance from 0, be x seconds since 1970 or y 1e9 and a little.

use super::twofold::Twofold;
use super::{InputError, check_finite, check_pairs};

/// Pairs of a block: few enough that roundings inside it hardly add up, enough that adding up blocks costs little.
const BLOCK: usize = 128;
/// Numbers that a first guess of the middle is made of.
const PROBES: usize = 16;
/// So many times may a sum of squares about the guess exceed the one about the mean; more, and it is made again about the mean.
const LOSS: f64 = 2.0;
/// Squared spreads below this have lost digits to the end of the range of doubles.
const LEAST: f64 = f64::MIN_POSITIVE / f64::EPSILON;

/// Where the x of pairs come from.
#[derive(Clone, Copy)]
pub(super) enum Xs<'a> {
    /// As many as there are y.
    Given(&'a [f64]),
    /// 0, 1, 2, ...
    Counted,
}

/// What is left of n pairs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Centred {
    /// Pairs, above 0.
    pub n: usize,
    pub mean_x: Twofold,
    pub mean_y: Twofold,
    /// Sums of products of the deviations from the means; `xx` and `yy` are never negative, and 0 only if all are alike.
    pub xx: Twofold,
    pub xy: Twofold,
    pub yy: Twofold,
}

/// The x of a block that are counted, less the number of its first.
const COUNTED: [f64; BLOCK] = {
    let mut x = [0.0; BLOCK];
    let mut at = 0;
    while at < BLOCK {
        x[at] = at as f64;
        at += 1;
    }
    x
};

impl Xs<'_> {
    /// Calls `each` with blocks of x and y, and with the number that is to be added to each of these x.
    #[inline]
    fn blocks(self, y: &[f64], mut each: impl FnMut(&[f64], &[f64], f64)) {
        match self {
            Xs::Given(x) => x.chunks(BLOCK).zip(y.chunks(BLOCK)).for_each(|(x, y)| each(x, y, 0.0)),
            Xs::Counted => y.chunks(BLOCK).enumerate().for_each(|(block, y)| {
                each(&COUNTED[..y.len()], y, (BLOCK * block) as f64);
            }),
        }
    }

    fn check(self, y: &[f64]) -> Result<(), InputError> {
        match self {
            Xs::Given(x) => check_pairs(x, y),
            Xs::Counted => check_finite("y", y),
        }
    }

    fn are_alike(self) -> bool {
        match self {
            Xs::Given(x) => are_alike(x),
            Xs::Counted => true, // without a spread it is one
        }
    }

    fn guess(self, n: usize) -> f64 {
        match self {
            Xs::Given(x) => guess(x),
            Xs::Counted => (n - 1) as f64 / 2.0,
        }
    }
}

/// A number near the mean; exactly the number if all are alike.
fn guess(values: &[f64]) -> f64 {
    let (first, step) = (values[0], values.len().div_ceil(PROBES));
    let probes = values.iter().step_by(step);
    let count = probes.len() as f64;
    first + probes.map(|value| value - first).sum::<f64>() / count
}

/// The centred sums of pairs; None without any. One pass over the memory, two if the first guess of the middle was far off.
pub(super) fn centred(x: Xs<'_>, y: &[f64]) -> Result<Option<Centred>, InputError> {
    if let Xs::Given(x) = x
        && x.len() != y.len()
    {
        return Err(InputError::Lengths { first: x.len(), second: y.len() });
    }
    if y.is_empty() {
        return Ok(None);
    }
    let about = (x.guess(y.len()), guess(y));
    let (mut found, lost) = about_point(x, y, about);
    if lost {
        let mean = (found.mean_x.value(), found.mean_y.value());
        found = about_point(x, y, mean).0;
    }
    // A NaN or an infinity anywhere reaches the sums, so numbers are looked at one by one only then.
    let fits = |square: Twofold, alike: bool| {
        square.high.is_finite() && (square.high >= LEAST || (square.high == 0.0 && alike))
    };
    let fits_x = fits(found.xx, found.xx.high != 0.0 || x.are_alike());
    let fits_y = fits(found.yy, found.yy.high != 0.0 || are_alike(y));
    if fits_x && fits_y && found.xy.high.is_finite() {
        return Ok(Some(found));
    }
    x.check(y)?;
    Err(InputError::TooWide { name: if fits_x { "y" } else { "x" } })
}

fn are_alike(values: &[f64]) -> bool {
    values.iter().all(|value| *value == values[0])
}

/// The centred sums, made about a point, and whether that was too far from the means.
fn about_point(x: Xs<'_>, y: &[f64], about: (f64, f64)) -> (Centred, bool) {
    let mut totals = [Twofold::default(); 5];
    x.blocks(y, |x, y, more| {
        for (total, sum) in totals.iter_mut().zip(block(x, y, (about.0 - more, about.1))) {
            total.gather(sum);
        }
    });
    let n = Twofold::of(y.len() as f64);
    let [x1, y1, xx, xy, yy] = totals.map(|total| Twofold::default() + total);
    let centred = |product: Twofold, one: Twofold, other: Twofold| product - (one * other).over(n);
    let square = |product: Twofold, one: Twofold| {
        let square = centred(product, one, one);
        if square.high > 0.0 || square.high.is_nan() { square } else { Twofold::default() }
    };
    let found = Centred {
        n: y.len(),
        mean_x: Twofold::of(about.0) + x1.over(n),
        mean_y: Twofold::of(about.1) + y1.over(n),
        xx: square(xx, x1),
        xy: centred(xy, x1, y1),
        yy: square(yy, y1),
    };
    let lost = xx.high > LOSS * found.xx.high || yy.high > LOSS * found.yy.high;
    (found, lost)
}

/// The sum of squared residuals of the line through the means with this slope.
///
/// Differences of sums cancel where a line fits nearly perfectly; this does not. An error of the slope only counts squared here,
/// since the sum is least at the right one.
pub(super) fn residual_squares(x: Xs<'_>, y: &[f64], found: &Centred, slope: f64) -> f64 {
    let (mean_x, mean_y) = (found.mean_x, found.mean_y);
    let mut total = Twofold::default();
    x.blocks(y, |x, y, more| {
        let from = mean_x.high - more;
        let squares = x.iter().zip(y).map(|(x, y)| {
            let residual = ((y - mean_y.high) - mean_y.low) - slope * ((x - from) - mean_x.low);
            residual * residual
        });
        total.gather(squares.sum());
    });
    total.value()
}

/// Sums of x, y, xx, xy and yy of a block, about a point.
#[inline]
fn block(x: &[f64], y: &[f64], about: (f64, f64)) -> [f64; 5] {
    let ((x, x_rest), (y, y_rest)) = (x.as_chunks::<4>(), y.as_chunks::<4>());
    let mut sums = [[0.0; 4]; 5];
    lanes(x, y, about, &mut sums);
    for (lane, (x, y)) in x_rest.iter().zip(y_rest).enumerate() {
        let (x, y) = (x - about.0, y - about.1);
        for (sum, product) in sums.iter_mut().zip([x, y, x * x, x * y, y * y]) {
            sum[lane] += product;
        }
    }
    sums.map(|lanes| (lanes[0] + lanes[1]) + (lanes[2] + lanes[3]))
}

/// The same of fours of pairs, by lane.
///
/// One array a sum, and a function of its own that only writes them down: then the compiler keeps each in two vector registers. With
/// the lanes added up in here it mixes them, which takes twice as long.
#[inline(never)]
fn lanes(x: &[[f64; 4]], y: &[[f64; 4]], (x0, y0): (f64, f64), sums: &mut [[f64; 4]; 5]) {
    let (mut x1, mut y1, mut xx, mut xy, mut yy) = ([0.0; 4], [0.0; 4], [0.0; 4], [0.0; 4], [0.0; 4]);
    for (x, y) in x.iter().zip(y) {
        let (x, y) = (x.map(|x| x - x0), y.map(|y| y - y0));
        for lane in 0..4 {
            x1[lane] += x[lane];
            y1[lane] += y[lane];
            xx[lane] += x[lane] * x[lane];
            xy[lane] += x[lane] * y[lane];
            yy[lane] += y[lane] * y[lane];
        }
    }
    *sums = [x1, y1, xx, xy, yy];
}
