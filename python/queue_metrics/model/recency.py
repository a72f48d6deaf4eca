"""What happened lately, and what happened last."""

from __future__ import annotations

from dataclasses import dataclass

from queue_metrics.model.measures import Share, Window


@dataclass(frozen=True, slots=True)
class Moment:
    """When something happened last, as exactly as it is kept: at or after `at`, and before `at + resolution_seconds`."""

    at: float
    """Start of the newest step that has one, seconds since 1970."""
    resolution_seconds: int
    """Length of the step: 60 within the last hour, 3,600 within the last day, 86,400 before."""


@dataclass(frozen=True, slots=True)
class WindowStatistics:
    """The last minute, hour, day, ...: count, run time and rate, all of the same stretch of time."""

    nominal_seconds: int
    """What was asked for: 60, 300, 900, 3,600 or 86,400."""
    window: Window
    """
    What it is: so many whole minutes before the open one; of a day, 24 hours with the open one. Rates are divided by its observed time.
    """
    n: int
    """Executions that ended."""
    failure: Share
    """Failures among those that were decided."""
    throughput_per_second: float | None
    """Executions ended per second; None: nothing was recorded."""
    mean_runtime_seconds: float | None
    """None: none ended with a measured run time."""
    busy_workers: float | None
    """Sum of run times / observed seconds: throughput times mean run time. Never above the workers that there are."""
