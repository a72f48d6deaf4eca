"""What answers about workers and servers need of the store beside the window, and those answers made of a reading."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from queue_metrics._core import Value
from queue_metrics.insights.collecting import uncounted
from queue_metrics.insights.crews import uncounted_time
from queue_metrics.insights.measures import merged
from queue_metrics.insights.reading import Part, Reading
from queue_metrics.insights.servers import servers
from queue_metrics.insights.window import Span, at_least
from queue_metrics.insights.workers import workers
from queue_metrics.model import ServerAnswer, WorkerAnswer
from queue_metrics.storage.base import DAY, SERVER, TASK
from queue_metrics.storage.collector import READ_COLLECTOR, CollectorState, settled_for_readers, state_for_reader
from queue_metrics.storage.efficiency import SERVERS_KEY, CrewMinute, counters_of, reading_counters, reading_rows, server_crews
from queue_metrics.storage.general import Call
from queue_metrics.storage.servers import server_reports
from queue_metrics.storage.spools import back_since


def worker_calls() -> tuple[Call, ...]:
    """Of the collector: since when it passes, and what it counted of each worker."""
    return READ_COLLECTOR, reading_counters()


def worker_parts(now: float) -> tuple[Part, ...]:
    """Runtimes of the tasks, today and yesterday: what is usual, at two points a task."""
    return (Part(_lately(now), (TASK,)),)


def server_calls(span: Span) -> tuple[Call, ...]:
    """What the collector counted of the workers of each server in a window."""
    return (*worker_calls(), reading_rows(SERVERS_KEY, span.start, span.now))


def workers_in(
    reading: Reading, *, stale_seconds: float, lost_seconds: float, settled_since: float | None = None
) -> tuple[tuple[WorkerAnswer, ...], int]:
    """
    The workers of a reading, and how many heartbeats could not be read.

    Args:
        reading: with the parts and calls of this module.
        stale_seconds: age of a heartbeat from which a worker is stale.
        lost_seconds: age from which it is lost.
        settled_since: instead of what the last pass of the collector left; for the pass itself, which comes after it.
    """
    lately, collector = _lately(reading.span.now), collector_in(reading)
    tasks = {series.labels: series for series in reading.tasks}

    def usual(labels: tuple[str, ...]) -> Value | None:
        series = tasks.get(labels)
        return None if series is None else merged(series.over(lately).values())

    return workers(
        reading.beats,
        reading.span.now,
        stale_seconds=stale_seconds,
        lost_seconds=lost_seconds,
        settled_since=settled_in(reading, stale_seconds, lost_seconds) if settled_since is None else settled_since,
        usual=usual,
        counters=counters_of(reading.answers.get(reading_counters()) or {}),
        uncounted=uncounted(collector, reading.span.now),
    )


def collector_in(reading: Reading) -> CollectorState:
    """What the collector of the last pass left, by the reader's clock."""
    return state_for_reader(reading.answers.get(READ_COLLECTOR), reading.every_beat, reading.span.now)


def settled_in(reading: Reading, stale_seconds: float, lost_seconds: float) -> float | None:
    """Since when the store has been there without a gap; None: nobody knows of one."""
    return settled_for_readers(collector_in(reading), back_in(reading, stale_seconds), reading.span.now, lost_seconds=lost_seconds)


def back_in(reading: Reading, stale_seconds: float) -> float | None:
    """Since when the store has been there again, as it or its drainers tell; None: these know of no gap."""
    return back_since(reading.every_beat, reading.uptime_seconds, reading.span.now, stale_seconds)


def servers_in(reading: Reading, people: Sequence[WorkerAnswer], *, stale_seconds: float) -> tuple[ServerAnswer, ...]:
    """The servers of a reading, with their workers as answered of the same."""
    rows = reading.answers.get(reading_rows(SERVERS_KEY, reading.span.start, reading.span.now)) or []
    crews: Mapping[str, Sequence[CrewMinute]] = server_crews(rows)
    window = reading.window
    reports = server_reports(reading.every_beat)
    return servers(
        reports, people, window, stale_seconds=stale_seconds, crews=crews, uncounted=uncounted_time(reading), jobs=reading.of(SERVER)
    )


def _lately(now: float) -> Span:
    return at_least(DAY, now, DAY)
