//! Starts and ends of executions: the calls that a job waits for.

use std::sync::atomic::Ordering;

use super::append::{Appended, Name};
use super::measure::{cpu, memory_of};
use super::series::Clock;
use super::slots::Execution;
use super::state::Started;
use super::{Job, Measured, NO_SLOT, Recorder};
use crate::journal::dropped::Dropped;
use crate::journal::format::{End, NO_CHANGE, NO_PEAK, NO_VALUE, Outcome, Record, Start};
use crate::names;
use crate::sampling::clock;
use crate::thread::{Here, here};

impl Recorder {
    /// An execution starts in this thread; answers a ticket for [`finished`](Self::finished), or [`NO_SLOT`].
    pub fn started(&self, handle: i64, job: Job) -> i64 {
        here(|here| self.started_here(here, handle, job))
    }

    #[inline(always)]
    fn started_here(&self, here: &Here, handle: i64, job: Job) -> i64 {
        let local = self.local();
        let Some(series) = self.known(local, handle) else { return NO_SLOT };
        let nests = series.clock != Clock::None;
        if nests && here.nesting.running(local.serial).is_some_and(|ticket| local.slots.is_running(ticket)) {
            return NO_SLOT;
        }
        let Some(reserved) = local.slots.reserve() else {
            self.drop_record(local, Dropped::Overflow);
            return NO_SLOT;
        };
        let now = local.clocks.now();
        let turn = local.times.enter(now.ns);
        let key = local.key(turn.serial);
        let record = Start {
            attempt: job.attempt,
            at: now.us,
            key,
            task: series.id,
            job: names::job_hash(job.id),
            ready_at: job.ready_at,
            worker: local.worker,
        };
        let appended = self.append_of_execution(local, Some(series), Record::Start(record).payload());
        // What a new segment costs is no part of the job.
        let started_ns = if appended == Appended::AtOnce { now.ns } else { clock::monotonic_ns() };
        if appended == Appended::Not {
            local.unwritten.fetch_add(1, Ordering::Relaxed);
        }
        let resident = if series.clock == Clock::Process { local.memory.last(started_ns) } else { None };
        if turn.alone && resident.is_some() {
            self.peak.begin();
        }
        let children = if series.clock == Clock::Process { local.children.before(started_ns) } else { 0 };
        let execution = Execution {
            key: if appended == Appended::Not { 0 } else { key },
            handle: handle as u32, // of a name that is known
            clock: series.clock as u32,
            started_ns,
            started_us: now.us,
            cpu_ns: cpu(series.clock).map_or(NO_VALUE, |own| own + children),
            resident: resident.unwrap_or(NO_VALUE),
            turn: if turn.alone { turn.serial } else { 0 },
        };
        let ticket = local.slots.fill(reserved, turn.serial, execution, job.id);
        if turn.alone {
            local.shown.store(ticket, Ordering::Relaxed); // it runs alone: no need to search for the oldest one
        }
        if nests {
            here.nesting.enter(local.serial, ticket);
        }
        self.show_change(local, now, Some(Started { series, job: job.id }));
        ticket
    }

    /// The execution of a ticket ended. Nothing happens for [`NO_SLOT`], for a ticket twice, or in a child forked since.
    pub fn finished(&self, ticket: i64, outcome: Outcome, exception: Option<&str>, flags: u8) {
        if ticket >= 0 {
            here(|here| self.finished_here(here, ticket, outcome, exception, flags));
        }
    }

    /// As [`finished`](Self::finished); answers what became known of an execution that ended by this call. To be followed by
    /// [`told`](Self::told) when somebody was told.
    #[cold]
    #[inline(never)]
    pub fn finished_and_known(
        &self,
        ticket: i64,
        outcome: Outcome,
        exception: Option<&str>,
        flags: u8,
    ) -> Option<Measured> {
        let job = self.local().slots.job(ticket);
        let (execution, end) = here(|here| self.finished_here(here, ticket, outcome, exception, flags))?;
        Some(Measured {
            job: job?,
            labels: self.labels(i64::from(execution.handle))?,
            runtime_ns: end.runtime,
            cpu_ns: (end.cpu != NO_VALUE).then_some(end.cpu),
            rss_peak_kib: (end.rss_peak != NO_PEAK).then_some(end.rss_peak),
            rss_change_kib: (end.rss_change != NO_CHANGE).then_some(end.rss_change),
        })
    }

    /// Somebody was told and did what he likes: its memory is not that of the next execution.
    pub fn told(&self) {
        self.local().memory.forget();
    }

    #[inline(always)]
    fn finished_here(
        &self,
        here: &Here,
        ticket: i64,
        outcome: Outcome,
        exception: Option<&str>,
        flags: u8,
    ) -> Option<(Execution, End)> {
        let local = self.local();
        let execution = local.slots.release(ticket)?;
        let measured = Clock::from_number(execution.clock.into()).unwrap_or(Clock::None);
        let own_ns = cpu(measured);
        let now = local.clocks.now();
        let children = if measured == Clock::Process { local.children.after(execution.started_ns, now.ns) } else { 0 };
        let cpu_ns = own_ns.map(|own| own + children);
        let in_this_thread = here.nesting.leave(local.serial, ticket);
        let failed = !matches!(outcome, Outcome::Succeeded | Outcome::Retried);
        let alone = local.times.leave(now.ns, execution.turn, failed);
        let attributable = match measured {
            Clock::None => false,
            Clock::Process => alone,
            Clock::Thread => in_this_thread,
        };
        let cpu = cpu_ns.zip((execution.cpu_ns != NO_VALUE).then_some(execution.cpu_ns));
        let resident = if measured == Clock::Process && alone { local.memory.now(now.ns) } else { None };
        let peak = resident.and_then(|bytes| self.peak.end(Some(bytes)));
        let (rss_peak, rss_change) = memory_of(execution.resident, resident, peak);
        let exception = exception.map(|name| self.name(local, name));
        let record = End {
            outcome: outcome as u16,
            flags,
            at: now.us,
            key: execution.key,
            runtime: now.ns.saturating_sub(execution.started_ns),
            cpu: cpu.filter(|_| attributable).map_or(NO_VALUE, |(now, before)| now.saturating_sub(before)),
            rss_peak,
            rss_change,
            exception: exception.as_ref().map_or(0, |name| name.series().id),
            worker: local.worker,
        };
        let name = exception.as_ref().map(Name::series);
        if execution.key == 0 {
            // Its START could not be written: an END alone would be taken for a duplicate.
            self.drop_record(local, local.journal.last_reason());
            local.unwritten.fetch_add(1, Ordering::Relaxed);
        } else if self.append_of_execution(local, name, Record::End(record).payload()) == Appended::Not {
            local.unwritten.fetch_add(1, Ordering::Relaxed);
        }
        self.show_change(local, now, None);
        Some((execution, record))
    }
}
