//! What a recorder tells about its process: the heartbeat, the page, the status for `doctor`.

use std::sync::atomic::Ordering;

use super::local::Local;
use super::{NO_TIME, NO_VALUE, Recorder};
use crate::heartbeat::{HOOK_ERRORS, Heartbeat, State, put_text};
use crate::journal::dropped::Dropped;
use crate::journal::format::Role;
use crate::sampling::{clock, process};

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
        let rss = local.memory.now(now_ns).or_else(|| local.memory.read()).unwrap_or(NO_VALUE);
        // The kernel brings its peak up to date later than its reading.
        let rss_peak = if rss == NO_VALUE { rss_peak } else { rss_peak.max(rss) };
        let mut bytes = Vec::new();
        self.put_state(local, [rss, rss_peak, cpu], &mut bytes);
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
            page.write(|bytes| self.put_state(local, [NO_VALUE; 3], bytes));
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

    fn put_state(&self, local: &Local, [rss, rss_peak, cpu]: [u64; 3], bytes: &mut Vec<u8>) {
        let (description, role) = self.description(local);
        let now_ns = clock::monotonic_ns();
        let (busy, idle) = local.times.busy_and_idle_us(now_ns);
        let finished = local.times.finished.load(Ordering::Relaxed);
        let shown = local.shown().and_then(|ticket| local.slots.get(ticket));
        let state = match &shown {
            _ if local.stopped.load(Ordering::Relaxed) => State::Stopped,
            Some(_) => State::Busy,
            None if finished == 0 && !local.ready.load(Ordering::Relaxed) => State::Starting,
            None => State::Idle,
        };
        let identity = &local.identity;
        let numbers = Heartbeat {
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
            job_started: shown.as_ref().map_or(NO_TIME, |(execution, _)| execution.started_us),
            busy,
            idle,
            finished,
            failed: local.times.failed.load(Ordering::Relaxed),
            rss,
            rss_peak,
            cpu,
            boot: identity.boot_word(),
            texts: (),
        };
        bytes.extend_from_slice(&numbers.fixed());
        let texts = description.map_or(&self.texts, |description| &description.texts);
        bytes.extend_from_slice(&texts.process);
        let running = shown.and_then(|(execution, job)| Some((self.table.get(execution.handle)?, job)));
        match running {
            Some((series, job)) => {
                bytes.extend_from_slice(&series.texts);
                put_text(bytes, Heartbeat::JOB, job.as_str());
            }
            None => bytes.extend_from_slice(&texts.idle),
        }
    }
}
