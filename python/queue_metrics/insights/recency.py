"""What happened in the last minute, hour and day, and what last: up to now, whatever the window of the question."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType

from queue_metrics._core import Value
from queue_metrics.insights import layout
from queue_metrics.insights.measures import counts, distribution, failure_share, merged, rate
from queue_metrics.insights.reading import Part, Reading, SeriesReading
from queue_metrics.insights.window import MINUTES_MAX, Span, at_least, whole_steps
from queue_metrics.model import Moment, Outcome, WindowStatistics
from queue_metrics.storage.base import DAY, HOUR, MINUTE, QUEUE, Series

WINDOWS = (60, 300, 900, 3600, 86400)
"""The original's windows, seconds."""

HAPPENINGS: Mapping[str, tuple[int, ...]] = MappingProxyType(
    {
        "last_processed": (layout.OUTCOMES[Outcome.SUCCEEDED],),
        "last_failed": tuple(layout.OUTCOMES[outcome] for outcome in (Outcome.FAILED, Outcome.TIMED_OUT, Outcome.LOST)),
        "last_retried": (layout.OUTCOMES[Outcome.RETRIED],),
        "last_timed_out": (layout.OUTCOMES[Outcome.TIMED_OUT],),
        "last_discarded": tuple(layout.DISCARDED.values()),
    }
)
"""What is told of a task when it was last, by the field that tells it: the counters that count it."""
ENDED = tuple(layout.OUTCOMES.values())
"""Likewise that an execution ended, with whatever outcome."""


def last_hour(now: float) -> Span:
    """By minute."""
    return at_least(HOUR, now, MINUTE)


def last_day(now: float) -> Span:
    """By hour."""
    return at_least(DAY, now, HOUR)


def all_days(now: float) -> Span:
    """Every day that is kept."""
    return at_least(MINUTES_MAX * 60 - DAY, now, DAY)


def parts(now: float, kinds: tuple[int, ...], where: Callable[[Series], bool] | None = None, *, days: bool = True) -> list[Part]:
    """
    What must be read for everything below.

    Args:
        now: the moment of the question.
        kinds: of the series that are asked about.
        where: which of them.
        days: whether what happened longer than a day ago is looked for.
    """
    wanted = [Part(span, kinds, where) for span in (last_hour(now), last_day(now), *([all_days(now)] if days else []))]
    # Queues are asked while anybody records: they tell since when there is something to divide by.
    return [*wanted, Part(last_hour(now), (QUEUE,)), Part(last_day(now), (QUEUE,))]


def statistics(reading: Reading, series: Sequence[SeriesReading], seconds: int) -> WindowStatistics:
    """Some series together in the last `seconds`, one of `WINDOWS`: count, mean and rate of one and the same value."""
    now = reading.span.now
    span = whole_steps(seconds, now)
    value = merged(point for one in series for point in one.over(span).values())
    when = reading.window_of(span)
    counted, runtime = counts(value), distribution(value, layout.RUNTIME)
    return WindowStatistics(
        nominal_seconds=seconds,
        window=when,
        n=counted.ended,
        failure=failure_share(counted),
        throughput_per_second=rate(counted.ended, when.observed_seconds),
        mean_runtime_seconds=runtime.mean,
        busy_workers=None if when.observed_seconds is None else runtime.sum / when.observed_seconds,
    )


def times(value: Value, counters: Iterable[int]) -> int:
    """How often something happened."""
    return sum(map(value.counter, counters))


def last(now: float, series: Iterable[SeriesReading], counters: Sequence[int]) -> Moment | None:
    """
    When something happened last, by the finest step that knows; None: never, or longer ago than was read.

    Args:
        now: the moment of the question.
        series: in which of them.
        counters: what counts it.
    """
    those = tuple(series)
    for span in (last_hour(now), last_day(now), all_days(now)):
        buckets = [bucket for one in those for bucket, value in one.over(span).items() if times(value, counters)]
        if buckets:
            return Moment(float(max(buckets)), span.step)
    return None


def last_in(span: Span, points: Mapping[int, Value], counters: Sequence[int]) -> Moment | None:
    """The same of points of one span; None: not in it."""
    buckets = [bucket for bucket, value in points.items() if times(value, counters)]
    return Moment(float(max(buckets)), span.step) if buckets else None


def newest(now: float, series: Mapping[str, Sequence[SeriesReading]]) -> tuple[str, Moment] | None:
    """The name under which something ended last; of several in one step the one with more, then the first by name."""
    for span in (last_day(now), all_days(now)):
        ended: dict[int, dict[str, int]] = {}
        for name, those in series.items():
            for one in those:
                for bucket, value in one.over(span).items():
                    of_step = ended.setdefault(bucket, {})
                    of_step[name] = of_step.get(name, 0) + times(value, ENDED)
        if ended:
            bucket = max(ended)
            name = min(ended[bucket], key=lambda each: (-ended[bucket][each], each))
            return name, Moment(float(bucket), span.step)
    return None
