"""The processes that record, from their heartbeats: who lives, what it does, who has gone quiet."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from queue_metrics._core import Value, decode_heartbeat
from queue_metrics.errors import DecodeError
from queue_metrics.insights.layout import MICROSECONDS
from queue_metrics.insights.stuck import stuck
from queue_metrics.model import CountedWindow, WorkerAnswer, WorkerCounts, WorkerSummary
from queue_metrics.storage.base import Beat
from queue_metrics.storage.efficiency import Counters, Spent

Usual: TypeAlias = Callable[[tuple[str, ...]], Value | None]
_Process: TypeAlias = tuple[str, int, str]
"""Its host, pid and connection."""

SETTLING_SECONDS = 60.0
"""How much longer than `stale_seconds` nobody is called stale or lost for age alone, once a collector runs again."""
_ALIVE = ("starting", "idle", "busy")
_ORDER = ("lost", "stale", "busy", "starting", "idle", "up", "stopped")
_ROLES = {"child": "worker", "producer": "producer", "agent": "agent"}


def workers(
    beats: Iterable[Beat],
    now: float,
    *,
    stale_seconds: float,
    lost_seconds: float,
    settled_since: float | None = None,
    usual: Usual | None = None,
    counters: Counters | None = None,
    uncounted: str = "nobody asked what a collector counted",
) -> tuple[tuple[WorkerAnswer, ...], int]:
    """
    Every process that has a heartbeat, those that need a look first, and how many heartbeats could not be read.

    Args:
        beats: heartbeats of workers.
        now: seconds since 1970; for the elapsed times of jobs, which workers give by their own clocks.
        stale_seconds: age of a heartbeat from which a living process is stale.
        lost_seconds: age from which it is lost.
        settled_since: since when the collector has passed without a gap; nobody is stale or lost for age alone until `stale_seconds`
            and a minute later, when all that live have had time to beat. None: no collector, ages decide.
        usual: what is known of the runtimes of a task, by connection, queue and task; for `stuck`.
        counters: of the last pass of the collector, for `utilisation_ratio`.
        uncounted: why a worker that executes is not in them.
    """
    limits = (stale_seconds, lost_seconds) if ages_decide(settled_since, now, stale_seconds) else (math.inf, math.inf)
    decoded: list[tuple[Beat, dict[str, Any]]] = []
    unreadable = 0
    for beat in beats:
        try:
            decoded.append((beat, decode_heartbeat(beat.payload)))
        except DecodeError:
            unreadable += 1
    parents = {(page["host"], page["parent_pid"]) for _, page in decoded if page["role"] == "child"}
    served = _served(decoded)
    answers = [_worker(beat, page, parents, served, now, limits, usual, counters, uncounted) for beat, page in decoded]
    answers.sort(key=lambda each: (_ORDER.index(each.state), each.role != "worker", -(each.elapsed_seconds or 0.0), each.id))
    return tuple(answers), unreadable


def silent(beats: Iterable[Beat], now: float, threshold: float, *, settled_since: float | None) -> tuple[WorkerAnswer, ...]:
    """
    Processes that said no goodbye and have not been heard of for so many seconds, or whose death was seen. While ages say nothing, see
    `workers`, only the latter.
    """
    answers, _ = workers(beats, now, stale_seconds=threshold, lost_seconds=threshold, settled_since=settled_since)
    return tuple(each for each in answers if each.state in ("stale", "lost"))


def _served(decoded: Iterable[tuple[Beat, dict[str, Any]]]) -> dict[_Process, str]:
    """
    The queues of each main process, as it was told them; of several with one pid, as in a container that starts again, the newest.

    A heartbeat names the queue of its job while one runs, so only who runs none says for sure what it serves: of a pool the main process.
    """
    mains = sorted((pair for pair in decoded if pair[1]["role"] == "main"), key=lambda pair: -pair[0].age)
    return {(page["host"], page["pid"], page["connection"]): page["queue"] for _, page in mains}


def ages_decide(settled_since: float | None, now: float, stale_seconds: float) -> bool:
    """Whether a heartbeat's age says anything: not while the store may have been away, so that who lives could not beat."""
    return settled_since is None or now >= settled_since + stale_seconds + SETTLING_SECONDS


def _worker(
    beat: Beat,
    page: dict[str, Any],
    parents: set[tuple[str, int]],
    served: Mapping[_Process, str],
    now: float,
    limits: tuple[float, float],
    usual: Usual | None,
    counters: Counters | None,
    uncounted: str,
) -> WorkerAnswer:
    state, (stale_seconds, lost_seconds) = page["state"], limits
    silent = None  # since when its age alone has made its state
    if state in _ALIVE and beat.age > stale_seconds:
        state, silent = ("lost", lost_seconds) if beat.age > lost_seconds else ("stale", stale_seconds)
    # By the clock of its own host where a drainer looked at it: clocks of two hosts may differ.
    seen = now - beat.age if page["seen"] is None else page["seen"] / MICROSECONDS
    role = _ROLES.get(page["role"], "supervisor" if (page["host"], page["pid"]) in parents else "worker")
    if role != "worker" and state in _ALIVE:
        state = "up"  # it executes nothing, so it is never busy, and would be starting for ever
    executes = role == "worker"
    busy, idle = _accounts(page, seen) if executes else (0.0, 0.0)
    running = page["running"] if state in (*_ALIVE, "stale") else 0
    elapsed = _since(page["job_started"], seen) if running else None
    share, why = _cpu_share(page, state)
    spent = _spent(beat.worker_id, page, (busy, idle), counters) if executes else None
    unknown = _unknown_utilisation(state, spent, uncounted) if executes else "it executes nothing"
    labels = (page["connection"], page["queue"], page["task"])
    hangs, because = stuck(elapsed, page["task"], lambda: usual(labels) if usual else None, running) if running else (False, None)
    return WorkerAnswer(
        id=beat.worker_id,
        state=state,
        role=role,
        host=page["host"],
        pid=page["pid"],
        library=page["library"],
        connection=page["connection"],
        queue=served.get((page["host"], page["parent_pid"], page["connection"]), page["queue"])
        if page["role"] == "child"
        else page["queue"],
        task=page["task"] or None if running else None,
        job_id=page["job_id"] or None if running else None,
        running=running,
        elapsed_seconds=elapsed,
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
        since_state_seconds=_in_state(page, seen, beat.age, silent),
        busy_seconds=busy if executes else None,
        idle_seconds=idle if executes else None,
        utilisation_ratio=None if spent is None else spent.ratio,
        utilisation_seconds=spent.seconds or None if spent is not None else None,
        utilisation_reason=unknown,
        stuck=hangs,
        stuck_reason=because,
        supervisor_pid=page["parent_pid"] if page["role"] == "child" else None,
    )


def _in_state(page: dict[str, Any], seen: float, age: float, silent: float | None) -> float | None:
    if silent is not None:
        return age - silent
    changed = _since(page["state_changed"], seen)
    return None if changed is None else changed + age


def _spent(worker: str, page: dict[str, Any], now: tuple[float, float], counters: Counters | None) -> Spent | None:
    """Busy and idle seconds since the collector's pass before the last; None: it did not count them, or once and nothing came since."""
    then = None if counters is None else counters.earlier(worker, (page["process_started"] or 0) / MICROSECONDS)
    if counters is None or then is None:
        return None
    spent = Spent(*(max(after - before, 0.0) for after, before in zip(now, then, strict=True)))
    return spent if spent.seconds or counters.twice(worker) else None


def _unknown_utilisation(state: str, spent: Spent | None, uncounted: str) -> str | None:
    """Why there is no busy share of a worker that executes; None: there is."""
    if spent is None:
        return uncounted
    return None if spent.seconds else f"it is {state}: its busy and idle seconds have not changed since a collector counted them"


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


def summary(answers: Iterable[WorkerAnswer], window: CountedWindow, spent: Spent) -> WorkerSummary:
    """
    Workers together.

    Args:
        answers: which workers; those that execute nothing do not count.
        window: as far as the collector counted their time.
        spent: their busy and idle seconds in the window, as the collector counted them.
    """
    people = [each for each in answers if each.role == "worker"]
    counts = by_state(people)
    alive = [each for each in people if each.state in _ALIVE]
    jobs = sum(each.jobs for each in people)
    return WorkerSummary(
        window=window,
        counts=counts,
        now_ratio=counts.busy / counts.live if counts.live else None,
        lifetime_ratio=lifetime_ratio(alive),
        window_ratio=spent.ratio,
        window_seconds=spent.seconds or None,
        jobs=jobs,
        jobs_per_worker=jobs / len(people) if people else None,
    )


def lifetime_ratio(answers: Iterable[WorkerAnswer]) -> float | None:
    """The busy share of the whole lives of some workers together, 0-1; None: there are none."""
    return Spent.total(Spent(each.busy_seconds or 0.0, each.idle_seconds or 0.0) for each in answers).ratio


class Serving:
    """Live workers by what they serve, as far as they say it: a fleet is looked through once, not once for each of its queues."""

    def __init__(self, answers: Sequence[WorkerAnswer]) -> None:
        self._answers = answers
        self._places: dict[tuple[str, str | None], list[int]] = {}
        """By connection and queue; None: all of the connection."""
        for place, each in enumerate(answers):
            if each.role == "worker" and each.state in _ALIVE:
                for queue in {each.queue, *each.queue.split(",")} if each.queue else (None,):
                    self._places.setdefault((each.connection, queue), []).append(place)

    def of(self, connection: str, queue: str) -> tuple[WorkerAnswer, ...]:
        """Those of a queue, in the order of the answers."""
        places = (*self._places.get((connection, queue), ()), *self._places.get((connection, None), ()))
        return tuple(self._answers[place] for place in sorted(places))
