"""One task as the original tells it: everything about it, each of its queues apart, with its baseline."""

from __future__ import annotations

from dataclasses import dataclass

from queue_metrics.model.baselines import Baseline
from queue_metrics.model.measures import Distribution, Window
from queue_metrics.model.task_details import TaskDetail


@dataclass(frozen=True, slots=True)
class JobAnswer:
    """A task in full, on one queue or over all of its queues."""

    detail: TaskDetail
    cpu: Distribution
    memory_peak: Distribution
    """CPU time, seconds, and the peak resident memory, bytes, in `cost_window`."""
    cost_window: Window
    """The whole hours that hold the window of `detail`, since minutes keep no quantiles of these; of a window of hours or days itself."""
    baseline: Baseline | None
    """What it usually costs; None: nobody calculated it, or it runs on several queues, each of which has its own."""
    by_queue: tuple[JobAnswer, ...]
    """Each queue apart, most run time first; none of a task on one queue, which is all of it."""

    @property
    def queues(self) -> tuple[JobAnswer, ...]:
        """Each queue apart, also where there is one."""
        return self.by_queue or (self,)
