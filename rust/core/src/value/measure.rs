//! Numbers that were summed: measures of executions, gauges of queues.

use crate::error::{Error, Result};

/// Index of runtime, µs.
pub const RUNTIME: usize = 0;
/// Index of wait, µs.
pub const WAIT: usize = 1;
/// Index of CPU time, µs.
pub const CPU: usize = 2;
/// Index of peak memory, bytes.
pub const MEMORY_PEAK: usize = 3;
/// Index of the change of memory, bytes; the one without a sketch.
pub const MEMORY_CHANGE: usize = 4;

const OVERFLOW: Error = Error::Overflow { what: "a sum" };

/// How often something was measured, and what came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measure {
    /// How often; above 0.
    pub n: u64,
    /// Sum.
    pub sum: i64,
    /// Least and greatest; None in totals.
    pub range: Option<(i64, i64)>,
}

impl Measure {
    /// One measurement.
    pub fn of(number: i64) -> Measure {
        Measure { n: 1, sum: number, range: Some((number, number)) }
    }

    /// Both together.
    pub fn merge(&self, other: &Measure) -> Result<Measure> {
        let range = match (self.range, other.range) {
            (Some(one), Some(two)) => Some((one.0.min(two.0), one.1.max(two.1))),
            (one, two) => one.or(two),
        };
        let n = self.n.checked_add(other.n).filter(|n| i64::try_from(*n).is_ok()).ok_or(OVERFLOW)?;
        Ok(Measure { n, sum: self.sum.checked_add(other.sum).ok_or(OVERFLOW)?, range })
    }
}

/// A state that was asked for now and then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gauge {
    /// How often; above 0.
    pub n: u64,
    /// Sum.
    pub sum: i64,
    /// Least.
    pub min: i64,
    /// Greatest.
    pub max: i64,
    /// The latest; the greatest of those asked for at the same moment.
    pub last: i64,
    /// When that was, µs.
    pub last_at: i64,
}

impl Gauge {
    /// One reading.
    pub fn of(at: i64, number: i64) -> Gauge {
        Gauge { n: 1, sum: number, min: number, max: number, last: number, last_at: at }
    }

    /// Both together.
    pub fn merge(&self, other: &Gauge) -> Result<Gauge> {
        let (last_at, last) = (self.last_at, self.last).max((other.last_at, other.last));
        Ok(Gauge {
            n: self.n.checked_add(other.n).filter(|n| i64::try_from(*n).is_ok()).ok_or(OVERFLOW)?,
            sum: self.sum.checked_add(other.sum).ok_or(OVERFLOW)?,
            min: self.min.min(other.min),
            max: self.max.max(other.max),
            last,
            last_at,
        })
    }
}
