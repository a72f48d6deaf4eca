"""Everything at one glance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from queue_metrics.model.collector import CollectorAnswer
from queue_metrics.model.health import Health
from queue_metrics.model.history import TaskHistory
from queue_metrics.model.measures import Counts, Distribution, Sampled, Share, Window
from queue_metrics.model.queues import QueueAnswer
from queue_metrics.model.tasks import TaskAnswer
from queue_metrics.model.workers import WorkerAnswer, WorkerCounts

UNNOTICED_SECONDS = 120.0
"""So long after the first record nobody misses a collector: the first pass needs a minute."""


@dataclass(frozen=True, slots=True)
class Overview(Sampled):
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
    collector: CollectorAnswer
    """Whether somebody keeps what only shows over time."""

    @property
    def lacks_collector(self) -> bool:
        """Whether people should hear that none runs: not of a store in which the first jobs have just been recorded."""
        return not self.collector.running and (self.window.observed_seconds or 0.0) > UNNOTICED_SECONDS


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One reading of the store, answered in full: its parts agree. Most run time first, worst first, what needs a look first."""

    overview: Overview
    tasks: tuple[TaskAnswer, ...]
    queues: tuple[QueueAnswer, ...]
    workers: tuple[WorkerAnswer, ...]
