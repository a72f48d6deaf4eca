//! What a recorder tells about its process: the heartbeat, the page, the status for `doctor`.

#![expect(unsafe_code, reason = "shares state without a lock")]

use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use super::local::Local;
use super::moment::Moment;
use super::page::{Change, Page};
use super::series::Series;
use super::times::Counts;
use super::{ExactPeak, NO_TIME, NO_VALUE, Recorder};
use crate::heartbeat::{HOOK_ERRORS, Heartbeat, State, number, put_text};
use crate::journal::dropped::Dropped;
use crate::journal::format::Role;
use crate::journal::writer::SegmentStatus;
use crate::sampling::process;

/// What a process was said to be.
#[derive(Debug)]
pub struct Description {
    pub(super) serial: u64,
    pub(super) generation: u64,
    pub(super) role: Role,
    pub(super) texts: Texts,
}

/// Texts of a heartbeat that stay for long, encoded once.
#[derive(Debug)]
pub struct Texts {
    /// Host and library.
    process: Box<[u8]>,
    /// Connection, queue, no task and no job: while nothing runs.
    idle: Box<[u8]>,
}

impl Texts {
    pub(super) fn new(host: &str, library: &str, connection: &str, queue: &str) -> Texts {
        let encoded = |from: usize, texts: &[&str]| {
            let mut bytes = Vec::new();
            for (offset, text) in texts.iter().enumerate() {
                put_text(&mut bytes, from + offset, text);
            }
            bytes.into_boxed_slice()
        };
        Texts {
            process: encoded(Heartbeat::HOST, &[host, library]),
            idle: encoded(Heartbeat::CONNECTION, &[connection, queue, "", ""]),
        }
    }
}

/// An execution that has just started.
#[derive(Debug)]
pub struct Started<'a> {
    /// Its task.
    pub series: &'a Series,
    /// Its job.
    pub job: &'a str,
}

/// The state of the write side in this process.
#[derive(Clone, Debug)]
pub struct Status {
    /// The current segment.
    pub segment: Option<SegmentStatus>,
    /// Whether there is a page, by which a drainer sees this process and what it dropped.
    pub page: bool,
    /// Records written by this process, without definitions.
    pub records: u64,
    /// Executions that run.
    pub running: u64,
    /// Dropped records by [`Dropped`], of this process and of children that have no page.
    pub drops: [u64; Dropped::NAMES.len()],
    /// Errors inside our own hooks, counted alike.
    pub hook_errors: u64,
    /// What went wrong last.
    pub last_error: Option<String>,
    /// Pid of this process.
    pub pid: u32,
    /// Whether true peaks of memory are measured.
    pub exact_peak: ExactPeak,
}

impl Recorder {
    /// The heartbeat of this process as it is now, also when the spool cannot be written.
    pub fn heartbeat(&self) -> Vec<u8> {
        let local = self.local();
        let now = local.clocks.now();
        let (rss_peak, cpu) = process::peak_and_cpu().unwrap_or((NO_VALUE, NO_VALUE));
        let rss = local.memory.now(now.ns).or_else(|| local.memory.read()).unwrap_or(NO_VALUE);
        let rss_peak = self.peak.of_life().map_or(rss_peak, |life| number(rss_peak).map_or(life, |now| life.max(now)));
        let measured =
            local.meter.lock().unwrap_or_else(PoisonError::into_inner).complete([rss, rss_peak, cpu], now.ns);
        let mut bytes = Vec::new();
        self.put_state(local, now, measured, &mut bytes);
        bytes
    }

    /// Counts and errors for `doctor`.
    pub fn status(&self) -> Status {
        let local = self.local();
        let count = |index: usize| {
            let pages = [local.page(), self.shared.as_ref()];
            pages.into_iter().flatten().map(|page| page.counter(index).load(Ordering::Relaxed)).sum()
        };
        Status {
            segment: local.journal.segment(),
            page: local.page().is_some(),
            records: if local.journal.keeps_nothing() { 0 } else { local.records() },
            running: local.times.counts().running,
            drops: std::array::from_fn(count),
            hook_errors: count(HOOK_ERRORS),
            last_error: local.journal.last_error(),
            pid: local.identity.pid,
            exact_peak: self.peak.state(),
        }
    }

    /// Writes the page of this process, if it has one.
    #[cold]
    #[inline(never)]
    pub(super) fn show(&self, local: &Local) {
        if let Some(page) = local.page() {
            page.write(|bytes| self.put_state(local, local.clocks.now(), [NO_VALUE; 5], bytes));
        }
    }

    /// As [`show`](Self::show) when an execution has started, or ended with `started` None, by the clocks in `now`. While one runs at a
    /// time only that is written which changes with it.
    #[inline(always)]
    pub(super) fn show_change(&self, local: &Local, now: Moment, started: Option<Started>) {
        if let Some(page) = local.page_at(now.ns, self.shared.as_ref())
            && !self.changed(local, page, now, started)
        {
            self.show(local);
        }
    }

    /// Whether writing what changes with it was enough.
    #[inline(always)]
    fn changed(&self, local: &Local, page: &Page, now: Moment, started: Option<Started>) -> bool {
        let (description, role) = self.description(local);
        let Some(writing) = page.begin_change(serial(description)) else { return false };
        let counts = local.times.counts();
        if counts.running != u64::from(started.is_some()) || local.stopped.load(Ordering::Relaxed) {
            return false;
        }
        let texts = description.map_or(&self.texts, |description| &description.texts);
        let (state, job_started, behind) = match &started {
            Some(Started { series, .. }) => (State::Busy, now.us, &series.texts),
            None => (State::Idle, NO_TIME, &texts.idle),
        };
        writing.change(Change {
            numbers: local.numbers(role, state, now, counts, job_started, [NO_VALUE; 5]).changing(),
            kept: texts.process.len(),
            texts: behind,
            job: started.map(|started| started.job),
        })
    }

    /// The description that holds for this process and its role.
    #[inline]
    pub(super) fn description(&self, local: &Local) -> (Option<&Description>, Role) {
        // SAFETY: a description, once published, is freed with the recorder only.
        let description = unsafe { self.description.load(Ordering::Acquire).as_ref() };
        let inherited = description.map_or(local.forked, |description| description.generation != local.generation);
        let role = description.map_or(Role::Main, |description| description.role);
        (description, if inherited && role == Role::Main { Role::Child } else { role })
    }

    /// Appends the heartbeat as it is now, by the clocks in `now`; answers the serial of the description that it was made of.
    fn put_state(&self, local: &Local, now: Moment, measured: [u64; 5], bytes: &mut Vec<u8>) -> u64 {
        let (description, role) = self.description(local);
        let shown = local.shown().and_then(|ticket| Some((ticket, local.slots.get(ticket)?)));
        let counts = local.times.counts();
        let state = match &shown {
            _ if local.stopped.load(Ordering::Relaxed) => State::Stopped,
            Some(_) => State::Busy,
            None if counts.finished() == 0 && !local.ready.load(Ordering::Relaxed) => State::Starting,
            None => State::Idle,
        };
        let job_started = shown.as_ref().map_or(NO_TIME, |(_, execution)| execution.started_us);
        bytes.extend_from_slice(&local.numbers(role, state, now, counts, job_started, measured).fixed());
        let texts = description.map_or(&self.texts, |description| &description.texts);
        bytes.extend_from_slice(&texts.process);
        match shown.and_then(|(ticket, execution)| Some((ticket, self.table.get(u64::from(execution.handle))?))) {
            Some((ticket, series)) => {
                bytes.extend_from_slice(&series.texts);
                if !local.slots.put_job(ticket, bytes) {
                    put_text(bytes, Heartbeat::JOB, "");
                }
            }
            None => bytes.extend_from_slice(&texts.idle),
        }
        serial(description)
    }
}

impl Local {
    /// The numbers of a heartbeat; `measured` as [`Meter::complete`](crate::heartbeat::Meter::complete) answers.
    #[inline(always)]
    fn numbers(
        &self,
        role: Role,
        state: State,
        now: Moment,
        counts: Counts,
        job_started: i64,
        [rss, rss_peak, cpu, cpu_spent, cpu_over]: [u64; 5],
    ) -> Heartbeat<()> {
        let (busy, idle) = self.times.busy_and_idle_us(now.ns, counts.running > 0);
        Heartbeat {
            state: state as u8,
            role: role as u8,
            pid: self.identity.pid,
            parent: self.identity.parent,
            running: counts.running as u32,
            worker: self.worker,
            start_ticks: self.identity.start_ticks,
            pid_namespace: self.identity.pid_namespace,
            process_started: self.identity.started,
            written: now.us,
            job_started,
            state_changed: self.told.since(state, now.us),
            busy,
            idle,
            finished: counts.finished(),
            failed: self.times.failed(),
            rss,
            rss_peak,
            cpu,
            boot: self.identity.boot_word(),
            seen: NO_TIME,
            cpu_spent,
            cpu_over,
            texts: (),
        }
    }
}

/// Serial of a description, 0 for none.
fn serial(description: Option<&Description>) -> u64 {
    description.map_or(0, |description| description.serial)
}
