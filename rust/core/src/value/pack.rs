//! Values as MessagePack: canonical to write, any bytes to read.

use rmp::{decode, encode};

use super::{COUNTER_LIMIT, Gauge, MEASURE_LIMIT, Measure, Value};
use crate::error::{Error, Result};
use crate::stats::sketch::{BUCKET_LIMIT, Sketch};

const VERSION: i64 = 1;
/// Numbers of a sketch: three, then two for each bucket.
const SKETCH_LIMIT: usize = 3 + 2 * BUCKET_LIMIT;

impl Value {
    /// The bytes of this value; equal values have equal bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(256);
        let lengths = [self.counters.len(), self.measures.len(), self.gauges.len(), self.sketches.len()];
        let parts = lengths.iter().rposition(|length| *length > 0).map_or(0, |at| at + 1);
        put_array(&mut out, 1 + parts);
        put(&mut out, VERSION);
        if parts > 0 {
            put_all(&mut out, self.counters.iter().map(|count| *count as i64));
        }
        if parts > 1 {
            put_array(&mut out, self.measures.len());
            for measure in &self.measures {
                match measure {
                    None => put_array(&mut out, 0),
                    Some(measure) => {
                        let numbers = [measure.n as i64, high(measure.sum), low(measure.sum)];
                        put_all(
                            &mut out,
                            numbers.into_iter().chain(measure.range.into_iter().flat_map(<[i64; 2]>::from)),
                        );
                    }
                }
            }
        }
        if parts > 2 {
            put_array(&mut out, self.gauges.len());
            for gauge in &self.gauges {
                match gauge {
                    None => put_array(&mut out, 0),
                    Some(Gauge { n, sum, min, max, last, last_at }) => {
                        put_all(&mut out, [*n as i64, high(*sum), low(*sum), *min, *max, *last, *last_at].into_iter());
                    }
                }
            }
        }
        if parts > 3 {
            put_array(&mut out, self.sketches.len());
            for sketch in &self.sketches {
                match sketch {
                    None => put_array(&mut out, 0),
                    Some(sketch) => put_sketch(&mut out, sketch),
                }
            }
        }
        out
    }

    /// The value in these bytes; memory is taken in proportion to them only.
    pub fn decode(data: &[u8]) -> Result<Value> {
        let mut value = Value::default();
        value.read(data)?;
        Ok(value)
    }

    /// The same in place of what was in this one, whose room is used again. After an error it holds something of both.
    pub(super) fn read(&mut self, data: &[u8]) -> Result<()> {
        let mut reader = Reader { data, rest: data };
        let parts = reader.array(5)?;
        if parts == 0 || reader.number()? != VERSION {
            return Err(reader.broken());
        }
        let Value { counters, measures, gauges, sketches } = self;
        reader.list(counters, (parts > 1).then_some(COUNTER_LIMIT), Reader::count)?;
        reader.list(measures, (parts > 2).then_some(MEASURE_LIMIT), Reader::measure)?;
        reader.list(gauges, (parts > 3).then_some(MEASURE_LIMIT), Reader::gauge)?;
        reader.list(sketches, (parts > 4).then_some(MEASURE_LIMIT), Reader::sketch)?;
        if !reader.rest.is_empty() {
            return Err(reader.broken());
        }
        self.trim();
        Ok(())
    }

    /// Cuts empty elements at the end of each list.
    pub(super) fn trim(&mut self) {
        cut(&mut self.counters, |count| *count == 0);
        cut(&mut self.measures, Option::is_none);
        cut(&mut self.gauges, Option::is_none);
        cut(&mut self.sketches, Option::is_none);
    }
}

fn cut<T>(list: &mut Vec<T>, empty: impl Fn(&T) -> bool) {
    list.truncate(list.iter().rposition(|element| !empty(element)).map_or(0, |at| at + 1));
}

/// The part of a sum that counts 2^32.
fn high(sum: i64) -> i64 {
    sum >> 32
}

fn low(sum: i64) -> i64 {
    sum & 0xFFFF_FFFF
}

// Writing to a Vec cannot fail: its error type is Infallible in all but name, so there is nothing to answer.
fn put(out: &mut Vec<u8>, number: i64) {
    let _ = encode::write_sint(out, number);
}

fn put_array(out: &mut Vec<u8>, length: usize) {
    let _ = encode::write_array_len(out, length as u32);
}

fn put_all(out: &mut Vec<u8>, numbers: impl Iterator<Item = i64> + Clone) {
    put_array(out, numbers.clone().count());
    numbers.for_each(|number| put(out, number));
}

fn put_sketch(out: &mut Vec<u8>, sketch: &Sketch) {
    put_array(out, 3 + 2 * sketch.buckets().len());
    for number in [i64::from(sketch.scale()), i64::from(sketch.collapsed()), sketch.zeros() as i64] {
        put(out, number);
    }
    let mut previous = 0;
    for &(index, count) in sketch.buckets() {
        put(out, i64::from(index - previous));
        put(out, count as i64);
        previous = index;
    }
}

struct Reader<'a> {
    data: &'a [u8],
    rest: &'a [u8],
}

impl Reader<'_> {
    fn broken(&self) -> Error {
        Error::Decode { what: "a value", at: self.data.len() - self.rest.len() }
    }

    fn number(&mut self) -> Result<i64> {
        // Most numbers are small, and a byte each.
        if let [small @ 0..=0x7f, rest @ ..] = self.rest {
            self.rest = rest;
            return Ok(i64::from(*small));
        }
        let mut rest = self.rest;
        let number = decode::read_int(&mut rest).map_err(|_| self.broken())?;
        self.rest = rest;
        Ok(number)
    }

    /// Length of an array that is not longer than `limit`.
    fn array(&mut self, limit: usize) -> Result<usize> {
        let mut rest = self.rest;
        let length = decode::read_array_len(&mut rest).map_err(|_| self.broken())? as usize;
        if length > limit {
            return Err(self.broken());
        }
        self.rest = rest;
        Ok(length)
    }

    /// The elements of a list; none where there is no limit, and so no list.
    fn list<T>(
        &mut self,
        into: &mut Vec<T>,
        limit: Option<usize>,
        mut element: impl FnMut(&mut Self) -> Result<T>,
    ) -> Result<()> {
        into.clear();
        let Some(limit) = limit else { return Ok(()) };
        for _ in 0..self.array(limit)? {
            into.push(element(self)?);
        }
        Ok(())
    }

    fn count(&mut self) -> Result<u64> {
        let before = self.broken();
        u64::try_from(self.number()?).map_err(|_| before)
    }

    fn sum(&mut self) -> Result<i64> {
        let before = self.broken();
        let (high, low) = (self.number()?, self.number()?);
        let fits = (-(1 << 31)..1 << 31).contains(&high) && (0..1 << 32).contains(&low);
        if fits { Ok(high << 32 | low) } else { Err(before) }
    }

    fn measure(&mut self) -> Result<Option<Measure>> {
        let before = self.broken();
        let length = self.array(5)?;
        if length == 0 {
            return Ok(None);
        }
        let (n, sum) = (self.count()?, self.sum()?);
        let range = match length {
            3 => None,
            5 => Some((self.number()?, self.number()?)),
            _ => return Err(before),
        };
        if n == 0 || range.is_some_and(|(min, max)| min > max) {
            return Err(before);
        }
        Ok(Some(Measure { n, sum, range }))
    }

    fn gauge(&mut self) -> Result<Option<Gauge>> {
        let before = self.broken();
        match self.array(7)? {
            0 => return Ok(None),
            7 => {}
            _ => return Err(before),
        }
        let (n, sum) = (self.count()?, self.sum()?);
        let gauge =
            Gauge { n, sum, min: self.number()?, max: self.number()?, last: self.number()?, last_at: self.number()? };
        let sound = gauge.n > 0 && gauge.min <= gauge.last && gauge.last <= gauge.max;
        if sound { Ok(Some(gauge)) } else { Err(before) }
    }

    fn sketch(&mut self) -> Result<Option<Sketch>> {
        let before = self.broken();
        let length = self.array(SKETCH_LIMIT)?;
        if length == 0 {
            return Ok(None);
        }
        if length < 3 || length % 2 == 0 {
            return Err(before);
        }
        let (scale, collapsed, zeros) = (self.number()?, self.number()?, self.count()?);
        let mut buckets = Vec::new();
        let mut index = 0_i64;
        for _ in 0..(length - 3) / 2 {
            index = index.checked_add(self.number()?).unwrap_or(i64::MAX);
            buckets.push((i32::try_from(index).map_err(|_| self.broken())?, self.count()?));
        }
        let scale = u8::try_from(scale).unwrap_or(u8::MAX);
        let sketch = Sketch::from_parts(scale, collapsed == 1, zeros, buckets).filter(|_| matches!(collapsed, 0 | 1));
        sketch.map(|sketch| Some(sketch).filter(|sketch| sketch.count() > 0)).ok_or(before)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests::any_value;
    use super::*;

    #[test]
    fn a_newer_version_or_more_parts_are_refused() {
        for data in [&[][..], &[0x90], &[0x91, 2], &[0x96, 1, 0x90, 0x90, 0x90, 0x90, 0x90], &[0x91, 1, 0]] {
            assert!(matches!(Value::decode(data), Err(Error::Decode { .. })), "{data:?}");
        }
    }

    #[test]
    fn empty_elements_at_the_end_are_cut() {
        let value = Value::decode(&[0x95, 1, 0x93, 7, 0, 0, 0x92, 0x90, 0x90, 0x90, 0x91, 0x90]).unwrap();
        assert_eq!(value.encode(), [0x92, 1, 0x91, 7]);
    }

    #[test]
    fn an_array_that_claims_more_than_there_is_takes_no_memory() {
        assert!(Value::decode(&[0x92, 1, 0xdd, 0xff, 0xff, 0xff, 0xff]).is_err());
        assert!(Value::decode(&[0x92, 1, 0xdc, 0x04, 0x00]).is_err());
    }

    #[test]
    fn sums_are_split_so_that_a_double_holds_each_part() {
        let mut value = Value::default();
        value.set_measure(0, Measure { n: 2, sum: -1, range: Some((-3, 2)) });
        assert_eq!(value.encode(), [0x93, 1, 0x90, 0x91, 0x95, 2, 0xff, 0xce, 255, 255, 255, 255, 0xfd, 2]);
        assert_eq!(Value::decode(&value.encode()).unwrap(), value);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn any_bytes_are_refused_or_a_value(data: Vec<u8>) {
            if let Ok(value) = Value::decode(&data) {
                prop_assert_eq!(Value::decode(&value.encode()).unwrap(), value);
            }
        }

        #[test]
        fn a_damaged_value_is_refused_or_another_sound_value(value in any_value(), at: prop::sample::Index, byte: u8) {
            let mut data = value.encode();
            prop_assert_eq!(&Value::decode(&data).unwrap(), &value);
            let at = at.index(data.len());
            data[at] = byte;
            if let Ok(other) = Value::decode(&data) {
                prop_assert_eq!(Value::decode(&other.encode()).unwrap(), other);
            }
        }
    }
}
