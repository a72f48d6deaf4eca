"""What failed last, and longer ago than a day: looked for in the days once for each task, and again only after it failed again."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import NamedTuple, TypeAlias

from queue_metrics._core import Value
from queue_metrics.insights import layout
from queue_metrics.insights.reading import Part, Reading, SeriesReading, read
from queue_metrics.insights.recency import all_days, last_day
from queue_metrics.insights.window import Span
from queue_metrics.model import Outcome
from queue_metrics.storage.base import DAY, EXCEPTION, TASK, Series, StorageDriver

NEAR_DAYS = 30
"""So far back is looked first: most is found there, and a point of a task by day is a thousand bytes."""

_Key: TypeAlias = tuple[int, tuple[str, ...]]


class _Found(NamedTuple):
    """The newest day in which it happened, when it had happened so often; None: in no day that is kept."""

    total: int
    at: int | None
    value: Value | None


class Older:
    """Completes readings of one store; keeps what it found, since days that are over do not change."""

    def __init__(self) -> None:
        self._found: dict[_Key, _Found] = {}

    def completed(self, driver: StorageDriver, reading: Reading) -> Reading:
        """
        The reading with the day of the last failure of each task, and of the last of each exception, that was longer ago than a day.

        Two further looks at most, and none when nothing has failed since the last time that did not fail within the day.

        Args:
            driver: the store that it is of.
            reading: of all tasks and exceptions over `last_day`, with their totals.
        """
        now = reading.span.now
        day = last_day(now)
        missing: dict[_Key, int] = {}
        for kind, happened in _HAPPENED.items():
            for series in reading.of(kind):
                key, total = (kind, series.labels), happened(series.total)
                known = self._found.get(key)
                if total and ((known and known.total == total) or not any(map(happened, series.over(day).values()))):
                    missing[key] = total
        wanted = {key for key, total in missing.items() if key not in self._found or self._found[key].total != total}
        days = all_days(now)
        near = replace(days, start=days.end - NEAR_DAYS * DAY)
        for span in (near, replace(days, end=near.start)):
            for key, at, value in _newest(driver, span, wanted) if wanted else ():
                self._found[key] = _Found(missing[key], at, value)
                wanted.discard(key)
        self._found.update((key, _Found(missing[key], None, None)) for key in wanted)
        return _with_days(reading, {key: self._found[key] for key in missing})


_FAILURES = tuple(layout.OUTCOMES[outcome] for outcome in (Outcome.FAILED, Outcome.TIMED_OUT, Outcome.LOST))
_ENDED = tuple(layout.OUTCOMES.values())


def _failures(value: Value) -> int:
    return sum(map(value.counter, _FAILURES))


def _ended(value: Value) -> int:
    return sum(map(value.counter, _ENDED))


_HAPPENED: dict[int, Callable[[Value], int]] = {TASK: _failures, EXCEPTION: _ended}


def _newest(driver: StorageDriver, span: Span, wanted: set[_Key]) -> list[tuple[_Key, int, Value]]:
    """The newest step of the span in which it happened, of those in which it did."""

    def those(series: Series) -> bool:
        return (series.kind, series.labels) in wanted

    kinds = tuple({kind for kind, _ in wanted})
    reading = read(driver, span, kinds=(), further=[Part(span, kinds, those)], totals=False, heartbeats=False)
    found = []
    for kind in kinds:
        for series in reading.of(kind):
            points = {at: value for at, value in series.over(span).items() if _HAPPENED[kind](value)}
            if points and (kind, series.labels) in wanted:
                found.append(((kind, series.labels), max(points), points[max(points)]))
    return found


def _with_days(reading: Reading, found: dict[_Key, _Found]) -> Reading:
    def completed(kind: int, those: Iterable[SeriesReading]) -> Iterable[SeriesReading]:
        for series in those:
            what = found.get((kind, series.labels))
            if what is None or what.at is None or what.value is None:
                yield series
            else:
                points = {**series.by_step.get(DAY, {}), what.at: what.value}
                yield replace(series, by_step={**series.by_step, DAY: points})

    return replace(reading, series={kind: tuple(completed(kind, those)) for kind, those in reading.series.items()})
