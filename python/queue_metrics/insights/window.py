"""Which points answer a question about a stretch of time: the last N minutes, or from one moment to another."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypedDict

from queue_metrics.insights.wording import moment
from queue_metrics.model import Window
from queue_metrics.storage.base import DAY, HOUR, MINUTE, RETENTION, TASK, Retention

STEPS = (MINUTE, HOUR, DAY)
MINUTES_MAX = RETENTION[TASK, DAY] // 60
"""The longest window, minutes: as long as days can be kept."""
MINUTES_DEFAULT = 60


class BadWindow(ValueError):
    """A window that cannot be asked for: says the bounds, in `bounds` also for programs, and in `name` which part of it is wrong."""

    def __init__(self, message: str, name: str, bounds: Mapping[str, int] = MappingProxyType({})) -> None:
        super().__init__(message)
        self.name = name
        self.bounds = bounds


class Asked(TypedDict, total=False):
    """
    How every method is told its window: the last hour, unless `minutes` or a range is given.

    A range is seconds since 1970; without `end` it reaches until now. Points are by minute for 6 h back, by hour for 14 days, by day
    for 400: a range has the finest that is still kept of all of it, and begins and ends with whole steps.
    """

    minutes: int
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Span:
    """The steps of a window: buckets from `start` up to `end`, excluded; one that reaches to `now` ends with the open step."""

    start: int
    end: int
    step: int
    now: float

    @property
    def buckets(self) -> range:
        """Starts of the steps, seconds since 1970."""
        return range(self.start, self.end, self.step)

    def window(self, observed: tuple[int, int] | None) -> Window:
        """
        As it stands in answers.

        Args:
            observed: the first and the last step in which anything was recorded; None: nothing was.
        """
        start, end = float(self.start), min(self.now, float(self.end))
        if observed is None:
            return Window(start, end, self.step, None, None)
        first, last = observed
        return Window(start, end, self.step, float(first), min(float(last + self.step), end))


def span_of(
    now: float, minutes: int | None = None, start: float | None = None, end: float | None = None, *, retention: Retention = RETENTION
) -> Span:
    """
    The window of a question: the last `minutes`, or from `start` to `end`; the last hour where nothing is said.

    Args:
        now: the moment of the question, seconds since 1970.
        minutes: length of a window that ends now.
        start: first moment of a range, seconds since 1970; it begins with the whole step that holds it.
        end: last moment of a range; now when it is not given.
        retention: how long points are kept.

    Raises:
        BadWindow: both are given, or what is given lies out of the bounds, which it names.
    """
    asked = range_of(now, start, end, minutes=minutes)
    if asked is None:
        return last_minutes(MINUTES_DEFAULT if minutes is None else minutes, now, retention)
    return between(*asked, now, retention=retention)


def range_of(now: float, start: float | None, end: float | None, **instead: int | None) -> tuple[float, float] | None:
    """
    The range of a question, from its first moment to its last; None: none is asked for.

    Args:
        now: the moment of the question, seconds since 1970.
        start: first moment.
        end: last moment; now when it is not given.
        instead: what may be given in place of a range, by its name.

    Raises:
        BadWindow: both are given, the range has no start, is empty or not of this time; says which is.
    """
    if start is None and end is None:
        return None
    for name, value in instead.items():
        if value is not None:
            raise BadWindow(f"a window is given by {name}, or by start and end, not by both", name)
    if start is None:
        raise BadWindow("a range needs its start, in seconds since 1970; end alone says nothing", "start")
    oldest = now - MINUTES_MAX * 60
    if not oldest <= start <= now:
        raise BadWindow(
            f"start must be seconds since 1970, from {oldest:.0f} ({moment(oldest)}) to now, {now:.0f} ({moment(now)}), not {start!r}",
            "start",
            {"minimum": math.ceil(oldest), "maximum": math.floor(now)},
        )
    last = now if end is None else end
    if not (math.isfinite(last) and last > start):
        raise BadWindow(
            f"end must be seconds since 1970, later than start, {start:.0f} ({moment(start)}), not {last!r}",
            "end",
            {"minimum": math.floor(start) + 1},
        )
    return start, last


def last_minutes(minutes: int, now: float, retention: Retention = RETENTION) -> Span:
    """
    The finest steps that are kept for the whole window, ending with the open one; 60 minutes are 60 steps, the last of them unfinished.

    Raises:
        BadWindow: minutes is not between 1 and MINUTES_MAX.
    """
    if not 1 <= minutes <= MINUTES_MAX:
        raise BadWindow(f"minutes must be between 1 and {MINUTES_MAX}, not {minutes}", "minutes", {"minimum": 1, "maximum": MINUTES_MAX})
    seconds = minutes * 60
    step = finest_step(seconds, retention=retention)
    end = (int(now) // step + 1) * step
    return Span(end - -(-seconds // step) * step, end, step, now)


def between(start: float, end: float, now: float, *, step: int | None = None, kind: int = TASK, retention: Retention = RETENTION) -> Span:
    """
    The steps that hold the time from `start` to `end`: whole ones, so it may begin earlier and end later by less than a step.

    Args:
        start: seconds since 1970.
        end: the same; what lies behind `now` has not happened, and is left out.
        now: the moment of the question.
        step: length of the steps, seconds; the finest that are still kept from `start` on by default.
        kind: of the series that must have them.
        retention: how long points are kept.

    Raises:
        BadWindow: the range is empty, or not all of it is kept or past; says which is.
    """
    range_of(now, start, end)
    if step is None:
        step = finest_step(now - start, kind, retention)
    elif now - start > retention.get((kind, step), 0):
        kept = ", ".join(f"{each} s for {retention[kind, each]} s" for each in STEPS if (kind, each) in retention)
        raise BadWindow(f"steps of {step} s are not kept from {start:.0f} on; kept are {kept}", "step")
    first = int(start // step) * step
    last = -int(-min(end, now) // step) * step
    return Span(first, max(last, first + step), step, now)


def at_least(seconds: int, now: float, step: int) -> Span:
    """The steps that hold the last `seconds`: as long as that and less than a step more, ending now."""
    end = (int(now) // step + 1) * step
    return Span(int(now - seconds) // step * step, end, step, now)


def finest_step(age: float, kind: int = TASK, retention: Retention = RETENTION) -> int:
    """
    The finest step of which all points of an age are still kept, seconds; the coarsest where none are that old.

    Answers say from when on there was anything, so what a setting let expire is missing, and not taken for a quiet time.
    """
    steps = [step for step in STEPS if (kind, step) in retention]
    return next((step for step in steps if age <= retention[kind, step]), steps[-1])


def whole_steps(seconds: int, now: float) -> Span:
    """
    The steps that come nearest to the last `seconds`, and never hold more time.

    Whole minutes up to the open one: exactly as long. Of more than an hour, hours with the open one, so less than an hour less.
    """
    if seconds > HOUR:
        end = (int(now) // HOUR + 1) * HOUR
        return Span(end - seconds, end, HOUR, now)
    end = int(now) // MINUTE * MINUTE
    return Span(end - seconds, end, MINUTE, now)
