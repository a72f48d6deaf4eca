"""The processes that record, from their heartbeats: who lives, what it does, who has gone quiet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from queue_metrics._core import decode_heartbeat
from queue_metrics.errors import DecodeError
from queue_metrics.insights.layout import MICROSECONDS
from queue_metrics.model import WorkerAnswer, WorkerCounts
from queue_metrics.storage.base import Beat

_ALIVE = ("starting", "idle", "busy")
_ORDER = ("lost", "stale", "busy", "starting", "idle", "up", "stopped")
_ROLES = {"child": "worker", "producer": "producer", "agent": "agent"}


def workers(beats: Iterable[Beat], now: float, *, stale_seconds: float, lost_seconds: float) -> tuple[tuple[WorkerAnswer, ...], int]:
    """
    Every process that has a heartbeat, those that need a look first, and how many heartbeats could not be read.

    Args:
        beats: heartbeats of workers.
        now: seconds since 1970; for the elapsed times of jobs, which workers give by their own clocks.
        stale_seconds: age of a heartbeat from which a living process is stale.
        lost_seconds: age from which it is lost.
    """
    decoded: list[tuple[Beat, dict[str, Any]]] = []
    unreadable = 0
    for beat in beats:
        try:
            decoded.append((beat, decode_heartbeat(beat.payload)))
        except DecodeError:
            unreadable += 1
    parents = {(page["host"], page["parent_pid"]) for _, page in decoded if page["role"] == "child"}
    answers = [_worker(beat, page, parents, now, stale_seconds, lost_seconds) for beat, page in decoded]
    answers.sort(key=lambda each: (_ORDER.index(each.state), each.role != "worker", -(each.elapsed_seconds or 0.0), each.id))
    return tuple(answers), unreadable


def _worker(
    beat: Beat, page: dict[str, Any], parents: set[tuple[str, int]], now: float, stale_seconds: float, lost_seconds: float
) -> WorkerAnswer:
    state = page["state"]
    if state in _ALIVE and beat.age > stale_seconds:
        state = "lost" if beat.age > lost_seconds else "stale"
    seen = now - beat.age
    role = _ROLES.get(page["role"], "supervisor" if (page["host"], page["pid"]) in parents else "worker")
    if role != "worker" and state in _ALIVE:
        state = "up"  # it executes nothing, so it is never busy, and would be starting for ever
    busy, idle = _accounts(page, seen) if role == "worker" else (0.0, 0.0)
    running = page["running"] if state in (*_ALIVE, "stale") else 0
    share, why = _cpu_share(page, state)
    return WorkerAnswer(
        id=beat.worker_id,
        state=state,
        role=role,
        host=page["host"],
        pid=page["pid"],
        library=page["library"],
        connection=page["connection"],
        queue=page["queue"],
        task=page["task"] or None if running else None,
        job_id=page["job_id"] or None if running else None,
        running=running,
        elapsed_seconds=_since(page["job_started"], seen) if running else None,
        # Of a lost one nobody knows how long it did what it did last.
        busy_ratio=busy / (busy + idle) if busy + idle > 0 and state != "lost" else None,
        rss_bytes=page["rss"],
        rss_peak_bytes=page["rss_peak"],
        cpu_seconds=None if page["cpu"] is None else page["cpu"] / MICROSECONDS,
        cpu_ratio=share,
        cpu_reason=why,
        jobs=page["finished"],
        failures=page["failed"],
        uptime_seconds=_since(page["process_started"], seen),
        last_seen_seconds=beat.age,
    )


def _accounts(page: dict[str, Any], seen: float) -> tuple[float, float]:
    """Busy and idle seconds until the worker was seen. It writes its page between jobs only: what it has been doing since goes on."""
    busy, idle = page["busy"] / MICROSECONDS, page["idle"] / MICROSECONDS
    since = _since(page["written"], seen) or 0.0
    if page["state"] == "busy":
        return busy + since, idle
    return (busy, idle + since) if page["state"] == "idle" else (busy, idle)


def _cpu_share(page: dict[str, Any], state: str) -> tuple[float | None, str | None]:
    """CPU time by time between the last two readings, or why there is none."""
    if state in ("stopped", "lost"):
        return None, f"the process is {state}"
    if page["cpu"] is None:
        return None, "its CPU time cannot be read"
    if page["cpu_spent"] is None or not page["cpu_over"]:
        return None, "it was read once, and a share needs two readings"
    return page["cpu_spent"] / page["cpu_over"], None


def _since(moment: int | None, seen: float) -> float | None:
    # Clocks of two machines may differ: no negative ages.
    return None if moment is None else max(seen - moment / MICROSECONDS, 0.0)


def by_state(answers: Iterable[WorkerAnswer]) -> WorkerCounts:
    """Workers by state; supervisors, producers and agents execute nothing and do not count."""
    states = Counter(each.state for each in answers if each.role == "worker")
    return WorkerCounts(**{state: states[state] for state in ("starting", "idle", "busy", "stopped", "stale", "lost")})


def serving(answers: Sequence[WorkerAnswer], connection: str, queue: str) -> tuple[WorkerAnswer, ...]:
    """Live workers of a queue, as far as they say what they serve."""
    return tuple(
        each
        for each in answers
        if each.role == "worker"
        and each.state in _ALIVE
        and each.connection == connection
        and (not each.queue or each.queue == queue or queue in each.queue.split(","))
    )
