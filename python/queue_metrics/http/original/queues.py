"""Queues as the original tells them."""

from __future__ import annotations

from typing import Literal

from queue_metrics.http.original.jobs import ended_per, failure_rate
from queue_metrics.http.original.shapes import (
    OriginalAllQueuesReply,
    OriginalDepth,
    OriginalDepthReply,
    OriginalListedQueue,
    OriginalQueueDepth,
    OriginalQueueHealth,
    OriginalQueueReply,
    OriginalQueuesReply,
    OriginalQueueWorkers,
)
from queue_metrics.http.original.trends import baseline, queue_trends
from queue_metrics.http.original.units import iso, iso_if_known, key, milliseconds, percent, rounded
from queue_metrics.insights.everything import Everything
from queue_metrics.insights.health import original_score, original_status
from queue_metrics.model import QueueAnswer
from queue_metrics.storage.base import MINUTE

_OLD_FROM_SECONDS = 300.0
"""From here on the age of the oldest job takes points from the score."""


def names(everything: Everything) -> OriginalQueuesReply:
    """`/queues`: the name of every known queue, once."""
    return {"data": sorted({each.queue for each in everything.queues})}


def all_queues(everything: Everything) -> OriginalAllQueuesReply:
    """`/queues/all`: every known queue, by connection and queue."""
    return {"data": {key(each.connection, each.queue): listed(everything, each) for each in everything.queues}}


def queue(everything: Everything, connection: str, name: str) -> OriginalQueueReply:
    """
    `/queues/{connection}/{queue}`.

    Raises:
        UnknownName: no such queue was ever recorded.
    """
    answer = everything.queue(connection, name)
    return {
        "data": {
            "connection": answer.connection,
            "queue": answer.queue,
            "depth": answer.depth,
            "pending": answer.ready,
            "scheduled": answer.scheduled,
            "reserved": answer.reserved,
            "oldest_job_age": answer.latency_seconds,
            "age_status": _age_status(answer),
            "throughput_per_minute": ended_per(answer.minute, MINUTE),
            "avg_duration": milliseconds(answer.minute.mean_runtime_seconds),
            "failure_rate": failure_rate(answer.lifetime.counts),
            "utilization_rate": utilization_rate(answer),
            "active_workers": answer.workers,
            "driver": answer.connection,
            "health": health(answer),
            "calculated_at": iso(everything.now),
            "trends": queue_trends(everything, connection, name),
        }
    }


def health(answer: QueueAnswer) -> OriginalQueueHealth:
    """By the original's formula; its inputs are those that are shown, so whoever reads them can work it out."""
    known = answer.depth is not None or answer.failure.n > 0
    score = original_score(answer.depth, answer.latency_seconds, answer.failure.ratio, answer.workers) if known else None
    return {
        "status": original_status(score).value,
        "score": rounded(score),
        "depth": answer.depth,
        "oldest_job_age": answer.latency_seconds,
        "failure_rate": percent(answer.failure.ratio),
        "utilization_rate": utilization_rate(answer),
    }


def utilization_rate(answer: QueueAnswer) -> float | None:
    """Run time of the last hour by the time of the workers that serve it, %."""
    return percent(answer.utilisation_ratio)


def depth(everything: Everything, connection: str, name: str) -> OriginalDepthReply:
    """
    `/queues/{connection}/{queue}/depth`.

    Raises:
        UnknownName: no such queue was ever recorded.
    """
    answer = everything.queue(connection, name)
    told: OriginalDepth = {
        "connection": answer.connection,
        "queue": answer.queue,
        "pending_jobs": answer.ready,
        "reserved_jobs": answer.reserved,
        "delayed_jobs": answer.scheduled,
        "oldest_pending_job_age": _waiting_since(answer, everything.now),
        "oldest_delayed_job_age": _due_at(answer, everything.now),
        "measured_at": iso_if_known(_asked_at(answer, everything.now)),
    }
    return {"data": told}


def listed(everything: Everything, answer: QueueAnswer) -> OriginalListedQueue:
    """A queue of the full listing."""
    usual = everything.baselines.get((answer.connection, answer.queue))
    return {
        "connection": answer.connection,
        "queue": answer.queue,
        "driver": answer.connection,
        "depth": _depth(answer, everything.now),
        "performance_60s": {
            "throughput_per_minute": ended_per(answer.minute, MINUTE),
            "avg_duration_ms": milliseconds(answer.minute.mean_runtime_seconds),
            "window_seconds": answer.minute.nominal_seconds,
        },
        "lifetime": {"failure_rate_percent": failure_rate(answer.lifetime.counts)},
        "workers": workers_of(everything, answer),
        "baseline": None if usual is None else baseline(usual),
        "trends": queue_trends(everything, answer.connection, answer.queue),
        "timestamp": iso(everything.now),
    }


def workers_of(everything: Everything, answer: QueueAnswer) -> OriginalQueueWorkers:
    """Live workers that serve a queue."""
    return {
        "active_count": answer.workers,
        "current_busy_percent": percent(answer.busy_ratio),
        "lifetime_busy_percent": percent(everything.lifetime_ratio(answer.connection, answer.queue)),
    }


def _depth(answer: QueueAnswer, now: float) -> OriginalQueueDepth:
    return {
        "total": answer.depth,
        "pending": answer.ready,
        "scheduled": answer.scheduled,
        "reserved": answer.reserved,
        "oldest_job_age_seconds": answer.latency_seconds,
        "oldest_job_age_status": _waiting_since(answer, now) or "unknown",
    }


def _age_status(answer: QueueAnswer) -> Literal["normal", "old", "unknown"]:
    if answer.latency_seconds is None:
        # An empty queue has no oldest job, which is as it should be.
        return "normal" if answer.ready == 0 else "unknown"
    return "old" if answer.latency_seconds > _OLD_FROM_SECONDS else "normal"


def _asked_at(answer: QueueAnswer, now: float) -> float | None:
    return None if answer.depth_age_seconds is None else now - answer.depth_age_seconds


def _due_at(answer: QueueAnswer, now: float) -> str | None:
    asked = _asked_at(answer, now)
    return None if asked is None or answer.due_seconds is None else iso_if_known(asked + answer.due_seconds)


def _waiting_since(answer: QueueAnswer, now: float) -> str | None:
    """The moment; None: not known, or nothing waits, whatever age that was told with."""
    asked, age = _asked_at(answer, now), None if answer.ready == 0 else answer.latency_seconds
    return None if asked is None or age is None else iso_if_known(asked - age)
