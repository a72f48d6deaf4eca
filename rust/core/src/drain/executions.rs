//! The executions that started and have no outcome yet, and what was heard about their ends.

use std::collections::HashSet;
use std::sync::Arc;

use crate::fold::ServerTask;
use crate::ids::{IdMap, IdSet};
use crate::journal::format::{End, Hint, NO_CHANGE, NO_PEAK, NO_VALUE, Outcome, RETRY_FOLLOWS, SegmentId, Start};

/// A hint that names no open execution is forgotten after this time, µs: the retry of its job starts later anyway.
const HINT_KEPT: i64 = 3_600_000_000;

/// An END that was written while the library tore its process down.
#[derive(Clone, Copy, Debug)]
pub struct Provisional {
    /// What it says.
    pub end: End,
    /// The segment it lies in.
    pub segment: SegmentId,
    /// When it was first judged, µs; bounds the wait when its own clock is or was ahead.
    pub noticed: Option<i64>,
}

/// An execution without an outcome.
#[derive(Clone, Debug)]
pub struct Execution {
    /// Its task, and the server of its worker.
    pub place: Arc<ServerTask>,
    /// Job hash.
    pub job: u64,
    /// Started, µs.
    pub started: i64,
    /// Worker key.
    pub worker: u64,
    /// The segment its START lies in.
    pub segment: SegmentId,
    /// The first provisional END.
    pub provisional: Option<Provisional>,
    /// The look at the spool that must be folded before it may be judged; set when its grace is over.
    pub due: Option<u64>,
    /// True once a verdict was appended, until it is read.
    pub judged: bool,
}

impl Execution {
    /// One that just started.
    pub fn new(start: &Start, place: Arc<ServerTask>, segment: SegmentId) -> Execution {
        Execution {
            place,
            job: start.job,
            started: start.at,
            worker: start.worker,
            segment,
            provisional: None,
            due: None,
            judged: false,
        }
    }
}

/// The open executions of a spool.
#[derive(Debug, Default)]
pub struct Executions {
    /// By execution key.
    pub open: IdMap<Execution>,
    /// By job hash; the same hint again is kept once.
    hints: IdMap<Vec<(SegmentId, Hint)>>,
}

impl Executions {
    /// Somebody heard how a job ended.
    pub fn hint(&mut self, hint: &Hint, segment: SegmentId) {
        let hints = self.hints.entry(hint.job).or_default();
        let same = |(_, known): &(SegmentId, Hint)| (known.outcome, known.exception) == (hint.outcome, hint.exception);
        // Of equal hints the latest covers all executions that the others do.
        match hints.iter_mut().find(|known| same(known)) {
            Some(known) if known.1.at < hint.at => *known = (segment, *hint),
            Some(_) => {}
            None => hints.push((segment, *hint)),
        }
    }

    /// A torn down process said how an execution would end. The first one holds its values.
    pub fn suggest(&mut self, end: &End, segment: SegmentId) {
        if let Some(execution) = self.open.get_mut(&end.key) {
            execution.provisional.get_or_insert(Provisional { end: *end, segment, noticed: None });
        }
    }

    /// The hints about an execution: those about its job that are not older than its start.
    fn hints_about(&self, execution: &Execution) -> impl Iterator<Item = &(SegmentId, Hint)> {
        let started = execution.started;
        self.hints.get(&execution.job).into_iter().flatten().filter(move |(_, hint)| hint.at >= started)
    }

    /// How an execution ended that cannot say it itself: the strongest of what was suggested and heard, else lost at `seen`.
    pub fn verdict(&self, key: u64, execution: &Execution, seen: i64) -> End {
        let suggestion = execution.provisional.map(|provisional| provisional.end);
        let mut end = suggestion.unwrap_or(End {
            outcome: Outcome::Lost as u16,
            flags: 0,
            at: seen,
            key,
            runtime: NO_VALUE,
            cpu: NO_VALUE,
            rss_peak: NO_PEAK,
            rss_change: NO_CHANGE,
            exception: 0,
            worker: 0,
        });
        end.flags &= RETRY_FOLLOWS;
        let mut strongest = suggestion.and_then(|end| Outcome::from_number(end.outcome));
        for (_, hint) in self.hints_about(execution) {
            let Some(outcome) = Outcome::from_number(hint.outcome) else { continue };
            let stronger = strongest.is_none_or(|known| outcome.strength() > known.strength());
            // Of two exceptions with one outcome the smaller id: hints have no order.
            let equal = strongest == Some(outcome) && hint.exception != 0;
            if stronger {
                // A suggested retry does not follow when somebody ended the job.
                (end.outcome, end.flags, end.exception) = (outcome as u16, 0, hint.exception);
                strongest = Some(outcome);
            } else if equal && (end.exception == 0 || (suggestion.is_none() && hint.exception < end.exception)) {
                end.exception = hint.exception;
            }
        }
        end
    }

    /// Forgets hints that are old and name no open execution.
    pub fn forget_hints(&mut self, now: i64) {
        if self.hints.is_empty() {
            return;
        }
        let jobs: IdSet = self.open.values().map(|execution| execution.job).collect();
        self.hints.retain(|job, hints| {
            jobs.contains(job) || hints.iter().any(|(_, hint)| now.saturating_sub(hint.at) < HINT_KEPT)
        });
    }

    /// The segments that hold a START, HINT or provisional END of an open execution.
    pub fn needed(&self) -> HashSet<SegmentId> {
        let mut needed = HashSet::new();
        for execution in self.open.values() {
            needed.insert(execution.segment);
            needed.extend(execution.provisional.map(|provisional| provisional.segment));
            needed.extend(self.hints_about(execution).map(|(segment, _)| *segment));
        }
        needed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fold::{Series, Task};
    use crate::journal::format::PROVISIONAL;

    const SEGMENT: SegmentId = [1; 16];

    fn execution() -> Execution {
        let start = Start { attempt: 0, at: 100, key: 7, task: 1, job: 5, ready_at: 0, worker: 3 };
        let place = ServerTask::new(Arc::new(Task::new(None)), Series::server(None));
        Execution::new(&start, Arc::new(place), SEGMENT)
    }

    fn hint(outcome: Outcome, at: i64, exception: u64) -> Hint {
        Hint { outcome: outcome as u16, at, job: 5, worker: 9, exception }
    }

    fn suggestion(outcome: Outcome) -> End {
        let nothing = Executions::default().verdict(7, &execution(), 0);
        End {
            outcome: outcome as u16,
            flags: RETRY_FOLLOWS | PROVISIONAL,
            at: 150,
            runtime: 12_000,
            exception: 4,
            ..nothing
        }
    }

    #[test]
    fn a_death_without_a_word_is_lost_when_it_was_seen() {
        let end = Executions::default().verdict(7, &execution(), 333);
        assert_eq!((end.outcome, end.at, end.runtime), (Outcome::Lost as u16, 333, NO_VALUE));
    }

    #[test]
    fn the_strongest_of_suggestion_and_hints_wins_in_any_order() {
        use Outcome::*;
        for (suggested, heard, expected, exception) in [
            (Some(Failed), vec![(TimedOut, 0)], TimedOut, 0),
            (Some(Cancelled), vec![(Failed, 8)], Cancelled, 4),
            (Some(Failed), vec![(Failed, 8)], Failed, 4),
            (None, vec![(Cancelled, 8), (TimedOut, 6), (TimedOut, 5), (TimedOut, 0)], TimedOut, 5),
            (None, vec![(Lost, 3)], Lost, 3),
            (Some(Retried), vec![], Retried, 4),
        ] {
            for backwards in [false, true] {
                let mut executions = Executions::default();
                let mut heard = heard.clone();
                if backwards {
                    heard.reverse();
                }
                executions.open.insert(7, execution());
                heard
                    .iter()
                    .for_each(|(outcome, exception)| executions.hint(&hint(*outcome, 120, *exception), SEGMENT));
                if let Some(outcome) = suggested {
                    executions.suggest(&suggestion(outcome), SEGMENT);
                }
                let end = executions.verdict(7, &executions.open[&7], 0);
                assert_eq!((end.outcome, end.exception), (expected as u16, exception), "{suggested:?} {heard:?}");
                let retry = suggested == Some(expected);
                assert_eq!(end.flags, if retry { RETRY_FOLLOWS } else { 0 });
                assert_eq!(end.runtime, if suggested.is_some() { 12_000 } else { NO_VALUE });
            }
        }
    }

    #[test]
    fn a_hint_older_than_the_start_is_about_an_earlier_execution() {
        let mut executions = Executions::default();
        executions.hint(&hint(Outcome::TimedOut, 99, 0), SEGMENT);
        assert_eq!(executions.verdict(7, &execution(), 0).outcome, Outcome::Lost as u16);
        executions.hint(&hint(Outcome::TimedOut, 100, 0), SEGMENT);
        assert_eq!(executions.verdict(7, &execution(), 0).outcome, Outcome::TimedOut as u16);
    }

    #[test]
    fn hints_about_open_executions_are_kept_with_their_segments() {
        let mut executions = Executions::default();
        executions.hint(&hint(Outcome::TimedOut, 100, 0), [2; 16]);
        executions.open.insert(7, execution());
        executions.forget_hints(i64::MAX);
        assert_eq!(executions.needed(), HashSet::from([SEGMENT, [2; 16]]));
        executions.open.clear();
        executions.forget_hints(i64::MAX);
        assert!(executions.hints.is_empty());
    }
}
