"""The answers: frozen, typed, with units; knows neither the store nor any surface."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """How an execution ended; exactly one each. Where two apply, the later one in this order."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    RETRIED = "retried"
    CANCELLED = "cancelled"
    TIMED_OUT = "timed_out"
    LOST = "lost"


class Discard(StrEnum):
    """Why a job ended without an execution."""

    REVOKED = "revoked"
    EXPIRED = "expired"
    REJECTED = "rejected"
    SKIPPED = "skipped"
    UNKNOWN = "unknown"


class Status(StrEnum):
    """What a health comes to; in order of urgency."""

    UNKNOWN = "unknown"
    HEALTHY = "healthy"
    WARNING = "warning"
    CRITICAL = "critical"


@dataclass(frozen=True, slots=True)
class Window:
    """The stretch of time an answer is about."""

    start: float
    """First moment, seconds since 1970."""
    end: float
    """Last moment, seconds since 1970: the moment of reading, inside the last, open step."""
    step_seconds: int
    """Length of the points it is made of."""
    observed_from: float | None
    """Start of the first step in which anything at all was recorded, seconds since 1970; None: nothing was."""

    @property
    def seconds(self) -> float:
        """Length, seconds."""
        return self.end - self.start

    @property
    def observed_seconds(self) -> float | None:
        """Seconds from the first sign of recording to the end; what rates are divided by. None: nothing was recorded."""
        return None if self.observed_from is None else max(self.end - self.observed_from, 1.0)


@dataclass(frozen=True, slots=True)
class Distribution:
    """Measured numbers summed up. Without a measurement n and sum are 0 and all else is None."""

    unit: str
    """Of every field but the counts and ratios: "seconds" or "bytes"."""
    n: int
    sum: float
    mean: float | None
    p50: float | None
    """Half of the measurements are at or below it; None when only sums are kept at this step. So are the next two."""
    p95: float | None
    p99: float | None
    min: float | None
    max: float | None
    """Exact, as are n, sum, mean and min."""
    deviation: float | None
    """Standard deviation, from the sketch; None below two measurements."""
    error_ratio: float | None
    """Bound of the relative error of p50, p95 and p99; None: no quantiles, or the lowest of them were joined and have no bound."""


@dataclass(frozen=True, slots=True)
class Share:
    """A part of a whole, with the interval in which it is really likely to be."""

    part: int
    n: int
    """The whole."""
    ratio: float | None
    low: float | None
    high: float | None
    """part / n and the ends of its 95 % Wilson interval, 0-1; None when n is 0."""


@dataclass(frozen=True, slots=True)
class Counts:
    """What happened, counted exactly."""

    started: int
    outcomes: Mapping[Outcome, int]
    """Executions that began, and that ended, by outcome; every outcome is there."""
    arrivals: int
    """Jobs enqueued, once per job and attempt."""
    retries_following: int
    """Executions of any outcome after which another attempt follows."""
    discarded: Mapping[Discard, int]
    """Jobs that ended without an execution, by reason; every reason is there."""
    result_errors: int
    """Executions whose result could not be stored afterwards; they stay what they were."""
    clock_skews: int
    """Waits measured below zero, which count as 0."""

    @property
    def ended(self) -> int:
        """Executions with an outcome."""
        return sum(self.outcomes.values())

    @property
    def failures(self) -> int:
        """Executions that failed, timed out or were lost; a retry is not yet a failure."""
        return self.outcomes[Outcome.FAILED] + self.outcomes[Outcome.TIMED_OUT] + self.outcomes[Outcome.LOST]


@dataclass(frozen=True, slots=True)
class Histogram:
    """Everything ever measured, in fixed cumulative steps that never fall."""

    bounds_seconds: tuple[float, ...]
    """Upper bounds, seconds, ascending."""
    cumulative: tuple[int, ...]
    """Measurements at or below each bound."""
    n: int
    sum_seconds: float
    """All measurements, also those above the last bound, and their sum."""


@dataclass(frozen=True, slots=True)
class Lifetime:
    """Exact totals since the store was made; they never expire."""

    counts: Counts
    runtime: Histogram
    wait: Histogram
    cpu: Distribution
    """CPU time, seconds; of this and the next two only n, sum and mean are known."""
    memory_peak: Distribution  # the larger of the resident memory before and after, bytes
    memory_change: Distribution


@dataclass(frozen=True, slots=True)
class History:
    """One entry per step of the window; None where nothing was being recorded yet. The last step is still open."""

    start: float
    step_seconds: int
    """Start of the first step, seconds since 1970, and seconds from one entry to the next."""


@dataclass(frozen=True, slots=True)
class TaskHistory(History):
    """A task, or all of them."""

    ended: tuple[int | None, ...]
    """Executions that ended."""
    failures: tuple[int | None, ...]
    """Of them, those that failed, timed out or were lost."""
    runtime_p95_seconds: tuple[float | None, ...]
    """95th percentile of the run times; None also where nothing ended."""


@dataclass(frozen=True, slots=True)
class QueueHistory(History):
    """A queue."""

    arrivals: tuple[int | None, ...]
    """Jobs enqueued."""
    ended: tuple[int | None, ...]
    """Executions that ended."""
    ready: tuple[int | None, ...]
    """Largest count of ready jobs that was seen."""
    latency_seconds: tuple[float | None, ...]
    """Largest age of the oldest ready job that was seen, seconds."""


@dataclass(frozen=True, slots=True)
class Reason:
    """One thing that is wrong, or not known."""

    severity: Status
    code: str
    """Fixed word, for programs: `no_drainer`, `queue_depth`, ..."""
    text: str
    """One sentence for people."""
    points: int
    """What it takes from the score."""


@dataclass(frozen=True, slots=True)
class Health:
    """How it is, and why."""

    status: Status
    score: int | None
    """100 less the points of the reasons, at least 0; None when unknown."""
    reasons: tuple[Reason, ...]
    """Worst first; empty when all is well."""


class _Sampled:
    """What answers about executions have in common."""

    __slots__ = ()
    counts: Counts
    runtime: Distribution

    @property
    def n(self) -> int:
        """Sample size: executions that ended in the window."""
        return self.counts.ended

    @property
    def error_ratio(self) -> float | None:
        """Bound of the relative error of the quantiles; all else is exact."""
        return self.runtime.error_ratio


@dataclass(frozen=True, slots=True)
class TaskAnswer(_Sampled):
    """What a task costs."""

    connection: str | None
    queue: str | None
    """None, as for `connection`: several of them, together."""
    task: str
    window: Window
    counts: Counts
    """In the window."""
    throughput_per_second: float | None
    """Executions ended per second of observed window; None: nothing was recorded."""
    failure: Share
    """Failures among the executions that were decided: retried and cancelled ones left out."""
    runtime: Distribution
    """Start to end, seconds."""
    wait: Distribution
    """From the moment the job could run to its start, seconds."""
    cpu: Distribution
    """CPU time, seconds; quantiles only in windows of hours and days."""
    memory_peak: Distribution
    """Peak resident memory of the process during the execution, bytes; quantiles as for `cpu`."""
    memory_change: Distribution
    """Resident memory of the process after less before, bytes; never with quantiles."""
    busy_workers: float | None
    """How many workers it keeps busy on average: sum of run times / observed seconds."""
    capacity_ratio: float | None
    """Its part of all run time in the window, 0-1; None: nothing ran."""
    history: TaskHistory
    lifetime: Lifetime


@dataclass(frozen=True, slots=True)
class QueueAnswer(_Sampled):
    """How a queue is doing."""

    connection: str
    queue: str
    window: Window
    ready: int | None
    """Jobs that could run now. This and the next three are the last known, None when not known."""
    reserved: int | None
    """Jobs that a worker took and has not started, or not acknowledged."""
    scheduled: int | None
    """Jobs that may only run later."""
    running: int | None
    """Jobs that run, as the broker knows it."""
    latency_seconds: float | None
    """Age of the oldest ready job when it was asked; None when not known."""
    depth_age_seconds: float | None
    """How long ago the broker was asked, seconds; None: never."""
    depth_reason: str | None
    """Why depth is not known; None when it is."""
    counts: Counts
    """In the window."""
    arrivals_per_second: float | None
    starts_per_second: float | None
    ends_per_second: float | None
    """Jobs enqueued, executions begun and ended per second of observed window; None when nothing was recorded."""
    failure: Share
    wait: Distribution
    """From the moment the job could run to its start, seconds."""
    runtime: Distribution
    """Start to end, seconds."""
    workers: int
    """Live workers that serve it, as far as they say what they serve."""
    health: Health
    history: QueueHistory
    lifetime: Lifetime


@dataclass(frozen=True, slots=True)
class WorkerAnswer:
    """A process that records, by its last heartbeat."""

    id: str
    """`host:pid:start time`."""
    state: str
    """starting, idle, busy, up (lives, executes nothing), stopped, lost, stale: lived, and nothing was heard for too long."""
    role: str
    """worker: executes jobs; supervisor: main process over workers; producer: only enqueues; agent."""
    host: str
    pid: int
    library: str
    connection: str
    queue: str  # empty: not known, or all
    task: str | None
    job_id: str | None
    """What runs now; the latest, when several run."""
    running: int
    """Executions that run now."""
    elapsed_seconds: float | None
    """How long the running job has been running when last seen."""
    busy_ratio: float | None
    """Share of its life spent executing, 0-1; None: it does not execute, or has just begun."""
    rss_bytes: int | None
    rss_peak_bytes: int | None
    """Resident memory, now and at its highest."""
    cpu_seconds: float | None
    cpu_ratio: float | None
    cpu_reason: str | None
    """CPU time since it started; its share between the last two readings, over all threads: 1 is one core; and why that is not known."""
    jobs: int
    failures: int
    """Executions finished: the sample size; of them, with an outcome other than succeeded or retried."""
    uptime_seconds: float | None
    """Age of the process when last seen."""
    last_seen_seconds: float
    """Age of the heartbeat by the store's clock: the error of every number here."""


@dataclass(frozen=True, slots=True)
class WorkerCounts:
    """Workers counted: processes that execute jobs, not supervisors, producers and agents."""

    starting: int
    idle: int
    busy: int
    stopped: int
    stale: int
    lost: int

    @property
    def live(self) -> int:
        """Workers that could take or do a job now."""
        return self.starting + self.idle + self.busy


@dataclass(frozen=True, slots=True)
class Overview(_Sampled):
    """Everything at one glance."""

    window: Window
    health: Health
    counts: Counts
    """Over all tasks, in the window."""
    throughput_per_second: float | None
    """Executions ended per second of observed window."""
    failure: Share
    runtime: Distribution
    wait: Distribution
    ready: int | None
    """Ready jobs over all queues whose depth is known; None: of none."""
    latency_seconds: float | None
    latency_queue: tuple[str, str] | None
    """Age of the oldest ready job of all, and the connection and queue it waits in; None: not known."""
    queues_unknown: int
    """Queues whose depth is not known."""
    workers: WorkerCounts
    tasks: int
    """Known tasks, each queue counted apart."""
    queues: int
    drainer_age_seconds: float | None
    """How long ago the youngest heartbeat arrived in the store; None: there is none."""
    waiting_records: int | None
    """Records that wait in spools to be handed over; None: no spool says."""
    dropped: Mapping[str, int] | None
    """Records that spools had to drop, by reason; empty: none; None: no spool says."""
    history: TaskHistory


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One reading of the store, answered in full: its parts agree. Most run time first, worst first, what needs a look first."""

    overview: Overview
    tasks: tuple[TaskAnswer, ...]
    queues: tuple[QueueAnswer, ...]
    workers: tuple[WorkerAnswer, ...]
