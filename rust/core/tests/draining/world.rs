//! Writers, a drainer and a store, and all that may happen to them.

use std::collections::HashSet;
use std::sync::Arc;

use proptest::prelude::*;
use queue_metrics_core::drain::{Drainer, Options};
use queue_metrics_core::fold::Batch;
use queue_metrics_core::journal::format::{
    Arrive, Discard, End, Gauge, NO_CHANGE, NO_PEAK, NO_TIME, NO_VALUE, PROVISIONAL, Record, Start, Stop, Worker,
};
use queue_metrics_core::names::{self, NAME, QUEUE, TASK, WORKER};

use crate::reference::Reference;
use crate::scratch::Scratch;
use crate::spool::{Stalled, Writers};
use crate::store::Store;

const TASKS: [[&str; 3]; 4] = [
    ["c", "q", "one"],
    ["c", "q", "two"],
    ["c", "r", "one"],
    ["d", "q", "a task with a name that needs three records"],
];
const EXCEPTIONS: [&str; 2] = ["ValueError", "an.exception.with.a.name.that.needs.more.than.one.record.Error"];
const WRITERS: usize = 3;
/// Where the workers live; the last one never says who it is.
const SERVERS: [&str; 3] = ["one", "the other", "__undefined__"];

/// One of the things that may happen next; numbers choose among what there is.
#[derive(Clone, Copy, Debug)]
pub enum Step {
    Start(u8, u8, u8),
    End(u8, u8, u8),
    EndAgain(u8, u8),
    Provisional(u8, u8),
    Arrive(u8, u8),
    Discard(u8, u8),
    Gauge(u8, u8),
    Stop(u8),
    Rotate(u8),
    /// A writer reserves a slot for a START, or for the END of an execution, and stops.
    Stall(u8, u8, u8),
    /// One that stopped goes on.
    GoOn(u8),
    /// One that stopped is killed.
    Kill(u8),
    Poll,
    Send(u8, Fate),
    TakeOver,
    GoBack(u8),
    Tidy,
}

/// What becomes of a batch.
#[derive(Clone, Copy, Debug)]
pub enum Fate {
    Committed,
    AnswerLost,
    NeverSent,
    SentAgain,
}

pub fn any_step() -> impl Strategy<Value = Step> {
    let fate = prop_oneof![3 => Just(Fate::Committed), 1 => Just(Fate::AnswerLost), 1 => Just(Fate::NeverSent), 1 => Just(Fate::SentAgain)];
    let byte = any::<u8>;
    prop_oneof![
        8 => (byte(), byte(), byte()).prop_map(|(a, b, c)| Step::Start(a, b, c)),
        8 => (byte(), byte(), byte()).prop_map(|(a, b, c)| Step::End(a, b, c)),
        2 => (byte(), byte()).prop_map(|(a, b)| Step::EndAgain(a, b)),
        1 => (byte(), byte()).prop_map(|(a, b)| Step::Provisional(a, b)),
        1 => (byte(), byte()).prop_map(|(a, b)| Step::Arrive(a, b)),
        1 => (byte(), byte()).prop_map(|(a, b)| Step::Discard(a, b)),
        1 => (byte(), byte()).prop_map(|(a, b)| Step::Gauge(a, b)),
        1 => byte().prop_map(Step::Stop),
        2 => byte().prop_map(Step::Rotate),
        4 => (byte(), byte(), byte()).prop_map(|(a, b, c)| Step::Stall(a, b, c)),
        3 => byte().prop_map(Step::GoOn),
        1 => byte().prop_map(Step::Kill),
        4 => Just(Step::Poll),
        5 => (byte(), fate).prop_map(|(max, fate)| Step::Send(max, fate)),
        1 => Just(Step::TakeOver),
        1 => byte().prop_map(Step::GoBack),
        2 => Just(Step::Tidy),
    ]
}

pub struct World {
    scratch: Scratch,
    writers: Writers,
    reference: Reference,
    drainer: Drainer,
    store: Store,
    /// States that the store may go back to.
    older: Vec<Store>,
    goes_back: bool,
    now: i64,
    running: Vec<(Start, usize)>,
    ended: Vec<(End, Option<&'static str>)>,
    stalled: Vec<(Stalled, Waiting)>,
    patience: i64,
    keys: u64,
}

/// What a stalled writer is about to write, of which task.
enum Waiting {
    Start(Start, usize),
    End(Start, End, usize),
}

impl World {
    /// A patient drainer waits for stalled writers longer than a world lasts, another not at all.
    pub fn new(goes_back: bool, patient: bool) -> World {
        let scratch = Scratch::new();
        let patience = if patient { i64::MAX } else { 0 };
        World {
            writers: writers(&scratch),
            drainer: drainer(&scratch, patience),
            stalled: Vec::new(),
            patience,
            scratch,
            reference: Reference::default(),
            store: Store::default(),
            older: vec![Store::default()],
            goes_back,
            now: 1_700_000_000_000_000,
            running: Vec::new(),
            ended: Vec::new(),
            keys: 0,
        }
    }

    fn write(&mut self, writer: u8, record: &Record, task: usize, exception: Option<&str>) {
        let task = names::label_list(TASK, &TASKS[task]);
        let exception = exception.map(|kind| names::label_list(NAME, &[kind]));
        let needs: Vec<&[u8]> = [Some(&task), exception.as_ref()].into_iter().flatten().map(Vec::as_slice).collect();
        self.writers.write(usize::from(writer) % WRITERS, record, &needs);
    }

    pub fn step(&mut self, step: Step) {
        self.now += 7_654_321;
        let at = self.now;
        match step {
            Step::Start(writer, task, wait) => {
                self.keys += 1;
                let task = usize::from(task) % TASKS.len();
                let ready_at = if wait == 0 { NO_TIME } else { at + 1_000_000 - (1 << (wait % 36)) };
                let id = names::series_id(TASK, &TASKS[task]);
                let start =
                    Start { attempt: 0, at, key: self.keys, task: id, job: 1, ready_at, worker: u64::from(writer) };
                self.write(writer, &Record::Start(start), task, None);
                self.reference.start(&TASKS[task], server(start.worker), &start);
                self.running.push((start, task));
            }
            Step::End(writer, which, what) if !self.running.is_empty() => {
                let (start, task) = self.running.swap_remove(usize::from(which) % self.running.len());
                let exception = (what % 3 == 0).then(|| EXCEPTIONS[usize::from(what) / 3 % 2]);
                let end = self.end(&start, what, exception);
                self.write(writer, &Record::End(end), task, exception);
                self.reference.end(&TASKS[task], server(start.worker), exception, &end);
                self.ended.push((end, exception));
            }
            Step::EndAgain(writer, which) if !self.ended.is_empty() => {
                let (end, exception) = self.ended[usize::from(which) % self.ended.len()];
                self.write(writer, &Record::End(end), 0, exception);
            }
            Step::Provisional(writer, which) if !self.running.is_empty() => {
                let (start, task) = self.running[usize::from(which) % self.running.len()];
                let end = End { flags: PROVISIONAL, ..self.end(&start, 2, None) };
                self.write(writer, &Record::End(end), task, None);
            }
            Step::Arrive(writer, task) => {
                let task = usize::from(task) % TASKS.len();
                let arrive =
                    Arrive { attempt: 0, at, task: names::series_id(TASK, &TASKS[task]), job: 1, ready_at: at };
                self.write(writer, &Record::Arrive(arrive), task, None);
                self.reference.arrive(&TASKS[task], &arrive);
            }
            Step::Discard(writer, what) => {
                let task = usize::from(what) % TASKS.len();
                let reason = [1, 2, 3, 4, 5, 16][usize::from(what) % 6];
                let discard = Discard { reason, at, task: names::series_id(TASK, &TASKS[task]), job: 1 };
                self.write(writer, &Record::Discard(discard), task, None);
                self.reference.discard(&TASKS[task], &discard);
            }
            Step::Gauge(writer, what) => {
                let queue = [TASKS[usize::from(what) % 4][0], TASKS[usize::from(what) % 4][1]];
                let number = u64::from(what);
                let known = |bit: u8| (what >> bit & 1 == 1).then_some(number);
                let gauge = Gauge {
                    at,
                    queue: names::series_id(QUEUE, &queue),
                    ready: Some(number),
                    reserved: known(2),
                    scheduled: known(3),
                    running: known(4),
                    age: known(5),
                    due: None,
                };
                let due = Gauge { due: Some(number), ..gauge };
                let due = Gauge { ready: None, reserved: None, scheduled: None, running: None, age: None, ..due };
                let gauge = if what & 64 == 0 { gauge } else { due };
                self.writers.write(
                    usize::from(writer) % WRITERS,
                    &Record::Gauge(gauge),
                    &[&names::label_list(QUEUE, &queue)],
                );
                self.reference.gauge(&queue, &gauge);
            }
            Step::Stop(writer) => self.write(writer, &Record::Stop(Stop { at, worker: 1 }), 0, None),
            Step::Rotate(writer) => self.writers.rotate(usize::from(writer) % WRITERS),
            Step::Stall(writer, which, what) => self.stall(usize::from(writer) % WRITERS, which, what),
            Step::GoOn(which) if !self.stalled.is_empty() => {
                let (stalled, waiting) = self.stalled.swap_remove(usize::from(which) % self.stalled.len());
                match waiting {
                    Waiting::Start(start, task) => {
                        let list = names::label_list(TASK, &TASKS[task]);
                        self.writers.go_on(stalled, &Record::Start(start), &[&list]);
                        self.reference.start(&TASKS[task], server(start.worker), &start);
                        self.running.push((start, task));
                    }
                    Waiting::End(_, end, task) => {
                        self.writers.go_on(stalled, &Record::End(end), &[]);
                        self.reference.end(&TASKS[task], server(end.worker), None, &end);
                        self.ended.push((end, None));
                    }
                }
            }
            Step::Kill(which) if !self.stalled.is_empty() => {
                let (_, waiting) = self.stalled.swap_remove(usize::from(which) % self.stalled.len());
                if let Waiting::End(start, _, task) = waiting {
                    self.running.push((start, task));
                }
            }
            Step::Poll => {
                self.drainer.poll().unwrap();
            }
            Step::Send(max, fate) => {
                if let Some(batch) = self.drainer.next_batch(1 + usize::from(max) % 8).unwrap() {
                    self.send(&batch, fate);
                }
            }
            Step::TakeOver => {
                self.drainer = drainer(&self.scratch, self.patience);
                self.restore();
            }
            Step::GoBack(which) if self.goes_back => {
                self.store = self.older[usize::from(which) % self.older.len()].clone();
            }
            Step::Tidy if !self.goes_back => {
                self.drainer.tidy(i64::MAX).unwrap();
            }
            Step::End(..) | Step::EndAgain(..) | Step::Provisional(..) | Step::GoBack(_) | Step::Tidy => {}
            Step::GoOn(_) | Step::Kill(_) => {}
        }
    }

    fn stall(&mut self, writer: usize, which: u8, what: u8) {
        let at = self.now;
        if which.is_multiple_of(2) && !self.running.is_empty() {
            let (start, task) = self.running[usize::from(which) % self.running.len()];
            let Some(stalled) = self.writers.stall(writer, start.worker, &[]) else { return };
            self.running.retain(|(running, _)| running.key != start.key);
            self.stalled.push((stalled, Waiting::End(start, self.end(&start, what, None), task)));
        } else {
            let task = usize::from(what) % TASKS.len();
            let list = names::label_list(TASK, &TASKS[task]);
            let Some(stalled) = self.writers.stall(writer, writer as u64, &[&list]) else { return };
            self.keys += 1;
            let task_id = names::series_id(TASK, &TASKS[task]);
            let start = Start {
                attempt: 0,
                at,
                key: self.keys,
                task: task_id,
                job: 1,
                ready_at: NO_TIME,
                worker: writer as u64,
            };
            self.stalled.push((stalled, Waiting::Start(start, task)));
        }
    }

    fn end(&self, start: &Start, what: u8, exception: Option<&str>) -> End {
        let number = u64::from(what);
        let unknown = what % 11 == 10;
        End {
            outcome: 1 + u16::from(what) % 6,
            flags: what >> 7,
            at: self.now,
            key: start.key,
            runtime: if unknown { NO_VALUE } else { number * number * 1_234_567 + number },
            cpu: if unknown { NO_VALUE } else { number * 500 },
            rss_peak: if unknown { NO_PEAK } else { u32::from(what) << 10 },
            rss_change: if unknown { NO_CHANGE } else { i32::from(what) - 100 },
            exception: exception.map_or(0, |kind| names::series_id(NAME, &[kind])),
            worker: start.worker,
        }
    }

    fn send(&mut self, batch: &Arc<Batch>, fate: Fate) {
        assert!(batch.rows.iter().map(|row| row.series).collect::<HashSet<_>>().len() <= 50);
        match fate {
            Fate::NeverSent => {
                let again = self.drainer.next_batch(50).unwrap();
                assert_eq!(again.as_ref(), Some(batch), "the same batch until it is committed");
            }
            Fate::SentAgain => {
                self.store.apply(batch);
                if self.store.apply(batch) {
                    panic!("a batch was applied twice");
                }
                self.answered(batch);
            }
            Fate::AnswerLost => {
                self.store.apply(batch);
                self.restore();
            }
            Fate::Committed => {
                self.store.apply(batch);
                self.answered(batch);
            }
        }
    }

    fn answered(&mut self, batch: &Batch) {
        if (self.store.sequence, &self.store.positions) == (batch.sequence, &batch.positions) {
            self.drainer.committed();
            self.older.push(self.store.clone());
        } else {
            self.restore();
        }
    }

    fn restore(&mut self) {
        self.drainer.restore(self.store.sequence, &self.store.positions).unwrap();
    }

    pub fn finish(mut self) -> Result<(), TestCaseError> {
        while !self.stalled.is_empty() {
            self.step(if self.stalled.len().is_multiple_of(3) { Step::GoOn(0) } else { Step::Kill(0) });
        }
        (0..WRITERS).for_each(|writer| self.writers.rotate(writer));
        self.restore();
        self.drainer.poll().unwrap();
        while let Some(batch) = self.drainer.next_batch(50).unwrap() {
            prop_assert!(self.store.apply(&batch));
            self.drainer.committed();
        }
        self.reference.compare(&self.store).map_err(TestCaseError::fail)?;
        let status = self.drainer.status().unwrap();
        prop_assert_eq!(status.waiting, 0);
        prop_assert_eq!(status.open, self.running.len(), "open executions");
        prop_assert_eq!((status.damaged, status.unknown, status.undefined, status.lost_to_rollback), (0, 0, 0, 0));
        Ok(())
    }
}

/// A drainer that keeps nothing superfluous.
pub fn drainer(scratch: &Scratch, patience: i64) -> Drainer {
    Drainer::new(scratch.path(), Options { window: 0, patience, ..Options::default() }).unwrap()
}

fn server(worker: u64) -> &'static str {
    SERVERS[worker as usize % SERVERS.len()]
}

/// Writers for all workers there can be.
fn writers(scratch: &Scratch) -> Writers {
    let mut writers = Writers::new(scratch.path());
    for worker in (0..=255).filter(|worker| server(*worker) != "__undefined__") {
        let list = names::label_list(WORKER, &[server(worker), &worker.to_string(), "1"]);
        let record = Worker {
            role: 1,
            at: 0,
            worker,
            pid: 1,
            parent: 1,
            start_ticks: 1,
            pid_namespace: 0,
            boot: 0,
            identity: names::hash64(&list),
        };
        writers.know(record, list);
    }
    writers
}
