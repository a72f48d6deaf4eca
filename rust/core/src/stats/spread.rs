//! Counts without their steps: numbers that are alike are spread over the half step on each side of them. Knows no time.
//!
//! Source: Machado & Santos Silva (2005), for quantiles of counts. Estimators by ranks need it: of small counts so many pairs are alike
//! that every rank near the middle is a slope of exactly 0.

use super::{InputError, check_finite};

/// Each number that occurs more than once, moved by up to half of the distance to its nearest other number; the others as they are.
///
/// By how much depends on the place alone, so that no chance is in it, and the same from both ends, so that it adds no trend. Refuses NaN
/// and infinity. O(n log n).
pub fn spread(values: &[f64]) -> Result<Vec<f64>, InputError> {
    check_finite("values", values)?;
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_unstable_by(|one, other| values[*one].total_cmp(&values[*other]));
    let groups: Vec<&[usize]> = order.chunk_by(|one, other| values[*one] == values[*other]).collect();
    let mut moved = values.to_vec();
    if groups.len() < 2 {
        return Ok(moved);
    }
    let distance = |one: usize, other: usize| {
        groups.get(other).map_or(f64::INFINITY, |more| values[more[0]] - values[groups[one][0]])
    };
    for (number, group) in groups.iter().enumerate().filter(|(_, group)| group.len() > 1) {
        let step = distance(number, number + 1).min(distance(number, number.wrapping_sub(1)).abs());
        if step.is_finite() {
            group.iter().for_each(|at| moved[*at] += step * part((*at).min(values.len() - 1 - at) as u64));
        }
    }
    Ok(moved)
}

/// From -0.5 to 0.5, evenly; by the mixing of SplitMix64 (Steele, Lea & Flood 2014).
fn part(place: u64) -> f64 {
    let mut word = (place + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((word ^ (word >> 31)) >> 11) as f64 / (1_u64 << 53) as f64 - 0.5
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_alone_stays_and_what_is_alike_moves_by_half_a_step() {
        let found = spread(&[0.0, 5.0, 0.0, 7.0, 5.0, 0.0]).unwrap();
        assert_eq!(found[3], 7.0);
        assert!(
            [0, 2, 5].iter().all(|at| found[*at].abs() <= 2.5)
                && [1, 4].iter().all(|at| (found[*at] - 5.0).abs() <= 1.0)
        );
        assert_eq!(found[0], found[5], "the same from both ends");
        assert!(found[0] != found[2]);
        assert_eq!(spread(&[4.0; 5]).unwrap(), [4.0; 5]);
        assert_eq!((spread(&[]), spread(&[1.0, 2.0])), (Ok(vec![]), Ok(vec![1.0, 2.0])));
        assert_eq!(spread(&[f64::MIN, f64::MIN, f64::MAX]).unwrap(), [f64::MIN, f64::MIN, f64::MAX]);
        assert!(matches!(spread(&[1.0, f64::NAN]), Err(InputError::NotFinite { name: "values", at: 1, .. })));
    }

    #[test]
    fn the_parts_are_even() {
        let parts: Vec<f64> = (0..10_000).map(part).collect();
        assert!((parts.iter().sum::<f64>() / 10_000.0).abs() < 0.01);
        assert!((parts.iter().map(|part| part * part).sum::<f64>() / 10_000.0 - 1.0 / 12.0).abs() < 0.002);
        assert!((parts.iter().zip(&parts[1..]).map(|(one, next)| one * next).sum::<f64>() / 10_000.0).abs() < 0.002);
    }

    proptest! {
        #[test]
        fn no_order_changes(values in prop::collection::vec(-5_i16..6, 0..60)) {
            let values: Vec<f64> = values.into_iter().map(f64::from).collect();
            let moved = spread(&values).unwrap();
            for (one, there) in values.iter().zip(&moved) {
                prop_assert!(values.iter().zip(&moved).all(|(other, elsewhere)| one >= other || there <= elsewhere));
            }
        }
    }
}
