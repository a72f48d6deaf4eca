"""The executions of a task as they are stored: how many in which step, and their sums. Each counts once; knows no formula."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from operator import attrgetter

from queue_metrics._core import Value
from queue_metrics.config import BaselineRules
from queue_metrics.insights import layout
from queue_metrics.insights.reading import RULES, Part, SeriesReading
from queue_metrics.insights.window import Span
from queue_metrics.storage.base import DAY, HOUR, MINUTE, RETENTION, TASK, Retention, Series


@dataclass(frozen=True, slots=True)
class Sample:
    """What was measured of a task in one step: how many, and their sum."""

    at: float
    """The middle of the step, seconds since 1970."""
    step: int
    """Its length, seconds; of the rest of an hour that of the hour."""
    runtime: tuple[int, int]
    cpu: tuple[int, int]
    """Numbers measured and their sum, µs."""
    memory: tuple[int, int]
    """The same, bytes."""


def parts(
    now: float, retention: Retention = RETENTION, where: Callable[[Series], bool] | None = None, rules: BaselineRules = RULES
) -> tuple[Part, Part]:
    """What must be read for `samples`: minutes as long as they are kept, and the hours of the window; of some tasks or of all."""
    minutes = int(now - retention[TASK, MINUTE]) // HOUR * HOUR
    hours = int(now - rules.sliding_window_days * DAY) // HOUR * HOUR
    return (
        Part(Span(minutes, int(now) // MINUTE * MINUTE + MINUTE, MINUTE, now), (TASK,), where),
        Part(Span(hours, int(now) // HOUR * HOUR + HOUR, HOUR, now), (TASK,), where),
    )


def samples(task: SeriesReading, now: float, rules: BaselineRules = RULES) -> tuple[Sample, ...]:
    """
    The executions of the window, each once, newest first: by minute as long as minutes are kept, and what an hour has beyond them as one.
    """
    by_hour: dict[int, list[Sample]] = {}
    for bucket, value in task.by_step.get(MINUTE, {}).items():
        by_hour.setdefault(bucket // HOUR * HOUR, []).append(_sample(bucket, MINUTE, value))
    found = []
    for bucket, value in task.by_step.get(HOUR, {}).items():
        found += _of_hour(_sample(bucket, HOUR, value), by_hour.get(bucket, []))
    # A moment to come is of a clock that is ahead; what it measured is as good as new.
    recent = [each for each in found if now - each.at <= rules.sliding_window_days * DAY and each.runtime[0] > 0]
    return tuple(sorted(recent, key=lambda each: each.at, reverse=True))


def _of_hour(whole: Sample, minutes: list[Sample]) -> list[Sample]:
    """
    Its minutes, and in one what they do not hold.

    Minutes and hours are counted in the same batch, so an hour is the sum of its minutes; those that have expired were before the others.
    """
    if not minutes:
        return [whole]

    def rest(of: Callable[[Sample], tuple[int, int]]) -> tuple[int, int]:
        (n, total), parts = of(whole), [of(each) for each in minutes]
        return n - sum(each[0] for each in parts), total - sum(each[1] for each in parts)

    begin, kept = whole.at - HOUR / 2, min(each.at for each in minutes) - MINUTE / 2
    expired = Sample((begin + kept) / 2, HOUR, *(rest(attrgetter(name)) for name in ("runtime", "cpu", "memory")))
    return [*minutes, expired]


def newest_minutes(task: SeriesReading) -> Iterator[Sample]:
    """The minutes of its window, newest first, made of what was read when asked for; without regard to whether their hour is whole."""
    for bucket in sorted(task.points, reverse=True):
        sample = _sample(bucket, MINUTE, task.points[bucket])
        if sample.runtime[0]:
            yield sample


def _sample(bucket: int, step: int, value: Value) -> Sample:
    measured = [value.measure(index) or (0, 0) for index in (layout.RUNTIME, layout.CPU, layout.MEMORY_PEAK)]
    runtime, cpu, memory = ((found[0], found[1]) for found in measured)
    return Sample(bucket + step / 2, step, runtime, cpu, memory)
