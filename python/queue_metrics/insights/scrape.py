"""What a scrape tells: the snapshot of a moment, and the totals of all tasks as they are stored."""

from __future__ import annotations

from dataclasses import dataclass

from queue_metrics._core import Value
from queue_metrics.insights.reading import Reading
from queue_metrics.model import Snapshot


@dataclass(frozen=True, slots=True)
class Scrape:
    """For exposition, where thousands of totals become text and none an object."""

    snapshot: Snapshot
    totals: tuple[tuple[tuple[str, ...], Value], ...]
    """Connection, queue and task, and everything ever; ordered by name."""


def scrape(reading: Reading, snapshot: Snapshot) -> Scrape:
    """Of one reading with totals."""
    return Scrape(snapshot, tuple(sorted(((series.labels, series.total) for series in reading.tasks), key=lambda each: each[0])))
