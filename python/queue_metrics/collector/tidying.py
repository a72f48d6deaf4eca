"""What is removed by hand: heartbeats of workers that are gone, and what has expired."""

from __future__ import annotations

import time
from collections.abc import Callable

from queue_metrics.insights.workers import silent
from queue_metrics.model import WorkerAnswer
from queue_metrics.storage.base import StorageDriver
from queue_metrics.storage.baselines import BASELINES, READ_BASELINES, forgotten
from queue_metrics.storage.collector import READ_COLLECTOR, settled_for_readers, state_for_reader
from queue_metrics.storage.spools import back_since, worker_beats

_AT_ONCE = 0.001  # the shortest life of a heartbeat


def silent_workers(driver: StorageDriver, threshold: float, lost_seconds: float) -> list[WorkerAnswer]:
    """
    Processes that said no goodbye and have not been heard of for so many seconds, or whose death was seen; the longest silent first.

    After a gap of the collector, or of the store, only those whose death was seen, until `threshold` and a minute after it passes again.

    Args:
        lost_seconds: as configured, whatever the threshold: how long heartbeats live, and so a gap is remembered, follows from it.
    """
    now, view = time.time(), driver.read_view(calls=(READ_COLLECTOR,))
    state = state_for_reader(view.answers[0], view.beats, now)
    back = back_since(view.beats, view.uptime_seconds, now, threshold)
    settled = settled_for_readers(state, back, now, lost_seconds=lost_seconds)
    found = silent(worker_beats(view.beats), now, threshold, settled_since=settled)
    return sorted(found, key=lambda each: -each.last_seen_seconds)


def remove_silent(driver: StorageDriver, threshold: float, lost_seconds: float, *, dry_run: bool = False) -> list[WorkerAnswer]:
    """
    Forget those that have been silent for so long; one that beats again is there again, with its counters, since it keeps them itself.

    Returns:
        Who was removed, or would be.
    """
    gone = [each for each in silent_workers(driver, threshold, lost_seconds) if each.last_seen_seconds > threshold]
    if gone and not dry_run:
        ids = {each.id for each in gone}
        # Read anew: who has beaten meanwhile is not to lose that.
        still = [beat for beat in driver.read_heartbeats() if beat.worker_id in ids and beat.age > threshold]
        driver.heartbeat_many([(beat.worker_id, beat.payload) for beat in still], _AT_ONCE)
    return gone


def sweep(driver: StorageDriver, *, chunk: int = 1000, progress: Callable[[str], None] = lambda _: None) -> dict[str, int]:
    """Remove what has expired, so many entries at once, and baselines that nobody renewed; says how many of each."""
    expired = 0
    while True:
        gone = driver.sweep(chunk)
        expired += gone
        progress(f"{expired} expired entries removed")
        if gone < chunk:
            break
    stale = forgotten(driver.execute([READ_BASELINES])[0] or {}, time.time(), driver.lifetimes.baseline)
    return {"expired": expired, "baselines": driver.delete_hash_field(BASELINES, *stale) if stale else 0}
