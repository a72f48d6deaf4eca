"""Where depth, throughput and efficiency are heading: the original's three answers by its formulas, each with a verdict beside it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from queue_metrics._core import fit
from queue_metrics.insights.flow import flow_case
from queue_metrics.insights.minutes import Minutes
from queue_metrics.insights.verdict import flow_verdict, line_verdict, unknown
from queue_metrics.insights.wording import duration
from queue_metrics.model.trends import (
    DepthStatistics,
    DepthTrend,
    DirectionWord,
    EfficiencyStatistics,
    EfficiencyTrend,
    Forecast,
    ThroughputStatistics,
    ThroughputTrend,
    TimeWindow,
    TrendLine,
    Verdict,
)
from queue_metrics.storage.base import MINUTE
from queue_metrics.storage.efficiency import FleetRow

PERIOD_DEFAULT, PERIOD_LEAST, PERIOD_MOST = 3_600, 60, 604_800
INTERVAL_DEFAULT, INTERVAL_LEAST, INTERVAL_MOST = 60, 10, 14_400
"""Seconds; the original's bounds, and a minute as the shortest period."""

_STEEP = 0.1
"""Slope of a depth, jobs a second, from which the original calls it increasing."""
_MEGABYTE = 1 << 20


@dataclass(frozen=True, slots=True)
class Question:
    """Over which time, and in which intervals."""

    period: int
    interval: int
    """Whole minutes."""
    note: str | None
    """What was changed of the question."""
    now: float

    @property
    def end(self) -> int:
        """Start of the open minute: the minutes before it are whole."""
        return int(self.now) // MINUTE * MINUTE

    @property
    def minutes(self) -> int:
        """Minutes that the period touches at least."""
        return -(-self.period // MINUTE)

    @property
    def start(self) -> int:
        """From which minute on is read: one more than the period has, since the open one is not whole."""
        return self.end - self.minutes * MINUTE

    def window(self, points: int) -> TimeWindow:
        """As it stands in answers."""
        return TimeWindow(self.period, self.now - self.period, self.now, self.now, points, self.interval)


def question(period_seconds: int, interval_seconds: int, now: float) -> Question:
    """
    Check a question, and make its interval one that can be answered.

    Raises:
        ValueError: out of the bounds, which it names.
    """
    _within("period_seconds", period_seconds, PERIOD_LEAST, PERIOD_MOST)
    _within("interval_seconds", interval_seconds, INTERVAL_LEAST, INTERVAL_MOST)
    interval = -(-interval_seconds // MINUTE) * MINUTE
    note = None
    if interval != interval_seconds:
        note = f"An interval of {interval_seconds} s is answered as {interval} s: minutes are the finest that is stored."
    return Question(period_seconds, interval, note, now)


def _within(name: str, value: int, least: int, most: int) -> None:
    if not least <= value <= most:
        raise ValueError(f"{name} must be between {least} and {most}, not {value}")


@dataclass(frozen=True, slots=True)
class _Points:
    times: list[float]
    values: list[float]

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
    found = fit([time - first for time in points.times], points.values)
    if found is None:
        return _Line(0.0, 0.0, 0.0)
    following = found.at(points.times[-1] - first + interval)
    return _Line(found.slope, found.r_squared or 0.0, max(0.0, following))


def _forecast(line: _Line, points: _Points, interval: int) -> Forecast:
    return Forecast(round(line.next_value, 2), int(points.times[-1]) + interval)


def depth_trend(asked: Question, connection: str, queue: str, minutes: Minutes, workers: int | None) -> DepthTrend:
    """
    Where the depth of a queue is heading.

    Args:
        asked: of `question`.
        connection, queue: its name.
        minutes: from `asked.start` on, the open one too.
        workers: live workers that serve this queue and no other; None when others share them, or it is not known.
    """
    points = _depths(asked, minutes.between(asked.start + MINUTE, asked.end + MINUTE))
    verdict = _depth_verdict(asked, minutes, points, workers)
    line, statistics, trend = None, None, None
    message = asked.note
    if not points.values:
        message = (
            f"No depth of {queue!r} was recorded in the last {duration(asked.period)}: nobody asked the broker. Start an instrumented "
            f"worker, or name the connection in the configuration of an agent ([connections.NAME])."
        )
    else:
        line = _line(points, asked.interval)
        mean, deviation = _mean_and_deviation(points.values)
        statistics = DepthStatistics(
            current=int(points.values[-1]),
            average=round(mean, 2),
            min=int(min(points.values)),
            max=int(max(points.values)),
            std_dev=round(deviation, 2),
        )
        direction: DirectionWord = "increasing" if line.slope > _STEEP else "decreasing" if line.slope < -_STEEP else "stable"
        trend = TrendLine(round(line.slope, 4), direction, round(line.r_squared, 3))
    return DepthTrend(
        available=statistics is not None,
        message=message,
        connection=connection,
        queue=queue,
        period_seconds=asked.period,
        interval_seconds=asked.interval,
        data_points=len(points),
        times=tuple(points.times),
        values=tuple(points.values),
        statistics=statistics,
        trend=trend,
        forecast=None if line is None else _forecast(line, points, asked.interval),
        time_window=asked.window(len(points)),
        verdict=verdict,
    )


def _depths(asked: Question, minutes: Minutes) -> _Points:
    """The last depth of each interval, at the moment when the broker was asked; intervals end with the open minute."""
    last: dict[int, tuple[float, float]] = {}
    for start, depth, at in zip(minutes.starts, minutes.ready, minutes.asked_at, strict=True):
        if not math.isnan(depth):
            last[(start - asked.end - MINUTE) // asked.interval] = at, depth
    return _Points([at for at, _ in last.values()], [depth for _, depth in last.values()])


def _depth_verdict(asked: Question, minutes: Minutes, points: _Points, workers: int | None) -> Verdict:
    whole = minutes.between(asked.start, asked.end)
    mean = math.fsum(points.values) / len(points) if points.values else None
    case = flow_case(whole, workers)
    if not isinstance(case, str):
        ready = points.values[-1] if points.values else None
        return flow_verdict(case, minutes=len(whole.starts), ready=ready, mean_ready=mean, period=asked.period)
    if mean is None:
        return unknown(case)
    started = sum(whole.started) / max(len(whole.starts), 1)
    # Whatever is started within a minute anyway is no backlog that grows.
    return line_verdict(points.times, points.values, asked.period, least_margin=max(started, 1.0))


def throughput_trend(asked: Question, connection: str, queue: str, minutes: Minutes) -> ThroughputTrend:
    """
    Where the number of executions that end in an interval is heading.

    Args:
        asked: of `question`.
        connection, queue: its name.
        minutes: from `asked.start` on; the open one is left out, since it would look like a fall.
    """
    whole = minutes.between(asked.start, asked.end)
    points = _per_interval(asked, whole.starts, whole.ended)
    statistics, trend, verdict = None, None, None
    message = asked.note
    if not points.values:
        message = (
            f"Nothing of {queue!r} was recorded in a whole {_interval(asked)} of the last {duration(asked.period)}. Start an instrumented "
            f"worker, or ask again when one has run for so long."
        )
        verdict = unknown(message)
    else:
        line, total, observed = _line(points, asked.interval), int(sum(whole.ended)), MINUTE * len(whole.starts)
        a_minute = total / asked.period * 60
        statistics = ThroughputStatistics(
            total_jobs=total,
            average_per_interval=round(math.fsum(points.values) / len(points), 2),
            jobs_per_minute=round(a_minute, 2),
            jobs_per_hour=round(a_minute * 60, 2),
            jobs_per_second=total / observed if observed else None,
            observed_seconds=observed,
        )
        trend = TrendLine(round(line.slope, 4), _by_sign(line.slope), None)
        verdict = line_verdict(points.times, points.values, asked.period)
    return ThroughputTrend(
        available=statistics is not None,
        message=message,
        connection=connection,
        queue=queue,
        period_seconds=asked.period,
        interval_seconds=asked.interval,
        data_points=len(points),
        times=tuple(points.times),
        values=tuple(points.values),
        statistics=statistics,
        trend=trend,
        forecast=None,
        time_window=asked.window(len(points)),
        verdict=verdict,
    )


def _per_interval(asked: Question, starts: Sequence[int], counts: Sequence[float]) -> _Points:
    """
    Counts of whole intervals, the last of which ends with the last whole minute, at their start.

    An interval of which at least half was recorded counts as if the rest were like it; others are gaps, as what is left of the period in
    front of the first.
    """
    if asked.interval == MINUTE:
        return _Points([float(start) for start in starts], list(counts))
    long = asked.interval // MINUTE
    sums: dict[int, float] = {}
    recorded: dict[int, int] = {}
    for start, number in zip(starts, counts, strict=True):
        place = (start - asked.end) // asked.interval
        sums[place] = sums.get(place, 0.0) + number
        recorded[place] = recorded.get(place, 0) + 1
    kept = [place for place in sums if 2 * recorded[place] >= long and -place <= max(asked.minutes // long, 1)]
    times = [float(asked.end + place * asked.interval) for place in kept]
    return _Points(times, [sums[place] * long / recorded[place] for place in kept])


def efficiency_trend(asked: Question, rows: Iterable[FleetRow]) -> EfficiencyTrend:
    """
    How busy all workers were, and where that is heading.

    Args:
        asked: of `question`.
        rows: oldest first; what lies outside of the period is left out.
    """
    inside = [row for row in rows if asked.now - asked.period <= row.at <= asked.now and row.busy_seconds + row.idle_seconds > 0]
    points = _efficiencies(asked, inside)
    statistics, trend, verdict = None, None, None
    message = asked.note
    if not points.values:
        message = (
            f"No efficiency was recorded in the last {duration(asked.period)}: a collector writes it each minute. Start "
            f"`queue-metrics serve` or `queue-metrics agent`, or have cron run `queue-metrics record-trends` each minute."
        )
        verdict = unknown(message)
    else:
        busy, time = sum(row.busy_seconds for row in inside), sum(row.busy_seconds + row.idle_seconds for row in inside)
        statistics = EfficiencyStatistics(
            current=round(points.values[-1], 2),
            average=round(busy / time * 100, 2),
            min=round(min(points.values), 2),
            max=round(max(points.values), 2),
            avg_memory_mb=_rounded_mean([row.rss_mean_bytes / _MEGABYTE for row in inside if row.rss_mean_bytes is not None]),
            avg_cpu_percent=_rounded_mean([row.cpu_mean_ratio * 100 for row in inside if row.cpu_mean_ratio is not None]),
        )
        slope = _line(points, asked.interval).slope
        trend = TrendLine(round(slope, 4), _by_sign(slope), None)
        verdict = line_verdict(points.times, points.values, asked.period)
    return EfficiencyTrend(
        available=statistics is not None,
        message=message,
        connection=None,
        queue=None,
        period_seconds=asked.period,
        interval_seconds=asked.interval,
        data_points=len(points),
        times=tuple(points.times),
        values=tuple(points.values),
        statistics=statistics,
        trend=trend,
        forecast=None,
        time_window=asked.window(len(points)),
        verdict=verdict,
    )


def _efficiencies(asked: Question, rows: Sequence[FleetRow]) -> _Points:
    """Busy time by all time of each interval, %, at its start; intervals end with the open minute."""
    sums: dict[int, tuple[float, float]] = {}
    for row in rows:
        place = (int(row.at) // MINUTE * MINUTE - asked.end - MINUTE) // asked.interval
        busy, time = sums.get(place, (0.0, 0.0))
        sums[place] = busy + row.busy_seconds, time + row.busy_seconds + row.idle_seconds
    times = [float(asked.end + MINUTE + place * asked.interval) for place in sums]
    return _Points(times, [busy / time * 100 for busy, time in sums.values()])


def _by_sign(slope: float) -> DirectionWord:
    return "increasing" if slope > 0 else "decreasing" if slope < 0 else "stable"


def _mean_and_deviation(values: Sequence[float]) -> tuple[float, float]:
    """Mean and standard deviation of a population."""
    mean = math.fsum(values) / len(values)
    return mean, math.sqrt(math.fsum((value - mean) ** 2 for value in values) / len(values))


def _rounded_mean(values: Sequence[float]) -> float | None:
    return round(math.fsum(values) / len(values), 2) if values else None


def _interval(asked: Question) -> str:
    return "minute" if asked.interval == MINUTE else f"interval of {duration(asked.interval)}"
