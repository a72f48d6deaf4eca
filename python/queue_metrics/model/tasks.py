"""What a task costs."""

from __future__ import annotations

from dataclasses import dataclass

from queue_metrics.model.history import TaskHistory
from queue_metrics.model.measures import Counts, Distribution, Lifetime, Sampled, Share, Sums, Window

UNHEALTHY_FROM = 0.05
"""The original's limit: from this failure ratio on a task is not healthy."""


@dataclass(frozen=True, slots=True)
class TaskAnswer(Sampled):
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
    memory_change: Sums
    """Resident memory of the process after less before, bytes; never with quantiles."""
    busy_workers: float | None
    """How many workers it keeps busy on average: sum of run times / observed seconds."""
    capacity_ratio: float | None
    """Its part of all run time in the window, 0-1; None: nothing ran."""
    history: TaskHistory
    lifetime: Lifetime

    @property
    def healthy(self) -> bool | None:
        """Whether fewer than 5 % of the decided executions of the window failed, so that over 95 % succeeded; None: none was."""
        return None if self.failure.ratio is None else self.failure.ratio < UNHEALTHY_FROM
