"""What the endpoints of the original answer about trends and baselines, field by field. What is None is not known."""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict

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
    """The line through the points."""

    slope: float
    direction: DirectionWord


class OriginalDepthLine(OriginalTrendLine):
    """The same of depths, with R squared as its confidence."""

    confidence: float


class OriginalForecast(TypedDict):
    """One interval ahead; the moment in seconds since 1970."""

    next_value: float
    next_timestamp: int


class OriginalTrend(TypedDict):
    """What all trends have. The verdict is ours."""

    period_seconds: int
    data_points: int
    time_window: OriginalTimeWindow
    verdict: Verdict


class OriginalNoTrend(OriginalTrend):
    """One of which nothing was recorded; the message says why and what to do."""

    available: Literal[False]
    message: str


class OriginalQueueTrend(OriginalTrend):
    """One of a queue; the message says what of the question was changed."""

    available: Literal[True]
    message: NotRequired[str]
    connection: str
    queue: str


class OriginalNoQueueTrend(OriginalNoTrend):
    """The same of a queue."""

    connection: str
    queue: str


class OriginalDepthStatistics(TypedDict):
    """Ready jobs."""

    current: int
    average: float
    min: int
    max: int
    std_dev: float


class OriginalDepthTrend(OriginalQueueTrend):
    """`/trends/queue-depth/{connection}/{queue}`."""

    statistics: OriginalDepthStatistics
    trend: OriginalDepthLine
    forecast: OriginalForecast


class OriginalThroughputStatistics(TypedDict):
    """Executions that ended."""

    total_jobs: int
    average_per_interval: float
    jobs_per_minute: float
    jobs_per_hour: float


class OriginalThroughputTrend(OriginalQueueTrend):
    """`/trends/throughput/{connection}/{queue}`."""

    statistics: OriginalThroughputStatistics
    trend: OriginalTrendLine


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

    available: Literal[True]
    statistics: OriginalEfficiencyStatistics
    efficiency: OriginalEfficiency
    resource_usage: OriginalResourceUse


class OriginalQueueTrends(TypedDict):
    """Both trends of a queue in the last hour."""

    depth: OriginalDepthTrend | OriginalNoQueueTrend
    throughput: OriginalThroughputTrend | OriginalNoQueueTrend
