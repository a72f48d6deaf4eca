"""One look at a store: points of several stretches of time, totals, heartbeats and general answers at once. Knows no database."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from queue_metrics.storage.general import Call

if TYPE_CHECKING:
    from queue_metrics.storage.base import Beat, Series, StorageDriver

Points = dict[int, list[tuple[int, bytes]]]
"""Per series its points in order of buckets: start of the step and packed value."""


@dataclass(frozen=True, slots=True)
class Range:
    """The points of some kinds of series with start <= bucket < end; a range without length asks for the names of the series alone."""

    kinds: tuple[int, ...]
    step: int
    start: int
    end: int
    """Seconds, as are the next two: the length of the steps, and since 1970."""
    where: Callable[[Series], bool] | None = None
    """Which of the series; None: all of them."""

    def wanted(self, known: Iterable[Series]) -> list[int]:
        """The ids of the series that it is about."""
        return [one.id for one in known if one.kind in self.kinds and (self.where is None or self.where(one))]


@dataclass(frozen=True, slots=True)
class Total:
    """The totals of a kind of series."""

    kind: int
    where: Callable[[Series], bool] | None = None
    """Of which of them; None: of all."""

    def has(self, one: Series) -> bool:
        """Whether it is about a series."""
        return one.kind == self.kind and (self.where is None or self.where(one))


Totals: TypeAlias = Sequence["int | Total"]
"""Whose totals are read: a kind by itself is all series of it."""


@dataclass(frozen=True, slots=True)
class View:
    """What was asked for."""

    series: list[Series]
    """Every known series of the kinds that any range or the totals name, in no order."""
    points: tuple[Points, ...]
    """For each range, for each of its series: a list, which may be empty. Values are for `Value.decode`."""
    totals: dict[int, bytes]
    """The total of each wanted series that has one."""
    beats: list[Beat]
    """The heartbeats that are not forgotten, in order of worker ids; none when they were not asked for."""
    answers: list[Any]
    """To the general calls, in order."""
    uptime_seconds: float | None = None
    """For how long the store's server has been up, at most; None: it is a file, does not tell, or heartbeats were not asked for."""


def check_calls(calls: Sequence[Call]) -> None:
    """
    Refuse what a look may not do.

    Raises:
        ValueError: a call writes, or is `scan_keys`, which needs requests of its own.
    """
    for call in calls:
        if not call.reads or call.name == "scan_keys":
            raise ValueError(f"a view takes general operations that read and need one request, not {call.name}")


def kinds_of(ranges: Sequence[Range], totals: Totals) -> set[int]:
    """All kinds of series that are asked about."""
    return {kind for one in ranges for kind in one.kinds} | {one.kind for one in _each(totals)}


def with_total(known: Iterable[Series], totals: Totals) -> list[int]:
    """The ids of the series whose total is asked for."""
    asked = _each(totals)
    return [one.id for one in known if any(each.has(one) for each in asked)]


def _each(totals: Totals) -> list[Total]:
    return [Total(one) if isinstance(one, int) else one for one in totals]


def view_in_parts(driver: StorageDriver, ranges: Sequence[Range], totals: Totals, heartbeats: bool, calls: Sequence[Call]) -> View:
    """A look made of the operations that every driver has: a request for each."""
    check_calls(calls)
    kinds = kinds_of(ranges, totals)
    known = [one for one in driver.known_series() if one.kind in kinds] if kinds else []
    points = []
    for one in ranges:
        wanted = one.wanted(known)
        points.append(driver.read_series(wanted, one.step, one.start, one.end) if wanted else {})
    summed = with_total(known, totals)
    return View(
        known,
        tuple(points),
        driver.read_totals(summed) if summed else {},
        driver.read_heartbeats() if heartbeats else [],
        driver.execute(calls) if calls else [],
    )
