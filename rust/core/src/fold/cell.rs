//! What one task did in one minute, while a batch is made.

use crate::error::Result;
use crate::record::{Discard, End, NO_CHANGE, NO_PEAK, NO_TIME, NO_VALUE, Outcome, RETRY_FOLLOWS, Start, reason};
use crate::stats::tally::Tally;
use crate::value::counter::{self, BOUNDS};
use crate::value::{Measure, Value, measure};

/// Times from this on, four years, come from a broken clock and are unknown. So no sum of a batch can overflow, and no sum of a
/// store by a few of them.
const TOO_LONG: i64 = 1 << 47;

/// Which parts of a cell a row carries.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// The first so many measures.
    pub measures: usize,
    /// The first so many sketches, at this scale.
    pub sketches: (usize, u8),
    /// The counts by bound.
    pub bounds: bool,
    /// The least and greatest, which no total has.
    pub range: bool,
}

/// Counters below 16, measures, sketches of the first four and counts by bound. Sketches are not collapsed here, so that
/// adding cells together is exact.
#[derive(Clone, Debug)]
pub struct Cell {
    counters: [u64; 16],
    measures: [Option<Measure>; 5],
    sketches: [Tally; 4],
    runtime_bounds: [u64; BOUNDS.len() + 1],
    wait_bounds: [u64; BOUNDS.len() + 1],
}

impl Default for Cell {
    fn default() -> Self {
        Cell {
            counters: [0; 16],
            measures: [None; 5],
            sketches: std::array::from_fn(|_| Tally::default()),
            runtime_bounds: [0; BOUNDS.len() + 1],
            wait_bounds: [0; BOUNDS.len() + 1],
        }
    }
}

/// ns to µs, half up; None when unknown or absurd.
fn microseconds(ns: u64) -> Option<i64> {
    let known = (ns != NO_VALUE).then_some(ns)?;
    i64::try_from(known / 1000 + u64::from(known % 1000 >= 500)).ok().filter(|us| *us < TOO_LONG)
}

/// Place of the first bound that is not below the number.
fn place(number: i64) -> usize {
    BOUNDS.partition_point(|bound| *bound < number)
}

impl Cell {
    /// An execution started.
    pub fn start(&mut self, start: &Start) {
        self.counters[counter::STARTED] += 1;
        if start.ready_at == NO_TIME {
            return;
        }
        let wait = i128::from(start.at) - i128::from(start.ready_at);
        self.counters[counter::CLOCK_SKEW] += u64::from(wait < 0);
        let Some(wait) = i64::try_from(wait.max(0)).ok().filter(|wait| *wait < TOO_LONG) else { return };
        self.measure(measure::WAIT, wait);
        self.wait_bounds[place(wait)] += 1;
    }

    /// An execution ended.
    pub fn end(&mut self, outcome: Outcome, end: &End) {
        self.outcome(outcome, end.flags);
        if let Some(runtime) = microseconds(end.runtime) {
            self.measure(measure::RUNTIME, runtime);
            self.runtime_bounds[place(runtime)] += 1;
        }
        if let Some(cpu) = microseconds(end.cpu) {
            self.measure(measure::CPU, cpu);
        }
        if end.rss_peak != NO_PEAK {
            self.measure(measure::MEMORY_PEAK, i64::from(end.rss_peak) * 1024);
        }
        if end.rss_change != NO_CHANGE {
            self.measure(measure::MEMORY_CHANGE, i64::from(end.rss_change) * 1024);
        }
    }

    /// An outcome alone, as series of exceptions count it.
    pub fn outcome(&mut self, outcome: Outcome, flags: u8) {
        self.counters[counter::of_outcome(outcome)] += 1;
        self.counters[counter::RETRY_FOLLOWS] += u64::from(flags & RETRY_FOLLOWS);
    }

    /// A job was enqueued.
    pub fn arrive(&mut self) {
        self.counters[counter::ARRIVALS] += 1;
    }

    /// A job ended without an execution, or its result was not stored. Its reason must be known.
    pub fn discard(&mut self, discard: &Discard) {
        self.counters[match discard.reason {
            reason::RESULT_ERROR => counter::RESULT_ERRORS,
            reason => counter::DISCARDED + usize::from(reason) - 1,
        }] += 1;
    }

    /// True when there is a counter for this reason.
    pub fn knows(reason: u16) -> bool {
        (reason::REVOKED..=reason::UNKNOWN_TASK).contains(&reason) || reason == reason::RESULT_ERROR
    }

    fn measure(&mut self, index: usize, number: i64) {
        let measure = self.measures[index].get_or_insert(Measure { n: 0, sum: 0, range: Some((number, number)) });
        // A batch has too few records for an overflow of numbers below 2^47.
        measure.n += 1;
        measure.sum += number;
        measure.range = measure.range.map(|(min, max)| (min.min(number), max.max(number)));
        if let Some(sketch) = self.sketches.get_mut(index) {
            sketch.add(number as u64);
        }
    }

    /// Adds another cell; its sketches only if asked for.
    pub fn absorb(&mut self, other: &Cell, sketches: bool) -> Result<()> {
        let add =
            |ours: &mut [u64], theirs: &[u64]| ours.iter_mut().zip(theirs).for_each(|(ours, theirs)| *ours += theirs);
        add(&mut self.counters, &other.counters);
        add(&mut self.runtime_bounds, &other.runtime_bounds);
        add(&mut self.wait_bounds, &other.wait_bounds);
        for (ours, theirs) in self.measures.iter_mut().zip(&other.measures) {
            *ours = match (*ours, theirs) {
                (Some(one), Some(two)) => Some(one.merge(two)?),
                (one, two) => one.or(*two),
            };
        }
        if sketches {
            for (ours, theirs) in self.sketches.iter_mut().zip(&other.sketches) {
                ours.absorb(theirs);
            }
        }
        Ok(())
    }

    /// The value of a row.
    pub fn value(&self, shape: Shape) -> Result<Value> {
        let mut value = Value::default();
        for (index, count) in self.counters.iter().enumerate() {
            value.count(index, *count)?;
        }
        if shape.bounds {
            for (first, counts) in
                [(counter::RUNTIME_BOUNDS, &self.runtime_bounds), (counter::WAIT_BOUNDS, &self.wait_bounds)]
            {
                for (index, count) in counts.iter().enumerate() {
                    value.count(first + index, *count)?;
                }
            }
        }
        for (index, measure) in self.measures[..shape.measures].iter().enumerate() {
            if let Some(measure) = measure {
                let range = measure.range.filter(|_| shape.range);
                value.set_measure(index, Measure { range, ..*measure });
            }
        }
        for (index, sketch) in self.sketches[..shape.sketches.0].iter().enumerate() {
            if !sketch.is_empty() {
                value.set_sketch(index, sketch.sketch(shape.sketches.1));
            }
        }
        Ok(value)
    }
}
