//! Estimators, one a file, and what all of them ask of the numbers that they are given.
//!
//! Numbers come as slices of `f64`, all of them finite: NaN and infinity are refused with their place, never skipped, since a
//! gap is something else in every series and its owner's to leave out. Two slices of pairs have one length. Where the numbers
//! are too few for an answer, or all alike and the answer undefined, it is `None`; that is no error.

pub mod autocorrelation;
pub mod buckets;
pub mod dispersion;
pub mod distributions;
pub mod ewma;
pub mod flow;
pub mod intervals;
pub mod least_squares;
pub mod moments;
mod pairs;
pub mod quantiles;
pub mod rising;
pub mod robust;
pub mod sketch;
pub mod spread;
pub mod tally;
pub mod theil_sen;
mod twofold;
pub mod wilson;
pub mod window;

use std::fmt;

pub use twofold::sum;

/// Why numbers or a parameter were refused.
#[derive(Clone, Debug, PartialEq)]
pub enum InputError {
    /// NaN or an infinity.
    NotFinite {
        /// Which argument.
        name: &'static str,
        /// Index of the first such number.
        at: usize,
        /// It.
        value: f64,
    },
    /// A number below 0 where only counts and sizes make sense.
    Negative {
        /// Which argument.
        name: &'static str,
        /// Index of the first such number.
        at: usize,
    },
    /// Two slices of pairs differ in length.
    Lengths {
        /// Length of the first.
        first: usize,
        /// Length of the second.
        second: usize,
    },
    /// Finite, but squares of its deviations leave the range of doubles.
    TooWide {
        /// Which argument.
        name: &'static str,
    },
    /// A parameter outside its range.
    Parameter {
        /// Which.
        name: &'static str,
        /// What it was.
        value: f64,
        /// What it may be.
        allowed: &'static str,
    },
    /// One of many points that are taken one after the other.
    Point {
        /// Its index; those before it were taken.
        at: usize,
        /// What is wrong with it.
        why: Box<InputError>,
    },
}

impl InputError {
    /// The same of a part of the points that begins `from` points later.
    pub fn later(self, from: usize) -> InputError {
        match self {
            InputError::Point { at, why } => InputError::Point { at: from + at, why },
            other => other,
        }
    }
}

impl fmt::Display for InputError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            InputError::NotFinite { name, at, value } => {
                write!(f, "{name}[{at}] is {value}; every number must be finite, leave unknown ones out")
            }
            InputError::Negative { name, at } => write!(f, "{name}[{at}] is below 0"),
            InputError::Lengths { first, second } => {
                write!(f, "the two series are not of one length: {first} and {second} numbers")
            }
            InputError::TooWide { name } => {
                write!(f, "the spread of {name} cannot be squared within doubles; use another unit")
            }
            InputError::Parameter { name, value, allowed } => write!(f, "{name} must be {allowed}, not {value}"),
            InputError::Point { at, why } => write!(f, "point {at}: {why}"),
        }
    }
}

impl std::error::Error for InputError {}

/// Refuses NaN and infinity in an argument of this name. One pass, a fraction of a nanosecond a number.
pub fn check_finite(name: &'static str, values: &[f64]) -> Result<(), InputError> {
    for (index, chunk) in values.chunks(256).enumerate() {
        if chunk.iter().fold(0_u64, |most, value| most.max(value.abs().to_bits())) >= f64::INFINITY.to_bits() {
            let place = chunk.iter().position(|value| !value.is_finite()).unwrap_or(0);
            return Err(InputError::NotFinite { name, at: 256 * index + place, value: chunk[place] });
        }
    }
    Ok(())
}

/// Refuses pairs of different lengths, then NaN and infinity in either.
pub fn check_pairs(x: &[f64], y: &[f64]) -> Result<(), InputError> {
    if x.len() != y.len() {
        return Err(InputError::Lengths { first: x.len(), second: y.len() });
    }
    check_finite("x", x)?;
    check_finite("y", y)
}

/// Refuses a probability that is not strictly between 0 and 1, such as the level of an interval.
pub fn check_probability(name: &'static str, value: f64) -> Result<(), InputError> {
    let inside = value > 0.0 && value < 1.0;
    if inside { Ok(()) } else { Err(InputError::Parameter { name, value, allowed: "between 0 and 1, both excluded" }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_number_that_is_not_finite_is_named() {
        let mut values = vec![1.0; 600];
        assert_eq!(check_finite("y", &values), Ok(()));
        values[555] = f64::NEG_INFINITY;
        values[556] = f64::NAN;
        let error = check_finite("y", &values).unwrap_err();
        assert_eq!(error, InputError::NotFinite { name: "y", at: 555, value: f64::NEG_INFINITY });
        assert_eq!(error.to_string(), "y[555] is -inf; every number must be finite, leave unknown ones out");
        for (place, value) in [(0, f64::NAN), (599, -f64::NAN), (256, f64::INFINITY)] {
            let mut values = vec![f64::MAX; 600];
            values[place] = value;
            assert!(matches!(check_finite("x", &values), Err(InputError::NotFinite { at, .. }) if at == place));
        }
        assert_eq!(check_finite("x", &[]), Ok(()));
    }

    #[test]
    fn pairs_have_one_length() {
        assert_eq!(check_pairs(&[1.0], &[1.0, 2.0]), Err(InputError::Lengths { first: 1, second: 2 }));
        assert!(matches!(check_pairs(&[1.0], &[f64::NAN]), Err(InputError::NotFinite { name: "y", .. })));
        assert_eq!(check_pairs(&[1.0], &[2.0]), Ok(()));
    }

    #[test]
    fn a_level_lies_between_0_and_1() {
        for value in [0.0, 1.0, -0.1, f64::NAN] {
            assert!(check_probability("level", value).is_err());
        }
        assert_eq!(check_probability("level", 0.95), Ok(()));
    }
}
