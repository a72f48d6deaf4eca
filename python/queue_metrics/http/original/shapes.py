"""What the endpoints of the original answer, field by field: jobs and queues. What is None is not known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, TypedDict

from queue_metrics.http.original.trend_shapes import OriginalBaseline, OriginalQueueTrends
from queue_metrics.http.shapes import StatusWord

# Jobs


class OriginalExecution(TypedDict):
    """Executions, ever."""

    total_processed: int
    total_failed: int
    total_debounced: int
    success_rate: float | None
    failure_rate: float | None


class OriginalDuration(TypedDict):
    """Run time in the last hour, ms."""

    avg: float | None
    min: float | None
    max: float | None
    p50: float | None
    p95: float | None
    p99: float | None
    stddev: float | None


class OriginalMemory(TypedDict):
    """Peak resident memory of the process in the hours that hold the last one, and its growth by an execution ever; MB."""

    avg: float | None
    avg_incremental: float | None
    peak: float | None
    p95: float | None
    p99: float | None


class OriginalCpu(TypedDict):
    """CPU time in the hours that hold the last one, ms."""

    avg: float | None
    peak: float | None
    p95: float | None
    p99: float | None


class OriginalThroughput(TypedDict):
    """Executions ended in the last minute, hour and day, as rates of these."""

    per_minute: float | None
    per_hour: float | None
    per_day: float | None


class OriginalFailures(TypedDict):
    """Failures, ever."""

    count: int
    rate: float | None
    last_failed_at: str | None
    last_exception: str | None


class OriginalWindow(TypedDict):
    """The last so many seconds; the throughput is per minute."""

    window_seconds: int
    jobs_processed: int
    avg_duration: float | None
    throughput: float | None


class OriginalJobOfQueue(TypedDict):
    """A job class on one queue."""

    job_class: str
    connection: str | None
    queue: str | None
    execution: OriginalExecution
    duration: OriginalDuration
    memory: OriginalMemory
    cpu: OriginalCpu
    throughput: OriginalThroughput
    failures: OriginalFailures
    window_stats: Sequence[OriginalWindow]
    baseline: OriginalBaseline | None
    calculated_at: str


class OriginalJob(OriginalJobOfQueue):
    """A job class over all of its queues; its connection, queue and baseline are null where it has several."""

    by_queue: Sequence[OriginalJobOfQueue]


class OriginalJobsReply(TypedDict):
    """`/jobs`."""

    data: Mapping[str, OriginalJob]


class OriginalClassOfQueue(TypedDict):
    """An aggregated job class on one queue."""

    connection: str | None
    queue: str | None
    executions: int
    failures: int
    avg_duration_ms: float | None
    avg_memory_mb: float | None
    failure_rate: float | None
    throughput_per_minute: float | None


class OriginalClass(TypedDict):
    """A job class over all of its queues."""

    job_class: str
    total_executions: int
    total_failures: int
    avg_duration_ms: float | None
    avg_memory_mb: float | None
    avg_cpu_time_ms: float | None
    failure_rate: float | None
    throughput_per_minute: float | None
    by_queue: Sequence[OriginalClassOfQueue]
    calculated_at: str


class OriginalJobReply(TypedDict):
    """`/jobs/{class}`."""

    data: OriginalClass


# Queues


class OriginalQueuesReply(TypedDict):
    """`/queues`: names."""

    data: Sequence[str]


class OriginalDepth(TypedDict):
    """Jobs in a queue; the ages are the moments since which they wait, in spite of their names."""

    connection: str
    queue: str
    pending_jobs: int | None
    reserved_jobs: int | None
    delayed_jobs: int | None
    oldest_pending_job_age: str | None
    oldest_delayed_job_age: str | None
    measured_at: str | None


class OriginalDepthReply(TypedDict):
    """`/queues/{connection}/{queue}/depth`."""

    data: OriginalDepth


class OriginalQueueHealth(TypedDict):
    """How a queue is, and the inputs of its score."""

    status: StatusWord
    score: float | None
    depth: int | None
    oldest_job_age: float | None
    failure_rate: float | None
    utilization_rate: float | None


class OriginalQueue(TypedDict):
    """One queue."""

    connection: str
    queue: str
    depth: int | None
    pending: int | None
    scheduled: int | None
    reserved: int | None
    oldest_job_age: float | None
    age_status: Literal["normal", "old", "unknown"]
    throughput_per_minute: float | None
    avg_duration: float | None
    failure_rate: float | None
    utilization_rate: float | None
    active_workers: int
    driver: str
    health: OriginalQueueHealth
    calculated_at: str
    trends: OriginalQueueTrends


class OriginalQueueReply(TypedDict):
    """`/queues/{connection}/{queue}`."""

    data: OriginalQueue


class OriginalQueueDepth(TypedDict):
    """Jobs in a queue of the full listing; the status is the moment since which the oldest waits, or `unknown`."""

    total: int | None
    pending: int | None
    scheduled: int | None
    reserved: int | None
    oldest_job_age_seconds: float | None
    oldest_job_age_status: str


class OriginalPerformance(TypedDict):
    """The last minute."""

    throughput_per_minute: float | None
    avg_duration_ms: float | None
    window_seconds: int


class OriginalQueueLifetime(TypedDict):
    """Ever."""

    failure_rate_percent: float | None


class OriginalQueueWorkers(TypedDict):
    """Workers that serve a queue."""

    active_count: int
    current_busy_percent: float | None
    lifetime_busy_percent: float | None


class OriginalListedQueue(TypedDict):
    """A queue of the full listing."""

    connection: str
    queue: str
    driver: str
    depth: OriginalQueueDepth
    performance_60s: OriginalPerformance
    lifetime: OriginalQueueLifetime
    workers: OriginalQueueWorkers
    baseline: OriginalBaseline | None
    trends: OriginalQueueTrends
    timestamp: str


class OriginalAllQueuesReply(TypedDict):
    """`/queues/all`, by `connection:queue`."""

    data: Mapping[str, OriginalListedQueue]
