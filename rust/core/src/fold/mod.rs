//! Records to deltas per series: one batch at a time.
//!
//! Everything is gathered by minute, executions by task and server: hours, days, totals, tasks, servers and queues are sums of
//! these. The specification is `docs/stored-values.md`.

mod batch;
mod cell;
mod rows;
mod task;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use self::batch::{Batch, Row};
pub use self::cell::Cell;
pub use self::task::{Series, ServerTask, Task, UNDEFINED};
use crate::ids::{IdMap, IdSet};
use crate::record::{Arrive, Discard, End, Gauge as Reading, Outcome, Start};
use crate::value::Gauge;

const MINUTE: u32 = 60;
const HOUR: u32 = 3_600;
const DAY: u32 = 86_400;
const TOTAL: u32 = 0;

/// Most records of a batch, which also bounds its sums.
const RECORD_LIMIT: u64 = 1 << 16;
/// Minutes of tasks, queues and exceptions in a batch, for each series that it may have: bounds its rows after an outage.
const MINUTES_A_SERIES: usize = 4;
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
type Gauges = [Option<Gauge>; 6];

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
    /// Executions.
    server_tasks: IdMap<Gathered<Arc<ServerTask>, Cell>>,
    /// What has no server: arrivals, and jobs that ended without an execution.
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
            server_tasks: IdMap::default(),
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
    pub fn start(&mut self, place: &Arc<ServerTask>, start: &Start) -> bool {
        let taken = self.takes(&ids(place));
        if taken {
            self.execution(place, start.at).start(start);
        }
        taken
    }

    /// An execution of a task ended, with an exception of a type.
    pub fn end(&mut self, place: &Arc<ServerTask>, exception: Option<&Series>, outcome: Outcome, end: &End) -> bool {
        let [task, queue, server, on_server] = ids(place);
        let taken = match exception {
            Some(series) => self.takes(&[task, queue, server, on_server, series.id]),
            None => self.takes(&[task, queue, server, on_server]),
        };
        if taken {
            self.execution(place, end.at).end(outcome, end);
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
        let numbers = [reading.ready, reading.reserved, reading.scheduled, reading.running, reading.age, reading.due];
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
        let new = series.iter().filter(|id| !self.series.contains(id)).count();
        if self.records > 0 {
            let full = self.series.len() + new > self.max_series && new > 0;
            if full || self.minutes >= self.max_series * MINUTES_A_SERIES || self.records >= RECORD_LIMIT {
                return false;
            }
        }
        if new > 0 {
            self.series.extend(series);
        }
        self.records += 1;
        true
    }

    fn execution(&mut self, place: &Arc<ServerTask>, at: i64) -> &mut Cell {
        let gathered = gather(&mut self.server_tasks, place.id, || Arc::clone(place));
        minute_of(gathered, at, &mut self.minutes)
    }

    fn cell(&mut self, task: &Arc<Task>, at: i64) -> &mut Cell {
        let gathered = gather(&mut self.tasks, task.series.id, || Arc::clone(task));
        minute_of(gathered, at, &mut self.minutes)
    }
}

/// The series that an execution counts in.
fn ids(place: &ServerTask) -> [u64; 4] {
    [place.task.series.id, place.task.queue.id, place.server.id, place.series.id]
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
