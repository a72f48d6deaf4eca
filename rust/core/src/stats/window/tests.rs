//! Sliding windows against fits from scratch.

use proptest::prelude::*;

use super::*;
use crate::stats::least_squares;

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
fn many_points_at_once_are_the_same_one_by_one() {
    let (x, y): (Vec<f64>, Vec<f64>) = (0..300).map(|at| (f64::from(at), f64::from(at * at % 17))).unzip();
    let (mut one, mut other) = (SlidingFit::new(20, None).unwrap(), SlidingFit::new(20, None).unwrap());
    let slopes = one.push_all(&x, &y).unwrap();
    assert!(slopes[0].is_nan());
    for at in 1..300 {
        assert_eq!(other.push(x[at - 1], y[at - 1]).unwrap(), Some(slopes[at - 1]).filter(|slope| !slope.is_nan()));
    }
    assert_eq!(one.push_all(&[1.0], &[]), Err(InputError::Lengths { first: 1, second: 0 }));
    assert!(one.push_all(&[1.0, 2.0], &[1.0, f64::NAN]).is_err());
    assert_eq!(one.points.back(), Some(&(1.0, 1.0)));
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
