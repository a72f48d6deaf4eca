//! The normal distribution and Student's t: probabilities and quantiles. Knows no series.
//!
//! Relative errors are about 1e-13 for probabilities down to 1e-50 and 1e-11 below; those of a probability near 1 are its rounding.

use std::f64::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI, PI};

use super::{InputError, check_probability};

/// From here on the terms of a series or fraction no longer change a double.
const NEGLIGIBLE: f64 = f64::EPSILON / 4.0;
/// From so many degrees of freedom on, t is turned into z: here the error of that falls below the rounding of the continued
/// fraction, which grows with the degrees.
const MANY: f64 = 5_000.0;

/// Half of a symmetric distribution cut at a point t >= 0. One part is computed, the other is what it leaves of a half; far out
/// that is the centre, so that a small tail has all its digits.
struct Half {
    /// P(0 < T <= t).
    centre: f64,
    /// P(T > t).
    tail: f64,
}

impl Half {
    fn of_centre(centre: f64) -> Half {
        Half { centre, tail: 0.5 - centre }
    }

    fn of_tail(tail: f64) -> Half {
        Half { centre: 0.5 - tail, tail }
    }

    /// The distribution function at a point of this sign.
    fn below(&self, negative: bool) -> f64 {
        if negative { self.tail } else { 0.5 + self.centre }
    }
}

/// P(Z <= z) of the standard normal distribution, also of infinite z; refuses NaN. About 200 ns.
///
/// `erfc(-z / sqrt 2) / 2`: in the middle by the series of Abramowitz & Stegun 7.1.6, whose terms are all positive, further out by
/// the continued fraction 7.1.14, so that a small probability is never a difference from 1.
pub fn normal_cdf(z: f64) -> Result<f64, InputError> {
    check_number("z", z)?;
    Ok(normal_half(z.abs()).below(z < 0.0))
}

/// The normal distribution cut at `z >= 0`.
fn normal_half(z: f64) -> Half {
    let x = z * FRAC_1_SQRT_2;
    if x < 1.5 {
        let (mut sum, mut term, mut n) = (x, x, 0.0);
        while term > sum * NEGLIGIBLE {
            n += 1.0;
            term *= 2.0 * x * x / (2.0 * n + 1.0);
            sum += term;
        }
        return Half::of_centre(0.5 * FRAC_2_SQRT_PI * (-x * x).exp() * sum);
    }
    if x > 27.5 {
        return Half::of_tail(0.0); // below the least double
    }
    // From the inside out; 100 levels are enough from 1.5 on.
    let fraction = (1..=100).rev().fold(0.0, |fraction, k| f64::from(k) * 0.5 / (x + fraction));
    // exp(-z^2 / 2) with the rounding of the square taken back: it would come out multiplied by z^2.
    let square = z * z;
    let low = z.mul_add(z, -square);
    Half::of_tail(0.25 * FRAC_2_SQRT_PI * (-0.5 * square).exp() * (1.0 - 0.5 * low) / (x + fraction))
}

/// The z with P(Z <= z) = p, for `0 < p < 1`.
///
/// Source: Wichura (1988), algorithm AS 241, PPND16; relative error about 1e-16.
pub fn normal_quantile(p: f64) -> Result<f64, InputError> {
    check_probability("p", p)?;
    let q = p - 0.5;
    if q.abs() <= 0.425 {
        return Ok(q * ratio(&CENTRE, 0.180_625 - q * q));
    }
    let r = (-(if q < 0.0 { p } else { 1.0 - p }).ln()).sqrt();
    let z = if r <= 5.0 { ratio(&FLANK, r - 1.6) } else { ratio(&TAIL, r - 5.0) };
    Ok(z.copysign(q))
}

/// P(T <= t) of Student's distribution with degrees of freedom above 0, which need not be whole; infinitely many are the normal
/// distribution. About 1 us.
///
/// Source: the regularised incomplete beta function, I_x(df / 2, 1 / 2) with x = df / (df + t^2), by the continued fraction DLMF
/// 8.17.22 on the side where it converges fast; from 5,000 degrees on the z of Hill (1970), algorithm 395.
pub fn student_t_cdf(t: f64, df: f64) -> Result<f64, InputError> {
    check_number("t", t)?;
    check_degrees(df)?;
    Ok(student_half(t.abs(), df).below(t < 0.0))
}

/// The t with P(T <= t) = p, for `0 < p < 1` and degrees of freedom as in [`student_t_cdf`]. Some 5 us.
///
/// Source: our own, Newton's method on [`student_t_cdf`]: in the middle on the centre as a function of t, further out on the logarithm of the tail as
/// a function of the logarithm of t. Both are concave, so it converges from any start.
pub fn student_t_quantile(p: f64, df: f64) -> Result<f64, InputError> {
    check_probability("p", p)?;
    check_degrees(df)?;
    if df.is_infinite() {
        return normal_quantile(p);
    }
    let (centre, tail) = ((p - 0.5).abs(), p.min(1.0 - p));
    if centre == 0.0 {
        return Ok(0.0);
    }
    let mut t = if tail > 0.25 { centre / student_density(0.0, df) } else { tail_start(tail, df) };
    // Each step at least squares the error once it is small; 60 are far more than any start needs.
    for _ in 0..60 {
        let half = student_half(t, df);
        let density = student_density(t, df);
        let next = if tail > 0.25 {
            t + (centre - half.centre) / density
        } else {
            t * ((half.tail / tail).ln() * half.tail / (t * density)).exp()
        };
        if !next.is_finite() || next <= 0.0 {
            break;
        }
        let change = (next - t).abs();
        t = next;
        if change <= 2.0 * f64::EPSILON * t {
            break;
        }
    }
    Ok(t.copysign(p - 0.5))
}

fn check_number(name: &'static str, value: f64) -> Result<(), InputError> {
    if value.is_nan() { Err(InputError::Parameter { name, value, allowed: "a number" }) } else { Ok(()) }
}

fn check_degrees(df: f64) -> Result<(), InputError> {
    if df > 0.0 { Ok(()) } else { Err(InputError::Parameter { name: "df", value: df, allowed: "above 0" }) }
}

/// A t from which Newton's method is near: z for many degrees, what the tail is like far out for few.
fn tail_start(tail: f64, df: f64) -> f64 {
    let z = normal_quantile(tail).map_or(0.5, |z| (-z).max(0.5));
    if df > 30.0 {
        return z;
    }
    // P(T > t) is about (t^2 / df)^(-df / 2) / (df B(df / 2, 1 / 2)).
    let scale = gamma_step(df / 2.0) / PI.sqrt() / (tail * df);
    z.max(df.sqrt() * (scale.ln() / df).exp().min(1e300))
}

/// Student's distribution cut at `t >= 0`.
fn student_half(t: f64, df: f64) -> Half {
    if t == 0.0 || t.is_infinite() {
        return if t == 0.0 { Half::of_centre(0.0) } else { Half::of_tail(0.0) };
    }
    if df >= MANY {
        return normal_half(hill_z(t, df));
    }
    let (a, r) = (df / 2.0, t / df.sqrt());
    // (1 + r^2)^(-df / 2) sqrt(r^2 / (1 + r^2)) / B(df / 2, 1 / 2), which both sides have as a factor
    let factor = (-a * ln_one_plus_square(r)).exp() * (r / r.hypot(1.0)) * gamma_step(a) / PI.sqrt();
    // t^2 / (df + t^2), and what is left of 1
    let (outside, inside) = if r < 1e8 { (r * r / (1.0 + r * r), 1.0 / (1.0 + r * r)) } else { (1.0, r.powi(-2)) };
    if outside < 1.5 / (a + 2.5) {
        Half::of_centre(factor * beta_fraction(outside, 0.5, a))
    } else {
        Half::of_tail(factor / (2.0 * a) * beta_fraction(inside, a, 0.5))
    }
}

/// Student's density.
fn student_density(t: f64, df: f64) -> f64 {
    let r = t / df.sqrt();
    gamma_step(df / 2.0) / (df * PI).sqrt() * (-(df + 1.0) / 2.0 * ln_one_plus_square(r)).exp()
}

/// The z whose tail is that of t with many degrees of freedom. Source: Hill (1970), algorithm 395.
fn hill_z(t: f64, df: f64) -> f64 {
    if df.is_infinite() {
        return t;
    }
    let a = df - 0.5;
    let b = 48.0 * a * a;
    let u = a * ln_one_plus_square(t / df.sqrt());
    (((((-0.4 * u - 3.3) * u - 24.0) * u - 85.5) / (0.8 * u * u + 100.0 + b) + u + 3.0) / b + 1.0) * u.sqrt()
}

/// `ln(1 + r^2)` for any `r >= 0`.
fn ln_one_plus_square(r: f64) -> f64 {
    if r < 1e8 { (r * r).ln_1p() } else { 2.0 * r.ln() }
}

/// `gamma(a + 1/2) / gamma(a)` for `a > 0`.
///
/// The difference of Stirling's two series, DLMF 5.11.8, from 16 on; below by the recurrence of the gamma function.
fn gamma_step(a: f64) -> f64 {
    let (mut z, mut product) = (a, 1.0);
    while z < 16.0 {
        product *= z / (z + 0.5);
        z += 1.0;
    }
    let (inverse, square) = (1.0 / z, 1.0 / (z * z));
    let tail = [-1.0 / 8.0, 1.0 / 192.0, -1.0 / 640.0, 17.0 / 14_336.0, -31.0 / 18_432.0, 691.0 / 180_224.0];
    let sum = tail.iter().rev().fold(0.0, |sum, factor| sum * square + factor);
    product * z.sqrt() * (sum * inverse).exp()
}

/// The continued fraction of I_x(a, b), DLMF 8.17.22, by the modified method of Lentz (1976).
fn beta_fraction(x: f64, a: f64, b: f64) -> f64 {
    const TINY: f64 = 1e-300;
    let held = |value: f64| if value.abs() < TINY { TINY } else { value };
    let (mut c, mut d) = (1.0, 1.0 / held(1.0 - (a + b) * x / (a + 1.0)));
    let mut fraction = d;
    // It takes about the square root of a + b terms, which is below 100 here.
    for step in 1..10_000 {
        let m = f64::from(step);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        for term in [even, odd] {
            d = 1.0 / held(1.0 + term * d);
            c = held(1.0 + term / c);
            fraction *= c * d;
        }
        if (c * d - 1.0).abs() < 2.0 * NEGLIGIBLE {
            break;
        }
    }
    fraction
}

/// Numerator and denominator of AS 241, from the power 0 to 7.
type Rational = ([f64; 8], [f64; 8]);

fn ratio((above, below): &Rational, r: f64) -> f64 {
    let polynomial = |powers: &[f64; 8]| powers.iter().rev().fold(0.0, |sum, power| sum * r + power);
    polynomial(above) / polynomial(below)
}

#[allow(clippy::excessive_precision)] // the digits as they were published
const CENTRE: Rational = (
    [
        3.387_132_872_796_366_608,
        1.331_416_678_917_843_774_5e2,
        1.971_590_950_306_551_442_7e3,
        1.373_169_376_550_946_112_5e4,
        4.592_195_393_154_987_145_7e4,
        6.726_577_092_700_870_085_3e4,
        3.343_057_558_358_812_810_5e4,
        2.509_080_928_730_122_672_7e3,
    ],
    [
        1.0,
        4.231_333_070_160_091_125_2e1,
        6.871_870_074_920_579_083e2,
        5.394_196_021_424_751_107_7e3,
        2.121_379_430_158_659_586_7e4,
        3.930_789_580_009_271_061e4,
        2.872_908_573_572_194_267_4e4,
        5.226_495_278_852_854_561e3,
    ],
);

#[allow(clippy::excessive_precision)] // the digits as they were published
const FLANK: Rational = (
    [
        1.423_437_110_749_683_577_34,
        4.630_337_846_156_545_295_9,
        5.769_497_221_460_691_405_5,
        3.647_848_324_763_204_605_04,
        1.270_458_252_452_368_382_58,
        2.417_807_251_774_506_117_7e-1,
        2.272_384_498_926_918_458_33e-2,
        7.745_450_142_783_414_076_4e-4,
    ],
    [
        1.0,
        2.053_191_626_637_758_821_87,
        1.676_384_830_183_803_849_4,
        6.897_673_349_851_000_045_5e-1,
        1.481_039_764_274_800_745_9e-1,
        1.519_866_656_361_645_719_66e-2,
        5.475_938_084_995_344_946e-4,
        1.050_750_071_644_416_843_24e-9,
    ],
);

#[allow(clippy::excessive_precision)] // the digits as they were published
const TAIL: Rational = (
    [
        6.657_904_643_501_103_777_2,
        5.463_784_911_164_114_369_9,
        1.784_826_539_917_291_335_8,
        2.965_605_718_285_048_912_3e-1,
        2.653_218_952_657_612_309_3e-2,
        1.242_660_947_388_078_438_6e-3,
        2.711_555_568_743_487_578_15e-5,
        2.010_334_399_292_288_132_65e-7,
    ],
    [
        1.0,
        5.998_322_065_558_879_376_9e-1,
        1.369_298_809_227_358_053_1e-1,
        1.487_536_129_085_061_485_25e-2,
        7.868_691_311_456_132_591e-4,
        1.846_318_317_510_054_681_8e-5,
        1.421_511_758_316_445_888_7e-7,
        2.044_263_103_389_939_785_64e-15,
    ],
);

#[cfg(test)]
mod tests {
    use super::*;

    fn close(one: f64, other: f64, tolerance: f64) {
        assert!((one - other).abs() <= tolerance * other.abs(), "{one:e} for {other:e}");
    }

    #[test]
    fn normal_probabilities_are_those_of_the_tables() {
        // Abramowitz & Stegun, tables 26.1 and 26.2
        for (z, tail) in [
            (0.0, 0.5),
            (1.0, 0.158_655_253_931_457_05),
            (2.0, 0.022_750_131_948_179_21),
            (3.0, 0.001_349_898_031_630_094_6),
            (10.0, 7.619_853_024_160_527e-24),
            (37.0, 5.725_571_222_524_577e-300),
        ] {
            close(normal_cdf(-z).unwrap(), tail, 2e-14);
            close(normal_cdf(z).unwrap(), 1.0 - tail, 1e-15);
        }
        assert_eq!((normal_cdf(f64::INFINITY), normal_cdf(f64::NEG_INFINITY)), (Ok(1.0), Ok(0.0)));
        assert!(normal_cdf(f64::NAN).is_err() && student_t_cdf(f64::NAN, 3.0).is_err());
    }

    #[test]
    fn quantiles_undo_probabilities() {
        for exponent in 1..300 {
            let p = 10_f64.powf(-f64::from(exponent) * 0.97);
            close(normal_cdf(normal_quantile(p).unwrap()).unwrap(), p, 1e-12);
            for df in [0.3, 1.0, 2.0, 3.7, 10.0, 58.0, 1e4, 1e6, f64::INFINITY] {
                let t = student_t_quantile(p, df).unwrap();
                if t.is_finite() && t > -1e290 {
                    close(student_t_cdf(t, df).unwrap(), p, 4e-12);
                }
            }
        }
        for step in 1..100 {
            let p = f64::from(step) / 100.0;
            close(normal_cdf(normal_quantile(p).unwrap()).unwrap(), p, 1e-14);
            for df in [0.3, 1.0, 2.5, 30.0, 1e3, 1e5, 1e9] {
                close(student_t_cdf(student_t_quantile(p, df).unwrap(), df).unwrap(), p, 1e-13);
            }
        }
    }

    #[test]
    fn one_and_two_degrees_of_freedom_have_closed_forms() {
        for t in [1e-9, 0.01, 0.5, 1.0, 1.7, 2.3, 9.0, 1e4, 1e12, 1e150] {
            close(student_t_cdf(-t, 1.0).unwrap(), (1.0_f64 / t).atan() / PI, 1e-13);
            // 1/2 - t / (2 sqrt(2 + t^2)), without its cancellation
            let root = 2.0_f64.sqrt().hypot(t);
            close(student_t_cdf(-t, 2.0).unwrap(), 1.0 / root / (root + t), 1e-13);
        }
    }

    #[test]
    fn both_ways_to_a_probability_meet_where_they_change() {
        for t in [1e-3, 0.1, 1.0, 3.0, 8.0, 20.0] {
            let below = student_t_cdf(-t, MANY * (1.0 - 1e-15)).unwrap();
            close(student_t_cdf(-t, MANY).unwrap(), below, 5e-13);
        }
    }

    #[test]
    fn what_is_no_probability_or_no_degree_is_refused() {
        for p in [0.0, 1.0, -0.1, 1.1, f64::NAN] {
            assert!(normal_quantile(p).is_err());
            assert!(student_t_quantile(p, 3.0).is_err());
        }
        for df in [0.0, -1.0, f64::NAN] {
            assert!(student_t_cdf(1.0, df).is_err());
            assert!(student_t_quantile(0.3, df).is_err());
        }
        assert_eq!(student_t_quantile(0.5, 4.0), Ok(0.0));
        assert_eq!(student_t_cdf(f64::INFINITY, 4.0), Ok(1.0));
        assert_eq!(student_t_cdf(f64::NEG_INFINITY, 4.0), Ok(0.0));
    }
}
