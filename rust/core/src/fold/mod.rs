//! Records to deltas per series: one batch at a time.
//!
//! Everything is gathered by minute; hours, days, totals and queues are sums of minutes. The specification is
//! `docs/stored-values.md`.

mod batch;
mod cell;
mod task;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use self::batch::{Batch, Row};
pub use self::cell::Cell;
use self::cell::Shape;
pub use self::task::{Series, Task, UNDEFINED};
use crate::error::Result;
use crate::ids::{IdMap, IdSet};
use crate::journal::format::{Arrive, Discard, End, Gauge as Reading, Outcome, Start};
use crate::stats::sketch::{COARSE, FINE};
use crate::value::{Gauge, Value};

const MINUTE: u32 = 60;
const HOUR: u32 = 3_600;
const DAY: u32 = 86_400;
const TOTAL: u32 = 0;

/// Most records of a batch, which also bounds its sums.
const RECORD_LIMIT: u64 = 1 << 16;
/// Minutes of tasks, queues and exceptions in a batch, for each series that it may have: bounds its rows after an outage.
const MINUTES_A_SERIES: usize = 8;
/// Last moment, µs, in the year 2255: later ones come from a broken clock, and the scripts of Redis have doubles.
const LAST: i64 = (1 << 53) - 1;

/// A moment that every store can hold, µs.
fn moment(at: i64) -> i64 {
    at.clamp(0, LAST)
}

/// Start of the minute of a moment, seconds.
fn minute(at: i64) -> i64 {
    let second = moment(at) / 1_000_000;
    second - second % i64::from(MINUTE)
}

type Minutes<T> = BTreeMap<i64, T>;
type Gauges = [Option<Gauge>; 5];

/// What was gathered of one series.
#[derive(Debug)]
struct Gathered<S, T> {
    series: S,
    minutes: Minutes<T>,
}

/// A batch in the making. A method that answers false changed nothing: the record belongs to the next batch.
#[derive(Debug)]
pub struct Fold {
    max_series: usize,
    series: IdSet,
    minutes: usize,
    records: u64,
    tasks: IdMap<Gathered<Arc<Task>, Cell>>,
    exceptions: IdMap<Gathered<Series, Cell>>,
    queues: IdMap<Gathered<Series, Gauges>>,
}

impl Fold {
    /// An empty batch of at most so many series.
    pub fn new(max_series: usize) -> Fold {
        Fold {
            max_series,
            series: IdSet::default(),
            minutes: 0,
            records: 0,
            tasks: IdMap::default(),
            exceptions: IdMap::default(),
            queues: IdMap::default(),
        }
    }

    /// How many records were folded.
    pub fn records(&self) -> u64 {
        self.records
    }

    /// An execution of a task started.
    pub fn start(&mut self, task: &Arc<Task>, start: &Start) -> bool {
        let taken = self.takes(&[task.series.id, task.queue.id]);
        if taken {
            self.cell(task, start.at).start(start);
        }
        taken
    }

    /// An execution of a task ended, with an exception of a type.
    pub fn end(&mut self, task: &Arc<Task>, exception: Option<&Series>, outcome: Outcome, end: &End) -> bool {
        let taken = match exception {
            Some(series) => self.takes(&[task.series.id, task.queue.id, series.id]),
            None => self.takes(&[task.series.id, task.queue.id]),
        };
        if taken {
            self.cell(task, end.at).end(outcome, end);
            if let Some(series) = exception {
                let gathered = gather(&mut self.exceptions, series.id, || series.clone());
                minute_of(gathered, end.at, &mut self.minutes).outcome(outcome, end.flags);
            }
        }
        taken
    }

    /// A job was enqueued.
    pub fn arrive(&mut self, task: &Arc<Task>, arrive: &Arrive) -> bool {
        let taken = self.takes(&[task.series.id, task.queue.id]);
        if taken {
            self.cell(task, arrive.at).arrive();
        }
        taken
    }

    /// A job ended without an execution, for a reason that [`Cell::knows`].
    pub fn discard(&mut self, task: &Arc<Task>, discard: &Discard) -> bool {
        let taken = self.takes(&[task.series.id, task.queue.id]);
        if taken {
            self.cell(task, discard.at).discard(discard);
        }
        taken
    }

    /// The state of a queue.
    pub fn gauge(&mut self, queue: &Series, reading: &Reading) -> bool {
        if !self.takes(&[queue.id]) {
            return false;
        }
        let gathered = gather(&mut self.queues, queue.id, || queue.clone());
        let gauges = minute_of(gathered, reading.at, &mut self.minutes);
        let numbers = [reading.ready, reading.reserved, reading.scheduled, reading.running, reading.age];
        for (gauge, number) in gauges.iter_mut().zip(numbers) {
            // More jobs than 2^47 are a broken gauge; the bound keeps sums within 64 bits.
            let Some(number) = number.and_then(|number| i64::try_from(number).ok()).filter(|number| *number < 1 << 47)
            else {
                continue;
            };
            let reading = Gauge::of(moment(reading.at), number);
            *gauge = match gauge {
                Some(gauge) => gauge.merge(&reading).ok(),
                None => Some(reading),
            };
        }
        true
    }

    /// Takes a record of these series if there is room; false when it must wait for the next batch.
    fn takes(&mut self, series: &[u64]) -> bool {
        if self.records > 0 {
            let new = series.iter().filter(|id| !self.series.contains(id)).count();
            let full = self.series.len() + new > self.max_series && new > 0;
            if full || self.minutes >= self.max_series * MINUTES_A_SERIES || self.records >= RECORD_LIMIT {
                return false;
            }
        }
        self.series.extend(series);
        self.records += 1;
        true
    }

    fn cell(&mut self, task: &Arc<Task>, at: i64) -> &mut Cell {
        let gathered = gather(&mut self.tasks, task.series.id, || Arc::clone(task));
        minute_of(gathered, at, &mut self.minutes)
    }

    /// The rows of the batch, ordered by series, step and bucket.
    pub fn rows(self) -> Result<Vec<Row>> {
        let mut rows = Vec::new();
        let mut queues: IdMap<(Series, Minutes<Cell>, Minutes<Gauges>)> = IdMap::default();
        for (id, gathered) in self.queues {
            queues.insert(id, (gathered.series, Minutes::new(), gathered.minutes));
        }
        for gathered in self.tasks.into_values() {
            let Task { series, queue } = &*gathered.series;
            let (_, minutes, _) =
                queues.entry(queue.id).or_insert_with(|| (queue.clone(), Minutes::new(), Minutes::new()));
            for (minute, cell) in &gathered.minutes {
                minutes.entry(*minute).or_default().absorb(cell, false)?;
            }
            for step in [MINUTE, HOUR, DAY, TOTAL] {
                let shape = match step {
                    MINUTE => Shape { measures: 5, sketches: (2, FINE), total: false },
                    HOUR => Shape { measures: 5, sketches: (4, FINE), total: false },
                    DAY => Shape { measures: 5, sketches: (4, COARSE), total: false },
                    _ => Shape { measures: 5, sketches: (0, FINE), total: true },
                };
                for (bucket, cell) in steps(&gathered.minutes, step, |sum, cell| sum.absorb(cell, step != TOTAL))? {
                    rows.push(row(series, step, bucket, &cell.value(shape)?));
                }
            }
        }
        for gathered in self.exceptions.into_values() {
            for step in [HOUR, DAY, TOTAL] {
                let shape = Shape { measures: 0, sketches: (0, FINE), total: step == TOTAL };
                for (bucket, cell) in steps(&gathered.minutes, step, |sum, cell| sum.absorb(cell, false))? {
                    rows.push(row(&gathered.series, step, bucket, &cell.value(shape)?));
                }
            }
        }
        for (series, minutes, gauges) in queues.into_values() {
            for step in [MINUTE, HOUR, DAY, TOTAL] {
                let shape = Shape { measures: 2, sketches: (0, FINE), total: step == TOTAL };
                let mut values: BTreeMap<i64, Value> = BTreeMap::new();
                for (bucket, cell) in steps(&minutes, step, |sum, cell| sum.absorb(cell, false))? {
                    values.insert(bucket, cell.value(shape)?);
                }
                if step != TOTAL {
                    for (bucket, gauges) in steps(&gauges, step, join)? {
                        let value = values.entry(bucket).or_default();
                        for (index, gauge) in
                            gauges.into_iter().enumerate().filter_map(|(index, gauge)| Some((index, gauge?)))
                        {
                            value.set_gauge(index, gauge);
                        }
                    }
                }
                rows.extend(values.into_iter().map(|(bucket, value)| row(&series, step, bucket, &value)));
            }
        }
        rows.sort_unstable_by_key(|row| (row.series, row.step, row.bucket));
        Ok(rows)
    }
}

fn row(series: &Series, step: u32, bucket: i64, value: &Value) -> Row {
    Row { series: series.id, labels: Arc::clone(&series.labels), step, bucket, value: value.encode() }
}

fn gather<S, T>(map: &mut IdMap<Gathered<S, T>>, id: u64, series: impl FnOnce() -> S) -> &mut Gathered<S, T> {
    map.entry(id).or_insert_with(|| Gathered { series: series(), minutes: Minutes::new() })
}

/// What was gathered in the minute of a moment; counts a new one.
fn minute_of<'a, S, T: Default>(gathered: &'a mut Gathered<S, T>, at: i64, minutes: &mut usize) -> &'a mut T {
    gathered.minutes.entry(minute(at)).or_insert_with(|| {
        *minutes += 1;
        T::default()
    })
}

/// Minutes joined to longer steps.
fn steps<T: Clone + Default>(
    minutes: &Minutes<T>,
    step: u32,
    add: impl Fn(&mut T, &T) -> Result<()>,
) -> Result<Minutes<T>> {
    if step == MINUTE {
        return Ok(minutes.clone());
    }
    let mut joined: Minutes<T> = Minutes::new();
    for (minute, cell) in minutes {
        let bucket = if step == TOTAL { 0 } else { minute - minute % i64::from(step) };
        add(joined.entry(bucket).or_default(), cell)?;
    }
    Ok(joined)
}

fn join(sum: &mut Gauges, other: &Gauges) -> Result<()> {
    for (ours, theirs) in sum.iter_mut().zip(other) {
        *ours = match (&ours, theirs) {
            (Some(one), Some(two)) => Some(one.merge(two)?),
            (one, two) => one.or(*two),
        };
    }
    Ok(())
}
