"""How a queue is doing."""

from __future__ import annotations

from dataclasses import dataclass

from queue_metrics.model.health import Health
from queue_metrics.model.history import QueueHistory
from queue_metrics.model.measures import Counts, Distribution, Lifetime, Sampled, Share, Window


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
