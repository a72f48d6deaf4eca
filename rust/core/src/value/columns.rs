//! Numbers of many values, one column a number: what an answer over thousands of minutes is made of. Knows no index of its own.

use super::{COUNTER_LIMIT, MEASURE_LIMIT, Value};
use crate::error::Result;

/// A number that a value may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Column {
    /// A counter.
    Counter(usize),
    /// A part of a measure.
    Measure(usize, Part),
    /// A part of a gauge.
    Gauge(usize, Part),
}

/// A part of a measure or a gauge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// How often.
    Count,
    /// Sum.
    Sum,
    /// Least.
    Min,
    /// Greatest.
    Max,
    /// The latest; of gauges only, as the next.
    Last,
    /// When that was, µs.
    LastAt,
}

const PARTS: [(&str, Part); 6] = [
    ("n", Part::Count),
    ("s", Part::Sum),
    ("min", Part::Min),
    ("max", Part::Max),
    ("last", Part::Last),
    ("at", Part::LastAt),
];

impl Column {
    /// The column of a name, in the letters of [`Field`](super::Field): `c7`, `m0s`, `g0last`.
    pub fn parse(name: &str) -> Option<Column> {
        let rest = name.get(1..)?;
        let digits = rest.trim_start_matches(|letter: char| letter.is_ascii_digit());
        let (index, part) = rest.split_at(rest.len() - digits.len());
        let index: usize = index.parse().ok()?;
        let known = || PARTS.iter().find(|(name, _)| *name == part).map(|(_, part)| *part);
        match (name.as_bytes()[0], part) {
            (b'c', "") if index < COUNTER_LIMIT => Some(Column::Counter(index)),
            (b'm', "last" | "at") => None,
            (b'm', _) if index < MEASURE_LIMIT => known().map(|part| Column::Measure(index, part)),
            (b'g', _) if index < MEASURE_LIMIT => known().map(|part| Column::Gauge(index, part)),
            _ => None,
        }
    }

    /// The number in a value: 0 for what was never counted, and how often and how much in all that is, NaN for the other parts of what was
    /// not measured. Exact up to 2^53.
    pub fn of(self, value: &Value) -> f64 {
        match self {
            Column::Counter(index) => value.counter(index) as f64,
            Column::Measure(index, part) => {
                value.measure(index).map_or(part.of_nothing(), |measure| match (part, measure.range) {
                    (Part::Count, _) => measure.n as f64,
                    (Part::Sum, _) => measure.sum as f64,
                    (Part::Min, Some((min, _))) => min as f64,
                    (Part::Max, Some((_, max))) => max as f64,
                    _ => f64::NAN,
                })
            }
            Column::Gauge(index, part) => value.gauge(index).map_or(part.of_nothing(), |gauge| match part {
                Part::Count => gauge.n as f64,
                Part::Sum => gauge.sum as f64,
                Part::Min => gauge.min as f64,
                Part::Max => gauge.max as f64,
                Part::Last => gauge.last as f64,
                Part::LastAt => gauge.last_at as f64,
            }),
        }
    }
}

impl Part {
    fn of_nothing(self) -> f64 {
        match self {
            Part::Count | Part::Sum => 0.0,
            _ => f64::NAN,
        }
    }
}

/// The columns of packed values, each as long as there are values. Nothing is allocated for a value that has no sketch.
pub fn columns<'a>(values: impl ExactSizeIterator<Item = &'a [u8]>, wanted: &[Column]) -> Result<Vec<Vec<f64>>> {
    let mut found: Vec<Vec<f64>> = wanted.iter().map(|_| Vec::with_capacity(values.len())).collect();
    let mut value = Value::default();
    for packed in values {
        value.read(packed)?;
        for (column, numbers) in wanted.iter().zip(&mut found) {
            numbers.push(column.of(&value));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::Parts;
    use super::super::tests::any_value;
    use super::*;

    #[test]
    fn names_of_numbers() {
        assert_eq!(Column::parse("c1023"), Some(Column::Counter(1_023)));
        assert_eq!(Column::parse("m4s"), Some(Column::Measure(4, Part::Sum)));
        assert_eq!(Column::parse("g0last"), Some(Column::Gauge(0, Part::Last)));
        assert_eq!(Column::parse("g63at"), Some(Column::Gauge(63, Part::LastAt)));
        for name in [
            "", "c", "c1024", "c1n", "m", "m0", "mn", "m64n", "m0last", "m0at", "g0", "g64n", "gs", "x3", "é1", "c-1",
            "g0lasts",
        ] {
            assert_eq!(Column::parse(name), None, "{name}");
        }
    }

    #[test]
    fn what_is_not_there_is_no_number() {
        let parts = Parts { counters: vec![0, 3], gauges: vec![(1, vec![(5, 7), (6, 2)])], ..Parts::default() };
        let packed = [parts.value().unwrap().encode(), Value::default().encode()];
        let wanted: Vec<Column> =
            ["c1", "c5", "g1last", "g1at", "g1max", "g1n", "g1s", "g1min", "m0n", "g0s", "g0last", "m0max"]
                .map(|name| Column::parse(name).unwrap())
                .to_vec();
        let found = columns(packed.iter().map(Vec::as_slice), &wanted).unwrap();
        let first: Vec<f64> = found.iter().map(|column| column[0]).collect();
        assert_eq!(first[..10], [3.0, 0.0, 2.0, 6.0, 7.0, 2.0, 9.0, 2.0, 0.0, 0.0]);
        assert!(first[10].is_nan() && first[11].is_nan());
        assert!(found[0][1] == 0.0 && found[2][1].is_nan());
        assert!(columns([&[0x91_u8, 2][..]].into_iter(), &wanted).is_err());
        assert_eq!(columns([].into_iter(), &wanted).unwrap(), vec![Vec::<f64>::new(); 12]);
    }

    proptest! {
        #[test]
        fn a_column_has_what_the_value_says(values in prop::collection::vec(any_value(), 0..20), index in 0_usize..5) {
            let packed: Vec<Vec<u8>> = values.iter().map(Value::encode).collect();
            let wanted = [Column::Counter(index), Column::Measure(index, Part::Sum), Column::Gauge(index, Part::Max)];
            let found = columns(packed.iter().map(Vec::as_slice), &wanted).unwrap();
            for (at, value) in values.iter().enumerate() {
                prop_assert_eq!(found[0][at], value.counter(index) as f64);
                prop_assert_eq!(found[1][at], value.measure(index).map_or(0.0, |measure| measure.sum as f64));
                prop_assert_eq!(Some(found[2][at]).filter(|number| !number.is_nan()), value.gauge(index).map(|gauge| gauge.max as f64));
            }
        }
    }
}
