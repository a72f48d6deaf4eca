"""Answers as JSON objects in base units, with the unit in every name."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from queue_metrics.model import (
    Counts,
    Distribution,
    Health,
    Lifetime,
    Overview,
    QueueAnswer,
    QueueHistory,
    Share,
    TaskAnswer,
    TaskHistory,
    Window,
    WorkerAnswer,
)

Object = dict[str, Any]


def overview(answer: Overview) -> Object:
    """`/v1/overview`."""
    return {
        "n": answer.n,
        "error_ratio": answer.error_ratio,
        "health": health(answer.health),
        "counts": _counts(answer.counts),
        "throughput_per_second": answer.throughput_per_second,
        "failure": _share(answer.failure),
        "runtime_seconds": _distribution(answer.runtime),
        "wait_seconds": _distribution(answer.wait),
        "ready": answer.ready,
        "latency_seconds": answer.latency_seconds,
        "latency_queue": None if answer.latency_queue is None else dict(zip(("connection", "queue"), answer.latency_queue, strict=True)),
        "queues_unknown": answer.queues_unknown,
        "workers": {**asdict(answer.workers), "live": answer.workers.live},
        "tasks": answer.tasks,
        "queues": answer.queues,
        "drainer_age_seconds": answer.drainer_age_seconds,
        "waiting_records": answer.waiting_records,
        "dropped": None if answer.dropped is None else dict(answer.dropped),
        "history": _task_history(answer.history),
    }


def task(answer: TaskAnswer) -> Object:
    """An entry of `/v1/tasks`."""
    return {
        "connection": answer.connection,
        "queue": answer.queue,
        "task": answer.task,
        "n": answer.n,
        "error_ratio": answer.error_ratio,
        "counts": _counts(answer.counts),
        "throughput_per_second": answer.throughput_per_second,
        "failure": _share(answer.failure),
        "runtime_seconds": _distribution(answer.runtime),
        "wait_seconds": _distribution(answer.wait),
        "cpu_seconds": _distribution(answer.cpu),
        "memory_peak_bytes": _distribution(answer.memory_peak),
        "memory_change_bytes": _distribution(answer.memory_change),
        "busy_workers": answer.busy_workers,
        "capacity_ratio": answer.capacity_ratio,
        "history": _task_history(answer.history),
        "lifetime": _lifetime(answer.lifetime),
    }


def queue(answer: QueueAnswer) -> Object:
    """An entry of `/v1/queues`."""
    return {
        "connection": answer.connection,
        "queue": answer.queue,
        "n": answer.n,
        "error_ratio": answer.error_ratio,
        "health": health(answer.health),
        "ready": answer.ready,
        "reserved": answer.reserved,
        "scheduled": answer.scheduled,
        "running": answer.running,
        "latency_seconds": answer.latency_seconds,
        "depth_age_seconds": answer.depth_age_seconds,
        "depth_reason": answer.depth_reason,
        "counts": _counts(answer.counts),
        "arrivals_per_second": answer.arrivals_per_second,
        "starts_per_second": answer.starts_per_second,
        "ends_per_second": answer.ends_per_second,
        "failure": _share(answer.failure),
        "wait_seconds": _distribution(answer.wait),
        "runtime_seconds": _distribution(answer.runtime),
        "workers": answer.workers,
        "history": _queue_history(answer.history),
        "lifetime": _lifetime(answer.lifetime),
    }


def worker(answer: WorkerAnswer) -> Object:
    """An entry of `/v1/workers`."""
    return asdict(answer)


def window(answer: Window) -> Object:
    """The window of all that stands beside it."""
    return {
        "start": answer.start,
        "end": answer.end,
        "step_seconds": answer.step_seconds,
        "observed_from": answer.observed_from,
        "observed_seconds": answer.observed_seconds,
    }


def health(answer: Health) -> Object:
    """A health with its reasons."""
    reasons = [
        {"severity": reason.severity.value, "code": reason.code, "text": reason.text, "points": reason.points} for reason in answer.reasons
    ]
    return {"status": answer.status.value, "score": answer.score, "reasons": reasons}


def _counts(counts: Counts) -> Object:
    return {
        "started": counts.started,
        "ended": counts.ended,
        **{outcome.value: number for outcome, number in counts.outcomes.items()},
        "arrivals": counts.arrivals,
        "retries_following": counts.retries_following,
        "discarded": {reason.value: number for reason, number in counts.discarded.items()},
        "result_errors": counts.result_errors,
        "clock_skews": counts.clock_skews,
    }


def _distribution(distribution: Distribution) -> Object:
    return asdict(distribution)


def _share(share: Share) -> Object:
    return asdict(share)


def _lifetime(lifetime: Lifetime) -> Object:
    totals = {
        "runtime_seconds": (lifetime.runtime.n, lifetime.runtime.sum_seconds),
        "wait_seconds": (lifetime.wait.n, lifetime.wait.sum_seconds),
        "cpu_seconds": (lifetime.cpu.n, lifetime.cpu.sum),
        "memory_peak_bytes": (lifetime.memory_peak.n, lifetime.memory_peak.sum),
        "memory_change_bytes": (lifetime.memory_change.n, lifetime.memory_change.sum),
    }
    return {**_counts(lifetime.counts), **{name: {"n": n, "sum": total} for name, (n, total) in totals.items()}}


def _task_history(history: TaskHistory) -> Object:
    return {
        "start": history.start,
        "step_seconds": history.step_seconds,
        "ended": history.ended,
        "failures": history.failures,
        "runtime_p95_seconds": history.runtime_p95_seconds,
    }


def _queue_history(history: QueueHistory) -> Object:
    return {
        "start": history.start,
        "step_seconds": history.step_seconds,
        "arrivals": history.arrivals,
        "ended": history.ended,
        "ready": history.ready,
        "latency_seconds": history.latency_seconds,
    }
