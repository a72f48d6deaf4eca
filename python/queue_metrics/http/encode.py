"""Answers as JSON objects in base units, with the unit in every name."""

from __future__ import annotations

import json
from dataclasses import asdict, is_dataclass
from typing import Any

from queue_metrics.http.shapes import (
    CostObject,
    CountsObject,
    HealthObject,
    LatencyQueue,
    LifetimeObject,
    OverviewObject,
    QueueObject,
    SampleObject,
    TaskObject,
    WindowObject,
    WorkerCountsObject,
)
from queue_metrics.model import (
    Counts,
    Health,
    Lifetime,
    Outcome,
    Overview,
    QueueAnswer,
    SeriesPoint,
    TaskAnswer,
    Window,
    WorkerCounts,
)


def overview(answer: Overview) -> OverviewObject:
    """`/v1/overview`."""
    return {
        **_sample(answer),
        "health": health(answer.health),
        "throughput_per_second": answer.throughput_per_second,
        "ready": answer.ready,
        "latency_seconds": answer.latency_seconds,
        "latency_queue": _latency_queue(answer.latency_queue),
        "queues_unknown": answer.queues_unknown,
        "workers": worker_counts(answer.workers),
        "tasks": answer.tasks,
        "queues": answer.queues,
        "drainer_age_seconds": answer.drainer_age_seconds,
        "waiting_records": answer.waiting_records,
        "dropped": answer.dropped,
        "history": answer.history,
        "collector": answer.collector,
    }


def task(answer: TaskAnswer) -> TaskObject:
    """An entry of `/v1/tasks`."""
    return {
        "connection": answer.connection,
        "queue": answer.queue,
        "task": answer.task,
        **_sample(answer),
        **cost(answer),
        "throughput_per_second": answer.throughput_per_second,
        "busy_workers": answer.busy_workers,
        "capacity_ratio": answer.capacity_ratio,
        "history": answer.history,
        "lifetime": _lifetime(answer.lifetime),
    }


def queue(answer: QueueAnswer) -> QueueObject:
    """An entry of `/v1/queues`."""
    return {
        "connection": answer.connection,
        "queue": answer.queue,
        **_sample(answer),
        "health": health(answer.health),
        "ready": answer.ready,
        "reserved": answer.reserved,
        "scheduled": answer.scheduled,
        "running": answer.running,
        "latency_seconds": answer.latency_seconds,
        "due_seconds": answer.due_seconds,
        "depth_age_seconds": answer.depth_age_seconds,
        "depth_reason": answer.depth_reason,
        "arrivals_per_second": answer.arrivals_per_second,
        "starts_per_second": answer.starts_per_second,
        "ends_per_second": answer.ends_per_second,
        "workers": answer.workers,
        "history": answer.history,
        "lifetime": _lifetime(answer.lifetime),
    }


def cost(answer: TaskAnswer | SeriesPoint) -> CostObject:
    """What executions took beside time."""
    return {
        "cpu_seconds": answer.cpu,
        "memory_peak_bytes": answer.memory_peak,
        "memory_change_bytes": answer.memory_change,
    }


def _sample(answer: Overview | TaskAnswer | QueueAnswer) -> SampleObject:
    return {
        "n": answer.n,
        "error_ratio": answer.error_ratio,
        "counts": counts(answer.counts),
        "failure": answer.failure,
        "runtime_seconds": answer.runtime,
        "wait_seconds": answer.wait,
    }


def window(answer: Window) -> WindowObject:
    """The window of all that stands beside it."""
    return {
        "start": answer.start,
        "end": answer.end,
        "step_seconds": answer.step_seconds,
        "observed_from": answer.observed_from,
        "observed_seconds": answer.observed_seconds,
        "observed_until": answer.observed_until,
    }


def health(answer: Health) -> HealthObject:
    """A health with its reasons."""
    return {"status": answer.status.value, "score": answer.score, "reasons": answer.reasons}


def dumps(body: object) -> str:
    """
    An answer as text; dataclasses are objects of their fields.

    Raises:
        ValueError: it holds NaN or infinity, which are no JSON. None can be in an answer, and if so it must be seen.
    """
    return json.dumps(body, ensure_ascii=True, allow_nan=False, separators=(",", ":"), default=_fields)


def _fields(answer: Any) -> Any:
    if is_dataclass(answer) and not isinstance(answer, type):
        return asdict(answer)
    raise TypeError(f"no JSON for {answer!r}")


def worker_counts(counts: WorkerCounts) -> WorkerCountsObject:
    """Workers by state."""
    return {
        "starting": counts.starting,
        "idle": counts.idle,
        "busy": counts.busy,
        "stopped": counts.stopped,
        "stale": counts.stale,
        "lost": counts.lost,
        "live": counts.live,
    }


def _latency_queue(names: tuple[str, str] | None) -> LatencyQueue | None:
    return None if names is None else {"connection": names[0], "queue": names[1]}


def counts(found: Counts) -> CountsObject:
    """What happened, counted."""
    return {
        "started": found.started,
        "ended": found.ended,
        "succeeded": found.outcomes[Outcome.SUCCEEDED],
        "failed": found.outcomes[Outcome.FAILED],
        "retried": found.outcomes[Outcome.RETRIED],
        "timed_out": found.outcomes[Outcome.TIMED_OUT],
        "cancelled": found.outcomes[Outcome.CANCELLED],
        "lost": found.outcomes[Outcome.LOST],
        "arrivals": found.arrivals,
        "retries_following": found.retries_following,
        "discarded": found.discarded,
        "result_errors": found.result_errors,
        "clock_skews": found.clock_skews,
    }


def _lifetime(lifetime: Lifetime) -> LifetimeObject:
    return {
        **counts(lifetime.counts),
        "runtime_seconds": {"n": lifetime.runtime.n, "sum": lifetime.runtime.sum_seconds},
        "wait_seconds": {"n": lifetime.wait.n, "sum": lifetime.wait.sum_seconds},
        "cpu_seconds": {"n": lifetime.cpu.n, "sum": lifetime.cpu.sum},
        "memory_peak_bytes": {"n": lifetime.memory_peak.n, "sum": lifetime.memory_peak.sum},
        "memory_change_bytes": {"n": lifetime.memory_change.n, "sum": lifetime.memory_change.sum},
    }
