"""The stored minutes of a queue as columns, one a number: thousands of them are read at once. Makes no sense of them."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import repeat

from queue_metrics._core import columns
from queue_metrics.insights import layout
from queue_metrics.storage.base import MINUTE
from queue_metrics.storage.columns import column


def _sum(counters: Iterable[int]) -> str:
    return "+".join(f"c{index}" for index in counters)


_NAMES = (
    *(f"g{layout.READY}{part}" for part in ("last", "min", "at")),
    *(f"m{layout.RUNTIME}{part}" for part in ("n", "s")),
    *(_sum([layout.STARTED]), _sum([layout.ARRIVALS]), _sum(layout.OUTCOMES.values()), _sum(layout.DISCARDED.values())),
)


@dataclass(frozen=True, slots=True)
class Minutes:
    """
    Minutes that somebody recorded, oldest first; columns of one length.

    Brokers are asked every ten seconds while anybody records, so a minute without a value is one in which nobody did: a gap,
    which is left out. Where no broker was ever asked, a minute without a value is one in which nothing happened, from the first value on.
    """

    starts: Sequence[int]
    """Seconds since 1970."""
    started: Sequence[float]
    ended: Sequence[float]
    discarded: Sequence[float]
    arrivals: Sequence[float]
    executions: Sequence[float]
    """Executions whose run time is known."""
    busy_seconds: Sequence[float]
    """Their run times together."""
    ready: Sequence[float]
    """Ready jobs at the last question, and the fewest of the minute; NaN where nobody asked."""
    ready_min: Sequence[float]
    asked_at: Sequence[float]
    """When the last question was, seconds since 1970."""

    def between(self, start: int, end: int) -> Minutes:
        """Those that begin at `start` or later, and before `end`."""
        first = bisect_left(self.starts, start)
        last = bisect_left(self.starts, end, first)
        if (first, last) == (0, len(self.starts)):
            return self
        return Minutes(*(getattr(self, name)[first:last] for name in self.__slots__))


def minutes(points: Sequence[tuple[int, bytes]], end: int) -> Minutes:
    """
    The minutes of a queue.

    Args:
        points: (start, packed value) of the minutes that are stored, oldest first.
        end: up to which minutes are meant to be, seconds since 1970.

    Raises:
        DecodeError: a stored value is damaged or newer than this package.
    """
    starts = [start for start, _ in points]
    found_columns = columns([value for _, value in points], _NAMES)
    ready, ready_min, asked_at, executions, busy, started, arrivals, ended, discarded = (column(each) for each in found_columns)
    found = Minutes(
        starts=starts,
        started=started,
        ended=ended,
        discarded=discarded,
        arrivals=arrivals,
        # NaN differs from itself; math.isnan takes three times as long.
        executions=column(number if number == number else 0.0 for number in executions),
        busy_seconds=column(number / layout.MICROSECONDS if number == number else 0.0 for number in busy),
        ready=ready,
        ready_min=ready_min,
        asked_at=column(number / layout.MICROSECONDS for number in asked_at),
    )
    if not starts or not all(map(math.isnan, ready)):
        return found
    return _with_quiet_minutes(found, end)


def _with_quiet_minutes(found: Minutes, end: int) -> Minutes:
    at = {start: number for number, start in enumerate(found.starts)}
    starts = range(found.starts[0], max(end, found.starts[-1] + MINUTE), MINUTE)
    places = [at.get(start) for start in starts]

    def filled(known: Sequence[float], nothing: float) -> Sequence[float]:
        return column(nothing if place is None else known[place] for place in places)

    unasked = column(repeat(math.nan, len(starts)))
    return Minutes(
        starts=starts,
        started=filled(found.started, 0.0),
        ended=filled(found.ended, 0.0),
        discarded=filled(found.discarded, 0.0),
        arrivals=filled(found.arrivals, 0.0),
        executions=filled(found.executions, 0.0),
        busy_seconds=filled(found.busy_seconds, 0.0),
        ready=unasked,
        ready_min=unasked,
        asked_at=unasked,
    )
