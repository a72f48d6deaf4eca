//! Totals as flat fields, which a database can add to without reading them: `c<i>`, `m<i>n`, `m<i>s`.

use super::{COUNTER_LIMIT, MEASURE_LIMIT, Measure, Value, slot};
use crate::error::{Error, Result};

const NOTHING: Measure = Measure { n: 0, sum: 0, range: None };

/// A field of a total.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// A counter.
    Counter(usize),
    /// How often a measure was taken.
    Count(usize),
    /// Sum of a measure.
    Sum(usize),
}

impl Field {
    /// The field of a name; None for names of others.
    pub fn parse(name: &str) -> Option<Field> {
        let index = |digits: &str, limit: usize| {
            let canonical =
                digits == "0" || !digits.starts_with('0') && digits.bytes().all(|byte| byte.is_ascii_digit());
            digits.parse().ok().filter(|index| canonical && *index < limit)
        };
        if let Some(digits) = name.strip_prefix('c') {
            return index(digits, COUNTER_LIMIT).map(Field::Counter);
        }
        let measure = name.strip_prefix('m')?;
        if let Some(digits) = measure.strip_suffix('n') {
            return index(digits, MEASURE_LIMIT).map(Field::Count);
        }
        index(measure.strip_suffix('s')?, MEASURE_LIMIT).map(Field::Sum)
    }

    /// Its name.
    pub fn name(self) -> String {
        match self {
            Field::Counter(index) => format!("c{index}"),
            Field::Count(index) => format!("m{index}n"),
            Field::Sum(index) => format!("m{index}s"),
        }
    }
}

impl Value {
    /// The fields of a total that are not 0; min, max, gauges and sketches are left out.
    pub fn fields(&self) -> Vec<(Field, i64)> {
        let counters = self.counters.iter().enumerate().map(|(index, count)| (Field::Counter(index), *count as i64));
        let measures = self.measures.iter().enumerate().filter_map(|(index, measure)| Some((index, (*measure)?)));
        let measures = measures
            .flat_map(|(index, measure)| [(Field::Count(index), measure.n as i64), (Field::Sum(index), measure.sum)]);
        counters.chain(measures).filter(|(_, number)| *number != 0).collect()
    }

    /// The total of such fields; a sum without a count is no measure.
    pub fn from_fields(fields: impl IntoIterator<Item = (Field, i64)>) -> Result<Value> {
        let mut value = Value::default();
        for (field, number) in fields {
            let count = u64::try_from(number).map_err(|_| Error::Decode { what: "a total: a count below zero", at: 0 });
            match field {
                Field::Counter(index) => value.count(index, count?)?,
                Field::Count(index) => slot(&mut value.measures, index).get_or_insert(NOTHING).n = count?,
                Field::Sum(index) => slot(&mut value.measures, index).get_or_insert(NOTHING).sum = number,
            }
        }
        for measure in &mut value.measures {
            *measure = measure.filter(|measure| measure.n > 0);
        }
        value.trim();
        Ok(value)
    }

    /// Counters, n and sums alone: what is kept for ever.
    pub fn total(&self) -> Value {
        let measures = self.measures.iter().map(|measure| measure.map(|measure| Measure { range: None, ..measure }));
        Value { counters: self.counters.clone(), measures: measures.collect(), ..Value::default() }
    }
}

/// Adds counters, n and sums of a packed value to a packed total, which may be of no bytes.
pub fn add_fields(total: &[u8], value: &[u8]) -> Result<Vec<u8>> {
    let total = if total.is_empty() { Value::default() } else { Value::decode(total)?.total() };
    Ok(total.merge(&Value::decode(value)?.total())?.encode())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests::any_value;
    use super::*;

    #[test]
    fn names_of_others_are_no_fields() {
        assert_eq!(Field::parse("c0"), Some(Field::Counter(0)));
        assert_eq!(Field::parse("m4s"), Some(Field::Sum(4)));
        for name in ["", "c", "c01", "c+1", "c1024", "c-1", "m", "mn", "m1", "m64n", "m1x", "x3", "c٣"] {
            assert_eq!(Field::parse(name), None, "{name}");
        }
    }

    #[test]
    fn a_sum_without_a_count_is_no_measure() {
        let value = Value::from_fields([(Field::Sum(3), 9), (Field::Counter(2), 1), (Field::Counter(9), 0)]).unwrap();
        assert_eq!(value.fields(), [(Field::Counter(2), 1)]);
        assert!(Value::from_fields([(Field::Counter(2), -1)]).is_err());
    }

    proptest! {
        #[test]
        fn adding_fields_is_adding_totals(one in any_value(), other in any_value()) {
            let total = add_fields(&add_fields(b"", &one.encode()).unwrap(), &other.encode()).unwrap();
            prop_assert_eq!(Value::decode(&total).unwrap(), one.merge(&other).unwrap().total());
            prop_assert_eq!(Value::from_fields(one.fields()).unwrap(), one.total());
            for (field, _) in one.fields() {
                prop_assert_eq!(Field::parse(&field.name()), Some(field));
            }
        }
    }
}
