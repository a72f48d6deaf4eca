"""
What has changed so much that somebody should hear of it: pure comparisons of what is now with what was told last.

Thresholds, names and units of rows 97 to 100 of the original. Only the collector calls this: reading raises nothing (L18).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from queue_metrics.insights import layout
from queue_metrics.insights.baselines import Calculated
from queue_metrics.insights.measures import counts, distribution, failure_share, merged
from queue_metrics.insights.reading import SeriesReading
from queue_metrics.model import QueueAnswer, WorkerAnswer
from queue_metrics.model.baselines import Baseline
from queue_metrics.model.events import BASELINE, DEPTH, EFFICIENCY, HEALTH, RECORDED, WORKER_LOST, WORKER_REVIVED, WORKER_STALE, Event
from queue_metrics.storage.base import MINUTE
from queue_metrics.storage.collector import GAP_SECONDS
from queue_metrics.storage.efficiency import Counters, CrewMinute, EfficiencyRow
from queue_metrics.storage.events import Queue, ToldHealth

DEPTH_THRESHOLD = 100
HEALTH_CHANGE, HEALTH_KEPT_SECONDS = 15, 3600.0
EFFICIENCY_CHANGE = 10.0
SEVERITIES = ((30, "critical"), (20, "warning"), (10, "info"), (0, "normal"))
"""What a change of health by so many points is called."""
IDLE_SHARE = 0.8
"""A worker that idled more than this share of the minute is idle."""
BUSY_PERCENT, QUIET_PERCENT, IDLE_PER_ACTIVE = 90.0, 50.0, 0.3
_MEBIBYTE = 1024 * 1024
_SILENT: Mapping[str, str] = {"stale": WORKER_STALE, "lost": WORKER_LOST}


def depth_events(queues: Iterable[QueueAnswer], now: float) -> list[Event]:
    """One for each queue in which more than 100 jobs are ready; those that are due later only do not wait."""
    return [
        Event(0, DEPTH, now, {"depth": _depth(queue, now), "threshold": DEPTH_THRESHOLD, "percentage_over": over})
        for queue in queues
        if queue.ready is not None and (over := round((queue.ready - DEPTH_THRESHOLD) / DEPTH_THRESHOLD * 100, 2)) > 0
    ]


def health_events(
    queues: Iterable[QueueAnswer], told: Mapping[Queue, ToldHealth], now: float
) -> tuple[list[Event], dict[Queue, ToldHealth]]:
    """
    One for each queue whose score is 15 or more from the one that was told last; and what is told from now on.

    A score stays the one that was told for an hour, unless there is an event: so a slide in many small steps is heard of, too.
    """
    events, after = [], {}
    for queue in queues:
        name, score = (queue.connection, queue.queue), queue.health.score
        before = told.get(name)
        if score is None:
            if before is not None:
                after[name] = before
            continue
        if before is None or not 0 <= now - before.at <= HEALTH_KEPT_SECONDS:
            after[name] = ToldHealth(score, now)
        elif abs(score - before.score) < HEALTH_CHANGE:
            after[name] = before
        else:
            after[name] = ToldHealth(score, now)
            change = abs(score - before.score)
            data = {
                "connection": queue.connection,
                "queue": queue.queue,
                "current": score,
                "previous": before.score,
                "status": queue.health.status.value,
                "severity": next(word for least, word in SEVERITIES if change >= least),
            }
            events.append(Event(0, HEALTH, now, data))
    return events, after


def efficiency_events(previous: CrewMinute | None, row: EfficiencyRow | None, counters: Counters, now: float) -> list[Event]:
    """One when the busy share of all workers moved by 10 points or more since the last minute; none over a gap."""
    if previous is None or row is None or row.at - previous.at > GAP_SECONDS:
        return []
    before, after = previous.crew.spent.ratio, row.all.spent.ratio
    if before is None or after is None:
        return []
    current_percent, previous_percent = round(after * 100, 2), round(before * 100, 2)
    change = round(abs(current_percent - previous_percent), 2)
    if change < EFFICIENCY_CHANGE:
        return []
    active, idle = row.all.live, _idle(counters)
    data = {
        "current": current_percent,
        "previous": previous_percent,
        "change": change,
        "active": active,
        "idle": idle,
        "advice": advice(current_percent, active, idle),
    }
    return [Event(0, EFFICIENCY, now, data)]


def advice(busy_percent: float, active: int, idle: int) -> str:
    """`scale_up` above 90 % with nobody idle, `scale_down` below 50 % with more than 0.3 of the active idle, else `maintain`."""
    if busy_percent > BUSY_PERCENT and idle == 0:
        return "scale_up"
    return "scale_down" if busy_percent < QUIET_PERCENT and idle > IDLE_PER_ACTIVE * active else "maintain"


def worker_events(
    people: Iterable[WorkerAnswer], silent: Mapping[str, str], now: float, *, stale_seconds: float
) -> tuple[list[Event], dict[str, str]]:
    """
    One for each worker that went quiet, was lost or came back; and who is silent from now on: not who stopped or is forgotten.

    While ages do not decide, whoever was told silent has the state of its page again: it came back once a heartbeat is not stale.
    """
    events, after = [], {}
    for worker in people:
        if worker.role != "worker":
            continue
        before = silent.get(worker.id)
        if worker.state in _SILENT:
            after[worker.id] = worker.state
            if before != worker.state:
                events.append(Event(0, _SILENT[worker.state], now, _worker(worker)))
        elif before is not None and worker.last_seen_seconds > stale_seconds and worker.state != "stopped":
            after[worker.id] = before
        elif before is not None and worker.state != "stopped":
            events.append(Event(0, WORKER_REVIVED, now, _worker(worker)))
    return events, after


def recorded_events(queues: Iterable[SeriesReading], now: float) -> list[Event]:
    """
    One when executions ended in the last minute but one, of all queues together: by then workers have handed over what they recorded in it.

    The original told all metrics of one class, to whoever asked for them. A row for each task would push everything else out of the log
    within minutes; whoever hears of this one asks for the task that matters.
    """
    at = int(now) // MINUTE * MINUTE - 2 * MINUTE
    ended = [value for series in queues if (value := series.by_step.get(MINUTE, {}).get(at)) is not None and counts(value).ended]
    if not ended:
        return []
    together = merged(ended)
    counted, failure, runtime = counts(together), failure_share(counts(together)), distribution(together, layout.RUNTIME)
    data = {
        "minute": _moment(at),
        "window_seconds": MINUTE,
        "queues": len(ended),
        "jobs_processed": counted.ended,
        "jobs_failed": failure.part,
        "failure_rate": None if failure.ratio is None else round(failure.ratio * 100, 2),
        "avg_duration": None if runtime.mean is None else round(runtime.mean * 1000, 2),
    }
    return [Event(0, RECORDED, now, data)]


def baseline_events(calculated: Sequence[Calculated], now: float) -> list[Event]:
    """One for each queue that was calculated, and one for each task on it that costs something else than before."""
    changed = {each.baseline.labels[:2] for each in calculated if each.significant_change}
    events = []
    for each in calculated:
        baseline = each.baseline
        if baseline.task is None or each.significant_change:
            significant = each.significant_change or (baseline.task is None and baseline.labels[:2] in changed)
            data = {
                "connection": baseline.connection,
                "queue": baseline.queue,
                "baseline": original_baseline(baseline),
                "significant_change": significant,
            }
            events.append(Event(0, BASELINE, now, data))
    return events


def original_baseline(baseline: Baseline) -> dict[str, Any]:
    """A baseline under the names and in the units of the original; that of a queue has an empty `job_class`."""
    return {
        "connection": baseline.connection,
        "queue": baseline.queue,
        "job_class": baseline.task or "",
        "cpu_percent_per_job": None if baseline.cpu_ratio is None else round(baseline.cpu_ratio * 100, 2),
        "memory_mb_per_job": None if baseline.memory_bytes is None else round(baseline.memory_bytes / _MEBIBYTE, 2),
        "avg_duration_ms": round(baseline.duration_seconds * 1000, 2),
        "sample_count": baseline.sample_count,
        "confidence_score": baseline.confidence,
        "calculated_at": _moment(baseline.calculated_at),
    }


def _depth(queue: QueueAnswer, now: float) -> dict[str, Any]:
    """Row 34 of the original: the age of a job is the moment since when it waits, or from when on it may run, whatever the name says."""
    asked = None if queue.depth_age_seconds is None else now - queue.depth_age_seconds
    return {
        "connection": queue.connection,
        "queue": queue.queue,
        "pending_jobs": queue.ready,
        "reserved_jobs": queue.reserved,
        "delayed_jobs": queue.scheduled,
        "oldest_pending_job_age": None if asked is None or queue.latency_seconds is None else _moment(asked - queue.latency_seconds),
        "oldest_delayed_job_age": None if asked is None or queue.due_seconds is None else _moment(asked + queue.due_seconds),
        "measured_at": None if asked is None else _moment(asked),
    }


def _worker(worker: WorkerAnswer) -> dict[str, Any]:
    return {
        "worker_id": worker.id,
        "hostname": worker.host,
        "pid": worker.pid,
        "connection": worker.connection,
        "queue": worker.queue,
        "state": worker.state,
        "seconds_since_last_heartbeat": round(worker.last_seen_seconds, 3),
        "jobs_processed": worker.jobs,
    }


def _idle(counters: Counters) -> int:
    """Workers that idled more than 0.8 of the time since the last pass."""
    idle = 0
    for counted in counters.workers.values():
        if counted.before is not None:
            busy = counted.spent.busy_seconds - counted.before.busy_seconds
            waited = counted.spent.idle_seconds - counted.before.idle_seconds
            idle += busy + waited > 0 and waited / (busy + waited) > IDLE_SHARE
    return idle


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
