"""A process that records, by its last heartbeat; and all of them counted."""

from __future__ import annotations

from dataclasses import dataclass


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
