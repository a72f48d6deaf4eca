"""What failed last, and longer ago than a day: looked for in the days once for each task, and again only after it failed again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import NamedTuple, TypeAlias

from queue_metrics._core import Value, series_id
from queue_metrics.insights import layout
from queue_metrics.insights.reading import Reading, SeriesReading
from queue_metrics.insights.recency import all_days, last_day
from queue_metrics.insights.window import Span
from queue_metrics.model import Outcome
from queue_metrics.storage.base import DAY, EXCEPTION, TASK, StorageDriver

NEAR_DAYS = 30
"""Of many tasks these are looked through first: most is found there."""
MOST_POINTS = 32_768
"""Read in one look: a point of a task by day is about a thousand bytes."""

_Key: TypeAlias = tuple[int, tuple[str, ...]]


class _Found(NamedTuple):
    """The newest day in which it happened, when it had happened so often; None: in no day that was looked through."""

    total: int
    since: int
    """All days from this one on were looked through, seconds since 1970."""
    at: int | None
    value: Value | None


class Older:
    """Completes readings of one store; keeps what it found, since days that are over do not change."""

    def __init__(self) -> None:
        self._found: dict[_Key, _Found] = {}

    def completed(self, driver: StorageDriver, reading: Reading, *, at_once: bool) -> Reading:
        """
        The reading with the day of the last failure of each task, and of the last of each exception, that was longer ago than a day.

        One request more at most, unless `at_once`; none when nothing has failed since the last time that did not fail within the day.

        Args:
            driver: the store that it is of.
            reading: of all tasks and exceptions over `last_day`, with their totals.
            at_once: look until everything is found, however many there are, and do not leave a part of it to the next readings.
        """
        days, missing = all_days(reading.span.now), self._missing(reading)
        while (look := self._next(missing, days)) is not None:
            self._look(driver, *look, missing)
            if not at_once:
                break
        return _with_days(reading, {key: self._found[key] for key in missing if key in self._found})

    def _missing(self, reading: Reading) -> dict[_Key, int]:
        """What happened, but not within the day; and how often ever."""
        day, missing = last_day(reading.span.now), {}
        for kind, happened in _HAPPENED.items():
            for series in reading.of(kind):
                key, total = (kind, series.labels), happened(series.total)
                known = self._found.get(key)
                if total and ((known and known.total == total) or not any(map(happened, series.over(day).values()))):
                    missing[key] = total
        return missing

    def _next(self, missing: Mapping[_Key, int], days: Span) -> tuple[Span, list[_Key]] | None:
        """The days to look through now, and for what; None: everything was looked for."""
        near = replace(days, start=days.end - NEAR_DAYS * DAY)
        new = [key for key, total in missing.items() if key not in self._found or self._found[key].total != total]
        if new:
            return _fitting(days if len(new) * len(days.buckets) <= MOST_POINTS else near, new)
        left = [key for key in missing if self._found[key].at is None and self._found[key].since > days.start]
        return _fitting(replace(days, end=near.start), left) if left else None

    def _look(self, driver: StorageDriver, span: Span, wanted: Iterable[_Key], missing: Mapping[_Key, int]) -> None:
        ids = {series_id(*key): key for key in wanted}
        points = driver.read_series(list(ids), span.step, span.start, span.end)
        for one, key in ids.items():
            steps = ((at, Value.decode(packed)) for at, packed in reversed(points.get(one, [])))
            at, value = next(((at, value) for at, value in steps if _HAPPENED[key[0]](value)), (None, None))
            self._found[key] = _Found(missing[key], span.start, at, value)


def _fitting(span: Span, wanted: list[_Key]) -> tuple[Span, list[_Key]]:
    return span, wanted[: max(MOST_POINTS // len(span.buckets), 1)]


_FAILURES = tuple(layout.OUTCOMES[outcome] for outcome in (Outcome.FAILED, Outcome.TIMED_OUT, Outcome.LOST))
_ENDED = tuple(layout.OUTCOMES.values())


def _failures(value: Value) -> int:
    return sum(map(value.counter, _FAILURES))


def _ended(value: Value) -> int:
    return sum(map(value.counter, _ENDED))


_HAPPENED: dict[int, Callable[[Value], int]] = {TASK: _failures, EXCEPTION: _ended}


def _with_days(reading: Reading, found: Mapping[_Key, _Found]) -> Reading:
    def completed(kind: int, those: Iterable[SeriesReading]) -> Iterable[SeriesReading]:
        for series in those:
            what = found.get((kind, series.labels))
            if what is None or what.at is None or what.value is None:
                yield series
            else:
                points = {**series.by_step.get(DAY, {}), what.at: what.value}
                yield replace(series, by_step={**series.by_step, DAY: points})

    return replace(reading, series={kind: tuple(completed(kind, those)) for kind, those in reading.series.items()})
