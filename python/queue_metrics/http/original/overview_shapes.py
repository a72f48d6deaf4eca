"""What `/overview`, `/` and `/workers` of the original answer: shapes that are made of all the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypedDict

from queue_metrics.http.original.fleet_shapes import (
    OriginalServer,
    OriginalSlimServer,
    OriginalSlimWorkers,
    OriginalWorker,
    OriginalWorkersSummary,
)
from queue_metrics.http.original.shapes import OriginalJob, OriginalListedQueue
from queue_metrics.http.original.trend_shapes import (
    OriginalBaseline,
    OriginalDepthTrend,
    OriginalEfficiencyTrend,
    OriginalNoQueueTrend,
    OriginalNoTrend,
)
from queue_metrics.http.shapes import IndexReply


class OriginalWorkersAndTrend(TypedDict):
    """Live workers, and how busy all of them were."""

    workers: Sequence[OriginalWorker]
    efficiency_trend: OriginalEfficiencyTrend | OriginalNoTrend


class OriginalWorkersReply(TypedDict):
    """`/workers`."""

    data: OriginalWorkersAndTrend


class OriginalSlimQueue(TypedDict):
    """A queue at a glance."""

    connection: str
    queue: str
    depth: int | None
    pending: int | None
    active_workers: int
    throughput_per_minute: float | None
    failure_rate: float | None
    current_busy_percent: float | None
    lifetime_busy_percent: float | None


class OriginalSlimJobOfQueue(TypedDict):
    """A job class on one queue, at a glance."""

    job_class: str
    connection: str | None
    queue: str | None
    total_processed: int
    success_rate: float | None
    failure_rate: float | None
    avg_duration_ms: float | None
    throughput_per_minute: float | None


class OriginalSlimJob(OriginalSlimJobOfQueue):
    """A job class over all of its queues, at a glance."""

    by_queue: Sequence[OriginalSlimJobOfQueue]


class OriginalMetadata(TypedDict):
    """Of the answer; the framework is Python."""

    timestamp: str
    package_version: str
    framework_version: str
    storage_driver: str


class OriginalSlimOverview(TypedDict):
    """Everything at a glance."""

    queues: Mapping[str, OriginalSlimQueue]
    jobs: Mapping[str, OriginalSlimJob]
    servers: Mapping[str, OriginalSlimServer]
    workers: OriginalSlimWorkers
    metadata: OriginalMetadata


class OriginalTrends(TypedDict):
    """The trends of the last hour; depths by `connection:queue`."""

    queue_depth: Mapping[str, OriginalDepthTrend | OriginalNoQueueTrend]
    worker_efficiency: OriginalEfficiencyTrend | OriginalNoTrend


class OriginalFullOverview(TypedDict):
    """Everything."""

    queues: Mapping[str, OriginalListedQueue]
    jobs: Mapping[str, OriginalJob]
    servers: Mapping[str, OriginalServer]
    workers: OriginalWorkersSummary
    baselines: Mapping[str, OriginalBaseline]
    trends: OriginalTrends
    metadata: OriginalMetadata


class OriginalSlimOverviewReply(TypedDict):
    """`/overview`."""

    data: OriginalSlimOverview


class OriginalFullOverviewReply(TypedDict):
    """`/overview?full=1`."""

    data: OriginalFullOverview


class OriginalEndpoint(TypedDict):
    """Where something is to be had."""

    url: str
    method: str
    description: str


class OriginalIndexReply(IndexReply):
    """`/`, to programs: the original's endpoints, and every route."""

    message: str
    documentation: str
    endpoints: Mapping[str, OriginalEndpoint | Mapping[str, OriginalEndpoint]]
    examples: Mapping[str, str]
