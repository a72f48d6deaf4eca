"""Over which time, and in which intervals, a trend is asked for: within the bounds, and as it can be answered."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypedDict

from queue_metrics.insights.window import BadWindow, range_of
from queue_metrics.insights.wording import duration, moment
from queue_metrics.model.trends import TimeWindow
from queue_metrics.storage.base import MINUTE

PERIOD_DEFAULT, PERIOD_LEAST, PERIOD_MOST = 3_600, 60, 604_800
INTERVAL_DEFAULT, INTERVAL_LEAST, INTERVAL_MOST = 60, 10, 14_400
"""Seconds; the original's bounds, and a minute as the shortest period."""


@dataclass(frozen=True, slots=True)
class Kept:
    """How long a store keeps the points that are asked about."""

    seconds: int
    points: str
    """What they are, for people."""
    setting: str
    """What it is set by."""


@dataclass(frozen=True, slots=True)
class Question:
    """Over which time, and in which intervals."""

    period: int
    interval: int
    """Whole minutes, no more than the period touches."""
    note: str | None
    """What was changed of the question, or of what part of it nothing can be known."""
    now: float
    past: int | None = None
    """End of a range of whole minutes that are over, seconds since 1970; None: it reaches to now."""
    forgotten: bool = False
    """Whether it is over for longer than anything of it is kept."""

    @property
    def until(self) -> float:
        """Its last moment."""
        return self.now if self.past is None else float(self.past)

    @property
    def end(self) -> int:
        """Up to where minutes are whole: the start of the open one, or the end of a range that is over."""
        return int(self.until) // MINUTE * MINUTE

    @property
    def told_until(self) -> int:
        """Up to where anything can be told: the end of the open minute, or that of a range that is over."""
        return self.end + MINUTE if self.past is None else self.end

    @property
    def minutes(self) -> int:
        """Minutes that the period touches at least."""
        return -(-self.period // MINUTE)

    @property
    def start(self) -> int:
        """From which minute on is read: as many whole ones as the period has, so with the open one there is one more."""
        return self.end - self.minutes * MINUTE

    @property
    def words(self) -> str:
        """When that is, for people."""
        if self.past is None:
            return f"in the last {duration(self.period)}"
        return f"from {moment(self.until - self.period)} to {moment(self.until)}"

    @property
    def intervals(self) -> int:
        """As many as hold its minutes, one at least; the first may begin before it."""
        return -(-self.minutes * MINUTE // self.interval)

    def why_nothing(self, reason: str) -> str:
        """Why there is no answer: a reason, and the note, which says all where nothing is kept any more."""
        return " ".join(filter(None, (self.note,) if self.forgotten else (reason, self.note)))

    def window(self, points: int) -> TimeWindow:
        """As it stands in answers."""
        return TimeWindow(self.period, self.until - self.period, self.until, self.now, points, self.interval)


class AskedTrend(TypedDict, total=False):
    """
    How every trend is told its time: the last hour by minutes, unless a period or a range is given, or another interval.

    A range is seconds since 1970; without `end` it reaches until now, as a period does. One that is over has the whole minutes that hold
    it. What a period and a range may be long is the same, 60 to 604,800 s; an interval is 10 to 14,400 s, answered as whole minutes,
    and as the period where it is longer.
    """

    period_seconds: int
    interval_seconds: int
    start: float
    end: float


def question(
    now: float,
    *,
    period_seconds: int | None = None,
    interval_seconds: int = INTERVAL_DEFAULT,
    start: float | None = None,
    end: float | None = None,
    kept: Kept | None = None,
) -> Question:
    """
    Check a question, and make of it one that can be answered.

    Args:
        now: seconds since 1970.
        period_seconds, interval_seconds, start, end: as asked, see `AskedTrend`.
        kept: for how long there are points; None where for as long as anybody may ask.

    Raises:
        BadWindow: out of the bounds, which it names.
    """
    asked, past = range_of(now, start, end, period_seconds=period_seconds), None
    if asked is None:
        period_seconds = PERIOD_DEFAULT if period_seconds is None else period_seconds
        _within("period_seconds", period_seconds, PERIOD_LEAST, PERIOD_MOST)
    else:
        first, last = asked[0], min(asked[1], now)
        if not PERIOD_LEAST <= int(last - first) <= PERIOD_MOST:
            bounds = {"minimum": math.ceil(first) + PERIOD_LEAST, "maximum": int(first) + PERIOD_MOST}
            raise BadWindow(f"a range of a trend must have {PERIOD_LEAST} to {PERIOD_MOST} s, not {int(last - first)}", "end", bounds)
        over = -int(-last // MINUTE) * MINUTE
        if last < now and over <= now:
            past, period_seconds = over, over - int(first // MINUTE) * MINUTE
        else:
            # The open minute is in it: as a period, which reaches to now.
            period_seconds = min(int(now - first), PERIOD_MOST)
    _within("interval_seconds", interval_seconds, INTERVAL_LEAST, INTERVAL_MOST)
    whole, longest = (-(-seconds // MINUTE) * MINUTE for seconds in (interval_seconds, period_seconds))
    interval = min(whole, longest)
    notes = []
    if interval != interval_seconds:
        why = "minutes are the finest that is stored" if interval == whole else "the period is no longer"
        notes.append(f"An interval of {interval_seconds} s is answered as {interval} s: {why}.")
    back = 0 if past is None else now - past
    if kept is not None and kept.seconds < period_seconds + back:
        rest = f"the rest of {duration(period_seconds)}" if past is None else "what was before"
        notes.append(f"{kept.points} are kept for {duration(kept.seconds)} ({kept.setting}): nothing is known of {rest}.")
    forgotten = kept is not None and kept.seconds <= back
    return Question(period_seconds, interval, " ".join(notes) or None, now, past, forgotten)


def _within(name: str, value: int, least: int, most: int) -> None:
    if not least <= value <= most:
        raise BadWindow(f"{name} must be between {least} and {most}, not {value}", name, {"minimum": least, "maximum": most})
