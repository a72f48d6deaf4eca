"""Where depth, throughput and efficiency are heading: the original's three answers by its formulas, each with a verdict beside it."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypedDict

from queue_metrics._core import Moments, Series, fit, intervals
from queue_metrics.insights.clocks import Clocks
from queue_metrics.insights.flow import flow_case
from queue_metrics.insights.minutes import Minutes
from queue_metrics.insights.trend_question import Question
from queue_metrics.insights.verdict import flow_verdict, line_verdict, unknown
from queue_metrics.insights.wording import duration
from queue_metrics.model.collector import CollectorAnswer
from queue_metrics.model.trends import (
    DepthStatistics,
    DepthTrend,
    DirectionWord,
    EfficiencyStatistics,
    EfficiencyTrend,
    Forecast,
    NoTrend,
    ThroughputStatistics,
    ThroughputTrend,
    TimeWindow,
    TrendLine,
    Verdict,
)
from queue_metrics.storage.base import MINUTE
from queue_metrics.storage.efficiency import FleetRows

_STEEP = 0.1
"""Slope of a depth, jobs a second, from which the original calls it increasing."""
_MEGABYTE = 1 << 20
_GAP = 2 * MINUTE
"""A row of workers that is longer is of more than its minute and its neighbour, seconds."""


@dataclass(frozen=True, slots=True)
class _Points:
    times: Series
    values: Series

    def __len__(self) -> int:
        return len(self.values)


@dataclass(frozen=True, slots=True)
class _Line:
    slope: float
    r_squared: float
    next_value: float


def _line(points: _Points, interval: int) -> _Line:
    """The original's regression and forecast: x from the first point on, zeros where no line is, never a number below 0."""
    if len(points) < 2:
        return _Line(0.0, 0.0, points.values[0])
    first = points.times[0]
    found = fit(points.times - first, points.values)
    if found is None:
        return _Line(0.0, 0.0, 0.0)
    following = found.at(points.times[-1] - first + interval)
    return _Line(found.slope, found.r_squared or 0.0, max(0.0, following))


def _forecast(line: _Line, points: _Points, interval: int) -> Forecast:
    return Forecast(round(line.next_value, 2), int(points.times[-1]) + interval)


class _About(TypedDict):
    period_seconds: int
    interval_seconds: int
    data_points: int
    times: tuple[float, ...]
    values: tuple[float, ...]
    time_window: TimeWindow
    verdict: Verdict


def _about(asked: Question, points: _Points, verdict: Verdict) -> _About:
    """What every answer tells."""
    return {
        "period_seconds": asked.period,
        "interval_seconds": asked.interval,
        "data_points": len(points),
        "times": tuple(points.times),
        "values": tuple(points.values),
        "time_window": asked.window(len(points)),
        "verdict": verdict,
    }


def depth_trend(
    asked: Question, connection: str, queue: str, minutes: Minutes, workers: int | None, clocks: Clocks
) -> DepthTrend | NoTrend:
    """
    Where the depth of a queue is heading.

    Args:
        asked: of `question`.
        connection, queue: its name.
        minutes: from `asked.start` on, the open one too.
        workers: live workers that serve this queue and no other; None when others share them, or it is not known, as of a range that is
            over: who lives now says nothing of who did then.
        clocks: of those who may have asked, for the age.
    """
    points = _depths(asked, minutes.between(asked.told_until - asked.minutes * MINUTE, asked.told_until))
    about = _about(asked, points, _depth_verdict(asked, minutes, points, workers))
    if not points.values:
        message = asked.why_nothing(
            f"No depth of {queue!r} was recorded {asked.words}: nobody asked the broker. Start an instrumented "
            f"worker, or name the connection in the configuration of an agent ([connections.NAME])."
        )
        return NoTrend(message=message, connection=connection, queue=queue, **about)
    line = _line(points, asked.interval)
    moments = Moments(points.values)
    statistics = DepthStatistics(
        current=int(points.values[-1]),
        average=round(moments.mean or 0.0, 2),
        min=int(moments.min or 0),
        max=int(moments.max or 0),
        std_dev=round(math.sqrt(moments.population_variance or 0.0), 2),
    )
    direction: DirectionWord = "increasing" if line.slope > _STEEP else "decreasing" if line.slope < -_STEEP else "stable"
    return DepthTrend(
        message=asked.note,
        connection=connection,
        queue=queue,
        statistics=statistics,
        trend=TrendLine(round(line.slope, 4), direction, round(line.r_squared, 3)),
        forecast=_forecast(line, points, asked.interval),
        age_seconds=clocks.age(connection, points.times[-1]),
        **about,
    )


def _depths(asked: Question, minutes: Minutes) -> _Points:
    """The last depth of each interval, at the moment when the broker was asked; intervals end with the open minute, or the range."""
    *_, last = intervals(minutes.starts, minutes.ready, asked.told_until, asked.interval)
    return _Points(minutes.asked_at.take(last), minutes.ready.take(last))


def _depth_verdict(asked: Question, minutes: Minutes, points: _Points, workers: int | None) -> Verdict:
    whole = minutes.between(asked.start, asked.end)
    mean = points.values.sum() / len(points) if points.values else None
    case = flow_case(whole, workers)
    if not isinstance(case, str):
        ready = points.values[-1] if points.values else None
        return flow_verdict(case, minutes=len(whole.starts), ready=ready, mean_ready=mean, period=asked.period)
    if mean is None:
        return unknown(case)
    started = whole.started.sum() / max(len(whole.starts), 1)
    # Whatever is started within a minute anyway is no backlog that grows.
    return line_verdict(points.times, points.values, asked.period, least_margin=max(started, 1.0))


def throughput_trend(asked: Question, connection: str, queue: str, minutes: Minutes) -> ThroughputTrend | NoTrend:
    """
    Where the number of executions that end in an interval is heading.

    Args:
        asked: of `question`.
        connection, queue: its name.
        minutes: from `asked.start` on; the open one is left out, since it would look like a fall.
    """
    whole = minutes.between(asked.start, asked.end)
    points = _per_interval(asked, whole.starts, whole.ended)
    if not points.values:
        message = asked.why_nothing(_no_throughput(asked, queue, len(whole.starts)))
        return NoTrend(message=message, connection=connection, queue=queue, **_about(asked, points, unknown(message)))
    line, total, observed = _line(points, asked.interval), int(whole.ended.sum()), MINUTE * len(whole.starts)
    a_minute = total / asked.period * 60
    statistics = ThroughputStatistics(
        total_jobs=total,
        average_per_interval=round(points.values.sum() / len(points), 2),
        jobs_per_minute=round(a_minute, 2),
        jobs_per_hour=round(a_minute * 60, 2),
        jobs_per_second=total / observed if observed else None,
        observed_seconds=observed,
    )
    return ThroughputTrend(
        message=asked.note,
        connection=connection,
        queue=queue,
        statistics=statistics,
        trend=TrendLine(round(line.slope, 4), _by_sign(line.slope), None),
        age_seconds=max(asked.now - whole.stored_until, 0.0),
        **_about(asked, points, line_verdict(points.times, points.values, asked.period)),
    )


def _no_throughput(asked: Question, queue: str, recorded: int) -> str:
    if not recorded:
        return f"Nothing of {queue!r} was recorded in a whole minute {asked.words}. Start an instrumented worker, or ask again in a minute."
    return (
        f"Only {recorded} min of {queue!r} were recorded {asked.words}, in none of its intervals of {duration(asked.interval)} the half. "
        "Ask for a shorter interval, or again when recording has gone on for so long."
    )


def _per_interval(asked: Question, starts: Sequence[int], counts: Series) -> _Points:
    """
    Counts of whole intervals, the last of which ends with the last whole minute, at their start.

    An interval of which at least half was recorded counts as if the rest were like it; others are gaps, as what is left of the period in
    front of the first.
    """
    if asked.interval == MINUTE:
        return _Points(Series(starts), counts)
    long = asked.interval // MINUTE
    places, recorded, sums, _ = intervals(starts, counts, asked.end, asked.interval)
    first = bisect_left(places, -max(asked.minutes // long, 1))
    known = [first + at for at, minutes in enumerate(recorded[first:]) if 2 * minutes >= long]
    return _Points(places.take(known) * asked.interval + asked.end, sums.take(known) * long / recorded.take(known))


def efficiency_trend(asked: Question, rows: FleetRows, collector: CollectorAnswer) -> EfficiencyTrend | NoTrend:
    """
    How busy all workers were, and where that is heading.

    Args:
        asked: of `question`.
        rows: oldest first, the first behind the period too; what lies outside of it is left out, also of a row that is longer, as after
            a gap.
        collector: whether one runs, for the reason where nothing is known.
    """
    counted = rows.between(asked.until - asked.period, asked.until, before=asked.told_until)
    inside = counted.of_workers()
    busy, worked = inside.busy_seconds, inside.busy_seconds + inside.idle_seconds
    points = _efficiencies(asked, inside)
    if not points.values:
        missing = "worker lived from one pass of the collector to the next" if counted.at else "collector passed twice"
        message = asked.why_nothing(f"No efficiency is known: no {missing} {asked.words}. {collector.message}")
        return NoTrend(message=message, connection=None, queue=None, **_about(asked, points, unknown(message)))
    moments = Moments(points.values)
    statistics = EfficiencyStatistics(
        current=round(points.values[-1], 2),
        average=round(busy.sum() / worked.sum() * 100, 2),
        min=round(moments.min or 0.0, 2),
        max=round(moments.max or 0.0, 2),
        avg_memory_mb=_rounded_mean(inside.rss_mean_bytes / _MEGABYTE),
        avg_cpu_percent=_rounded_mean(inside.cpu_mean_ratio * 100),
    )
    slope = _line(points, asked.interval).slope
    return EfficiencyTrend(
        message=asked.note,
        statistics=statistics,
        trend=TrendLine(round(slope, 4), _by_sign(slope), None),
        age_seconds=max(asked.now - inside.at[-1], 0.0),
        **_about(asked, points, line_verdict(points.times, points.values, asked.period)),
    )


def _efficiencies(asked: Question, rows: FleetRows) -> _Points:
    """
    Busy time by all time of each interval, %, at its start within the period; intervals end with the open minute, or the range.

    A row stands in the interval of its pass, with the time since its start and a minute before: of a gap it tells of no more. One that is
    behind the period stands in the last, and one that is before all of them, by less than a minute, in the first.
    """
    origin, long = asked.told_until, asked.interval
    if (Moments(rows.seconds).max or 0.0) > _GAP:
        gaps = [place for place, seconds in enumerate(rows.seconds) if seconds > _GAP]
        rows = rows.cut({place: rows.at[place] - (rows.at[place] - origin) % long - MINUTE for place in gaps})
    at = _not_before(origin - asked.intervals * long, rows.at)
    places, _, busy, _ = intervals(at, rows.busy_seconds, origin, long)
    _, _, worked, _ = intervals(at, rows.busy_seconds + rows.idle_seconds, origin, long)
    return _Points(_not_before(asked.until - asked.period, places * long + origin), busy / worked * 100)


def _not_before(start: float, times: Series) -> Series:
    """Ascending moments, with that one in place of each that is before it."""
    early = bisect_left(times, start)
    return Series([*[start] * early, *times[early:]]) if early else times


def _by_sign(slope: float) -> DirectionWord:
    return "increasing" if slope > 0 else "decreasing" if slope < 0 else "stable"


def _rounded_mean(values: Series) -> float | None:
    """Of those that are known."""
    known = values.known()
    return round(known.sum() / len(known), 2) if known else None
