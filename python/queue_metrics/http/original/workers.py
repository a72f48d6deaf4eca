"""Workers as the original tells them."""

from __future__ import annotations

from collections.abc import Iterator

from queue_metrics.http.original.fleet_shapes import (
    OriginalAllWorkersReply,
    OriginalHeartbeat,
    OriginalStaleReply,
    OriginalStatusOfReply,
    OriginalStatusReply,
    OriginalUtilization,
    OriginalWorker,
    OriginalWorkerCount,
    OriginalWorkersSummary,
)
from queue_metrics.http.original.overview_shapes import OriginalWorkersReply
from queue_metrics.http.original.trends import efficiency_trend
from queue_metrics.http.original.units import iso_if_known, megabytes, percent, rounded
from queue_metrics.insights import UnknownName
from queue_metrics.insights.everything import Everything
from queue_metrics.model import Outcome, WorkerAnswer, WorkerSummary

_STALE_SECONDS = 60.0
"""The original's limit of a heartbeat's age."""


def workers(everything: Everything, connection: str | None, queue: str | None) -> OriginalWorkersReply:
    """`/workers`: the live ones, of a connection or queue if one is given."""
    live = [each for each in _of(everything, connection, queue) if each.active]
    return {
        "data": {
            "workers": [_worker(each, everything.now) for each in live],
            "efficiency_trend": efficiency_trend(everything.efficiency_trend),
        }
    }


def all_workers(everything: Everything) -> OriginalAllWorkersReply:
    """`/workers/all`: all together and each, also those that are gone as long as they are known."""
    return {
        "data": {
            "summary": summary(everything),
            "workers": [
                {
                    **_heartbeat(each, everything),
                    "memory_usage_mb": megabytes(each.rss_bytes),
                    "cpu_usage_percent": percent(each.cpu_ratio),
                    "peak_memory_usage_mb": megabytes(each.rss_peak_bytes),
                }
                for each in _of(everything)
            ],
        }
    }


def status(everything: Everything, connection: str | None, queue: str | None) -> OriginalStatusReply:
    """`/workers/status`: heartbeats."""
    found = [_heartbeat(each, everything) for each in _of(everything, connection, queue)]
    return {"data": found, "meta": {"total": len(found)}}


def status_of(everything: Everything, id: str) -> OriginalStatusOfReply:
    """
    `/workers/status/{id}`: one heartbeat.

    Raises:
        UnknownName: no worker of this id has a heartbeat.
    """
    found = next((each for each in _of(everything) if each.id == id), None)
    if found is None:
        raise UnknownName(f"no worker {id!r}")
    return {"data": _heartbeat(found, everything)}


def detect_stale(everything: Everything, threshold: int) -> OriginalStaleReply:
    """
    `/workers/detect-stale`: how many, by this threshold, went silent without saying good-bye, or were seen to be gone. Nothing is written;
    after a gap of the collector ages decide once all had time to beat.
    """
    crashed = [each for each in everything.silent(threshold) if each.role == "worker"]
    return {"data": {"threshold_seconds": threshold, "workers_marked_crashed": len(crashed)}}


def summary(everything: Everything) -> OriginalWorkersSummary:
    """Workers together."""
    answer = everything.summary
    return {
        "count": count(answer),
        "utilization": utilization(answer),
        "performance": {"avg_jobs_per_worker": rounded(answer.jobs_per_worker), "total_jobs_processed": brought_to_an_end(everything)},
    }


def count(answer: WorkerSummary) -> OriginalWorkerCount:
    """Live workers: all, busy ones, and the others."""
    busy = answer.counts.busy
    return {"total": answer.counts.live, "active": busy, "idle": answer.counts.live - busy}


def brought_to_an_end(everything: Everything) -> int:
    """
    Executions that workers brought to an end, whatever the outcome, ever.

    Of the totals, not of the heartbeats that are left: a worker that is gone takes nothing back.
    """
    counted = [task.lifetime for task in everything.task_figures]
    return sum(counts.ended - counts.outcomes[Outcome.LOST] for counts in counted)


def utilization(answer: WorkerSummary) -> OriginalUtilization:
    """Busy shares."""
    return {"current_busy_percent": percent(answer.now_ratio), "lifetime_busy_percent": percent(answer.lifetime_ratio)}


def _of(everything: Everything, connection: str | None = None, queue: str | None = None) -> Iterator[WorkerAnswer]:
    """Processes that execute jobs; of a connection, and those that serve a queue."""
    for each in everything.workers:
        if each.role != "worker" or connection not in (None, each.connection):
            continue
        if queue is None or not each.queue or queue == each.queue or queue in each.queue.split(","):
            yield each


def _worker(answer: WorkerAnswer, now: float) -> OriginalWorker:
    alive = None if answer.uptime_seconds is None else now - answer.last_seen_seconds - answer.uptime_seconds
    supervised = answer.supervisor_pid is not None
    return {
        "pid": answer.pid,
        "hostname": answer.host,
        "connection": answer.connection,
        "queue": answer.queue,
        "status": answer.original_state,
        "jobs_processed": answer.jobs,
        "current_job": answer.task,
        "idle_percentage": None if answer.busy_ratio is None else percent(1 - answer.busy_ratio),
        "spawned_at": iso_if_known(alive),
        "last_heartbeat": iso_if_known(now - answer.last_seen_seconds),
        "is_horizon_worker": supervised,
        "supervisor_name": f"{answer.host}:{answer.supervisor_pid}" if supervised else None,
        "parent_supervisor_pid": answer.supervisor_pid,
        "workers_pool_name": _pool(answer),
    }


def _pool(answer: WorkerAnswer) -> str | None:
    match answer:
        case WorkerAnswer(library=str(name)) if name:
            return name
    return None


def _heartbeat(answer: WorkerAnswer, everything: Everything) -> OriginalHeartbeat:
    now = everything.now
    changed = None if answer.since_state_seconds is None else now - answer.since_state_seconds
    return {
        "worker_id": answer.id,
        "connection": answer.connection,
        "queue": answer.queue,
        "state": answer.original_state,
        "last_heartbeat": iso_if_known(now - answer.last_seen_seconds),
        "last_state_change": iso_if_known(changed),
        "current_job_id": answer.job_id,
        "current_job_class": answer.task,
        "idle_time_seconds": answer.idle_seconds,
        "busy_time_seconds": answer.busy_seconds,
        "jobs_processed": answer.jobs,
        "pid": answer.pid,
        "hostname": answer.host,
        "is_stale": answer.last_seen_seconds > _STALE_SECONDS and everything.ages_decide(_STALE_SECONDS),
        "seconds_since_last_heartbeat": answer.last_seen_seconds,
    }
