"""The JSON objects of `/v1`, as types: what `encode` makes and `/openapi.json` promises. Dataclasses of the model stand for themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NotRequired, TypedDict

from queue_metrics.model import CollectorAnswer, Discard, Distribution, QueueHistory, Reason, Share, TaskHistory, WorkerAnswer

StatusWord = Literal["unknown", "healthy", "warning", "critical"]


class WindowObject(TypedDict):
    """The window of all that stands beside it."""

    start: float
    end: float
    step_seconds: int
    observed_from: float | None
    observed_seconds: float | None
    observed_until: float | None


class Origin(TypedDict):
    """What every answer begins with: how fresh it is, and whether a collector keeps what only shows over time."""

    stale: bool
    stale_seconds: float | None
    collector: CollectorAnswer


class About(Origin):
    """What answers about a window begin with."""

    window: WindowObject


class HealthObject(TypedDict):
    """How it is, and why."""

    status: StatusWord
    score: int | None
    reasons: Sequence[Reason]


class CountsObject(TypedDict):
    """What happened, counted exactly."""

    started: int
    ended: int
    succeeded: int
    failed: int
    retried: int
    timed_out: int
    cancelled: int
    lost: int
    arrivals: int
    retries_following: int
    discarded: Mapping[Discard, int]
    result_errors: int
    clock_skews: int


class TotalObject(TypedDict):
    """All measurements ever: how many, and their sum."""

    n: int
    sum: float


class LifetimeObject(CountsObject):
    """Exact totals since the store was made."""

    runtime_seconds: TotalObject
    wait_seconds: TotalObject
    cpu_seconds: TotalObject
    memory_peak_bytes: TotalObject
    memory_change_bytes: TotalObject


class LatencyQueue(TypedDict):
    """The queue in which the oldest ready job waits."""

    connection: str
    queue: str


class WorkerCountsObject(TypedDict):
    """Workers by state, and how many could take or do a job now."""

    starting: int
    idle: int
    busy: int
    stopped: int
    stale: int
    lost: int
    live: int


class SampleObject(TypedDict):
    """What is told of the executions of anything."""

    n: int
    error_ratio: float | None
    counts: CountsObject
    failure: Share
    runtime_seconds: Distribution
    wait_seconds: Distribution


class CostObject(TypedDict):
    """What executions took beside time."""

    cpu_seconds: Distribution
    memory_peak_bytes: Distribution
    memory_change_bytes: Distribution


class OverviewObject(SampleObject):
    """Everything at one glance."""

    health: HealthObject
    throughput_per_second: float | None
    ready: int | None
    latency_seconds: float | None
    latency_queue: LatencyQueue | None
    queues_unknown: int
    workers: WorkerCountsObject
    tasks: int
    queues: int
    drainer_age_seconds: float | None
    waiting_records: int | None
    dropped: Mapping[str, int] | None
    history: TaskHistory
    collector: CollectorAnswer


class TaskObject(SampleObject, CostObject):
    """What a task costs."""

    connection: str | None
    queue: str | None
    task: str
    throughput_per_second: float | None
    busy_workers: float | None
    capacity_ratio: float | None
    history: TaskHistory
    lifetime: LifetimeObject


class QueueObject(SampleObject):
    """How a queue is doing."""

    connection: str
    queue: str
    health: HealthObject
    ready: int | None
    reserved: int | None
    scheduled: int | None
    running: int | None
    latency_seconds: float | None
    due_seconds: float | None
    depth_age_seconds: float | None
    depth_reason: str | None
    arrivals_per_second: float | None
    starts_per_second: float | None
    ends_per_second: float | None
    workers: int
    history: QueueHistory
    lifetime: LifetimeObject


WorkerObject = WorkerAnswer


class OverviewReply(About, OverviewObject):
    """`/v1/overview`."""


class TasksReply(About):
    """`/v1/tasks`: most run time first."""

    tasks: Sequence[TaskObject]
    total: int


class QueuesReply(About):
    """`/v1/queues`: worst first."""

    queues: Sequence[QueueObject]
    total: int


class WorkersReply(About):
    """`/v1/workers`: those that need a look first."""

    workers: Sequence[WorkerObject]
    total: int


class ReadyReply(TypedDict):
    """`/ready`."""

    status: Literal["ready"]


class HealthReply(HealthObject):
    """`/health`, with its reasons."""

    drainer_age_seconds: float | None
    timestamp: int


class BriefHealthReply(TypedDict):
    """`/health`, to whom no reasons may be told."""

    status: StatusWord
    timestamp: int


class IndexParameter(TypedDict):
    """A parameter: what it means, and JSON Schema of what it may be."""

    meaning: str
    type: Literal["integer", "string"]
    minimum: NotRequired[int]
    maximum: NotRequired[int]
    minLength: NotRequired[int]
    enum: NotRequired[Sequence[str]]
    default: NotRequired[int | str]


class IndexRoute(TypedDict):
    """Something to ask for."""

    summary: str
    method: Literal["GET", "POST"]
    parameters: Mapping[str, IndexParameter]


class IndexReply(TypedDict):
    """`/`, to programs."""

    name: Literal["queue-metrics"]
    version: str
    routes: Mapping[str, IndexRoute]


class ProblemObject(TypedDict):
    """An error, as RFC 9457 has it, and which bounds or names hold."""

    type: str
    title: str
    status: int
    detail: str
    parameter: NotRequired[str]
    minimum: NotRequired[int]
    maximum: NotRequired[int]
    known: NotRequired[Sequence[str]]
    error: NotRequired[str]
