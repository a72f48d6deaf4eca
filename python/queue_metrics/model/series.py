"""One series as it is kept, step by step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from queue_metrics.model.measures import Counts, Distribution, Sums, Window

GAUGES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "queue": ("ready", "reserved", "scheduled", "running", "latency_seconds", "due_seconds"),
        "server": ("cpu_ratio", "memory_ratio", "disk_ratio", "load", "cores", "memory_used_bytes", "memory_total_bytes"),
    }
)
"""Of which kinds of series a step has gauges, and what these are called."""


@dataclass(frozen=True, slots=True)
class Gauge:
    """What was asked for again and again in a step: a count of jobs, an age in seconds, or how a server was."""

    n: int
    """How often it was answered."""
    mean: float
    min: float
    max: float
    last: float
    last_at: float
    """The last answer, and when it was given, seconds since 1970."""


@dataclass(frozen=True, slots=True)
class SeriesPoint:
    """What happened in one step."""

    at: float
    """Start of the step, seconds since 1970."""
    counts: Counts
    runtime: Distribution
    wait: Distribution
    cpu: Distribution
    memory_peak: Distribution
    memory_change: Sums
    gauges: Mapping[str, Gauge]
    """
    If answered in the step. Of queues by the broker: `ready`, `reserved`, `scheduled`, `running`, `latency_seconds`, `due_seconds`. Of
    servers by the sample that a collector keeps each minute: `cpu_ratio`, `memory_ratio`, `disk_ratio` of the fullest disk, `load` of a
    minute, `cores`, `memory_used_bytes`, `memory_total_bytes`; `last_at` is the start of the minute.
    """


@dataclass(frozen=True, slots=True)
class SeriesAnswer:
    """One series in a window."""

    kind: str
    labels: tuple[str, ...]
    window: Window
    """`observed_from` is the first point, `observed_until` the end of the last."""
    points: tuple[SeriesPoint, ...]
    """In order of time; a step in which nothing was recorded has none."""

    @property
    def n(self) -> int:
        """Sample size: executions that ended in the window."""
        return sum(point.counts.ended for point in self.points)
