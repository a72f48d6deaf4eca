"""What is read of a store for one answer: one look, whatever the size of the fleet. Makes no sense of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, TypeAlias

from queue_metrics._core import Value
from queue_metrics.config import BaselineRules, TimeToLive
from queue_metrics.insights.measures import merged
from queue_metrics.insights.window import Span, whole_steps
from queue_metrics.model import Window
from queue_metrics.storage.base import DAY, EXCEPTION, MINUTE, QUEUE, TASK, Beat, Series, StorageDriver
from queue_metrics.storage.general import Call
from queue_metrics.storage.spools import SpoolReport, goodbye_age, spool_reports, worker_beats
from queue_metrics.storage.view import Points, Range, Totals

Step: TypeAlias = tuple[int, int]
"""Its length, and its bucket; seconds."""

RULES = BaselineRules()
_NOTHING = Value().encode()


@dataclass(frozen=True)
class SeriesReading:
    """One series in the window of a reading, and in whatever further spans were read."""

    labels: tuple[str, ...]
    points: Mapping[int, Value]
    """In the window, by bucket, seconds since 1970; only those that exist."""
    packed_total: bytes
    """Ever, as it is stored; that of nothing when totals were not asked for."""
    by_step: Mapping[int, Mapping[int, Value]]
    """All points that were read, by step and bucket."""

    @cached_property
    def total(self) -> Value:
        """Ever; raises DecodeError when it is damaged or newer than this package."""
        return Value.decode(self.packed_total)

    @cached_property
    def window(self) -> Value:
        """All points of the window together."""
        return merged(self.points.values())

    def over(self, span: Span) -> Mapping[int, Value]:
        """The points of a span, which must have been read."""
        return over(span, self.by_step.get(span.step, {}))


def over(span: Span, points: Mapping[int, Value]) -> Mapping[int, Value]:
    """Those of the points that are in a span."""
    return {bucket: value for bucket, value in points.items() if span.start <= bucket < span.end}


@dataclass(frozen=True)
class Reading:
    """The store at one moment."""

    span: Span
    """The window of the question."""
    series: Mapping[int, tuple[SeriesReading, ...]]
    """By kind."""
    beats: tuple[Beat, ...]
    """Of workers."""
    spools: tuple[SpoolReport, ...]
    goodbye_age: float | None
    """Seconds since the last process left in good order; None when somebody came afterwards."""
    every_beat: tuple[Beat, ...]
    """Whatever travels as a heartbeat."""
    answers: Mapping[Call, Any]
    """To general calls."""
    rules: BaselineRules = RULES
    """What baselines are made of where this was read."""
    lifetimes: TimeToLive = field(default_factory=TimeToLive)
    """How long it is kept there what a collector calculates and counts."""
    uptime_seconds: float | None = None
    """For how long the store's server has been up; None: it does not tell."""
    packed: tuple[Points, ...] = ()
    """The points of the ranges that were wanted as they are stored, by id of their series."""
    parts: tuple[Part, ...] = ()
    """What was read, as one part where that could be."""
    began: Mapping[Step, int] = field(default_factory=dict)
    """Of hours and days in which recording began: when, by finer steps."""
    _observed: dict[Span, tuple[int, int] | None] = field(default_factory=dict, repr=False, compare=False)

    def of(self, kind: int) -> tuple[SeriesReading, ...]:
        """The series of a kind; none where the kind was not read."""
        return self.series.get(kind, ())

    @property
    def tasks(self) -> tuple[SeriesReading, ...]:
        return self.of(TASK)

    @property
    def queues(self) -> tuple[SeriesReading, ...]:
        return self.of(QUEUE)

    @property
    def exceptions(self) -> tuple[SeriesReading, ...]:
        return self.of(EXCEPTION)

    @property
    def observed_from(self) -> int | None:
        """
        The first step of the window in which anything was recorded, of any series.

        Queues are asked every ten seconds while anybody records, so a quiet hour is seen as quiet, not as missing.
        """
        observed = self._observed_in(self.span)
        return None if observed is None else observed[0]

    @property
    def window(self) -> Window:
        """The window of the question, as it stands in answers."""
        return self.window_of(self.span)

    def window_of(self, span: Span) -> Window:
        """Any span that was read, as it stands in answers: a store that was made five minutes ago must not divide by an hour."""
        observed = self._observed_in(span)
        if observed is None:
            return span.window(None)
        first = observed[0]
        began = max(self.began.get((span.step, first), first), span.start)
        return replace(span.window(observed), observed_from=float(began))

    def began_in(self, span: Span) -> Step | None:
        """
        The hour or day in which recording began; None: it did not begin in this span, or it is a span of minutes, or was not read with the
        step before.
        """
        with_before = replace(span, start=span.start - span.step)
        if span.step == MINUTE or not any(part.holds(with_before, QUEUE) for part in self.parts):
            return None
        observed = self._observed_in(span)
        if observed is None:
            return None
        first = observed[0]
        before = first - span.step
        recorded = before < span.start and any(before in series.by_step.get(span.step, ()) for series in (*self.tasks, *self.queues))
        return None if recorded else (span.step, first)

    def _observed_in(self, span: Span) -> tuple[int, int] | None:
        """The first and the last step of a span with anything in it; looked for once, since every task asks for it."""
        if span not in self._observed:
            of_window = span == self.span
            every = [series.points if of_window else series.over(span) for series in (*self.tasks, *self.queues)]
            ends = [(min(points), max(points)) for points in every if points]
            self._observed[span] = (min(first for first, _ in ends), max(last for _, last in ends)) if ends else None
        return self._observed[span]


@dataclass(frozen=True, slots=True)
class Part:
    """More that is to be read in the same look."""

    span: Span
    kinds: tuple[int, ...] = (TASK, QUEUE)
    where: Callable[[Series], bool] | None = None
    """Which of the series; None: all of them."""

    def holds(self, span: Span, kind: int) -> bool:
        """Whether all series of a kind are in it, over a span."""
        inside = self.span.step == span.step and self.span.start <= span.start and span.end <= self.span.end
        return inside and kind in self.kinds and self.where is None

    def joined(self, other: Part) -> Part | None:
        """One part that has both, if it has nothing else; the same points are not read twice."""
        first, second = sorted((self.span, other.span), key=lambda span: span.start)
        if first.step != second.step or second.start > first.end:
            return None
        both = replace(first, end=max(first.end, second.end))
        if (self.kinds, self.where) == (other.kinds, other.where):
            return replace(self, span=both)
        for wide, narrow in ((self, other), (other, self)):
            if wide.span == both and set(narrow.kinds) <= set(wide.kinds) and wide.where in (None, narrow.where):
                return wide
        return None


def read(
    driver: StorageDriver,
    span: Span,
    *,
    kinds: Iterable[int] = (TASK, QUEUE),
    further: Iterable[Part] = (),
    totals: bool | Totals = True,
    heartbeats: bool = True,
    calls: Sequence[Call] = (),
    packed: Sequence[Range] = (),
) -> Reading:
    """
    Read all series of some kinds over a span, and what else an answer needs, in one look.

    Args:
        driver: an open store.
        span: the window of the question.
        kinds: of the series that are read over the window.
        further: other spans, or other kinds.
        totals: whether the totals of `kinds` are read; or those that are.
        heartbeats: whether they are read.
        calls: general operations whose answers are wanted.
        packed: points that are handed on as they are stored: thousands of them are no `Value` each.

    Raises:
        StoreError: as the driver says.
        DecodeError: a stored value is damaged or newer than this package.
    """
    # Whether recording began within the first hour or day of a window is seen by the one before it, and in which hour of today by these.
    window = Part(span if span.step == MINUTE else replace(span, start=span.start - span.step), tuple(kinds))
    today = [Part(whole_steps(DAY, span.now), (QUEUE,))] if span.step == DAY and QUEUE in window.kinds else []
    parts = _joined([window, *today, *further] if window.kinds else further)
    summed = (window.kinds if totals else ()) if isinstance(totals, bool) else tuple(totals)
    ranges = [Range(part.kinds, part.span.step, part.span.start, part.span.end, part.where) for part in parts]
    calls = tuple(dict.fromkeys(calls))
    view = driver.read_view([*ranges, *packed], totals=summed, heartbeats=heartbeats, calls=calls)

    decoded: dict[int, dict[int, dict[int, Value]]] = {}
    for asked, found in zip(ranges, view.points, strict=False):
        for series_id, points in found.items():
            of_step = decoded.setdefault(series_id, {}).setdefault(asked.step, {})
            for bucket, value in points:
                if bucket not in of_step:
                    of_step[bucket] = Value.decode(value)
    series: dict[int, list[SeriesReading]] = {}
    for each in view.series:
        by_step = decoded.get(each.id, {})
        inside = over(span, by_step.get(span.step, {})) if each.kind in window.kinds else {}
        series.setdefault(each.kind, []).append(SeriesReading(each.labels, inside, view.totals.get(each.id, _NOTHING), by_step))
    return Reading(
        span=span,
        series={kind: tuple(those) for kind, those in series.items()},
        beats=tuple(worker_beats(view.beats)),
        spools=tuple(spool_reports(view.beats)),
        goodbye_age=goodbye_age(view.beats),
        every_beat=tuple(view.beats),
        answers=dict(zip(calls, view.answers, strict=True)),
        rules=driver.baselines,
        lifetimes=driver.lifetimes,
        uptime_seconds=view.uptime_seconds,
        packed=view.points[len(ranges) :],
        parts=tuple(parts),
    )


def _joined(parts: Iterable[Part]) -> list[Part]:
    """The same with less: what can be one part is one."""
    few: list[Part] = []
    for part in parts:
        whole, others = part, few
        few = []
        for other in others:
            both = whole.joined(other)
            if both is None:
                few.append(other)
            else:
                whole = both
        few.append(whole)
    return few
