"""What a scrape tells: overview, queues, servers, baselines, and the totals of tasks, exceptions and servers as they are stored."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from queue_metrics._core import Totals
from queue_metrics.insights.fleet import server_calls, servers_in
from queue_metrics.insights.measures import counts
from queue_metrics.insights.overview import without_tasks
from queue_metrics.insights.reading import Reading, SeriesReading
from queue_metrics.insights.window import Span
from queue_metrics.model import Baseline, Overview, QueueAnswer, ServerAnswer
from queue_metrics.storage.base import EXCEPTION, MINUTE, QUEUE, SERVER, TASK
from queue_metrics.storage.baselines import READ_BASELINES, decode
from queue_metrics.storage.efficiency import ALL_KEY, fleet_rows, reading_rows
from queue_metrics.storage.general import Call

TOTALS = (TASK, QUEUE, EXCEPTION, SERVER)
"""The kinds of series whose totals are read."""
_LATELY = 3 * MINUTE
"""A minute of the collector that is older says nothing about now."""


@dataclass(frozen=True, slots=True)
class Ever:
    """Everything ever of many series, ordered by name."""

    labels: list[tuple[str, ...]]
    totals: Totals
    """As many."""


@dataclass(frozen=True, slots=True)
class Scrape:
    """For exposition, where thousands of totals become text and none an object."""

    overview: Overview
    queues: tuple[QueueAnswer, ...]
    """Every known queue, worst first."""
    tasks: Ever
    """By connection, queue and task."""
    exceptions: tuple[tuple[tuple[str, ...], int], ...]
    """How many executions ended with one, by connection, queue, task and type; ordered by name."""
    servers: tuple[ServerAnswer, ...]
    """Those that tell of themselves, or have a worker with a heartbeat; ordered by name."""
    server_totals: Ever
    """Of these, by hostname."""
    baselines: Mapping[tuple[str, ...], Baseline]
    """Of tasks on queues, by connection, queue and task."""
    busy_ratio: float | None
    """Busy time of all workers by all time, 0-1, in the last minute that a collector counted; None: none did lately."""


def scrape_calls(span: Span) -> tuple[Call, ...]:
    """What is read besides the parts of a snapshot."""
    return (*server_calls(span), READ_BASELINES, _efficiency(span.now))


def scrape(reading: Reading, *, stale_seconds: float, lost_seconds: float) -> Scrape:
    """Of one reading, with `TOTALS` and the answers to `scrape_calls`."""
    overview, queues, workers = without_tasks(reading, stale_seconds=stale_seconds, lost_seconds=lost_seconds)
    servers = sorted(servers_in(reading, workers, stale_seconds=stale_seconds), key=lambda each: each.hostname)
    present = {(server.hostname,) for server in servers}
    stored = decode(reading.answers[READ_BASELINES], reading.span.now, reading.lifetimes.baseline)
    return Scrape(
        overview=overview,
        queues=queues,
        tasks=_ever(reading.tasks),
        exceptions=tuple((each.labels, counts(each.total).ended) for each in _by_name(reading.exceptions)),
        servers=tuple(servers),
        server_totals=_ever(each for each in reading.of(SERVER) if each.labels in present),
        baselines={labels: stored[labels] for labels in sorted(stored) if stored[labels].task is not None},
        busy_ratio=_busy_ratio(reading),
    )


def _ever(series: Iterable[SeriesReading]) -> Ever:
    those = _by_name(series)
    return Ever([each.labels for each in those], Totals([each.packed_total for each in those]))


def _by_name(series: Iterable[SeriesReading]) -> list[SeriesReading]:
    return sorted(series, key=lambda each: each.labels)


def _efficiency(now: float) -> Call:
    return reading_rows(ALL_KEY, now - _LATELY, now)


def _busy_ratio(reading: Reading) -> float | None:
    rows = fleet_rows(reading.answers[_efficiency(reading.span.now)])
    ratios = [busy / (busy + idle) for busy, idle in zip(rows.busy_seconds, rows.idle_seconds, strict=True) if busy + idle > 0]
    return ratios[-1] if ratios else None
