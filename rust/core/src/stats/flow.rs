//! Whether a queue grows: by what arrives and what could be started, not by a line through its depth. Knows no queue and no clock.
//!
//! The depth of a queue that is stable wanders for so long that every test of a line through it calls trends where there are none. How much
//! arrives and how much its workers can start are two counts, nearly independent, whose errors are known.
//!
//! Source: Cox & Lewis (1966), chapters 6 and 9, on comparing two rates and on counts burstier than a Poisson process; the logarithm of a
//! ratio of counts by the delta method.

use super::distributions::{normal_cdf, normal_quantile};
use super::moments::Moments;
use super::{InputError, check_finite, check_probability};

/// What a count of none is taken for: zero events have no logarithm, and half an event is the least that a rate above it would show.
const LEAST: f64 = 0.5;

/// Events per second, and how sure that is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    per_second: f64,
    variance: f64,
    size: f64,
}

impl Rate {
    /// The rate of counts in windows of `seconds` each: the variance of its logarithm is `I / sum`, with the index of dispersion
    /// `I = variance / mean` of the counts; 1, that of a Poisson process, where there is one window or nothing was counted, and never so
    /// little that less than one event were uncertain, since windows cut events off. None without a window.
    pub fn of_counts(counts: &[f64], seconds: f64) -> Result<Option<Rate>, InputError> {
        check_finite("counts", counts)?;
        if let Some(at) = counts.iter().position(|count| *count < 0.0) {
            return Err(InputError::Negative { name: "counts", at });
        }
        check_positive("seconds", seconds)?;
        let moments = Moments::of(counts).map_err(|_| InputError::TooWide { name: "counts" })?;
        let Some(mean) = moments.mean() else { return Ok(None) };
        let sum = (mean * counts.len() as f64).max(LEAST);
        let spread = moments.variance().filter(|_| mean > 0.0);
        let dispersion = spread.map_or(1.0, |variance| (variance / mean).max(1.0 / sum));
        let size = sum / dispersion;
        Ok(Some(Rate { per_second: sum / (seconds * counts.len() as f64), variance: 1.0 / size, size }))
    }

    /// The rate at which `slots` workers, all of them busy, end executions, when `executions` of them took `busy_seconds` together:
    /// `slots executions / busy_seconds`. The variance of its logarithm is `variation / executions`, with the squared coefficient of
    /// variation of a run time, 1 of an exponential one. None when nothing was executed, or in no time.
    pub fn of_slots(
        slots: f64,
        executions: f64,
        busy_seconds: f64,
        variation: f64,
    ) -> Result<Option<Rate>, InputError> {
        check_positive("slots", slots)?;
        for (name, value) in [("executions", executions), ("busy_seconds", busy_seconds), ("variation", variation)] {
            if !(value >= 0.0 && value.is_finite()) {
                return Err(InputError::Parameter { name, value, allowed: "0 or more, and finite" });
            }
        }
        if executions == 0.0 || busy_seconds == 0.0 {
            return Ok(None);
        }
        let variance = variation / executions;
        let size = if variation > 0.0 { executions / variation } else { executions };
        Ok(Some(Rate { per_second: slots * executions / busy_seconds, variance, size }))
    }

    /// Events a second.
    pub fn per_second(&self) -> f64 {
        self.per_second
    }

    /// The variance of the logarithm of the rate: the square of its relative error.
    pub fn variance(&self) -> f64 {
        self.variance
    }

    /// How many independent events the rate is as sure as.
    pub fn size(&self) -> f64 {
        self.size
    }
}

/// What arrived in each step, by the depth at its end: what left, plus the change of depth; below 0 where something left between a look
/// at the depth and its being counted. NaN in the first step and wherever a depth or the step before is missing. The steps ascend.
pub fn balance(starts: &[f64], step: f64, depths: &[f64], left: &[f64]) -> Result<Vec<f64>, InputError> {
    check_lengths(starts, depths)?;
    check_lengths(starts, left)?;
    check_finite("starts", starts)?;
    let pairs = (1..starts.len()).map(|at| {
        if starts[at] - starts[at - 1] == step { left[at] + (depths[at] - depths[at - 1]) } else { f64::NAN }
    });
    Ok(starts.first().map(|_| f64::NAN).into_iter().chain(pairs).collect())
}

/// The squared coefficient of variation of a single number, of which only counts and sums of groups are known: the mean square between
/// groups of an analysis of variance (Fisher 1925) by the squared mean. None below two groups that have numbers, and of a mean of 0.
pub fn variation(counts: &[f64], sums: &[f64]) -> Result<Option<f64>, InputError> {
    check_lengths(counts, sums)?;
    check_finite("counts", counts)?;
    check_finite("sums", sums)?;
    let groups = || counts.iter().zip(sums).filter(|(count, _)| **count > 0.0);
    let (n, sum) = groups().fold((0.0, 0.0), |(n, sum), (count, part)| (n + count, sum + part));
    let many = groups().count();
    if many < 2 || sum == 0.0 {
        return Ok(None);
    }
    let mean = sum / n;
    let between: f64 = groups().map(|(count, part)| count * (part / count - mean).powi(2)).sum();
    Ok(Some(between / (many - 1) as f64 / (mean * mean)))
}

/// What arrives beside what could be started.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Flow {
    arrivals: Rate,
    capacity: Rate,
}

impl Flow {
    /// Of two rates that were found apart.
    pub fn new(arrivals: Rate, capacity: Rate) -> Flow {
        Flow { arrivals, capacity }
    }

    /// The load `rho`: arrivals by capacity. Above 1 the queue grows for ever.
    pub fn load(&self) -> f64 {
        self.arrivals.per_second / self.capacity.per_second
    }

    /// The standard error of the logarithm of the load.
    pub fn load_error(&self) -> f64 {
        (self.arrivals.variance + self.capacity.variance).sqrt()
    }

    /// The probability that the load is above 1, `Phi(ln rho / error)`; without an error 1, 0, or a half at a load of 1.
    pub fn growing(&self) -> Result<f64, InputError> {
        let (distance, error) = (self.load().ln(), self.load_error());
        if error > 0.0 || distance == 0.0 {
            return normal_cdf(if distance == 0.0 { 0.0 } else { distance / error });
        }
        Ok(if distance > 0.0 { 1.0 } else { 0.0 })
    }

    /// Arrivals less capacity: by how much the depth changes in a second while jobs wait.
    pub fn drift(&self) -> f64 {
        self.arrivals.per_second - self.capacity.per_second
    }

    /// Between which values the drift lies with a probability of `level`, `0 < level < 1`: that of two independent normal rates.
    pub fn drift_interval(&self, level: f64) -> Result<(f64, f64), InputError> {
        check_probability("level", level)?;
        let of = |rate: &Rate| rate.per_second * rate.variance.sqrt();
        let half = -normal_quantile((1.0 - level) / 2.0)? * of(&self.arrivals).hypot(of(&self.capacity));
        Ok((self.drift() - half, self.drift() + half))
    }
}

fn check_lengths(first: &[f64], second: &[f64]) -> Result<(), InputError> {
    if first.len() == second.len() {
        Ok(())
    } else {
        Err(InputError::Lengths { first: first.len(), second: second.len() })
    }
}

fn check_positive(name: &'static str, value: f64) -> Result<(), InputError> {
    if value > 0.0 && value.is_finite() {
        Ok(())
    } else {
        Err(InputError::Parameter { name, value, allowed: "above 0 and finite" })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn counted(counts: &[f64], seconds: f64) -> Rate {
        Rate::of_counts(counts, seconds).unwrap().unwrap()
    }

    fn slots(slots: f64, executions: f64, busy: f64, variation: f64) -> Rate {
        Rate::of_slots(slots, executions, busy, variation).unwrap().unwrap()
    }

    #[test]
    fn by_hand() {
        // 40 in 8 minutes, a variance of 32/7 by a mean of 5.
        let arrivals = counted(&[2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0], 60.0);
        assert_eq!(arrivals.per_second(), 40.0 / 480.0);
        assert!((arrivals.variance() - 32.0 / 35.0 / 40.0).abs() < 1e-15);
        assert!((arrivals.size() - 43.75).abs() < 1e-12);
        // Four slots, 30 executions in 1,800 s: one in 15 s.
        let capacity = slots(4.0, 30.0, 1_800.0, 1.5);
        assert_eq!((capacity.per_second(), capacity.variance(), capacity.size()), (4.0 / 60.0, 0.05, 20.0));
        let flow = Flow::new(arrivals, capacity);
        assert!((flow.load() - 1.25).abs() < 1e-15);
        assert!((flow.load_error() - (0.8 / 35.0 + 0.05_f64).sqrt()).abs() < 1e-15);
        // ln 1.25 / 0.26992 = 0.82671, of which the normal distribution has 0.79580.
        assert!((flow.growing().unwrap() - 0.795_80).abs() < 1e-4, "{:?}", flow.growing());
        assert!((flow.drift() - 1.0 / 60.0).abs() < 1e-15);
        let (low, high) = flow.drift_interval(0.9).unwrap();
        assert!(((low + high) / 2.0 - flow.drift()).abs() < 1e-15);
        let spread = ((40.0_f64 / 480.0).powi(2) * (0.8 / 35.0) + (4.0_f64 / 60.0).powi(2) * 0.05).sqrt();
        assert!((high - low - 2.0 * 1.644_853_626_951_472_7 * spread).abs() < 1e-14);
    }

    #[test]
    fn nothing_counted_is_half_an_event_at_most() {
        let none = counted(&[0.0; 60], 60.0);
        assert_eq!((none.per_second(), none.variance()), (0.5 / 3_600.0, 2.0));
        // Sixty jobs an hour arrive and nobody starts one.
        let flow = Flow::new(counted(&[1.0; 60], 60.0), none);
        assert!(flow.growing().unwrap() > 0.999 && flow.load() == 120.0);
    }

    #[test]
    fn regular_arrivals_are_uncertain_by_one() {
        let regular = counted(&[6.0; 10], 60.0);
        assert_eq!((regular.variance(), regular.size()), (1.0 / 3_600.0, 3_600.0));
        let one = counted(&[9.0], 60.0);
        assert_eq!((one.variance(), one.size()), (1.0 / 9.0, 9.0));
    }

    #[test]
    fn what_left_and_what_stayed_is_what_arrived() {
        let nan = f64::NAN;
        let found = balance(
            &[0.0, 60.0, 120.0, 240.0, 300.0, 360.0],
            60.0,
            &[4.0, 6.0, 1.0, 9.0, nan, 2.0],
            &[9.0, 3.0, 2.0, 7.0, 7.0, 7.0],
        );
        let shown: Vec<String> = found.unwrap().iter().map(f64::to_string).collect();
        assert_eq!(shown, ["NaN", "5", "-3", "NaN", "NaN", "NaN"]);
        assert_eq!(balance(&[], 60.0, &[], &[]), Ok(vec![]));
        assert!(balance(&[0.0], 60.0, &[1.0], &[]).is_err() && balance(&[nan], 60.0, &[1.0], &[1.0]).is_err());
    }

    #[test]
    fn a_variation_is_found_in_the_means_of_groups() {
        // Means 2, 5 and 3 of 4, 2 and 2 numbers, about 3: 4 + 8 + 0 by two degrees of freedom, by 9.
        let found = variation(&[4.0, 0.0, 2.0, 2.0], &[8.0, 0.0, 10.0, 6.0]).unwrap().unwrap();
        assert!((found - 12.0 / 2.0 / 9.0).abs() < 1e-15);
        assert_eq!(variation(&[3.0, 3.0], &[6.0, 6.0]), Ok(Some(0.0)));
        assert_eq!((variation(&[3.0, 0.0], &[6.0, 0.0]), variation(&[1.0, 1.0], &[0.0, 0.0])), (Ok(None), Ok(None)));
        assert!(variation(&[1.0], &[]).is_err() && variation(&[f64::NAN], &[1.0]).is_err());
    }

    #[test]
    fn without_an_error_it_is_certain() {
        let sure = |per_second| Rate { per_second, variance: 0.0, size: 1.0 };
        for (arrivals, expected) in [(1.0, 0.0), (2.0, 0.5), (3.0, 1.0)] {
            assert_eq!(Flow::new(sure(arrivals), sure(2.0)).growing(), Ok(expected));
        }
        assert_eq!(slots(2.0, 10.0, 5.0, 0.0).variance(), 0.0);
    }

    #[test]
    fn nothing_and_what_is_refused() {
        assert_eq!(Rate::of_counts(&[], 60.0), Ok(None));
        assert_eq!((Rate::of_slots(4.0, 0.0, 9.0, 1.0), Rate::of_slots(4.0, 9.0, 0.0, 1.0)), (Ok(None), Ok(None)));
        assert_eq!(Rate::of_counts(&[1.0, -1.0], 60.0), Err(InputError::Negative { name: "counts", at: 1 }));
        assert!(matches!(Rate::of_counts(&[f64::NAN], 60.0), Err(InputError::NotFinite { name: "counts", .. })));
        assert!(matches!(Rate::of_counts(&[0.0, 1e200], 60.0), Err(InputError::TooWide { .. })));
        for seconds in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(matches!(Rate::of_counts(&[1.0], seconds), Err(InputError::Parameter { name: "seconds", .. })));
            assert!(matches!(Rate::of_slots(seconds, 1.0, 1.0, 1.0), Err(InputError::Parameter { name: "slots", .. })));
        }
        for bad in [-1.0, f64::NAN, f64::INFINITY] {
            assert!(Rate::of_slots(1.0, bad, 1.0, 1.0).is_err());
            assert!(Rate::of_slots(1.0, 1.0, bad, 1.0).is_err());
            assert!(Rate::of_slots(1.0, 1.0, 1.0, bad).is_err());
        }
        let flow = Flow::new(counted(&[1.0], 1.0), counted(&[1.0], 1.0));
        assert!(flow.drift_interval(1.0).is_err());
    }

    proptest! {
        #[test]
        fn the_other_way_round_it_is_the_rest(
            one in prop::collection::vec(0_u32..1_000, 1..60),
            other in prop::collection::vec(0_u32..1_000, 1..60),
            seconds in 1_u32..10_000,
        ) {
            let floats = |counts: &[u32]| counts.iter().copied().map(f64::from).collect::<Vec<f64>>();
            let (one, other) = (floats(&one), floats(&other));
            let (a, b) = (counted(&one, f64::from(seconds)), counted(&other, 60.0));
            let (forth, back) = (Flow::new(a, b), Flow::new(b, a));
            prop_assert!((forth.growing().unwrap() + back.growing().unwrap() - 1.0).abs() < 1e-12);
            prop_assert!((forth.load() * back.load() - 1.0).abs() < 1e-12);
            prop_assert_eq!(forth.drift(), -back.drift());
            let (narrow, wide) = (forth.drift_interval(0.5).unwrap(), forth.drift_interval(0.9).unwrap());
            prop_assert!(wide.0 <= narrow.0 && narrow.0 <= forth.drift() && forth.drift() <= narrow.1 && narrow.1 <= wide.1);
            prop_assert_eq!(forth.growing().unwrap() > 0.5, forth.load() > 1.0);
            prop_assert_eq!(counted(&one, 2.0 * f64::from(seconds)).per_second(), a.per_second() / 2.0);
        }

        #[test]
        fn more_arrivals_make_growth_likelier(executions in 1_u32..10_000, slots_ in 1_u32..100, busy in 1_u32..1_000_000) {
            let capacity = slots(f64::from(slots_), f64::from(executions), f64::from(busy), 1.0);
            let mut before = 0.0;
            for arrivals in [1.0, 10.0, 100.0, 1_000.0, 10_000.0] {
                let flow = Flow::new(Rate { per_second: arrivals, variance: 0.01, size: 100.0 }, capacity);
                let growing = flow.growing().unwrap();
                prop_assert!(growing >= before && (0.0..=1.0).contains(&growing));
                before = growing;
            }
        }
    }
}
