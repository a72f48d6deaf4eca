"""Workers together, and how busy they were in a window: all of them, those of a server, or those that serve a queue."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from queue_metrics.insights.collecting import WHAT_TO_DO
from queue_metrics.insights.efficiency import spent_in
from queue_metrics.insights.names import UnknownName, unknown, unknown_queue
from queue_metrics.insights.reading import Part, Reading
from queue_metrics.insights.window import Span
from queue_metrics.insights.wording import duration
from queue_metrics.insights.workers import Serving, summary
from queue_metrics.model import CountedWindow, Window, WorkerAnswer, WorkerSummary
from queue_metrics.storage.base import MINUTE, QUEUE
from queue_metrics.storage.efficiency import (
    ALL_KEY,
    QUEUES_KEPT,
    QUEUES_KEY,
    SERVERS_KEY,
    PassTime,
    Queue,
    fleet_rows,
    queue_crew,
    reading_rows,
    server_crews,
)
from queue_metrics.storage.general import Call
from queue_metrics.storage.servers import server_reports


@dataclass(frozen=True, slots=True)
class Whose:
    """Which workers: all, where neither is given."""

    server: str | None = None
    queue: Queue | None = None

    @staticmethod
    def of(server: str | None, connection: str | None, queue: str | None) -> Whose:
        """
        As a question names them.

        Raises:
            ValueError: a server and a queue, or half of a queue.
        """
        if connection is None and queue is None:
            return Whose(server)
        if connection is None or queue is None or server is not None:
            raise ValueError("workers are those of a server, or those of a queue, which is a connection and a name")
        return Whose(queue=(connection, queue))

    def call(self, span: Span) -> Call:
        """What the collector counted of them in a window."""
        key = SERVERS_KEY if self.server is not None else QUEUES_KEY if self.queue is not None else ALL_KEY
        return reading_rows(key, span.start, span.now)

    def parts(self, now: float) -> Sequence[Part]:
        """What says whether there is such a queue: the names of all, and no point."""
        return () if self.queue is None else (Part(Span(0, 0, MINUTE, now), (QUEUE,)),)


def crew_in(reading: Reading, people: Sequence[WorkerAnswer], whose: Whose) -> WorkerSummary:
    """
    Some workers of a reading together.

    Raises:
        UnknownName: there is no such server, or no such queue.
    """
    rows = reading.answers[whose.call(reading.span)] or []
    window = reading.window
    if whose.queue is not None:
        connection, queue = whose.queue
        known = [series.labels for series in reading.queues]
        if whose.queue not in known:
            raise UnknownName(unknown_queue(connection, queue, [(labels[0], labels[1]) for labels in known]))
        times = (row.time for row in queue_crew(rows, whose.queue))
        kept = min(reading.lifetimes.workers, QUEUES_KEPT)
        return crew_summary(Serving(people).of(connection, queue), window, times, uncounted_time(reading, kept))
    if whose.server is not None:
        crews = server_crews(rows)
        hosts = {*crews, *(each.host for each in people), *(report.hostname for report in server_reports(reading.every_beat))}
        if whose.server not in hosts:
            raise UnknownName(unknown("server", whose.server, hosts))
        of_server = [each for each in people if each.host == whose.server]
        return crew_summary(of_server, window, (row.time for row in crews.get(whose.server, ())), uncounted_time(reading))
    return crew_summary(people, window, fleet_rows(rows).times, uncounted_time(reading))


def uncounted_time(reading: Reading, kept: int | None = None) -> str:
    """
    Why there is nothing of workers in the window of a reading, where there is nothing.

    Args:
        reading: of the store.
        kept: how long what is counted of them is kept, seconds; as long as of all workers by default.
    """
    kept = reading.lifetimes.workers if kept is None else kept
    if reading.window.end <= reading.span.now - kept:
        return f"the window ended longer ago than the time of these workers is kept, {duration(kept)}"
    return f"no collector counted time of these workers in the window; where none runs, {WHAT_TO_DO}"


def crew_summary(people: Iterable[WorkerAnswer], window: Window, times: Iterable[PassTime], missing: str) -> WorkerSummary:
    """
    Some workers together.

    Args:
        people: which; those that execute nothing do not count.
        window: what is asked for.
        times: of the passes of the collector, oldest first.
        missing: why there are none in the window, where there are none, see `uncounted_time`.
    """
    inside = [time for time in times if time[0] > window.start and time[0] - time[1] < window.end]
    since, until = (max(inside[0][0] - inside[0][1], window.start), min(inside[-1][0], window.end)) if inside else (None, None)
    counted = CountedWindow(window.start, window.end, window.step_seconds, since, until, None if inside else missing)
    return summary(people, counted, spent_in(inside, window.start, window.end))
