//! The write side of a spool: what happens to jobs in this process and its forked children becomes records.

#![expect(unsafe_code, reason = "shares state without a lock")]

mod append;
mod children;
mod execution;
pub mod fork;
mod forking;
mod local;
mod measure;
mod memory;
mod moment;
mod nesting;
mod page;
mod peak;
mod series;
mod slots;
mod state;
mod times;

use std::path::{Path, PathBuf};
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};
use std::time::Duration;

use crate::heartbeat::HOOK_ERRORS;
use crate::journal::dropped::Dropped;
use crate::journal::format::{
    Arrive, Discard, End, Gauge, Hint, NO_TIME, NO_VALUE, Outcome, Record, Role, Stop, VERDICT,
};
use crate::journal::writer::Bounds;
use crate::names;

use append::Name;
use local::Local;
pub(crate) use nesting::Nesting;
use page::Page;
pub use peak::ExactPeak;
use peak::Peak;
pub use series::Clock;
use series::{Series, Table};
pub use state::Status;
use state::{Description, Texts};

/// Answer of [`Recorder::started`] when there is nothing to finish.
pub const NO_SLOT: i64 = -1;
/// Handle of a task that could not be kept.
pub const NO_HANDLE: i64 = -1;

/// What a hook knows of a job.
#[derive(Clone, Copy, Debug)]
pub struct Job<'a> {
    /// Id of the job as text.
    pub id: &'a str,
    /// Attempt, 0 for the first.
    pub attempt: u16,
    /// The moment it can or could run, µs, or [`NO_TIME`].
    pub ready_at: i64,
}

/// What became known of an execution with its end; None is unknown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Measured {
    /// Connection, queue and task.
    pub labels: [String; 3],
    /// Id of the job, as much of it as was kept.
    pub job: String,
    /// From start to end.
    pub runtime_ns: u64,
    /// CPU time in it.
    pub cpu_ns: Option<u64>,
    /// Peak of resident memory.
    pub rss_peak_kib: Option<u32>,
    /// Change of resident memory.
    pub rss_change_kib: Option<i32>,
}

/// The write side of a spool. No method waits for a lock that is held over a system call, none fails: what cannot be
/// written is counted.
#[derive(Debug)]
pub struct Recorder {
    path: PathBuf,
    host: String,
    /// Of a process that was not described.
    texts: Texts,
    bounds: Bounds,
    /// How long a reading of memory is good for; None: it is not read.
    memory_ns: Option<u64>,
    peak: Peak,
    table: Table,
    description: AtomicPtr<Description>,
    descriptions: AtomicU64,
    local: AtomicPtr<Local>,
    /// Counts of processes without a page, shared with children. None only if the kernel had no memory for it.
    shared: Option<Page>,
}

impl Recorder {
    /// Touches nothing on disk. A relative path is one of the directory that is current now, not of one a job goes to.
    pub fn new(path: &Path, host: &str, bounds: Bounds) -> Recorder {
        Recorder {
            path: std::path::absolute(path).unwrap_or_else(|_| path.to_owned()),
            host: host.to_owned(),
            texts: Texts::new(host, "", "", ""),
            bounds,
            memory_ns: Some(memory::FRESH_NS),
            peak: Peak::default(),
            table: Table::new(),
            description: AtomicPtr::new(ptr::null_mut()),
            descriptions: AtomicU64::new(0),
            local: AtomicPtr::new(ptr::null_mut()),
            shared: Page::anonymous().ok(),
        }
    }

    /// Reads memory at most once in `every`, zero: at each end; None: never, and the memory of
    /// executions is not known. Unless told: once in 5 ms.
    #[must_use]
    pub fn with_memory(mut self, every: Option<Duration>) -> Recorder {
        self.memory_ns = every.map(|every| u64::try_from(every.as_nanos()).unwrap_or(u64::MAX));
        self
    }

    /// Measures the true peak of memory of executions that run alone, by resetting the kernel's mark at each start. Unless told: the
    /// larger of the readings before and after.
    #[must_use]
    pub fn with_exact_peak(mut self, asked: bool) -> Recorder {
        self.peak = Peak::new(asked);
        self
    }

    /// Says why the kernel's mark must be left alone, which holds in children forked later, too.
    pub fn refuse_exact_peak(&self, reason: &str) {
        self.peak.refuse(reason);
    }

    /// Name of the host, as it was given.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Connection, queue and task of a handle.
    pub fn labels(&self, handle: i64) -> Option<[String; 3]> {
        let labels = self.table.get(u64::try_from(handle).ok()?)?.labels();
        <[&str; 3]>::try_from(labels).ok().map(|labels| labels.map(str::to_owned))
    }

    /// Where the spool is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// `host:pid:start time` of this process.
    pub fn worker_id(&self) -> String {
        self.local().series.labels().join(":")
    }

    /// The worker key of this process; a new one after a fork.
    pub fn worker_key(&self) -> u64 {
        self.local().worker
    }

    /// Says what this process is. Children inherit it; a child of a main is a child.
    pub fn describe(&self, role: Role, library: &str, connection: &str, queue: &str) {
        let local = self.local();
        let serial = self.descriptions.fetch_add(1, Ordering::Relaxed) + 1;
        let texts = Texts::new(&self.host, library, connection, queue);
        let new = Description { serial, generation: local.generation, role, texts };
        // The one before is not freed: another thread may be reading it. A process is described a few times in its life.
        self.description.store(Box::into_raw(Box::new(new)), Ordering::Release);
        self.show(local);
    }

    /// A handle for records of a task, the same for the same arguments; [`NO_HANDLE`] when there are too many.
    pub fn series(&self, connection: &str, queue: &str, task: &str, clock: Clock) -> i64 {
        let list = names::label_list(names::TASK, &[connection, queue, task]);
        self.local().handle(&self.table, list, clock).map_or(NO_HANDLE, i64::from)
    }

    /// A job was enqueued.
    pub fn arrived(&self, handle: i64, job: Job) {
        self.arrived_as(handle, names::job_hash(job.id), job.attempt, job.ready_at);
    }

    /// As [`arrived`](Self::arrived), by the hash of the job's id.
    #[inline]
    pub fn arrived_as(&self, handle: i64, job: u64, attempt: u16, ready_at: i64) {
        let local = self.local();
        let Some(series) = self.known(local, handle) else { return };
        let at = local.clocks.now().us;
        let record = Arrive { attempt, at, task: series.id, job, ready_at };
        self.append(local, Some(series), Record::Arrive(record).payload());
    }

    /// A job ended without an execution; `reason` is one of [`reason`](crate::journal::format::reason).
    pub fn discarded(&self, handle: i64, job: &str, reason: u16) {
        let local = self.local();
        let Some(series) = self.known(local, handle) else { return };
        let record = Discard { reason, at: local.clocks.now().us, task: series.id, job: names::job_hash(job) };
        self.append(local, Some(series), Record::Discard(record).payload());
    }

    /// This process heard how a job of another process ended.
    pub fn hinted(&self, job: &str, outcome: Outcome, exception: Option<&str>) {
        let local = self.local();
        let exception = exception.map(|name| self.name(local, name));
        let record = Hint {
            outcome: outcome as u16,
            at: local.clocks.now().us,
            job: names::job_hash(job),
            worker: local.worker,
            exception: exception.as_ref().map_or(0, |name| name.series().id),
        };
        self.append(local, exception.as_ref().map(Name::series), Record::Hint(record).payload());
    }

    /// The state of a queue now: ready, reserved, scheduled and running jobs, the age of the oldest ready one and the time until the first
    /// scheduled one may run, both in µs.
    pub fn gauge(&self, connection: &str, queue: &str, values: [Option<u64>; 6]) {
        let local = self.local();
        let name = self.keep(local, names::label_list(names::QUEUE, &[connection, queue]));
        let [ready, reserved, scheduled, running, age, due] = values;
        let at = local.clocks.now().us;
        let record = Gauge { at, queue: name.series().id, ready, reserved, scheduled, running, age, due: None };
        self.append(local, Some(name.series()), Record::Gauge(record).payload());
        if due.is_some() {
            self.append(local, Some(name.series()), Record::Gauge(Gauge { due, ..record }).payload());
        }
    }

    /// Appends the END of an execution that could not say its own, with the definition of its exception if it is known; false when it
    /// could not be written, which is no drop: a drainer judges again.
    pub fn verdict(&self, end: &End, exception: Option<&[u8]>) -> bool {
        let local = self.local();
        let end = Record::End(End { flags: end.flags | VERDICT, worker: local.worker, ..*end }).payload();
        match exception {
            Some(list) => self.try_append(local, Some(self.keep(local, list.to_vec()).series()), end),
            None => self.try_append(local, None, end),
        }
        .is_ok()
    }

    /// This process leaves in an orderly way.
    pub fn stopped(&self) {
        let local = self.local();
        local.stopped.store(true, Ordering::Relaxed);
        let record = Stop { at: local.clocks.now().us, worker: local.worker };
        self.append(local, None, Record::Stop(record).payload());
        self.show(local);
    }

    /// Counts an error inside our own hooks.
    pub fn hook_error(&self) {
        local::count(self.local(), self.shared.as_ref(), HOOK_ERRORS);
    }

    /// The state of this process; made anew after a fork, which costs no system call to find out.
    #[inline]
    fn local(&self) -> &Local {
        let generation = fork::generation();
        let current = self.local.load(Ordering::Acquire);
        // SAFETY: a state, once published, is freed with the recorder only.
        match unsafe { current.as_ref() } {
            Some(local) if local.generation == generation => local,
            parent => self.begin(generation, parent),
        }
    }

    #[cold]
    fn begin(&self, generation: u64, parent: Option<&Local>) -> &Local {
        let new = Local::new(generation, parent, &self.path, &self.host, self.bounds, self.memory_ns, &self.table);
        let new = Box::into_raw(Box::new(new));
        let expected = parent.map_or(ptr::null_mut(), |parent| ptr::from_ref(parent).cast_mut());
        match self.local.compare_exchange(expected, new, Ordering::AcqRel, Ordering::Acquire) {
            // The parent's state is left as it is: its locks may be held by threads that do not exist here.
            Ok(_) => {
                // SAFETY: just published; freed with the recorder only.
                let new = unsafe { &*new };
                forking::watch(new);
                new
            }
            Err(other) => {
                // SAFETY: ours was not published; the other one is freed with the recorder only.
                unsafe {
                    drop(Box::from_raw(new));
                    &*other
                }
            }
        }
    }

    /// The task of a handle; an unknown one is counted.
    #[inline]
    fn known(&self, local: &Local, handle: i64) -> Option<&Series> {
        let series = u64::try_from(handle).ok().and_then(|handle| self.table.get(handle));
        match series {
            None if handle == NO_HANDLE => self.drop_record(local, Dropped::TooManyNames),
            None => local::count(local, self.shared.as_ref(), HOOK_ERRORS),
            Some(_) => {}
        }
        series
    }

    #[cold]
    fn drop_record(&self, local: &Local, reason: Dropped) {
        local::count(local, self.shared.as_ref(), reason as usize);
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        let (local, description) = (*self.local.get_mut(), *self.description.get_mut());
        if !description.is_null() {
            // SAFETY: it came from a Box, and nobody else has the recorder any more.
            drop(unsafe { Box::from_raw(description) });
        }
        // SAFETY: as above. A state of another generation holds locks of its time: it is left to the end of this child.
        let ours = unsafe { local.as_ref() }.filter(|local| local.generation == fork::generation());
        if ours.is_some_and(forking::forget) {
            // SAFETY: as above, and no fork looks at it.
            drop(unsafe { Box::from_raw(local) });
        }
    }
}
