"""One entry per step of a window."""

from __future__ import annotations

from dataclasses import dataclass


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
