"""Where something is heading: the original's answer, and beside it a verdict that says how sure it is."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Literal

DirectionWord = Literal["increasing", "decreasing", "stable"]
"""Of a line, in the words of the original."""


class Direction(enum.StrEnum):
    """What a verdict says."""

    GROWING = "growing"
    DRAINING = "draining"
    """It falls; of a depth: what waits gets less."""
    STEADY = "steady"
    """It changes by less than matters. Not the same as an unproven change."""
    UNKNOWN = "not enough evidence"


@dataclass(frozen=True, slots=True)
class FlowEvidence:
    """What flows through a queue, that its direction was judged by."""

    arrivals_per_second: float
    arrivals_from: str
    """"arrivals": each was recorded; "starts and depth": jobs started, plus the change of depth."""
    capacity_per_second: float
    """Executions that could be started in a second."""
    capacity_from: str
    """"workers": the workers that serve this queue alone, by mean run time; "starts while jobs waited": the rate that was seen then."""
    slots: float | None
    """Executions at once, by the workers' heartbeats or as many as were seen; None when capacity was seen as a rate."""
    load: float
    """Arrivals by capacity; above 1 the queue grows for ever."""
    load_low: float
    load_high: float
    """The ends of its 90 % interval."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether something changes, and how sure that is."""

    direction: Direction
    reason: str
    """What it rests on, or what is missing, in words."""
    probability: float | None
    """That it grows, 0-1; None without evidence. So is what follows."""
    slope_per_second: float | None
    """Change of the number in a second. By the flow test arrivals less capacity: below 0 spare capacity, by which a backlog shrinks."""
    slope_low: float | None
    slope_high: float | None
    """The ends of its 90 % interval."""
    relative_change_per_hour: float | None
    """The slope of an hour by the mean of the window; None also where that is 0."""
    margin_per_second: float | None
    """Slopes up to this on both sides do not matter: an interval within is "steady"."""
    n: int
    """Sample size: points; by the flow test arrivals and executions."""
    effective_n: float
    """How many independent ones they are worth."""
    flow: FlowEvidence | None
    """None when a line through the points was judged."""


@dataclass(frozen=True, slots=True)
class TrendLine:
    """The line of least squares, as the original rounds it."""

    slope: float
    """Change in a second, 4 decimals."""
    direction: DirectionWord
    confidence: float | None
    """R squared, 0-1, 3 decimals; None where the original tells none. It is no probability: see the verdict."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """The line one interval behind the last point."""

    next_value: float
    """2 decimals, never below 0; of a single point its value."""
    next_timestamp: int
    """Seconds since 1970."""


@dataclass(frozen=True, slots=True)
class TimeWindow:
    """The stretch of time that was looked at; moments in seconds since 1970."""

    window_seconds: int
    window_start: float
    window_end: float
    analyzed_at: float
    sample_count: int
    sample_interval_seconds: int


@dataclass(frozen=True, slots=True)
class DepthStatistics:
    """Ready jobs at the points."""

    current: int
    """At the last point."""
    average: float
    min: int
    max: int
    std_dev: float
    """Of a population; as the average with 2 decimals."""


@dataclass(frozen=True, slots=True)
class ThroughputStatistics:
    """Executions that ended."""

    total_jobs: int
    """In the window, exactly."""
    average_per_interval: float
    """2 decimals, as the next two."""
    jobs_per_minute: float
    """total_jobs by the whole period, as the original has it."""
    jobs_per_hour: float
    jobs_per_second: float | None
    """total_jobs by the time that was observed; None when that is nothing."""
    observed_seconds: int
    """Time of the minutes that somebody recorded."""


@dataclass(frozen=True, slots=True)
class EfficiencyStatistics:
    """Busy time by busy and idle time, %, 2 decimals as everything here."""

    current: float
    average: float
    """Of all time in the window, so that an interval of two workers does not weigh as one of two hundred."""
    min: float
    max: float
    avg_memory_mb: float | None
    avg_cpu_percent: float | None
    """Means over the points that have one; None when none has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrendAnswer:
    """Where something is heading: one of the three that follow, or `NoTrend`."""

    available: bool
    message: str | None
    """Why there is no answer and what to do, or what of the question was changed; None when there is nothing to say."""
    connection: str | None
    queue: str | None
    """None where it is about all queues."""
    period_seconds: int
    interval_seconds: int
    """As answered: at least a minute, the finest that is stored."""
    data_points: int
    times: tuple[float, ...]
    """Moments of the points, seconds since 1970. A gap has none."""
    values: tuple[float, ...]
    """Jobs, executions an interval, or %."""
    trend: TrendLine | None
    forecast: Forecast | None
    """None where the original tells none, as of throughput."""
    time_window: TimeWindow
    verdict: Verdict
    age_seconds: float | None
    """
    How old the newest evidence is: since the broker was asked, since the end of the last minute that was recorded, since the last pass in
    which a worker had lived. None: there is none.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class DepthTrend(TrendAnswer):
    """Of the ready jobs of a queue."""

    available: Literal[True] = True
    connection: str
    queue: str
    age_seconds: float
    statistics: DepthStatistics
    trend: TrendLine
    forecast: Forecast


@dataclass(frozen=True, slots=True, kw_only=True)
class ThroughputTrend(TrendAnswer):
    """Of the executions of a queue that end in an interval."""

    available: Literal[True] = True
    connection: str
    queue: str
    age_seconds: float
    statistics: ThroughputStatistics
    trend: TrendLine
    forecast: None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EfficiencyTrend(TrendAnswer):
    """Of how busy the workers are."""

    available: Literal[True] = True
    connection: None = None
    queue: None = None
    age_seconds: float
    statistics: EfficiencyStatistics
    trend: TrendLine
    forecast: None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NoTrend(TrendAnswer):
    """Of any of the three when nothing was recorded: the message says why, and what to do. A verdict may still be known by what flows."""

    available: Literal[False] = False
    message: str
    age_seconds: None = None
    statistics: None = None
    trend: None = None
    forecast: None = None
