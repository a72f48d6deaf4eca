"""One task in full: by queue, server and exception, lately and last."""

from __future__ import annotations

from dataclasses import dataclass

from queue_metrics.model.measures import Counts, Share, Total, Window
from queue_metrics.model.recency import Moment, WindowStatistics
from queue_metrics.model.tasks import TaskAnswer


@dataclass(frozen=True, slots=True)
class ExceptionCount:
    """Executions that ended with one type of exception, of whatever outcome."""

    type: str
    n: int
    """In the window of exceptions."""
    lifetime: int
    """Ever."""
    last: Moment | None
    """None: longer ago than points are kept."""


@dataclass(frozen=True, slots=True)
class ServerTask:
    """What a task did on one server, ever."""

    server: str
    """`__undefined__` for executions whose worker is not known."""
    counts: Counts
    """Without arrivals and discards, which have no server."""
    failure: Share
    runtime: Total
    last_ended: Moment | None
    """None: longer than a day ago."""


@dataclass(frozen=True, slots=True)
class TaskDetail(TaskAnswer):
    """
    One task in full, over all the queues that were asked for.

    Moments and the last windows reach until now, whatever the window of the question; a moment is None when it never was, or longer ago
    than points are kept (400 days): the lifetime tells these apart.
    """

    success: Share
    """Successes among the executions that were decided; with `failure` it makes 1."""
    lifetime_success: Share
    """The same of everything ever recorded."""
    by_queue: tuple[TaskAnswer, ...]
    """Each queue apart, most run time first."""
    by_server: tuple[ServerTask, ...]
    """Each server apart, most executions first."""
    windows: tuple[WindowStatistics, ...]
    """The last 60, 300, 900, 3,600 and 86,400 seconds."""
    last_processed: Moment | None
    """When an execution succeeded last."""
    last_failed: Moment | None
    """When one failed, timed out or was lost."""
    last_retried: Moment | None
    last_timed_out: Moment | None
    last_discarded: Moment | None
    """When a job ended without an execution."""
    exceptions: tuple[ExceptionCount, ...]
    """By type, the most frequent of the window first."""
    exceptions_window: Window
    """Exceptions are kept by hour and day: the whole steps that hold the window."""
    last_exception: str | None
    """Type of the newest exception; of several in one step, the most frequent. None: none was raised, or longer ago than is kept."""
    last_exception_at: Moment | None

    @property
    def retries(self) -> int:
        """Executions of the window after which another attempt follows, whatever their outcome."""
        return self.counts.retries_following

    @property
    def throughput_per_minute(self) -> float | None:
        """Executions ended per minute, of the last minute."""
        return self._scaled(60)

    @property
    def throughput_per_hour(self) -> float | None:
        """Executions ended per hour, of the last hour."""
        return self._scaled(3600)

    @property
    def throughput_per_day(self) -> float | None:
        """Executions ended per day, of the last day."""
        return self._scaled(86400)

    def _scaled(self, seconds: int) -> float | None:
        rate = next(each.throughput_per_second for each in self.windows if each.nominal_seconds == seconds)
        return None if rate is None else rate * seconds
