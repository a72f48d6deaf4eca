"""The overview as the original tells it: slim, or in full."""

from __future__ import annotations

import platform

from queue_metrics._core import __version__
from queue_metrics.http.original.jobs import ended, ended_per, execution, failure_rate, job
from queue_metrics.http.original.overview_shapes import (
    OriginalFullOverviewReply,
    OriginalMetadata,
    OriginalSlimJob,
    OriginalSlimJobOfQueue,
    OriginalSlimOverviewReply,
    OriginalSlimQueue,
)
from queue_metrics.http.original.queues import listed, workers_of
from queue_metrics.http.original.servers import rolled_up, slim
from queue_metrics.http.original.trends import baseline, depth_trend, efficiency_trend
from queue_metrics.http.original.units import iso, key, milliseconds
from queue_metrics.http.original.workers import brought_to_an_end, count, summary, utilization
from queue_metrics.insights.everything import Everything
from queue_metrics.model import JobAnswer, QueueAnswer
from queue_metrics.storage.base import MINUTE


def slim_overview(everything: Everything) -> OriginalSlimOverviewReply:
    """`/overview`: everything at a glance."""
    people = everything.summary
    return {
        "data": {
            "queues": {key(each.connection, each.queue): _queue(everything, each) for each in everything.queues},
            "jobs": {each.detail.task: _job(each) for each in everything.jobs},
            "servers": {each.hostname: slim(each) for each in everything.servers},
            "workers": {**count(people), **utilization(people), "total_jobs_processed": brought_to_an_end(everything)},
            "metadata": _metadata(everything),
        }
    }


def full_overview(everything: Everything) -> OriginalFullOverviewReply:
    """`/overview?full=1`: everything, with baselines and trends."""
    return {
        "data": {
            "queues": {key(each.connection, each.queue): listed(everything, each) for each in everything.queues},
            "jobs": {each.detail.task: job(each, everything.now) for each in everything.jobs},
            "servers": {each.hostname: rolled_up(each, everything.now) for each in everything.servers},
            "workers": summary(everything),
            "baselines": {key(*labels): baseline(each) for labels, each in everything.baselines.items() if each.task is None},
            "trends": {
                "queue_depth": {
                    key(each.connection, each.queue): depth_trend(everything.depth_trend(each.connection, each.queue))
                    for each in everything.queues
                },
                "worker_efficiency": efficiency_trend(everything.efficiency_trend),
            },
            "metadata": _metadata(everything),
        }
    }


def _queue(everything: Everything, answer: QueueAnswer) -> OriginalSlimQueue:
    people = workers_of(everything, answer)
    return {
        "connection": answer.connection,
        "queue": answer.queue,
        "depth": answer.depth,
        "pending": answer.ready,
        "active_workers": answer.workers,
        "throughput_per_minute": ended_per(answer.minute, MINUTE),
        "failure_rate": failure_rate(answer.lifetime.counts),
        "current_busy_percent": people["current_busy_percent"],
        "lifetime_busy_percent": people["lifetime_busy_percent"],
    }


def _job(answer: JobAnswer) -> OriginalSlimJob:
    return {**_job_of_queue(answer), "by_queue": [_job_of_queue(each) for each in answer.queues]}


def _job_of_queue(answer: JobAnswer) -> OriginalSlimJobOfQueue:
    detail, counted = answer.detail, execution(answer.detail.lifetime.counts)
    return {
        "job_class": detail.task,
        "connection": detail.connection,
        "queue": detail.queue,
        "total_processed": counted["total_processed"],
        "success_rate": counted["success_rate"],
        "failure_rate": counted["failure_rate"],
        "avg_duration_ms": milliseconds(detail.runtime.mean),
        "throughput_per_minute": ended(detail, MINUTE),
    }


def _metadata(everything: Everything) -> OriginalMetadata:
    return {
        "timestamp": iso(everything.now),
        "package_version": __version__,
        "framework_version": f"Python {platform.python_version()}",
        "storage_driver": everything.store.partition(":")[0],
    }
