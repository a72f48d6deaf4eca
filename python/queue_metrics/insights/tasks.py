"""What every task costs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from queue_metrics._core import Value
from queue_metrics.insights import layout
from queue_metrics.insights.measures import counts, distribution, failure_share, lifetime, memory_change, merged, rate
from queue_metrics.insights.names import UnknownName, unknown
from queue_metrics.insights.reading import Reading, SeriesReading
from queue_metrics.insights.window import Span
from queue_metrics.model import TaskAnswer, TaskHistory


def tasks(reading: Reading, series: Sequence[SeriesReading] | None = None, busy: float | None = None) -> tuple[TaskAnswer, ...]:
    """
    Tasks, each queue apart; most run time first.

    Args:
        reading: of the store.
        series: which of them; every known one by default.
        busy: as `busy_seconds` says, where it is known already.
    """
    busy = busy_seconds(reading) if busy is None else busy
    those = reading.tasks if series is None else series
    answers = [_task(reading, [each], each.window, each.labels, busy) for each in those]
    answers.sort(key=_order)
    return tuple(answers)


def _order(answer: TaskAnswer) -> tuple[float | str, ...]:
    """Most run time first; at last by all names, since a store tells them in any order."""
    names = answer.task, answer.connection or "", answer.queue or ""
    return -answer.runtime.sum, -answer.counts.ended, -answer.lifetime.counts.started, *names


def busy_seconds(reading: Reading) -> float:
    """Run times of all tasks in the window, the same in whatever order a store tells them."""
    return math.fsum(distribution(each.window, layout.RUNTIME).sum for each in reading.tasks)


def named(reading: Reading, name: str, queue: str | None, connection: str | None) -> list[SeriesReading]:
    """
    The series of a task, over all queues and connections unless one is given.

    Raises:
        UnknownName: there is none; says which are near, or where it was recorded.
    """
    of_name = [series for series in reading.tasks if series.labels[2] == name]
    found = [series for series in of_name if queue in (None, series.labels[1]) and connection in (None, series.labels[0])]
    if found:
        return found
    elsewhere = sorted({f"{series.labels[0]}/{series.labels[1]}" for series in of_name})
    if elsewhere:
        raise UnknownName(f"task {name!r} was recorded in {', '.join(elsewhere)} only")
    raise UnknownName(unknown("task", name, (series.labels[2] for series in reading.tasks)))


def task(reading: Reading, series: Sequence[SeriesReading], busy: float) -> TaskAnswer:
    """One task over several queues together: they share its name, and their values merge without loss."""
    connections = {each.labels[0] for each in series}
    queues = {each.labels[:2] for each in series}
    labels = (
        series[0].labels[0] if len(connections) == 1 else None,
        series[0].labels[1] if len(queues) == 1 else None,
        series[0].labels[2],
    )
    return _task(reading, series, merged(each.window for each in series), labels, busy)


def _task(reading: Reading, series: Sequence[SeriesReading], window: Value, labels: Sequence[str | None], busy: float) -> TaskAnswer:
    when = reading.window
    counted, runtime = counts(window), distribution(window, layout.RUNTIME)
    connection, queue, name = labels
    return TaskAnswer(
        connection=connection,
        queue=queue,
        task=name or "",
        window=when,
        counts=counted,
        throughput_per_second=rate(counted.ended, when.observed_seconds),
        failure=failure_share(counted),
        runtime=runtime,
        wait=distribution(window, layout.WAIT),
        cpu=distribution(window, layout.CPU),
        memory_peak=distribution(window, layout.MEMORY_PEAK),
        memory_change=memory_change(window),
        busy_workers=None if when.observed_seconds is None else runtime.sum / when.observed_seconds,
        capacity_ratio=runtime.sum / busy if busy > 0 else None,
        history=history(reading.span, reading.observed_from, points_together(series)),
        lifetime=lifetime(merged(each.total for each in series)),
    )


def points_together(series: Iterable[SeriesReading]) -> Mapping[int, Value]:
    """The points of several series by bucket."""
    points: dict[int, Value] = {}
    for each in series:
        for bucket, value in each.points.items():
            known = points.get(bucket)
            points[bucket] = value if known is None else known.merge(value)
    return points


def history(span: Span, observed_from: int | None, points: Mapping[int, Value]) -> TaskHistory:
    """Step by step; a step without a point is 0 while recording was alive, and unknown before."""
    ended: list[int | None] = []
    failures: list[int | None] = []
    p95: list[float | None] = []
    for bucket in span.buckets:
        value = points.get(bucket)
        if value is None:
            nothing = None if observed_from is None or bucket < observed_from else 0
            ended.append(nothing)
            failures.append(nothing)
            p95.append(None)
            continue
        counted = counts(value)
        ended.append(counted.ended)
        failures.append(counted.failures)
        quantiles = value.quantiles(layout.RUNTIME, (0.95,))
        p95.append(None if quantiles is None else quantiles[0] / layout.MICROSECONDS)
    return TaskHistory(float(span.start), span.step, tuple(ended), tuple(failures), tuple(p95))
