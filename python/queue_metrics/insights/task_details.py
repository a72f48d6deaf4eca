"""One task in full: by queue, server and exception, lately and last."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import TypeAlias

from queue_metrics.insights import layout
from queue_metrics.insights.measures import counts, failure_share, merged, success_share, total
from queue_metrics.insights.reading import Part, Reading, SeriesReading
from queue_metrics.insights.recency import ENDED, HAPPENINGS, WINDOWS, all_days, last, last_day, newest, parts, statistics
from queue_metrics.insights.tasks import busy_seconds, named, task, tasks
from queue_metrics.insights.window import Span
from queue_metrics.model import ExceptionCount, ServerTask, TaskAnswer, TaskDetail
from queue_metrics.storage.base import EXCEPTION, HOUR, MINUTE, SERVER_TASK, TASK, Series
from queue_metrics.storage.view import Total

_Where: TypeAlias = Callable[[Series], bool]


def wanted(span: Span, name: str | None) -> list[Part]:
    """
    What is read besides the window of all tasks.

    Args:
        span: the window.
        name: of the task; None: of every task, and then nothing longer ago than a day.
    """
    where, on_server = _of(name)
    kept = [Part(last_day(span.now), (EXCEPTION,), where), Part(exception_span(span), (EXCEPTION,), where)]
    if name is not None:
        kept.append(Part(all_days(span.now), (EXCEPTION,), where))
    kept.append(Part(last_day(span.now), (SERVER_TASK,), on_server))
    return [*parts(span.now, (TASK,), where, days=name is not None), *kept]


def totals(name: str | None) -> tuple[Total, ...]:
    """The totals that are read; `name` as in `wanted`."""
    where, on_server = _of(name)
    return Total(TASK, where), Total(EXCEPTION, where), Total(SERVER_TASK, on_server)


def detail(reading: Reading, name: str, queue: str | None = None, connection: str | None = None) -> TaskDetail:
    """
    A task over all its queues and connections together, unless one is given.

    Raises:
        UnknownName: there is none; says which are near, or where it was recorded.
    """
    return detail_of(Everywhere.of(reading), named(reading, name, queue, connection))


def details(reading: Reading) -> tuple[TaskDetail, ...]:
    """Every known task, over all its queues together; most run time first."""
    everywhere = Everywhere.of(reading)
    answers = [detail_of(everywhere, series) for series in by_name(reading).values()]
    answers.sort(key=lambda each: (-each.runtime.sum, -each.counts.ended, -each.lifetime.counts.started, each.task))
    return tuple(answers)


def by_name(reading: Reading) -> dict[str, list[SeriesReading]]:
    """The series of each task, on whatever queues."""
    found: dict[str, list[SeriesReading]] = {}
    for series in reading.tasks:
        found.setdefault(series.labels[2], []).append(series)
    return found


@dataclass(frozen=True, slots=True)
class Everywhere:
    """A reading, with what belongs to each task put in its place once: to look through all of it for every task takes too long."""

    reading: Reading
    busy_seconds: float
    exceptions: Mapping[tuple[str, ...], Sequence[SeriesReading]]
    servers: Mapping[tuple[str, ...], Sequence[SeriesReading]]
    """By connection, queue and task."""

    @classmethod
    def of(cls, reading: Reading) -> Everywhere:
        """Of a reading."""
        exceptions: dict[tuple[str, ...], list[SeriesReading]] = {}
        servers: dict[tuple[str, ...], list[SeriesReading]] = {}
        for one in reading.exceptions:
            exceptions.setdefault(one.labels[:3], []).append(one)
        for one in reading.of(SERVER_TASK):
            servers.setdefault(one.labels[1:], []).append(one)
        return cls(reading, busy_seconds(reading), exceptions, servers)


def exception_span(span: Span) -> Span:
    """The steps that exceptions are kept by, as far as they hold the window."""
    if span.step != MINUTE:
        return span
    return Span(span.start // HOUR * HOUR, -(-span.end // HOUR) * HOUR, HOUR, span.now)


def detail_of(everywhere: Everywhere, series: Sequence[SeriesReading]) -> TaskDetail:
    """A task in full, over the queues of these series."""
    reading, now = everywhere.reading, everywhere.reading.span.now
    together = task(reading, series, everywhere.busy_seconds)
    by_type: dict[str, list[SeriesReading]] = {}
    for place in series:
        for one in everywhere.exceptions.get(place.labels, ()):
            by_type.setdefault(one.labels[3], []).append(one)
    span = exception_span(reading.span)
    latest = newest(now, by_type)
    when = {field: last(now, series, counters) for field, counters in HAPPENINGS.items()}

    return TaskDetail(
        **{field.name: getattr(together, field.name) for field in fields(TaskAnswer)},
        success=success_share(together.counts),
        lifetime_success=success_share(together.lifetime.counts),
        by_queue=tasks(reading, series, everywhere.busy_seconds),
        by_server=_servers([one for place in series for one in everywhere.servers.get(place.labels, ())], now),
        windows=tuple(statistics(reading, series, seconds) for seconds in WINDOWS),
        last_processed=when["last_processed"],
        last_failed=when["last_failed"],
        last_retried=when["last_retried"],
        last_timed_out=when["last_timed_out"],
        last_discarded=when["last_discarded"],
        exceptions=_exceptions(by_type, span),
        exceptions_window=replace(
            span.window(None), observed_from=together.window.observed_from, observed_until=together.window.observed_until
        ),
        last_exception=None if latest is None else latest[0],
        last_exception_at=None if latest is None else latest[1],
    )


def _exceptions(by_type: Mapping[str, Sequence[SeriesReading]], span: Span) -> tuple[ExceptionCount, ...]:
    found = [
        ExceptionCount(
            type=name,
            n=sum(counts(value).ended for one in series for value in one.over(span).values()),
            lifetime=counts(merged(one.total for one in series)).ended,
            last=last(span.now, series, ENDED),
        )
        for name, series in by_type.items()
    ]
    return tuple(sorted(found, key=lambda each: (-each.n, -each.lifetime, each.type)))


def _servers(series: Sequence[SeriesReading], now: float) -> tuple[ServerTask, ...]:
    by_server: dict[str, list[SeriesReading]] = {}
    for one in series:
        by_server.setdefault(one.labels[0], []).append(one)
    found = []
    for server, those in by_server.items():
        ever = merged(one.total for one in those)
        counted = counts(ever)
        found.append(
            ServerTask(
                server=server,
                counts=counted,
                failure=failure_share(counted),
                runtime=total(ever, layout.RUNTIME),
                last_ended=last(now, those, ENDED),
            )
        )
    return tuple(sorted(found, key=lambda each: (-each.counts.ended, each.server)))


def _of(name: str | None) -> tuple[_Where | None, _Where | None]:
    """Which series are of a task: of those of tasks and exceptions, and of those of tasks on servers; None: all are."""
    if name is None:
        return None, None
    return lambda series: series.labels[2] == name, lambda series: series.labels[3] == name
