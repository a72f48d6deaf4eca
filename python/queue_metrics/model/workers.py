"""A process that records, by its last heartbeat; and all of them counted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from queue_metrics.model.measures import CountedWindow

OriginalState = Literal["idle", "busy", "stopped", "crashed", "unknown"]
ORIGINAL_STATES: Mapping[str, OriginalState] = MappingProxyType(
    {"starting": "idle", "idle": "idle", "busy": "busy", "stopped": "stopped", "stale": "crashed", "lost": "crashed", "up": "unknown"}
)
"""Our states in the words of the original, which has paused, too: no library tells of it. `up` is of processes that it does not list."""


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
    queue: str
    """What it serves, with commas between; empty: not known, or all. Of a process that has no supervisor, while a job runs, that job's."""
    task: str | None
    job_id: str | None
    """What runs now; when several run, the one that runs longest, since that is the one that may hang (found among 64 of them)."""
    running: int
    """Executions that run now."""
    elapsed_seconds: float | None
    """How long that job has been running when last seen."""
    busy_ratio: float | None
    """Share of its life spent executing, 0-1; None: it does not execute, or was neither busy nor idle yet."""
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
    since_state_seconds: float | None = None
    """How long it has been in its state; None: not known."""
    busy_seconds: float | None = None
    idle_seconds: float | None = None
    """With and without a running job since it began to record, until last seen; None: it does not execute."""
    utilisation_ratio: float | None = None
    utilisation_seconds: float | None = None
    utilisation_reason: str | None = None
    """Busy share since the last pass of the collector but one, 0-1; over how much of its time, one or two minutes; else why."""
    stuck: bool | None = None
    """Whether that job runs far longer than such jobs do; None: nobody can say, of others that run beside it too, for `stuck_reason`."""
    stuck_reason: str | None = None
    """One sentence for people; None where it is not stuck."""
    supervisor_pid: int | None = None
    """The main process over it, as in a prefork pool; None: it is nobody's child."""

    @property
    def original_state(self) -> OriginalState:
        """Its state in the words of the original: idle, busy, stopped, crashed, unknown."""
        return ORIGINAL_STATES[self.state]

    @property
    def active(self) -> bool:
        """Whether it could take a job or does one: idle or busy, in the original's words."""
        return self.original_state in ("idle", "busy")

    @property
    def needs_attention(self) -> bool:
        """Whether it is gone, in whatever way: stopped or crashed, in the original's words."""
        return self.original_state in ("stopped", "crashed")


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
class WorkerSummary:
    """Workers together: all, those of a server or those of a queue. Ratios 0-1; None where nothing is known."""

    window: CountedWindow
    """What `window_ratio` is about."""
    counts: WorkerCounts
    now_ratio: float | None
    """Busy ones among those that are live."""
    lifetime_ratio: float | None
    """Busy time of their whole lives by all time; after a week it hardly moves."""
    window_ratio: float | None
    """Busy time in the window by all time in it, as the collector counted it; None: it did not."""
    window_seconds: float | None
    """Time of workers that `window_ratio` rests on."""
    jobs: int
    """Executions finished by those of which a heartbeat is left."""
    jobs_per_worker: float | None
