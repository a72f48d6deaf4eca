//! The plain way to count, from docs/stored-values.md: every number is kept, nothing is summed before the end.

use std::collections::BTreeMap;

use queue_metrics_core::journal::format::{Arrive, Discard, End, Gauge, NO_CHANGE, NO_PEAK, NO_TIME, NO_VALUE, Start};
use queue_metrics_core::names::{self, EXCEPTION, QUEUE, SERVER, SERVER_TASK, TASK};
use queue_metrics_core::value::{Parts, Value};

use super::store::{Key, Store};

const BOUNDS: [f64; 22] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0,
    1800.0, 3600.0, 7200.0, 21600.0,
];

#[derive(Default)]
struct Numbers {
    counters: BTreeMap<usize, u64>,
    observed: BTreeMap<usize, Vec<i64>>,
    read: BTreeMap<usize, Vec<(i64, i64)>>,
}

#[derive(Default)]
pub struct Reference {
    keys: BTreeMap<Key, Numbers>,
}

fn bound(us: i64) -> usize {
    BOUNDS.iter().position(|seconds| us as f64 <= seconds * 1e6).unwrap_or(22)
}

impl Reference {
    fn each(&mut self, series: &[Vec<u8>], at: i64, mut count: impl FnMut(&mut Numbers)) {
        for labels in series {
            for step in [60, 3600, 86400, 0] {
                let bucket = if step == 0 { 0 } else { at / 1_000_000 / i64::from(step) * i64::from(step) };
                count(self.keys.entry((labels.clone(), step, bucket)).or_default());
            }
        }
    }

    fn both(task: &[&str; 3]) -> [Vec<u8>; 2] {
        [names::label_list(TASK, task), names::label_list(QUEUE, &task[..2])]
    }

    fn of_execution(task: &[&str; 3], server: &str) -> Vec<Vec<u8>> {
        let on_server = names::label_list(SERVER_TASK, &[server, task[0], task[1], task[2]]);
        [Self::both(task).to_vec(), vec![names::label_list(SERVER, &[server]), on_server]].concat()
    }

    pub fn start(&mut self, task: &[&str; 3], server: &str, start: &Start) {
        self.each(&Self::of_execution(task, server), start.at, |numbers| {
            *numbers.counters.entry(0).or_default() += 1;
            if start.ready_at != NO_TIME {
                let wait = start.at - start.ready_at;
                if wait < 0 {
                    *numbers.counters.entry(10).or_default() += 1;
                }
                numbers.observed.entry(1).or_default().push(wait.max(0));
                *numbers.counters.entry(64 + bound(wait.max(0))).or_default() += 1;
            }
        });
    }

    pub fn end(&mut self, task: &[&str; 3], server: &str, exception: Option<&str>, end: &End) {
        let outcome = usize::from(end.outcome);
        let retry = u64::from(end.flags & 1);
        self.each(&Self::of_execution(task, server), end.at, |numbers| {
            *numbers.counters.entry(outcome).or_default() += 1;
            *numbers.counters.entry(8).or_default() += retry;
            let mut observe = |index: usize, number: Option<i64>| {
                if let Some(number) = number {
                    numbers.observed.entry(index).or_default().push(number);
                }
            };
            let us = |ns: u64| (ns != NO_VALUE).then(|| (ns as f64 / 1000.0 + 0.5).floor() as i64);
            observe(0, us(end.runtime));
            observe(2, us(end.cpu));
            observe(3, (end.rss_peak != NO_PEAK).then(|| i64::from(end.rss_peak) * 1024));
            observe(4, (end.rss_change != NO_CHANGE).then(|| i64::from(end.rss_change) * 1024));
            if let Some(us) = us(end.runtime) {
                *numbers.counters.entry(32 + bound(us)).or_default() += 1;
            }
        });
        if let Some(kind) = exception {
            let labels = names::label_list(EXCEPTION, &[task[0], task[1], task[2], kind]);
            self.each(&[labels], end.at, |numbers| {
                *numbers.counters.entry(outcome).or_default() += 1;
                *numbers.counters.entry(8).or_default() += retry;
            });
        }
    }

    pub fn arrive(&mut self, task: &[&str; 3], arrive: &Arrive) {
        self.each(&Self::both(task), arrive.at, |numbers| *numbers.counters.entry(7).or_default() += 1);
    }

    pub fn discard(&mut self, task: &[&str; 3], discard: &Discard) {
        let counter = if discard.reason == 16 { 9 } else { 10 + usize::from(discard.reason) };
        self.each(&Self::both(task), discard.at, |numbers| *numbers.counters.entry(counter).or_default() += 1);
    }

    pub fn gauge(&mut self, queue: &[&str; 2], gauge: &Gauge) {
        let values = [gauge.ready, gauge.reserved, gauge.scheduled, gauge.running, gauge.age, gauge.due];
        self.each(&[names::label_list(QUEUE, queue)], gauge.at, |numbers| {
            for (index, value) in values.iter().enumerate().filter_map(|(index, value)| Some((index, (*value)?))) {
                numbers.read.entry(index).or_default().push((gauge.at, value as i64));
            }
        });
    }

    /// Says where the store differs from what was counted here.
    pub fn compare(&self, store: &Store) -> Result<(), String> {
        let mut expected = 0;
        for ((labels, step, bucket), numbers) in &self.keys {
            let kind = labels[0];
            let kept = match kind {
                EXCEPTION => *step != 60,
                SERVER_TASK => *step == 3600 || *step == 0,
                // Gauges are no part of a total.
                _ => *step != 0 || !(numbers.counters.is_empty() && numbers.observed.is_empty()),
            };
            if !kept {
                continue;
            }
            expected += 1;
            let where_ = format!("kind {kind} step {step} bucket {bucket}");
            let value = store.values.get(&(labels.clone(), *step, *bucket)).ok_or(format!("{where_}: missing"))?;
            numbers.compare(kind, *step, value).map_err(|what| format!("{where_}: {what}"))?;
        }
        if expected == store.values.len() { Ok(()) } else { Err(format!("{} rows for {expected}", store.values.len())) }
    }
}

impl Numbers {
    fn compare(&self, kind: u8, step: u32, value: &Value) -> Result<(), String> {
        for index in 0..100 {
            let bounded = step == 0 && matches!(kind, TASK | QUEUE);
            let count = self.counters.get(&index).copied().filter(|_| index < 32 || bounded).unwrap_or(0);
            if value.counter(index) != count {
                return Err(format!("counter {index} is {} for {count}", value.counter(index)));
            }
        }
        let (measures, sketches, scale) = match (kind, step) {
            (TASK, 60) => (5, 2, 5),
            (TASK, 3600) => (5, 4, 5),
            (TASK, 86400) => (5, 4, 4),
            (TASK | SERVER | SERVER_TASK, _) => (5, 0, 5),
            (QUEUE, _) => (2, 0, 5),
            _ => (0, 0, 5),
        };
        let measured = self
            .observed
            .iter()
            .filter(|(index, _)| **index < measures)
            .map(|(index, numbers)| (*index, numbers.clone()));
        let read = self.read.iter().filter(|_| step != 0).map(|(index, numbers)| (*index, numbers.clone()));
        let plain = Parts { counters: Vec::new(), measures: measured.collect(), gauges: read.collect(), scale }
            .value()
            .unwrap();
        for index in 0..6 {
            let (ours, theirs) = (plain.measure(index), value.measure(index));
            let sums =
                |measure: Option<&queue_metrics_core::value::Measure>| measure.map(|measure| (measure.n, measure.sum));
            if sums(ours) != sums(theirs) {
                return Err(format!("measure {index} is {theirs:?} for {ours:?}"));
            }
            if theirs.and_then(|measure| measure.range) != ours.and_then(|measure| measure.range).filter(|_| step != 0)
            {
                return Err(format!("range {index} is {theirs:?} for {ours:?}"));
            }
            let sketch = plain.sketch(index).filter(|_| index < sketches);
            if value.sketch(index) != sketch {
                return Err(format!("sketch {index} is {:?} for {sketch:?}", value.sketch(index)));
            }
            if value.gauge(index) != plain.gauge(index) {
                return Err(format!("gauge {index} is {:?} for {:?}", value.gauge(index), plain.gauge(index)));
            }
        }
        Ok(())
    }
}
