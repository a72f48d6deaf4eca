"""What happened to queues, workers and baselines, as the collector wrote it down."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from queue_metrics.model.collector import CollectorAnswer

DEPTH, HEALTH, EFFICIENCY, BASELINE, RECORDED = (
    "queue_depth_threshold_exceeded",
    "health_score_changed",
    "worker_efficiency_changed",
    "baseline_recalculated",
    "metrics_recorded",
)
WORKER_STALE, WORKER_LOST, WORKER_REVIVED = "worker_stale", "worker_lost", "worker_revived"
EVENT_KINDS: Mapping[str, str] = MappingProxyType(
    {
        DEPTH: "more than 100 jobs wait in a queue; each minute while they do",
        HEALTH: "the health score of a queue changed by 15 or more",
        EFFICIENCY: "the busy share of all workers changed by 10 points or more between two minutes",
        BASELINE: "what a queue usually costs was calculated anew, or a task turned out to cost something else",
        RECORDED: "a minute in which executions ended is recorded; once for all of them together",
        WORKER_STALE: "a worker has gone quiet",
        WORKER_LOST: "a worker is gone without saying so",
        WORKER_REVIVED: "a worker that was quiet or gone beats again, with its counters",
    }
)
"""Each kind of stored events, and when it is raised."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened; its numbers are those of that moment."""

    number: int
    """Place in the log, from 1 on without gaps; 0 before it is written."""
    kind: str
    """One of `EVENT_KINDS`."""
    at: float
    """Seconds since 1970."""
    data: Mapping[str, Any]
    """Under the names and in the units of the original, where it has this event."""


@dataclass(frozen=True, slots=True)
class EventsAnswer:
    """Events behind a cursor, oldest first."""

    events: tuple[Event, ...]
    cursor: int
    """To be given next time."""
    missed: int
    """Events that fell out of the log before anybody asked behind this cursor."""
    collector: CollectorAnswer
    """Who raises them: all of this is as fresh as its last pass, or fresher."""
