//! Mean and variance of a series with weights that halve in a given time, whatever the gaps between its points.
//!
//! Source: West (1979) for the update, Müller (1991) for uneven spacing. The weights are divided by their sum, so nothing has to warm up:
//! after one number the mean is that number (the "bias correction" of Kingma & Ba, 2015).

use super::InputError;
use super::twofold::Twofold;

/// The state: weights refer to the time of the last number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ewma {
    half_life: f64,
    /// Time of the last number; NaN before the first.
    last: f64,
    /// Sum of the weights, and of their squares.
    weight: f64,
    squares: f64,
    mean: Twofold,
    /// Weighted sum of squared deviations from the mean.
    spread: f64,
}

impl Ewma {
    /// Of no numbers. `half_life` in the unit of time of the numbers, above 0: after it a number counts half.
    pub fn new(half_life: f64) -> Result<Ewma, InputError> {
        if !(half_life > 0.0 && half_life.is_finite()) {
            return Err(InputError::Parameter { name: "half_life", value: half_life, allowed: "above 0 and finite" });
        }
        Ok(Ewma { half_life, last: f64::NAN, weight: 0.0, squares: 0.0, mean: Twofold::default(), spread: 0.0 })
    }

    /// Takes a number in; answers the mean after it. Refuses, and stays as it was, a time before the last one, NaN and infinity, and
    /// numbers so far apart that the square of their distance is no double.
    pub fn push(&mut self, time: f64, value: f64) -> Result<f64, InputError> {
        if !time.is_finite() {
            return Err(InputError::Parameter { name: "time", value: time, allowed: "finite" });
        }
        if !value.is_finite() {
            return Err(InputError::Parameter { name: "value", value, allowed: "finite" });
        }
        if time < self.last {
            return Err(InputError::Parameter { name: "time", value: time, allowed: "not before the last one" });
        }
        // From a time so long ago that nothing is left of it the series begins anew.
        let kept = if self.weight > 0.0 { (-(time - self.last) / self.half_life).exp2() } else { 0.0 };
        let before = self.weight * kept;
        let weight = before + 1.0;
        let mut mean = if before > 0.0 { self.mean } else { Twofold::of(value) };
        let apart = (value - mean.high) - mean.low;
        mean = mean + Twofold::of(apart / weight);
        let spread = self.spread * kept + apart * apart * (before / weight);
        if !spread.is_finite() {
            return Err(InputError::TooWide { name: "value" });
        }
        let squares = self.squares * kept * kept + 1.0;
        *self = Ewma { half_life: self.half_life, last: time, weight, squares, mean, spread };
        Ok(mean.value())
    }

    /// Pushes numbers one after the other; answers the mean after each. At one that is refused it stops, and those before it are in.
    pub fn push_all(&mut self, times: &[f64], values: &[f64]) -> Result<Vec<f64>, InputError> {
        if times.len() != values.len() {
            return Err(InputError::Lengths { first: times.len(), second: values.len() });
        }
        let mut push = |(at, (time, value)): (usize, (&f64, &f64))| {
            self.push(*time, *value).map_err(|why| InputError::Point { at, why: Box::new(why) })
        };
        times.iter().zip(values).enumerate().map(&mut push).collect()
    }

    /// The mean; None of nothing.
    pub fn mean(&self) -> Option<f64> {
        (self.weight > 0.0).then(|| self.mean.value())
    }

    /// The variance without bias, `sum w (x - m)^2 / (W - sum w^2 / W)`; of equal weights that of a sample. None below two numbers, or when
    /// nothing is left of all but the last.
    pub fn variance(&self) -> Option<f64> {
        let freedom = self.weight - self.squares / self.weight;
        // Rounding alone is no freedom.
        (freedom > 4.0 * f64::EPSILON * self.weight).then(|| self.spread / freedom)
    }

    /// How many numbers of equal weight the mean is worth, `W^2 / sum w^2`; 0 of nothing.
    pub fn effective_size(&self) -> f64 {
        if self.weight > 0.0 { self.weight * self.weight / self.squares } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(half_life: f64, points: &[(f64, f64)]) -> Ewma {
        let mut ewma = Ewma::new(half_life).unwrap();
        for (time, value) in points {
            ewma.push(*time, *value).unwrap();
        }
        ewma
    }

    #[test]
    fn by_hand() {
        // Weights 1/4, 1/2, 1.
        let ewma = of(60.0, &[(0.0, 8.0), (60.0, 4.0), (120.0, 1.0)]);
        let mean: f64 = 5.0 / 1.75;
        assert!((ewma.mean().unwrap() - mean).abs() < 1e-15);
        assert_eq!(ewma.effective_size(), 1.75 * 1.75 / 1.3125);
        let spread = 0.25 * (8.0 - mean).powi(2) + 0.5 * (4.0 - mean).powi(2) + (1.0 - mean).powi(2);
        assert!((ewma.variance().unwrap() - spread / (1.75 - 1.3125 / 1.75)).abs() < 1e-14);
    }

    #[test]
    fn nothing_one_alike_and_long_gaps() {
        let none = of(1.0, &[]);
        assert_eq!((none.mean(), none.variance(), none.effective_size()), (None, None, 0.0));
        let one = of(1.0, &[(5.0, 0.1)]);
        assert_eq!((one.mean(), one.variance(), one.effective_size()), (Some(0.1), None, 1.0));
        let alike = of(3.0, &(0..500).map(|at| (f64::from(at), 1e9 + 0.1)).collect::<Vec<_>>());
        assert_eq!((alike.mean(), alike.variance()), (Some(1e9 + 0.1), Some(0.0)));
        let anew = of(1.0, &[(0.0, 7.0), (1e9, 3.0)]);
        assert_eq!((anew.mean(), anew.variance(), anew.effective_size()), (Some(3.0), None, 1.0));
        let at_once = of(1.0, &[(2.0, 1.0), (2.0, 3.0)]);
        assert_eq!((at_once.mean(), at_once.variance()), (Some(2.0), Some(2.0)));
    }

    #[test]
    fn what_is_refused_changes_nothing() {
        for half_life in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(Ewma::new(half_life).is_err());
        }
        let mut ewma = of(1.0, &[(1.0, 2.0), (2.0, 3.0)]);
        let before = ewma;
        for (time, value) in [(1.5, 1.0), (f64::NAN, 1.0), (3.0, f64::NAN), (3.0, f64::INFINITY), (2.5, 1e200)] {
            assert!(ewma.push(time, value).is_err());
            assert_eq!(ewma, before);
        }
    }

    #[test]
    fn a_million_numbers_far_from_0_lose_nothing() {
        let mut ewma = Ewma::new(600.0).unwrap();
        let small = |at: u32| f64::from(at * 7 % 11) / 1_048_576.0;
        for at in 0..1_000_000 {
            ewma.push(1.76e9 + f64::from(at), 1e9 + small(at)).unwrap();
        }
        let mut near = Ewma::new(600.0).unwrap();
        for at in 0..1_000_000 {
            near.push(f64::from(at), small(at)).unwrap();
        }
        assert!((ewma.mean().unwrap() - 1e9 - near.mean().unwrap()).abs() <= 1.2e-7, "half a unit in the last place");
        assert!((ewma.variance().unwrap() / near.variance().unwrap() - 1.0).abs() < 1e-9);
    }

    proptest! {
        #[test]
        fn it_is_the_weighted_mean_and_variance(
            points in prop::collection::vec((0.0_f64..50.0, -1e3_f64..1e3), 1..60),
            half_life in 0.5_f64..500.0,
        ) {
            let mut time = 1.76e9;
            let points: Vec<(f64, f64)> = points.into_iter().map(|(gap, value)| { time += gap; (time, value) }).collect();
            let ewma = of(half_life, &points);
            let weights: Vec<f64> = points.iter().map(|point| (-(time - point.0) / half_life).exp2()).collect();
            let total: f64 = weights.iter().sum();
            let mean = points.iter().zip(&weights).map(|(point, weight)| point.1 * weight).sum::<f64>() / total;
            prop_assert!((ewma.mean().unwrap() - mean).abs() < 1e-9);
            let squares: f64 = weights.iter().map(|weight| weight * weight).sum();
            let spread: f64 = points.iter().zip(&weights).map(|(point, weight)| weight * (point.1 - mean).powi(2)).sum();
            prop_assert!((ewma.effective_size() / (total * total / squares) - 1.0).abs() < 1e-9);
            if let Some(variance) = ewma.variance().filter(|_| total - squares / total > 1e-3) {
                prop_assert!((variance - spread / (total - squares / total)).abs() < 1e-6 * variance + 1e-6);
            }
        }
    }
}
