"""Some numbers of every task on its queue, for who asks for thousands of them: an answer in full would be most of the work."""

from __future__ import annotations

from dataclasses import dataclass

from queue_metrics._core import Value
from queue_metrics.insights import layout
from queue_metrics.insights.measures import counts, distribution, merged
from queue_metrics.insights.reading import Reading, SeriesReading
from queue_metrics.insights.task_details import exception_span
from queue_metrics.insights.window import Span, whole_steps
from queue_metrics.model import Counts, Distribution
from queue_metrics.storage.base import HOUR, MINUTE


@dataclass(frozen=True, slots=True)
class TaskFigures:
    """One task on one queue; each number is that of its `JobAnswer`."""

    connection: str
    queue: str
    task: str
    runtime: Distribution
    """Of the window."""
    memory_peak: Distribution
    """Of the clock hours that hold the window."""
    lifetime: Counts
    memory_change_mean: float | None
    """Of all ever, bytes."""
    ended_last_minute: int | None
    """In the last whole minute; None where nothing was recorded of any task, as in the next."""
    ended_last_hour: int | None
    """In the last 60 whole minutes."""


def task_figures(reading: Reading) -> tuple[TaskFigures, ...]:
    """Of every known task, ordered by name; of a reading of `read_everything`."""
    minute, hour = (whole_steps(seconds, reading.span.now) for seconds in (MINUTE, HOUR))
    hours = exception_span(reading.span)
    found = []
    for series in sorted(reading.tasks, key=lambda each: each.labels):
        connection, queue, task = series.labels
        change = series.total.measure(layout.MEMORY_CHANGE)
        figures = TaskFigures(
            connection=connection,
            queue=queue,
            task=task,
            runtime=distribution(series.window, layout.RUNTIME),
            memory_peak=distribution(merged(series.over(hours).values()), layout.MEMORY_PEAK),
            lifetime=counts(series.total),
            memory_change_mean=change[1] / change[0] if change else None,
            ended_last_minute=_ended(reading, series, minute),
            ended_last_hour=_ended(reading, series, hour),
        )
        found.append(figures)
    return tuple(found)


def _ended(reading: Reading, series: SeriesReading, span: Span) -> int | None:
    if reading.window_of(span).observed_from is None:
        return None
    return sum(map(_ended_in, series.over(span).values()))


def _ended_in(value: Value) -> int:
    return sum(map(value.counter, layout.OUTCOMES.values()))
