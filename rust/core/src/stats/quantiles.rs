//! Exact quantiles of numbers, by selection instead of sorting, under two named rules. Knows no sketch.
//!
//! Selection is that of the standard library, a quickselect that falls back on medians of medians (Hoare 1961; Blum et al. 1973): O(n)
//! whatever the order of the numbers. Several quantiles share their partitions.

use super::{InputError, check_finite};

/// Numbers of which quantiles are asked; a copy that selection puts in another order.
#[derive(Clone, Debug, PartialEq)]
pub struct Selection {
    /// The numbers as integers of the same order, which compare without a branch.
    keys: Vec<i64>,
}

/// An integer whose order is that of finite doubles; 0 for both zeros. It undoes itself but for those.
fn key(value: f64) -> i64 {
    flip((value + 0.0).to_bits() as i64)
}

/// Negative doubles have their bits in falling order.
fn flip(bits: i64) -> i64 {
    bits ^ ((bits >> 63) & i64::MAX)
}

impl Selection {
    /// A copy of the numbers; refuses NaN and infinity.
    pub fn of(values: &[f64]) -> Result<Selection, InputError> {
        check_finite("values", values)?;
        Ok(Selection { keys: values.iter().map(|value| key(*value)).collect() })
    }

    /// How many numbers.
    pub fn count(&self) -> usize {
        self.keys.len()
    }

    /// Quantiles by the **linear rule**: `i = q (n - 1)`, `v[floor i] (1 - w) + v[ceil i] w` with w the part of i behind the point. The
    /// original's rule, numpy's default, type 7 of Hyndman & Fan (1996). None of nothing; each `0 <= q <= 1`.
    pub fn linear(&mut self, qs: &[f64]) -> Result<Option<Vec<f64>>, InputError> {
        check_qs(qs)?;
        let Some(last) = self.keys.len().checked_sub(1) else { return Ok(None) };
        let places: Vec<(usize, f64)> = qs
            .iter()
            .map(|q| {
                let place = q * last as f64;
                (place as usize, place.fract())
            })
            .collect();
        let second = |(place, weight): (usize, f64)| if weight > 0.0 { (place + 1).min(last) } else { place };
        self.place(places.iter().flat_map(|place| [place.0, second(*place)]).collect());
        let answer = |place: (usize, f64)| {
            let (low, high) = (self.value(place.0), self.value(second(place)));
            // Rounding must not leave the two numbers, above all not where they are alike.
            (low * (1.0 - place.1) + high * place.1).clamp(low, high)
        };
        Ok(Some(places.into_iter().map(answer).collect()))
    }

    /// Quantiles by **nearest rank**: the number of rank `ceil(q n)`, at least 1; always one of the numbers. The rule of sketches, the
    /// inverse of the empirical distribution, type 1 of Hyndman & Fan (1996). None of nothing; each `0 <= q <= 1`.
    pub fn nearest_rank(&mut self, qs: &[f64]) -> Result<Option<Vec<f64>>, InputError> {
        check_qs(qs)?;
        if self.keys.is_empty() {
            return Ok(None);
        }
        let count = self.keys.len() as u64;
        let places: Vec<usize> = qs.iter().map(|q| rank(*q, count) as usize - 1).collect();
        self.place(places.clone());
        Ok(Some(places.into_iter().map(|place| self.value(place)).collect()))
    }

    /// Puts the numbers of these places of the sorted order where they belong.
    fn place(&mut self, mut places: Vec<usize>) {
        places.sort_unstable();
        places.dedup();
        select(&mut self.keys, 0, &places);
    }

    fn value(&self, place: usize) -> f64 {
        f64::from_bits(flip(self.keys[place]) as u64)
    }
}

/// Selects the places, ascending, of keys the first of which is in place `first`; begins with the one nearest to the middle, so that as
/// many keys as possible need not be looked at for the others.
fn select(keys: &mut [i64], first: usize, places: &[usize]) {
    let middle = first + keys.len() / 2;
    let Some(at) = (0..places.len()).min_by_key(|at| places[*at].abs_diff(middle)) else { return };
    let (below, _, above) = keys.select_nth_unstable(places[at] - first);
    select(below, first, &places[..at]);
    select(above, places[at] + 1, &places[at + 1..]);
}

/// Refuses what is not between 0 and 1.
pub fn check_qs(qs: &[f64]) -> Result<(), InputError> {
    match qs.iter().find(|q| !(0.0..=1.0).contains(*q)) {
        Some(q) => Err(InputError::Parameter { name: "q", value: *q, allowed: "between 0 and 1" }),
        None => Ok(()),
    }
}

/// The rank of the quantile q of n numbers: the least whole number r with `r / n >= q`, that is `ceil(q n)`, at least 1 and at most n.
///
/// `0.07 * 100` is a little more than 7 in doubles, but `7 / 100` is the double 0.07: so the quotient decides.
pub fn rank(q: f64, n: u64) -> u64 {
    let count = n as f64;
    let rank = (q * count).ceil();
    let rank = if rank >= 2.0 && (rank - 1.0) / count >= q {
        rank - 1.0
    } else if rank / count < q {
        rank + 1.0
    } else {
        rank
    };
    (rank as u64).min(n).max(1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn linear(values: &[f64], qs: &[f64]) -> Option<Vec<f64>> {
        Selection::of(values).unwrap().linear(qs).unwrap()
    }

    fn nearest(values: &[f64], qs: &[f64]) -> Option<Vec<f64>> {
        Selection::of(values).unwrap().nearest_rank(qs).unwrap()
    }

    #[test]
    fn both_rules_by_hand() {
        let values = [15.0, 20.0, 35.0, 40.0, 50.0];
        assert_eq!(nearest(&values, &[0.05, 0.3, 0.4, 0.5, 1.0]), Some(vec![15.0, 20.0, 20.0, 35.0, 50.0]));
        assert_eq!(linear(&values, &[0.0, 0.25, 0.4, 0.75, 1.0]), Some(vec![15.0, 20.0, 29.0, 40.0, 50.0]));
        assert_eq!(linear(&values, &[]), Some(vec![]));
    }

    #[test]
    fn nothing_one_and_alike() {
        assert_eq!((linear(&[], &[0.5]), nearest(&[], &[0.5])), (None, None));
        assert_eq!(
            (linear(&[0.1], &[0.0, 0.3, 1.0]), nearest(&[0.1], &[0.0, 1.0])),
            (Some(vec![0.1; 3]), Some(vec![0.1; 2]))
        );
        let qs: Vec<f64> = (0..=1000).map(|permille| f64::from(permille) / 1000.0).collect();
        for value in [0.1, -0.3, 1e300, -5e-324] {
            assert_eq!(linear(&[value; 777], &qs), Some(vec![value; 1001]));
        }
        assert_eq!(linear(&[0.0, -0.0], &[0.5]).map(|found| found[0].to_bits()), Some(0));
        assert_eq!(linear(&[f64::MAX, f64::MIN], &[0.5]), Some(vec![0.0]));
    }

    #[test]
    fn what_is_no_number_and_no_quantile_is_refused() {
        assert!(matches!(Selection::of(&[1.0, f64::NAN]), Err(InputError::NotFinite { at: 1, .. })));
        assert!(matches!(Selection::of(&[f64::INFINITY]), Err(InputError::NotFinite { at: 0, .. })));
        for q in [-0.1, 1.000_1, f64::NAN, f64::INFINITY] {
            assert!(Selection::of(&[1.0]).unwrap().linear(&[0.5, q]).is_err());
            assert!(Selection::of(&[]).unwrap().nearest_rank(&[q]).is_err());
        }
    }

    #[test]
    fn a_rank_is_not_moved_by_rounding() {
        for n in 1..400_u64 {
            for r in 1..=n {
                assert_eq!(rank(r as f64 / n as f64, n), r);
                assert_eq!(rank((r as f64 / n as f64).next_down(), n), r);
                assert_eq!(rank((r as f64 / n as f64).next_up().min(1.0), n), (r + 1).min(n));
            }
        }
        assert_eq!((rank(0.0, 5), rank(1.0, u64::MAX), rank(0.5, 0)), (1, u64::MAX, 1));
    }

    proptest! {
        #[test]
        fn selection_finds_what_sorting_does(
            values in prop::collection::vec(prop_oneof![-5.0_f64..5.0, Just(0.0), -1e300_f64..1e300, (0_i32..4).prop_map(f64::from)], 1..300),
            qs in prop::collection::vec(prop_oneof![0.0_f64..=1.0, Just(0.0), Just(1.0)], 0..8),
        ) {
            let mut sorted = values.clone();
            sorted.sort_unstable_by(f64::total_cmp);
            let last = sorted.len() - 1;
            let expected: Vec<f64> = qs.iter().map(|q| sorted[rank(*q, sorted.len() as u64) as usize - 1]).collect();
            prop_assert_eq!(nearest(&values, &qs), Some(expected));
            for (q, found) in qs.iter().zip(linear(&values, &qs).unwrap()) {
                let place = q * last as f64;
                let (low, high, weight) = (sorted[place as usize], sorted[place.ceil() as usize], place.fract());
                prop_assert_eq!(found, (low * (1.0 - weight) + high * weight).clamp(low, high));
            }
        }
    }
}
