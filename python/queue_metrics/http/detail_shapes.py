"""The JSON objects of `/v1` that tell of one thing in full, of what is usual, of where it is heading, and of what is kept; as `shapes`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, TypedDict

from queue_metrics.http.shapes import (
    About,
    CostObject,
    CountsObject,
    Origin,
    QueueObject,
    TaskObject,
    WindowObject,
    WorkerCountsObject,
    WorkerObject,
)
from queue_metrics.model import (
    Capacity,
    DepthStatistics,
    DeviationAnswer,
    Distribution,
    EfficiencyStatistics,
    ExceptionCount,
    Footprint,
    Forecast,
    Gauge,
    Moment,
    ServerHealth,
    ServerJobs,
    ServerProcesses,
    ServerSample,
    Share,
    ThroughputStatistics,
    TimeWindow,
    TrendLine,
    Verdict,
)


class ServerTaskObject(TypedDict):
    """What a task did on one server, ever."""

    server: str
    counts: CountsObject
    failure: Share
    runtime_seconds: Distribution
    last_ended: Moment | None


class WindowStatisticsObject(TypedDict):
    """The last minute, hour, ...: count, run time and rate of one stretch of time."""

    nominal_seconds: int
    window: WindowObject
    n: int
    failure: Share
    throughput_per_second: float | None
    mean_runtime_seconds: float | None
    busy_workers: float | None


class TaskDetailReply(About, TaskObject):
    """`/v1/tasks/{task}`: over the queues that were asked for, together and apart."""

    healthy: bool | None
    success: Share
    lifetime_success: Share
    by_queue: Sequence[TaskObject]
    by_server: Sequence[ServerTaskObject]
    windows: Sequence[WindowStatisticsObject]
    last_processed: Moment | None
    last_failed: Moment | None
    last_retried: Moment | None
    last_timed_out: Moment | None
    last_discarded: Moment | None
    exceptions: Sequence[ExceptionCount]
    exceptions_window: WindowObject
    last_exception: str | None
    last_exception_at: Moment | None


class QueueDetailReply(About, QueueObject):
    """`/v1/queues/{connection}/{queue}`."""

    backlogged: bool | None
    empty: bool | None
    busy_ratio: float | None
    utilisation_ratio: float | None
    minute: WindowStatisticsObject
    last_processed: Moment | None


class WorkerReply(About):
    """`/v1/workers/{id}`."""

    worker: WorkerObject


class WorkerSummaryObject(TypedDict):
    """Workers together: of a server, of a queue, or all."""

    counts: WorkerCountsObject
    now_ratio: float | None
    lifetime_ratio: float | None
    window_ratio: float | None
    window_seconds: float | None
    jobs: int
    jobs_per_worker: float | None


class WorkerSummaryReply(About):
    """`/v1/worker-summary`."""

    workers: WorkerSummaryObject


class ServerObject(TypedDict):
    """A server: how it is, what was sampled of it, and what its workers do."""

    hostname: str
    health: ServerHealth
    age_seconds: float | None
    cpu_ratio: float | None
    memory_ratio: float | None
    load_per_core: float | None
    sample: ServerSample | None
    workers: WorkerSummaryObject
    jobs: ServerJobs | None
    processes: ServerProcesses
    capacity: Capacity | None


class ServersReply(Origin):
    """`/v1/servers`: those that need a look first."""

    servers: Sequence[ServerObject]
    total: int


class ServerReply(About, ServerObject):
    """`/v1/servers/{hostname}`."""


class BaselineObject(TypedDict):
    """What an execution usually costs."""

    connection: str
    queue: str
    task: str | None
    available: bool
    message: str
    duration_seconds: float | None
    cpu_ratio: float | None
    memory_bytes: float | None
    sample_count: int
    cpu_sample_count: int | None
    memory_sample_count: int | None
    duration_error_seconds: float | None
    cpu_error: float | None
    memory_error_bytes: float | None
    confidence: float
    since: float | None
    calculated_at: float | None
    age_seconds: float | None
    reliable: bool
    needs_more_samples: bool
    recent: bool
    next_interval_minutes: int
    score: float | None
    deviation: DeviationAnswer


class BaselinesReply(Origin):
    """`/v1/baselines`: those first from which the newest executions are farthest."""

    baselines: Sequence[BaselineObject]
    total: int
    message: str | None


class BaselineReply(Origin, BaselineObject):
    """`/v1/baselines/{connection}/{queue}`."""


class TrendObject(Origin):
    """Where something is heading; known, or not: an answer is one of the two, never half of both."""

    period_seconds: int
    interval_seconds: int
    data_points: int
    times: Sequence[float]
    values: Sequence[float]
    time_window: TimeWindow
    verdict: Verdict


class DepthTrendReply(TrendObject):
    """`/v1/trends/depth/{connection}/{queue}`: of the ready jobs of a queue."""

    available: Literal[True]
    message: str | None
    connection: str
    queue: str
    age_seconds: float
    statistics: DepthStatistics
    trend: TrendLine
    forecast: Forecast


class ThroughputTrendReply(TrendObject):
    """`/v1/trends/throughput/{connection}/{queue}`: of the executions of a queue that end in an interval."""

    available: Literal[True]
    message: str | None
    connection: str
    queue: str
    age_seconds: float
    statistics: ThroughputStatistics
    trend: TrendLine
    forecast: None


class EfficiencyTrendReply(TrendObject):
    """`/v1/trends/efficiency`: of how busy the workers are, %."""

    available: Literal[True]
    message: str | None
    connection: None
    queue: None
    age_seconds: float
    statistics: EfficiencyStatistics
    trend: TrendLine
    forecast: None


class NoTrendReply(TrendObject):
    """Any of the three when nothing was recorded; the message says why and what to do."""

    available: Literal[False]
    message: str
    connection: str | None
    queue: str | None
    age_seconds: None
    statistics: None
    trend: None
    forecast: None


class SeriesPointObject(CostObject):
    """What happened in one step."""

    at: float
    counts: CountsObject
    runtime_seconds: Distribution
    wait_seconds: Distribution
    gauges: Mapping[str, Gauge]


class SeriesReply(About):
    """`/v1/series`: one series, step by step; a step in which nothing was recorded has no point."""

    kind: str
    labels: Mapping[str, str]
    n: int
    points: Sequence[SeriesPointObject]


class FootprintReply(Origin):
    """`/v1/footprint`."""

    footprint: Footprint
