//! What the records of a journal say, field by field.

/// Bytes of a label list in one DEF record.
pub const PART_SIZE: usize = 44;
/// A moment that is not known.
pub const NO_TIME: i64 = i64::MIN;
/// A measured value that is not known.
pub const NO_VALUE: u64 = u64::MAX;
/// A peak of memory that is not known.
pub const NO_PEAK: u32 = u32::MAX;
/// A change of memory that is not known.
pub const NO_CHANGE: i32 = i32::MIN;
/// Flag of END: a retry follows.
pub const RETRY_FOLLOWS: u8 = 1;
/// Flag of END: written while the library tears the process down.
pub const PROVISIONAL: u8 = 2;
/// Flag of GAUGE: it says when the next job is due.
pub const DUE: u8 = 32;
/// Flag of END: written by a drainer.
pub const VERDICT: u8 = 4;

/// How an execution ended; where two apply, the one of greater [`strength`](Outcome::strength).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum Outcome {
    /// It returned.
    Succeeded = 1,
    /// It raised.
    Failed = 2,
    /// It ended, and the job runs again.
    Retried = 3,
    /// It met a time limit.
    TimedOut = 4,
    /// Somebody ended it.
    Cancelled = 5,
    /// Its process died.
    Lost = 6,
}

impl Outcome {
    /// The outcome with this number in the format.
    #[inline]
    pub fn from_number(number: u16) -> Option<Outcome> {
        Some(match number {
            1 => Outcome::Succeeded,
            2 => Outcome::Failed,
            3 => Outcome::Retried,
            4 => Outcome::TimedOut,
            5 => Outcome::Cancelled,
            6 => Outcome::Lost,
            _ => return None,
        })
    }

    /// Rank in the order lost > timed_out > cancelled > retried > failed > succeeded.
    pub fn strength(self) -> u8 {
        match self {
            Outcome::Succeeded => 0,
            Outcome::Failed => 1,
            Outcome::Retried => 2,
            Outcome::Cancelled => 3,
            Outcome::TimedOut => 4,
            Outcome::Lost => 5,
        }
    }
}

/// What a process is, in WORKER records and heartbeats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Role {
    /// The main process of a worker.
    Main = 1,
    /// A process that executes jobs under a main.
    Child = 2,
    /// A process that only enqueues.
    Producer = 3,
    /// The agent.
    Agent = 4,
}

impl Role {
    /// The role with this number in the format.
    pub fn from_number(number: u8) -> Option<Role> {
        [Role::Main, Role::Child, Role::Producer, Role::Agent].into_iter().find(|role| *role as u8 == number)
    }
}

/// Why a job ended without an execution; `RESULT_ERROR` is counted apart.
pub mod reason {
    /// Revoked before it ran.
    pub const REVOKED: u16 = 1;
    /// Too old when its turn came.
    pub const EXPIRED: u16 = 2;
    /// Refused by a worker.
    pub const REJECTED: u16 = 3;
    /// Left out by the library.
    pub const SKIPPED: u16 = 4;
    /// No such task here.
    pub const UNKNOWN_TASK: u16 = 5;
    /// It ran, but its result could not be stored.
    pub const RESULT_ERROR: u16 = 16;
}

/// One part of a label list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Def {
    /// Number of the part.
    pub part_number: u16,
    /// Id of the label list.
    pub id: u64,
    /// Bytes of the whole label list.
    pub length: u32,
    /// Its bytes from `44 * part_number` on.
    pub part: [u8; PART_SIZE],
}

/// The identity of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Worker {
    /// Role, by number.
    pub role: u8,
    /// Written, µs.
    pub at: i64,
    /// Worker key.
    pub worker: u64,
    /// Pid, as the process itself sees it.
    pub pid: u32,
    /// Its parent's pid.
    pub parent: u32,
    /// Start time, clock ticks since boot.
    pub start_ticks: u64,
    /// Inode of its pid namespace, 0 when unknown.
    pub pid_namespace: u64,
    /// First 8 bytes of the boot id.
    pub boot: u64,
    /// Id of the worker's label list.
    pub identity: u64,
}

/// A process leaves in an orderly way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stop {
    /// Written, µs.
    pub at: i64,
    /// Worker key.
    pub worker: u64,
}

/// A job was enqueued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrive {
    /// Attempt, 0 for the first.
    pub attempt: u16,
    /// Enqueued, µs.
    pub at: i64,
    /// Id of the task.
    pub task: u64,
    /// Job hash.
    pub job: u64,
    /// The moment it can run, µs, or [`NO_TIME`].
    pub ready_at: i64,
}

/// An execution starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start {
    /// Attempt, 0 for the first.
    pub attempt: u16,
    /// Started, µs.
    pub at: i64,
    /// Execution key.
    pub key: u64,
    /// Id of the task.
    pub task: u64,
    /// Job hash.
    pub job: u64,
    /// The moment it could run, µs, or [`NO_TIME`].
    pub ready_at: i64,
    /// Worker key.
    pub worker: u64,
}

/// An execution ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// Outcome, by number.
    pub outcome: u16,
    /// [`RETRY_FOLLOWS`], [`PROVISIONAL`], [`VERDICT`].
    pub flags: u8,
    /// Ended, µs.
    pub at: i64,
    /// Execution key.
    pub key: u64,
    /// Runtime, ns, or [`NO_VALUE`].
    pub runtime: u64,
    /// CPU time, ns, or [`NO_VALUE`].
    pub cpu: u64,
    /// Peak resident memory, KiB, or [`NO_PEAK`].
    pub rss_peak: u32,
    /// Change of resident memory, KiB, or [`NO_CHANGE`].
    pub rss_change: i32,
    /// Id of the name of the exception type, 0 for none.
    pub exception: u64,
    /// Worker key of the writer, 0 when unknown.
    pub worker: u64,
}

/// A job ended without an execution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Discard {
    /// One of [`reason`].
    pub reason: u16,
    /// When, µs.
    pub at: i64,
    /// Id of the task.
    pub task: u64,
    /// Job hash.
    pub job: u64,
}

/// What a process heard about the end of a job of another process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hint {
    /// Outcome, by number.
    pub outcome: u16,
    /// When, µs.
    pub at: i64,
    /// Job hash.
    pub job: u64,
    /// Worker key of the writer.
    pub worker: u64,
    /// Id of the name of the exception type, 0 for none.
    pub exception: u64,
}

/// The state of a queue; what is not known is None. A record that says `due` says nothing else: there is no room for both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gauge {
    /// Asked, µs.
    pub at: i64,
    /// Id of the queue.
    pub queue: u64,
    /// Jobs ready to run.
    pub ready: Option<u64>,
    /// Jobs taken by a worker, not running yet.
    pub reserved: Option<u64>,
    /// Jobs that may run later.
    pub scheduled: Option<u64>,
    /// Jobs that run.
    pub running: Option<u64>,
    /// Age of the oldest ready job, µs.
    pub age: Option<u64>,
    /// Time until the first of the jobs that may run later may, µs.
    pub due: Option<u64>,
}

/// One record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Record {
    /// Kind 1.
    Def(Def),
    /// Kind 2.
    Worker(Worker),
    /// Kind 3.
    Stop(Stop),
    /// Kind 4.
    Arrive(Arrive),
    /// Kind 5.
    Start(Start),
    /// Kind 6.
    End(End),
    /// Kind 7.
    Discard(Discard),
    /// Kind 8.
    Hint(Hint),
    /// Kind 9.
    Gauge(Gauge),
    /// Kind 10: nothing.
    Pad,
}
