//! What happened to one series in one step of time: counters, measures, gauges and sketches, and how two values merge.
//!
//! The specification is `docs/stored-values.md`. All numbers stay within `i64`, since databases have no wider ones.

mod columns;
pub mod counter;
mod fields;
pub mod measure;
mod pack;
mod parts;

pub use self::columns::{Column, columns};
pub use self::fields::{Field, add_fields};
pub use self::measure::{Gauge, Measure};
pub use self::parts::Parts;

use crate::error::{Error, Result};
use crate::stats::sketch::Sketch;

/// Most counters of a value.
const COUNTER_LIMIT: usize = 1024;
/// Most measures, gauges or sketches of a value.
const MEASURE_LIMIT: usize = 64;

/// A stored value. The empty one is neutral in [`merge`](Value::merge).
///
/// Lists have no empty elements at their end, so equal values have equal bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Value {
    counters: Vec<u64>,
    measures: Vec<Option<Measure>>,
    gauges: Vec<Option<Gauge>>,
    sketches: Vec<Option<Sketch>>,
}

impl Value {
    /// The count at an index; 0 when it was never counted.
    pub fn counter(&self, index: usize) -> u64 {
        self.counters.get(index).copied().unwrap_or(0)
    }

    /// The measure at an index.
    pub fn measure(&self, index: usize) -> Option<&Measure> {
        self.measures.get(index)?.as_ref()
    }

    /// The gauge at an index.
    pub fn gauge(&self, index: usize) -> Option<&Gauge> {
        self.gauges.get(index)?.as_ref()
    }

    /// The sketch of the measure at an index.
    pub fn sketch(&self, index: usize) -> Option<&Sketch> {
        self.sketches.get(index)?.as_ref()
    }

    /// Values at ranks `ceil(q n)`, held within the measure's min and max; None without a sketch. Each `0 <= q <= 1`.
    pub fn quantiles(&self, index: usize, qs: &[f64]) -> Option<Vec<f64>> {
        let mut values = self.sketch(index)?.quantiles(qs)?;
        let (least, greatest) = self.measure(index).and_then(|measure| measure.range).unwrap_or((0, i64::MAX));
        values.iter_mut().for_each(|value| *value = value.clamp(least as f64, greatest as f64));
        Some(values)
    }

    /// Adds to a counter.
    pub(crate) fn count(&mut self, index: usize, by: u64) -> Result<()> {
        if by > 0 {
            let counter = slot(&mut self.counters, index);
            *counter = counter.checked_add(by).filter(|sum| i64::try_from(*sum).is_ok()).ok_or(COUNTER_OVERFLOW)?;
        }
        Ok(())
    }

    /// Puts a measure where none was.
    pub(crate) fn set_measure(&mut self, index: usize, measure: Measure) {
        *slot(&mut self.measures, index) = Some(measure);
    }

    /// Puts a gauge where none was.
    pub(crate) fn set_gauge(&mut self, index: usize, gauge: Gauge) {
        *slot(&mut self.gauges, index) = Some(gauge);
    }

    /// Puts a sketch where none was.
    pub(crate) fn set_sketch(&mut self, index: usize, mut sketch: Sketch) {
        sketch.limit();
        *slot(&mut self.sketches, index) = Some(sketch);
    }

    /// Both together. Associative and commutative; nothing is kept of a merge that would leave 64 bits.
    pub fn merge(&self, other: &Value) -> Result<Value> {
        let mut merged = Value {
            counters: self.counters.clone(),
            measures: both(&self.measures, &other.measures, Measure::merge)?,
            gauges: both(&self.gauges, &other.gauges, Gauge::merge)?,
            sketches: both(&self.sketches, &other.sketches, Sketch::merge)?,
        };
        for (index, by) in other.counters.iter().enumerate() {
            merged.count(index, *by)?;
        }
        Ok(merged)
    }
}

const COUNTER_OVERFLOW: Error = Error::Overflow { what: "a counter" };

/// The element at an index of a list that grows as needed.
fn slot<T: Default>(list: &mut Vec<T>, index: usize) -> &mut T {
    if list.len() <= index {
        list.resize_with(index + 1, T::default);
    }
    &mut list[index]
}

/// Two lists of elements that may be empty, merged by index.
fn both<T: Clone>(one: &[Option<T>], other: &[Option<T>], merge: fn(&T, &T) -> Result<T>) -> Result<Vec<Option<T>>> {
    (0..one.len().max(other.len()))
        .map(|index| match (one.get(index).and_then(Option::as_ref), other.get(index).and_then(Option::as_ref)) {
            (Some(a), Some(b)) => merge(a, b).map(Some),
            (a, b) => Ok(a.or(b).cloned()),
        })
        .collect()
}

/// Merges two packed values.
pub fn merge_values(first: &[u8], second: &[u8]) -> Result<Vec<u8>> {
    Ok(Value::decode(first)?.merge(&Value::decode(second)?)?.encode())
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_parts() -> impl Strategy<Value = Parts> {
        let number = (0_u32..50, any::<i64>()).prop_map(|(shift, number)| (number & i64::MAX) >> (shift + 13));
        let counter = (0_u32..40, any::<u64>()).prop_map(|(shift, number)| number >> (shift + 23));
        (
            prop::collection::vec(prop_oneof![Just(0), counter], 0..90),
            prop::collection::btree_map(0_usize..5, prop::collection::vec(number.clone(), 0..20), 0..5),
            prop::collection::btree_map(0_usize..5, prop::collection::vec((0_i64..4, number), 0..6), 0..5),
        )
            .prop_map(|(counters, measures, gauges)| Parts {
                counters,
                measures: measures.into_iter().collect(),
                gauges: gauges.into_iter().collect(),
                scale: 5,
            })
    }

    pub fn any_value() -> impl Strategy<Value = Value> {
        any_parts().prop_map(|parts| parts.value().unwrap())
    }

    #[test]
    fn the_empty_value_is_neutral() {
        assert_eq!(Value::default().encode(), [0x91, 1]);
        let one = Parts { counters: vec![0, 3], ..Parts::default() }.value().unwrap();
        assert_eq!(Value::default().merge(&one).unwrap(), one);
    }

    #[test]
    fn a_merge_beyond_64_bits_is_refused() {
        let full = Parts { counters: vec![i64::MAX as u64], ..Parts::default() }.value().unwrap();
        let one = Parts { counters: vec![1], ..Parts::default() }.value().unwrap();
        assert!(matches!(full.merge(&one), Err(Error::Overflow { .. })));
        let sum = |number| Parts { measures: vec![(4, vec![number])], ..Parts::default() }.value().unwrap();
        assert!(matches!(sum(i64::MAX).merge(&sum(1)), Err(Error::Overflow { .. })));
        assert!(matches!(sum(i64::MIN).merge(&sum(-1)), Err(Error::Overflow { .. })));
    }

    #[test]
    fn quantiles_stay_within_what_was_measured() {
        let value = Parts { measures: vec![(0, vec![1_000, 1_000, 1_000])], ..Parts::default() }.value().unwrap();
        assert_eq!(value.quantiles(0, &[0.0, 0.5, 1.0]), Some(vec![1_000.0; 3]));
        assert_eq!(value.quantiles(1, &[0.5]), None);
    }

    /// A value with the sketch of a measure that fills many buckets, so that merging collapses.
    fn wide_value() -> impl Strategy<Value = Value> {
        (0_i32..900, 1_i32..1_000, 1_u64..5).prop_map(|(from, many, count)| {
            let buckets = (from..from + many).map(|index| (index, count)).collect();
            let mut value = Value::default();
            value.set_sketch(1, Sketch::from_parts(5, false, count, buckets).unwrap());
            value
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]

        #[test]
        fn any_order_of_merging_sketches_gives_equal_bytes(
            values in prop::collection::vec(prop_oneof![wide_value(), any_value()], 2..7),
            order in prop::collection::vec(any::<prop::sample::Index>(), 12),
        ) {
            let forth = values.iter().try_fold(Value::default(), |all, value| all.merge(value)).unwrap().encode();
            // Two at a time, drawn from what is left, in any grouping.
            let mut parts = values;
            for pair in order.chunks(2) {
                if parts.len() > 1 {
                    let one = parts.swap_remove(pair[0].index(parts.len()));
                    let other = parts.swap_remove(pair[1].index(parts.len()));
                    parts.push(one.merge(&other).unwrap());
                }
            }
            prop_assert_eq!(parts.len(), 1);
            prop_assert_eq!(parts[0].encode(), forth.clone());
            prop_assert_eq!(Value::decode(&forth).unwrap().encode(), forth);
        }

        #[test]
        fn merged_bytes_do_not_depend_on_order(a in any_value(), b in any_value(), c in any_value()) {
            let (packed_a, packed_b, packed_c) = (a.encode(), b.encode(), c.encode());
            let left = merge_values(&merge_values(&packed_a, &packed_b).unwrap(), &packed_c).unwrap();
            prop_assert_eq!(&left, &merge_values(&packed_a, &merge_values(&packed_c, &packed_b).unwrap()).unwrap());
            prop_assert_eq!(&left, &merge_values(&merge_values(&packed_c, &packed_a).unwrap(), &packed_b).unwrap());
        }

        #[test]
        fn a_value_of_all_parts_is_the_merge_of_the_values_of_each(one in any_parts(), other in any_parts()) {
            let mut all = one.clone();
            for (index, by) in other.counters.iter().enumerate() {
                *slot(&mut all.counters, index) += by;
            }
            all.measures.extend(other.measures.clone());
            all.gauges.extend(other.gauges.clone());
            prop_assert_eq!(all.value().unwrap(), one.value().unwrap().merge(&other.value().unwrap()).unwrap());
        }
    }
}
