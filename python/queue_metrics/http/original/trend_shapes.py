"""What the endpoints of the original answer about trends and baselines, field by field. What is None is not known."""

from __future__ import annotations

from typing import NotRequired, TypedDict

from queue_metrics.model import Verdict
from queue_metrics.model.trends import DirectionWord


class OriginalBaseline(TypedDict):
    """What an execution usually costs."""

    connection: str
    queue: str
    job_class: str | None
    cpu_percent_per_job: float | None
    memory_mb_per_job: float | None
    avg_duration_ms: float
    sample_count: int
    confidence_score: float
    calculated_at: str | None


class OriginalTimeWindow(TypedDict):
    """The stretch of time that was looked at."""

    window_seconds: int
    window_start: str | None
    window_end: str | None
    analyzed_at: str | None
    sample_count: int
    sample_interval_seconds: int


class OriginalTrendLine(TypedDict):
    """The line through the points; its confidence is R squared, told of depths only."""

    slope: float
    direction: DirectionWord
    confidence: NotRequired[float]


class OriginalForecast(TypedDict):
    """One interval ahead; the moment in seconds since 1970."""

    next_value: float
    next_timestamp: int


class OriginalTrend(TypedDict):
    """What all trends have; without data `available` is false and the message says why and what to do. The verdict is ours."""

    available: bool
    message: NotRequired[str]
    period_seconds: int
    data_points: int
    time_window: OriginalTimeWindow
    verdict: Verdict


class OriginalDepthStatistics(TypedDict):
    """Ready jobs."""

    current: int
    average: float
    min: int
    max: int
    std_dev: float


class OriginalDepthTrend(OriginalTrend):
    """`/trends/queue-depth/{connection}/{queue}`."""

    connection: str
    queue: str
    statistics: NotRequired[OriginalDepthStatistics]
    trend: NotRequired[OriginalTrendLine]
    forecast: NotRequired[OriginalForecast]


class OriginalThroughputStatistics(TypedDict):
    """Executions that ended."""

    total_jobs: int
    average_per_interval: float
    jobs_per_minute: float
    jobs_per_hour: float


class OriginalThroughputTrend(OriginalTrend):
    """`/trends/throughput/{connection}/{queue}`."""

    connection: str
    queue: str
    statistics: NotRequired[OriginalThroughputStatistics]
    trend: NotRequired[OriginalTrendLine]


class OriginalEfficiency(TypedDict):
    """Busy time by all time of the workers, %."""

    current: float
    average: float
    min: float
    max: float


class OriginalResourceUse(TypedDict):
    """Means of a worker."""

    avg_memory_mb: float | None
    avg_cpu_percent: float | None


class OriginalEfficiencyStatistics(OriginalEfficiency, OriginalResourceUse):
    """Both, as the first version of the original told them."""


class OriginalEfficiencyTrend(OriginalTrend):
    """`/trends/worker-efficiency`."""

    statistics: NotRequired[OriginalEfficiencyStatistics]
    efficiency: NotRequired[OriginalEfficiency]
    resource_usage: NotRequired[OriginalResourceUse]


class OriginalQueueTrends(TypedDict):
    """Both trends of a queue in the last hour."""

    depth: OriginalDepthTrend
    throughput: OriginalThroughputTrend
