"""How something is, and why."""

from __future__ import annotations

from dataclasses import dataclass

from queue_metrics.model.outcomes import Status


@dataclass(frozen=True, slots=True)
class Reason:
    """One thing that is wrong, or not known."""

    severity: Status
    code: str
    """Fixed word, for programs: `no_drainer`, `queue_depth`, ..."""
    text: str
    """One sentence for people."""
    points: int
    """What it takes from the score."""


@dataclass(frozen=True, slots=True)
class Health:
    """How it is, and why."""

    status: Status
    score: int | None
    """100 less the points of the reasons, at least 0; None when unknown."""
    reasons: tuple[Reason, ...]
    """Worst first; empty when all is well."""
    age_seconds: float | None = None
    """How old the newest is that it rests on: the youngest heartbeat. None: there is none; then it rests on what was recorded alone."""


@dataclass(frozen=True, slots=True)
class QueueHealth(Health):
    """Of a queue: the newest that it rests on is the last question to its broker, in the last hour."""
