"""What the endpoints of the original answer about workers and servers, field by field. What is None is not known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NotRequired, TypedDict

from queue_metrics.model import ServerStatus
from queue_metrics.model.workers import OriginalState

# Workers


class OriginalWorker(TypedDict):
    """A live worker. A worker of a prefork pool stands as one of Horizon's: with its main process as the supervisor."""

    pid: int
    hostname: str
    connection: str
    queue: str
    status: OriginalState
    jobs_processed: int
    current_job: str | None
    idle_percentage: float | None
    spawned_at: str | None
    last_heartbeat: str | None
    is_horizon_worker: bool
    supervisor_name: str | None
    parent_supervisor_pid: int | None
    workers_pool_name: str | None


class OriginalHeartbeat(TypedDict):
    """A worker by its heartbeat; also one that is gone."""

    worker_id: str
    connection: str
    queue: str
    state: OriginalState
    last_heartbeat: str | None
    last_state_change: str | None
    current_job_id: str | None
    current_job_class: str | None
    idle_time_seconds: float | None
    busy_time_seconds: float | None
    jobs_processed: int
    pid: int
    hostname: str
    is_stale: bool
    seconds_since_last_heartbeat: float


class OriginalHeartbeatWithResources(OriginalHeartbeat):
    """The same, and what it takes."""

    memory_usage_mb: float | None
    cpu_usage_percent: float | None
    peak_memory_usage_mb: float | None


class OriginalWorkerCount(TypedDict):
    """Live workers: all, busy ones, and the others."""

    total: int
    active: int
    idle: int


class OriginalUtilization(TypedDict):
    """Busy workers now; busy time of the live ones' lives by all of it."""

    current_busy_percent: float | None
    lifetime_busy_percent: float | None


class OriginalWorkerPerformance(TypedDict):
    """What workers have done."""

    avg_jobs_per_worker: float | None
    total_jobs_processed: int


class OriginalWorkersSummary(TypedDict):
    """All workers together."""

    count: OriginalWorkerCount
    utilization: OriginalUtilization
    performance: OriginalWorkerPerformance


class OriginalSlimWorkers(OriginalWorkerCount, OriginalUtilization):
    """All workers at a glance."""

    total_jobs_processed: int


class OriginalAllWorkers(TypedDict):
    """All workers, together and each."""

    summary: OriginalWorkersSummary
    workers: Sequence[OriginalHeartbeatWithResources]


class OriginalAllWorkersReply(TypedDict):
    """`/workers/all`."""

    data: OriginalAllWorkers


class OriginalTotal(TypedDict):
    """How many there are."""

    total: int


class OriginalStatusReply(TypedDict):
    """`/workers/status`."""

    data: Sequence[OriginalHeartbeat]
    meta: OriginalTotal


class OriginalStatusOfReply(TypedDict):
    """`/workers/status/{id}`."""

    data: OriginalHeartbeat


class OriginalStale(TypedDict):
    """What an evaluation found."""

    threshold_seconds: int
    workers_marked_crashed: int


class OriginalStaleReply(TypedDict):
    """`/workers/detect-stale`."""

    data: OriginalStale


# Servers

OriginalLoad = TypedDict("OriginalLoad", {"1min": float | None, "5min": float | None, "15min": float | None})
OriginalLoad.__doc__ = "Load averages of the machine."


class OriginalCpuLimits(TypedDict):
    """CPU of a server, in the roll-up."""

    cores: float | None
    usage_percent: float | None
    load_average: OriginalLoad


class OriginalMemoryLimits(TypedDict):
    """Memory of a server, in the roll-up."""

    total_mb: float | None
    used_mb: float | None
    available_mb: float | None
    usage_percent: float | None


class OriginalResources(TypedDict):
    """What a server has and uses."""

    available: Literal[True]
    cpu: OriginalCpuLimits
    memory: OriginalMemoryLimits


class OriginalServerWorkers(TypedDict):
    """Workers of a server."""

    count: OriginalWorkerCount
    utilization: OriginalUtilization


class OriginalServerJobs(TypedDict):
    """Executions on a server, ever."""

    total_processed: int | None
    total_failed: int | None
    failure_rate_percent: float | None


class OriginalServerRate(TypedDict):
    """Executions on a server in the last hour."""

    jobs_per_minute: float | None
    avg_duration_ms: float | None


class OriginalJobProcessing(TypedDict):
    """Executions on a server."""

    lifetime: OriginalServerJobs
    current: OriginalServerRate


class OriginalProcesses(TypedDict):
    """Live worker processes of a server."""

    avg_memory_per_worker_mb: float | None
    avg_cpu_per_worker_percent: float | None
    peak_memory_mb: float | None
    total_memory_mb: float | None


class OriginalCapacity(TypedDict):
    """Advice where there are too few workers or too many."""

    recommendation: str | None


class OriginalServer(TypedDict):
    """A server rolled up."""

    hostname: str
    queue_workers: OriginalServerWorkers
    job_processing: OriginalJobProcessing
    worker_processes: OriginalProcesses
    capacity: OriginalCapacity
    server_resources: NotRequired[OriginalResources]
    timestamp: str


class OriginalServersReply(TypedDict):
    """`/servers`, by hostname."""

    data: Mapping[str, OriginalServer]


class OriginalSlimServerWorkers(OriginalWorkerCount, OriginalUtilization):
    """Workers of a server at a glance."""


class OriginalSlimServer(TypedDict):
    """A server at a glance."""

    hostname: str
    workers: OriginalSlimServerWorkers
    jobs: OriginalServerJobs
    server_resources: NotRequired[OriginalResources]


class OriginalCpuUse(TypedDict):
    """CPU between two samples, %; a container's use is of its limit."""

    usage_percent: float | None
    user_percent: float | None
    system_percent: float | None
    idle_percent: float | None
    count: float | None
    cores: float | None
    load_average: OriginalLoad


class OriginalMemoryUse(TypedDict):
    """Memory of a server."""

    total_bytes: int | None
    total_mb: float | None
    total_gb: float | None
    available_bytes: int | None
    available_mb: float | None
    available_gb: float | None
    used_bytes: int | None
    used_mb: float | None
    used_gb: float | None
    usage_percent: float | None
    cached_bytes: int | None
    cached_mb: float | None
    buffers_bytes: int | None
    buffers_mb: float | None


class OriginalDisk(TypedDict):
    """A file system."""

    mountpoint: str
    filesystem: str
    total_bytes: int | None
    total_gb: float | None
    used_bytes: int | None
    used_gb: float | None
    available_bytes: int | None
    available_gb: float | None
    usage_percent: float | None


class OriginalInterface(TypedDict):
    """A network interface, since it came up."""

    name: str
    bytes_sent: int | None
    bytes_received: int | None
    packets_sent: int | None
    packets_received: int | None
    errors_in: int | None
    errors_out: int | None
    drops_in: int | None
    drops_out: int | None


class OriginalServerMetrics(TypedDict):
    """One server."""

    available: Literal[True]
    cpu: OriginalCpuUse
    memory: OriginalMemoryUse
    disk: Sequence[OriginalDisk]
    network: Sequence[OriginalInterface]


class OriginalNoServerMetrics(TypedDict):
    """One server without a fresh sample; the error says why."""

    available: Literal[False]
    error: str


class OriginalServerReply(TypedDict):
    """`/server`."""

    server_metrics: OriginalServerMetrics | OriginalNoServerMetrics


class OriginalServerHealth(TypedDict):
    """How a server is by the original's score; unknown has a score of 0. The moment is in seconds since 1970."""

    status: ServerStatus
    score: int
    issues: Sequence[str]
    timestamp: int


class OriginalDiskUse(TypedDict):
    """How full a file system is."""

    mountpoint: str
    usage_percent: float | None


class OriginalHealthMetrics(TypedDict):
    """What the score is made of."""

    cpu_usage_percent: float | None
    memory_usage_percent: float | None
    load_average_1min: float | None
    disk_usage: Sequence[OriginalDiskUse]


class OriginalServerHealthReply(TypedDict):
    """`/server/health`."""

    health: OriginalServerHealth
    metrics: OriginalHealthMetrics | None
