//! Values from plain numbers.

use super::{COUNTER_LIMIT, Gauge, MEASURE_LIMIT, Measure, Value, measure};
use crate::error::{Error, Result};
use crate::stats::sketch::{FINE, Sketch};

/// What a value is made of, one number at a time.
#[derive(Clone, Debug)]
pub struct Parts {
    /// Counters by index.
    pub counters: Vec<u64>,
    /// Index of a measure and the numbers observed; a sketch is made of each but the change of memory.
    pub measures: Vec<(usize, Vec<i64>)>,
    /// Index of a gauge and its readings (µs, number).
    pub gauges: Vec<(usize, Vec<(i64, i64)>)>,
    /// Scale of the sketches.
    pub scale: u8,
}

impl Default for Parts {
    fn default() -> Self {
        Parts { counters: Vec::new(), measures: Vec::new(), gauges: Vec::new(), scale: FINE }
    }
}

impl Parts {
    /// The value of these parts.
    pub fn value(&self) -> Result<Value> {
        let broken = |what| Error::Decode { what, at: 0 };
        if self.counters.len() > COUNTER_LIMIT || self.scale > FINE {
            return Err(broken("parts of a value: too many counters or an unknown scale"));
        }
        let mut value = Value::default();
        for (index, by) in self.counters.iter().enumerate() {
            value.count(index, *by)?;
        }
        for (index, numbers) in &self.measures {
            for &number in numbers {
                let mut one = Value::default();
                if *index >= MEASURE_LIMIT {
                    return Err(broken("parts of a value: no such measure"));
                }
                one.set_measure(*index, Measure::of(number));
                if *index != measure::MEMORY_CHANGE {
                    let sketch = Sketch::of(&[number], self.scale);
                    one.set_sketch(*index, sketch.map_err(|_| broken("parts of a value: below zero"))?);
                }
                value = value.merge(&one)?;
            }
        }
        for (index, readings) in &self.gauges {
            for &(at, number) in readings {
                if *index >= MEASURE_LIMIT {
                    return Err(broken("parts of a value: no such gauge"));
                }
                let mut one = Value::default();
                one.set_gauge(*index, Gauge::of(at, number));
                value = value.merge(&one)?;
            }
        }
        Ok(value)
    }
}
