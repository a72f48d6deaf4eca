"""What share of their time workers are busy, in a window: from differences of their counters between two passes of the collector."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from queue_metrics.insights.workers import workers
from queue_metrics.model import WorkerAnswer
from queue_metrics.storage.base import MINUTE, Beat
from queue_metrics.storage.efficiency import Counted, Counters, Crew, EfficiencyRow, PassTime, Queue, Spent

_LIVE = ("starting", "idle", "busy")


def efficiency(
    previous: Counters | None, beats: Iterable[Beat], now: float, *, stale_seconds: float = 60.0, lost_seconds: float = 300.0
) -> tuple[EfficiencyRow | None, Counters]:
    """
    What workers did since the last pass, and their counters for the next one.

    No row: on the first pass, since what was before cannot be told apart, and for a second pass in one minute, which changes nothing. A
    worker that began after the last pass counts from its own start, so does one that restarted: its id is another. One that was there
    before, but not seen, counts from now on.

    Args:
        previous: the counters of the last pass; None: there was none.
        beats: heartbeats of workers.
        now: the moment of this pass, seconds since 1970.
        stale_seconds: age of a heartbeat from which a worker is not live.
        lost_seconds: age from which it is lost.
    """
    if previous is not None and int(now) // MINUTE <= int(previous.at) // MINUTE:
        return None, previous
    answers, _ = workers(beats, now, stale_seconds=stale_seconds, lost_seconds=lost_seconds)
    people = [each for each in answers if each.role == "worker"]
    counted: dict[str, Counted] = {}
    spent: list[tuple[WorkerAnswer, Spent]] = []
    for each in people:
        then = _then(previous, each, now)
        at = Spent(each.busy_seconds or 0.0, each.idle_seconds or 0.0)
        if then is None:
            counted[each.id] = Counted(at, None)
            spent.append((each, Spent(0.0, 0.0)))
            continue
        # A clock that was set may shorten what was told; what was counted stays counted.
        at = Spent(max(at.busy_seconds, then.busy_seconds), max(at.idle_seconds, then.idle_seconds))
        counted[each.id] = Counted(at, then)
        spent.append((each, Spent(at.busy_seconds - then.busy_seconds, at.idle_seconds - then.idle_seconds)))
    counters = Counters(now, None if previous is None else previous.at, counted)
    if previous is None:
        return None, counters
    by_server: dict[str, list[tuple[WorkerAnswer, Spent]]] = {}
    by_queue: dict[Queue, list[tuple[WorkerAnswer, Spent]]] = {}
    for pair in spent:
        by_server.setdefault(pair[0].host, []).append(pair)
        for queue in filter(None, pair[0].queue.split(",")):
            by_queue.setdefault((pair[0].connection, queue), []).append(pair)
    return EfficiencyRow(
        at=now,
        seconds=now - previous.at,
        all=_crew(spent),
        servers={host: _crew(pairs) for host, pairs in by_server.items()},
        queues={queue: _crew(pairs) for queue, pairs in by_queue.items()},
    ), counters


def spent_in(times: Iterable[PassTime], start: float, end: float) -> Spent:
    """Busy and idle seconds of a crew between two moments; a pass whose time reaches beyond them counts in part."""
    busy = idle = 0.0
    for at, seconds, of_busy, of_idle in times:
        inside = min(at, end) - max(at - seconds, start)
        if inside > 0:
            part = min(inside / seconds, 1.0)
            busy, idle = busy + of_busy * part, idle + of_idle * part
    return Spent(busy, idle)


def _then(previous: Counters | None, worker: WorkerAnswer, now: float) -> Spent | None:
    """Its counters at the last pass; zero for one that began since, None where nobody knows."""
    if previous is None:
        return None
    known = previous.workers.get(worker.id)
    if known is not None:
        return known.spent
    if worker.uptime_seconds is None:
        return None
    began = now - worker.last_seen_seconds - worker.uptime_seconds
    return Spent(0.0, 0.0) if began >= previous.at else None


def _crew(pairs: Sequence[tuple[WorkerAnswer, Spent]]) -> Crew:
    live = [each for each, _ in pairs if each.state in _LIVE]
    return Crew(
        spent=Spent.total(spent for _, spent in pairs),
        rss_mean_bytes=_mean([each.rss_bytes for each in live]),
        cpu_mean_ratio=_mean([each.cpu_ratio for each in live]),
        live=len(live),
        busy=sum(each.state == "busy" for each in live),
        idle=sum(each.state == "idle" for each in live),
    )


def _mean(numbers: Sequence[float | None]) -> float | None:
    known = [number for number in numbers if number is not None]
    return sum(known) / len(known) if known else None
