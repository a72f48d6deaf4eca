//! What was gathered in a batch, as the rows of its series; knows no records.

use std::collections::BTreeMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use super::cell::Shape;
use super::{Cell, DAY, Fold, Gathered, Gauges, HOUR, MINUTE, Minutes, Row, Series, TOTAL, gather};
use crate::error::Result;
use crate::ids::IdMap;
use crate::stats::sketch::{COARSE, FINE};
use crate::value::Value;

impl Fold {
    /// The rows of the batch, ordered by series, step and bucket.
    pub fn rows(mut self) -> Result<Vec<Row>> {
        let mut rows = Vec::new();
        self.fold_servers(&mut rows)?;
        self.fold_exceptions(&mut rows)?;
        self.fold_tasks_and_queues(&mut rows)?;
        rows.sort_unstable_by_key(|row| (row.series, row.step, row.bucket));
        Ok(rows)
    }

    /// Rows of servers and of tasks on them; leaves their executions with the tasks.
    fn fold_servers(&mut self, rows: &mut Vec<Row>) -> Result<()> {
        let mut servers: IdMap<Gathered<Series, Cell>> = IdMap::default();
        // Tasks on servers may share a series, beyond the limit of names.
        let mut on_servers: IdMap<Gathered<Series, Cell>> = IdMap::default();
        for gathered in std::mem::take(&mut self.server_tasks).into_values() {
            let place = gathered.series;
            for (series, sums) in [(&place.server, &mut servers), (&place.series, &mut on_servers)] {
                let sum = gather(sums, series.id, || series.clone());
                absorb(&mut sum.minutes, &gathered.minutes, false)?;
            }
            match self.tasks.entry(place.task.series.id) {
                Entry::Occupied(mut known) => absorb(&mut known.get_mut().minutes, &gathered.minutes, true)?,
                Entry::Vacant(vacant) => {
                    vacant.insert(Gathered { series: Arc::clone(&place.task), minutes: gathered.minutes });
                }
            }
        }
        for (sums, kept) in [(servers, &[MINUTE, HOUR, DAY, TOTAL][..]), (on_servers, &[HOUR, TOTAL])] {
            for Gathered { series, minutes } in sums.into_values() {
                for step in kept {
                    let shape = Shape { measures: 5, sketches: (0, FINE), bounds: false, range: *step != TOTAL };
                    push(rows, &series, *step, steps(&minutes, *step, |sum, cell| sum.absorb(cell, false))?, shape)?;
                }
            }
        }
        Ok(())
    }

    fn fold_exceptions(&mut self, rows: &mut Vec<Row>) -> Result<()> {
        for Gathered { series, minutes } in std::mem::take(&mut self.exceptions).into_values() {
            for step in [HOUR, DAY, TOTAL] {
                let shape = Shape { measures: 0, sketches: (0, FINE), bounds: false, range: step != TOTAL };
                push(rows, &series, step, steps(&minutes, step, |sum, cell| sum.absorb(cell, false))?, shape)?;
            }
        }
        Ok(())
    }

    fn fold_tasks_and_queues(self, rows: &mut Vec<Row>) -> Result<()> {
        let mut queues: IdMap<(Series, Minutes<Cell>, Minutes<Gauges>)> = IdMap::default();
        for (id, gathered) in self.queues {
            queues.insert(id, (gathered.series, Minutes::new(), gathered.minutes));
        }
        for Gathered { series: task, minutes } in self.tasks.into_values() {
            let queue = &task.queue;
            let (_, sums, _) =
                queues.entry(queue.id).or_insert_with(|| (queue.clone(), Minutes::new(), Minutes::new()));
            absorb(sums, &minutes, false)?;
            for step in [MINUTE, HOUR, DAY, TOTAL] {
                let sketches = match step {
                    MINUTE => (2, FINE),
                    HOUR => (4, FINE),
                    DAY => (4, COARSE),
                    _ => (0, FINE),
                };
                let shape = Shape { measures: 5, sketches, bounds: step == TOTAL, range: step != TOTAL };
                let sums = steps(&minutes, step, |sum, cell| sum.absorb(cell, step != TOTAL))?;
                push(rows, &task.series, step, sums, shape)?;
            }
        }
        for (series, minutes, gauges) in queues.into_values() {
            for step in [MINUTE, HOUR, DAY, TOTAL] {
                let shape = Shape { measures: 2, sketches: (0, FINE), bounds: step == TOTAL, range: step != TOTAL };
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
        Ok(())
    }
}

fn row(series: &Series, step: u32, bucket: i64, value: &Value) -> Row {
    Row { series: series.id, labels: Arc::clone(&series.labels), step, bucket, value: value.encode() }
}

/// A row for each cell of a series.
fn push(rows: &mut Vec<Row>, series: &Series, step: u32, cells: Minutes<Cell>, shape: Shape) -> Result<()> {
    for (bucket, cell) in cells {
        rows.push(row(series, step, bucket, &cell.value(shape)?));
    }
    Ok(())
}

/// Adds minutes to those of a sum.
fn absorb(sum: &mut Minutes<Cell>, minutes: &Minutes<Cell>, sketches: bool) -> Result<()> {
    minutes.iter().try_for_each(|(minute, cell)| sum.entry(*minute).or_default().absorb(cell, sketches))
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
