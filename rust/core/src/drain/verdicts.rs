//! Closes the executions that cannot say their own end.

use std::collections::HashMap;

use super::Drainer;
use super::executions::Execution;
use super::liveness::Life;
use crate::error::Result;
use crate::journal::format::{End, Worker};

impl Drainer {
    /// Appends a verdict for each execution of a worker dead for the grace, and for each provisional END older than it.
    ///
    /// `append` gets the END and the label list of its exception, and says whether it was written. Nothing is judged before all
    /// that was written until the grace was over is folded: an END, a HINT or the verdict of another drainer may lie there.
    pub fn verdicts(&mut self, now: i64, mut append: impl FnMut(&End, Option<&[u8]>) -> bool) -> Result<usize> {
        self.guarded(|drainer| {
            drainer.look()?;
            if drainer.segments.unread() == 0 {
                drainer.folded = drainer.looks;
            }
            drainer.executions.forget_hints(now);
            drainer.judge(now);
            Ok(drainer.close(now, &mut append))
        })
    }

    /// Notes who is dead, and which executions are due.
    fn judge(&mut self, now: i64) {
        self.observer.look();
        let mut lives: HashMap<u64, Life> = HashMap::new();
        for worker in self.executions.open.values().map(|execution| execution.worker) {
            lives.entry(worker).or_insert_with(|| self.life(worker));
        }
        for (worker, life) in &lives {
            match life {
                Life::Dead => {
                    self.died(*worker, now);
                }
                Life::Alive | Life::Unknown => {
                    self.deaths.remove(worker);
                }
            }
        }
        let unseen = |execution: &&Execution| {
            execution.provisional.is_none() && lives.get(&execution.worker) == Some(&Life::Unknown)
        };
        self.uncertain = self.executions.open.values().filter(unseen).count();
        let (grace, looks) = (self.options.grace, self.looks);
        for execution in self.executions.open.values_mut() {
            let since = match &mut execution.provisional {
                Some(provisional) => {
                    let noticed = provisional.noticed.get_or_insert(now);
                    *noticed = now.min(*noticed);
                    Some(provisional.end.at.min(*noticed))
                }
                None => self.deaths.get(&execution.worker).copied(),
            };
            if since.is_some_and(|since| now.saturating_sub(since) >= grace) {
                execution.due.get_or_insert(looks);
            } else {
                execution.due = None;
            }
        }
    }

    /// Since when a worker is known to be dead. Never later than now: else a clock that was set back would hold its verdict up.
    pub(super) fn died(&mut self, worker: u64, now: i64) -> i64 {
        let since = self.deaths.entry(worker).or_insert(now);
        *since = now.min(*since);
        *since
    }

    /// Whether a worker lives, by its WORKER record.
    pub(super) fn life(&self, worker: u64) -> Life {
        let Some(known) = self.workers.get(worker) else { return Life::Unknown };
        self.observer.judge(&known.record, || self.locks_are_free(&known.record))
    }

    /// True when nobody holds the lock of a segment of this worker; false when no such segment is known.
    fn locks_are_free(&self, worker: &Worker) -> bool {
        let mut segments = self.segments.iter().filter(|(_, segment)| segment.is_of(worker)).peekable();
        segments.peek().is_some() && segments.all(|(_, segment)| segment.is_abandoned().unwrap_or(false))
    }

    fn close(&mut self, now: i64, append: &mut impl FnMut(&End, Option<&[u8]>) -> bool) -> usize {
        let folded = self.folded;
        let ready = |due: Option<u64>| due.is_some_and(|due| due <= folded);
        let mut keys: Vec<u64> = self
            .executions
            .open
            .iter()
            .filter(|(_, execution)| ready(execution.due) && !execution.judged)
            .map(|(key, _)| *key)
            .collect();
        keys.sort_unstable();
        let mut closed = 0;
        for key in keys {
            let Some(execution) = self.executions.open.get(&key) else { continue };
            let seen = self.deaths.get(&execution.worker).copied().unwrap_or(now);
            let end = self.executions.verdict(key, execution, seen);
            if append(&end, self.definitions.list(end.exception).map(|list| &**list)) {
                closed += 1;
                if let Some(execution) = self.executions.open.get_mut(&key) {
                    execution.judged = true;
                }
            }
        }
        closed
    }

    /// The workers that have an open execution.
    pub(super) fn is_needed(&self, worker: u64) -> bool {
        self.executions.open.values().any(|execution| execution.worker == worker)
    }
}
