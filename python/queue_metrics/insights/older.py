"""What was last, and longer ago than a day: looked for in the days once for each task, and again only after it happened again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import NamedTuple, TypeAlias

from queue_metrics._core import Value, series_id
from queue_metrics.insights.reading import Reading, SeriesReading
from queue_metrics.insights.recency import ENDED, HAPPENINGS, all_days, last_day, times
from queue_metrics.insights.window import Span
from queue_metrics.storage.base import DAY, EXCEPTION, TASK, StorageDriver

NEAR_DAYS = 30
"""Of many tasks these are looked through first: most is found there."""
MOST_POINTS = 32_768
"""Read in one look: a point of a task by day is about a thousand bytes."""

_OF_KIND: Mapping[int, Sequence[tuple[int, ...]]] = {TASK: tuple(HAPPENINGS.values()), EXCEPTION: (ENDED,)}
"""What is looked for, by the counters that count it."""

_Series: TypeAlias = tuple[int, tuple[str, ...]]
_Key: TypeAlias = tuple[_Series, tuple[int, ...]]
"""One series, and what is looked for of it."""


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

    def completed(self, driver: StorageDriver, reading: Reading, *, at_once: bool) -> tuple[Reading, bool]:
        """
        The reading with the day of the last success, failure, ... of each task, and of each exception, that was longer ago than a day. And
        whether the store was asked.

        One request more at most, unless `at_once`; none when nothing happened since the last time that did not happen within the day, too.

        Args:
            driver: the store that it is of.
            reading: of all tasks and exceptions over `last_day`, with their totals.
            at_once: look until everything is found, however many there are, and do not leave a part of it to the next readings.
        """
        days, missing, asked = all_days(reading.span.now), self._missing(reading), False
        while (look := self._next(missing, days)) is not None:
            self._look(driver, *look, missing)
            asked = True
            if not at_once:
                break
        return _with_days(reading, {key: self._found[key] for key in missing if key in self._found}), asked

    def _missing(self, reading: Reading) -> dict[_Key, int]:
        """What happened, but not within the day; and how often ever."""
        day, missing = last_day(reading.span.now), {}
        for kind, happenings in _OF_KIND.items():
            for series in reading.of(kind):
                lately = series.over(day).values()
                for counters in happenings:
                    key, total = ((kind, series.labels), counters), times(series.total, counters)
                    known = self._found.get(key)
                    if total and ((known and known.total == total) or not any(times(value, counters) for value in lately)):
                        missing[key] = total
        return missing

    def _next(self, missing: Mapping[_Key, int], days: Span) -> tuple[Span, list[_Key]] | None:
        """The days to look through now, and for what; None: everything was looked for."""
        near = replace(days, start=days.end - NEAR_DAYS * DAY)
        new = [key for key, total in missing.items() if key not in self._found or self._found[key].total != total]
        if new:
            return _fitting(days if len(_series_of(new)) * len(days.buckets) <= MOST_POINTS else near, new)
        left = [key for key in missing if self._found[key].at is None and self._found[key].since > days.start]
        return _fitting(replace(days, end=near.start), left) if left else None

    def _look(self, driver: StorageDriver, span: Span, wanted: Iterable[_Key], missing: Mapping[_Key, int]) -> None:
        ids = {series: series_id(*series) for series in _series_of(wanted)}
        points = driver.read_series(list(ids.values()), span.step, span.start, span.end)
        decoded = cache(Value.decode)  # from the newest on, and each once, whatever is looked for
        for key in wanted:
            series, counters = key
            steps = ((at, decoded(packed)) for at, packed in reversed(points.get(ids[series], [])))
            at, value = next(((at, value) for at, value in steps if times(value, counters)), (None, None))
            self._found[key] = _Found(missing[key], span.start, at, value)


def _series_of(wanted: Iterable[_Key]) -> list[_Series]:
    return list(dict.fromkeys(series for series, _ in wanted))


def _fitting(span: Span, wanted: list[_Key]) -> tuple[Span, list[_Key]]:
    few = set(_series_of(wanted)[: max(MOST_POINTS // len(span.buckets), 1)])
    return span, [key for key in wanted if key[0] in few]


def _with_days(reading: Reading, found: Mapping[_Key, _Found]) -> Reading:
    def completed(kind: int, those: Iterable[SeriesReading]) -> Iterable[SeriesReading]:
        for series in those:
            those_of = (found.get(((kind, series.labels), counters)) for counters in _OF_KIND.get(kind, ()))
            days = {each.at: each.value for each in those_of if each is not None and each.at is not None and each.value is not None}
            yield replace(series, by_step={**series.by_step, DAY: {**series.by_step.get(DAY, {}), **days}}) if days else series

    return replace(reading, series={kind: tuple(completed(kind, those)) for kind, those in reading.series.items()})
