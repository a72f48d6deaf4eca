"""The stored minutes of a queue as columns, one a number: thousands of them are read at once. Makes no sense of them."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from queue_metrics._core import Series, columns
from queue_metrics.insights import layout
from queue_metrics.storage.base import MINUTE


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
    started: Series
    ended: Series
    discarded: Series
    arrivals: Series
    executions: Series
    """Executions whose run time is known."""
    busy_seconds: Series
    """Their run times together."""
    ready: Series
    """Ready jobs at the last question, and the fewest of the minute; NaN where nobody asked."""
    ready_min: Series
    asked_at: Series
    """When the last question was, seconds since 1970."""

    @property
    def stored_until(self) -> int:
        """The end of the last that was stored; where no broker was asked, those in which nothing is taken to have happened were not."""
        if self.ready.known():
            return self.starts[-1] + MINUTE
        happened = self.started + self.ended + self.discarded + self.arrivals
        return max((start + MINUTE for start, count in zip(self.starts, happened, strict=True) if count), default=self.starts[0])

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
    ready, ready_min, asked_at, executions, busy, started, arrivals, ended, discarded = columns([value for _, value in points], _NAMES)
    found = Minutes(
        starts=starts,
        started=started,
        ended=ended,
        discarded=discarded,
        arrivals=arrivals,
        executions=executions,
        busy_seconds=busy / layout.MICROSECONDS,
        ready=ready,
        ready_min=ready_min,
        asked_at=asked_at / layout.MICROSECONDS,
    )
    if not starts or len(ready.known()):
        return found
    return _with_quiet_minutes(found, end)


def _with_quiet_minutes(found: Minutes, end: int) -> Minutes:
    at = {start: number for number, start in enumerate(found.starts)}
    starts = range(found.starts[0], max(end, found.starts[-1] + MINUTE), MINUTE)
    places = [at.get(start) for start in starts]

    def filled(known: Series) -> Series:
        numbers = list(known)
        return Series([0.0 if place is None else numbers[place] for place in places])

    unasked = Series([math.nan] * len(starts))
    return Minutes(
        starts=starts,
        started=filled(found.started),
        ended=filled(found.ended),
        discarded=filled(found.discarded),
        arrivals=filled(found.arrivals),
        executions=filled(found.executions),
        busy_seconds=filled(found.busy_seconds),
        ready=unasked,
        ready_min=unasked,
        asked_at=unasked,
    )
