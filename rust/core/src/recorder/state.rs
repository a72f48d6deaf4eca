//! What a recorder tells about its process: the heartbeat, the page, the status for `doctor`.

use std::sync::atomic::Ordering;

use super::local::Local;
use super::{NO_TIME, NO_VALUE, Recorder};
use crate::heartbeat::{HOOK_ERRORS, Heartbeat, State};
use crate::journal::dropped::Dropped;
use crate::journal::format::Role;
use crate::sampling::{clock, process};

/// What a process was said to be.
#[derive(Debug)]
pub struct Description {
    pub(super) serial: u64,
    pub(super) generation: u64,
    pub(super) role: Role,
    pub(super) library: String,
    pub(super) connection: String,
    pub(super) queue: String,
}

/// The state of the write side in this process.
#[derive(Clone, Debug)]
pub struct Status {
    /// Id of the current segment and the way it is written.
    pub segment: Option<(String, &'static str)>,
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
}

impl Recorder {
    /// The heartbeat of this process as it is now, also when the spool cannot be written.
    pub fn heartbeat(&self) -> Vec<u8> {
        let local = self.local();
        let now_ns = clock::monotonic_ns();
        let (rss_peak, cpu) = process::peak_and_cpu().unwrap_or((NO_VALUE, NO_VALUE));
        let rss = local.memory.now(now_ns).unwrap_or(NO_VALUE);
        // The kernel brings its peak up to date later than its reading.
        let rss_peak = if rss == NO_VALUE { rss_peak } else { rss_peak.max(rss) };
        self.state(local, [rss, rss_peak, cpu])
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
            records: local.records.load(Ordering::Relaxed),
            running: local.times.running.load(Ordering::Relaxed),
            drops: std::array::from_fn(count),
            hook_errors: count(HOOK_ERRORS),
            last_error: local.journal.last_error(),
            pid: local.identity.pid,
        }
    }

    /// Writes the page of this process, if it has one.
    pub(super) fn show(&self, local: &Local) {
        if let Some(page) = local.page() {
            page.write(|| self.state(local, [NO_VALUE; 3]));
        }
    }

    /// The description that holds for this process and its role.
    pub(super) fn description(&self, local: &Local) -> (Option<&Description>, Role) {
        // SAFETY: a description, once published, is freed with the recorder only.
        let description = unsafe { self.description.load(Ordering::Acquire).as_ref() };
        let inherited = description.map_or(local.forked, |description| description.generation != local.generation);
        let role = description.map_or(Role::Main, |description| description.role);
        (description, if inherited && role == Role::Main { Role::Child } else { role })
    }

    fn state(&self, local: &Local, [rss, rss_peak, cpu]: [u64; 3]) -> Vec<u8> {
        let (description, role) = self.description(local);
        let now_ns = clock::monotonic_ns();
        let (busy, idle) = local.times.busy_and_idle_us(now_ns);
        let finished = local.times.finished.load(Ordering::Relaxed);
        let shown = local.shown().and_then(|ticket| local.slots.get(ticket));
        let state = match &shown {
            _ if local.stopped.load(Ordering::Relaxed) => State::Stopped,
            Some(_) => State::Busy,
            None if finished == 0 => State::Starting,
            None => State::Idle,
        };
        let (library, connection, queue) = description
            .map_or(("", "", ""), |said| (said.library.as_str(), said.connection.as_str(), said.queue.as_str()));
        let mut texts = [self.host.as_str(), library, connection, queue, "", ""];
        let mut job_started = NO_TIME;
        if let Some((execution, job)) = &shown {
            job_started = execution.started_us;
            if let Some(series) = self.table.get(execution.handle) {
                texts[Heartbeat::CONNECTION] = series.label(0);
                texts[Heartbeat::QUEUE] = series.label(1);
                texts[Heartbeat::TASK] = series.label(2);
            }
            texts[Heartbeat::JOB] = job.as_str();
        }
        let identity = &local.identity;
        Heartbeat {
            state: state as u8,
            role: role as u8,
            pid: identity.pid,
            parent: identity.parent,
            running: local.times.running.load(Ordering::Relaxed) as u32,
            worker: local.worker,
            start_ticks: identity.start_ticks,
            pid_namespace: identity.pid_namespace,
            process_started: identity.started,
            written: clock::wall_us(),
            job_started,
            busy,
            idle,
            finished,
            failed: local.times.failed.load(Ordering::Relaxed),
            rss,
            rss_peak,
            cpu,
            boot: identity.boot_word(),
            texts,
        }
        .encode()
    }
}
