"""How a queue is doing."""

from __future__ import annotations

from dataclasses import dataclass

from queue_metrics.model.health import QueueHealth
from queue_metrics.model.history import QueueHistory
from queue_metrics.model.measures import Counts, Distribution, Lifetime, Sampled, Share, Window
from queue_metrics.model.recency import Moment, WindowStatistics

BACKLOG_JOBS, BACKLOG_SECONDS = 100, 300.0
"""The original's limits: above either a queue is backlogged."""


@dataclass(frozen=True, slots=True)
class QueueAnswer(Sampled):
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
    due_seconds: float | None
    """In how long the first of the scheduled jobs may run, when it was asked; None when not known, or nothing is scheduled."""
    depth_age_seconds: float | None
    """How long ago the broker was asked, seconds, whatever the window; None: not in the last hour."""
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
    busy_ratio: float | None
    """Share of them that are busy now, 0-1; None: there are none."""
    utilisation_ratio: float | None
    """
    Run time of the window by the time that these workers had in it; None: there are none, or nothing was recorded. Above 1 when there were
    more workers in the window than now, or they run several jobs at once.
    """
    minute: WindowStatistics
    """The last minute, whatever the window."""
    last_processed: Moment | None
    """When an execution succeeded last; None: none did in the window."""
    health: QueueHealth
    history: QueueHistory
    lifetime: Lifetime

    @property
    def depth(self) -> int | None:
        """Jobs ready, reserved and scheduled, as far as these are known; None: none of them is."""
        known = [number for number in (self.ready, self.reserved, self.scheduled) if number is not None]
        return sum(known) if known else None

    @property
    def backlogged(self) -> bool | None:
        """Whether more than 100 jobs are ready or the oldest has waited for more than 300 s; None: neither is known."""
        if self.ready is None and self.latency_seconds is None:
            return None
        return (self.ready or 0) > BACKLOG_JOBS or (self.latency_seconds or 0.0) > BACKLOG_SECONDS

    @property
    def empty(self) -> bool | None:
        """Whether no job is ready, reserved or scheduled; None: not known."""
        return None if self.depth is None else self.depth == 0

    @property
    def has_workers(self) -> bool:
        """Whether any live worker says that it serves it."""
        return self.workers > 0
