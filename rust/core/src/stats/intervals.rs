//! A series in intervals of time: how many of its numbers fall into each, their sum, and the last. Knows no clock and no unit.

use super::{InputError, check_finite};

/// What falls into one interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// The number of the interval: it begins at `origin + place length`.
    pub place: i64,
    /// How many numbers it has, above 0.
    pub n: usize,
    /// Their sum.
    pub sum: f64,
    /// The index of the last of them.
    pub last: usize,
}

/// The intervals of `length` from `origin` on, in both directions, that have a number. `times` ascend; a NaN among `values` is a gap and
/// counts nowhere.
pub fn intervals(times: &[f64], values: &[f64], origin: f64, length: f64) -> Result<Vec<Interval>, InputError> {
    if times.len() != values.len() {
        return Err(InputError::Lengths { first: times.len(), second: values.len() });
    }
    check_finite("times", times)?;
    if !(length > 0.0 && length.is_finite()) {
        return Err(InputError::Parameter { name: "length", value: length, allowed: "above 0 and finite" });
    }
    let mut found: Vec<Interval> = Vec::new();
    for (at, (time, value)) in times.iter().zip(values).enumerate() {
        if value.is_nan() {
            continue;
        }
        let place = ((time - origin) / length).floor() as i64;
        match found.last_mut().filter(|interval| interval.place == place) {
            Some(interval) => {
                interval.n += 1;
                interval.sum += value;
                interval.last = at;
            }
            None => found.push(Interval { place, n: 1, sum: *value, last: at }),
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn by_hand() {
        let found = intervals(&[-61.0, -60.0, -1.0, 0.0, 59.9, 180.0], &[1.0, 2.0, 3.0, 4.0, f64::NAN, 5.0], 0.0, 60.0);
        let interval = |place, n, sum, last| Interval { place, n, sum, last };
        let expected =
            [interval(-2, 1, 1.0, 0), interval(-1, 2, 5.0, 2), interval(0, 1, 4.0, 3), interval(3, 1, 5.0, 5)];
        assert_eq!(found.unwrap(), expected);
        assert_eq!(intervals(&[], &[], 7.0, 1.0), Ok(vec![]));
        assert_eq!(intervals(&[1.0], &[f64::NAN], 7.0, 1.0), Ok(vec![]));
    }

    #[test]
    fn what_is_refused() {
        assert_eq!(intervals(&[1.0], &[], 0.0, 1.0), Err(InputError::Lengths { first: 1, second: 0 }));
        assert!(matches!(intervals(&[f64::NAN], &[1.0], 0.0, 1.0), Err(InputError::NotFinite { name: "times", .. })));
        for length in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(matches!(intervals(&[], &[], 0.0, length), Err(InputError::Parameter { name: "length", .. })));
        }
    }

    proptest! {
        #[test]
        fn each_number_is_in_one_interval(minutes in prop::collection::btree_set(-3_000_i64..3_000, 0..300), length in 1_i64..200) {
            let times: Vec<f64> = minutes.iter().map(|minute| (60 * minute) as f64).collect();
            let values: Vec<f64> = minutes.iter().map(|minute| (minute % 7) as f64).collect();
            let found = intervals(&times, &values, 0.0, (60 * length) as f64).unwrap();
            prop_assert_eq!(found.iter().map(|interval| interval.n).sum::<usize>(), times.len());
            for interval in found {
                let inside: Vec<i64> = minutes.iter().copied().filter(|minute| minute.div_euclid(length) == interval.place).collect();
                prop_assert_eq!(inside.len(), interval.n);
                prop_assert_eq!(inside.iter().map(|minute| minute % 7).sum::<i64>() as f64, interval.sum);
                prop_assert_eq!(times[interval.last], (60 * inside[inside.len() - 1]) as f64);
            }
        }
    }
}
