"""Opens a store for reading."""

from __future__ import annotations

from collections.abc import Callable

from queue_metrics.insights.metrics import LOST_SECONDS, STALE_SECONDS, Metrics
from queue_metrics.storage.base import StorageDriver


def connect(
    store: str | StorageDriver | None = None,
    *,
    prefix: str | None = None,
    now: Callable[[], float] | None = None,
    stale_seconds: float | None = None,
    lost_seconds: float | None = None,
) -> Metrics:
    """
    Open a store for reading.

    Args:
        store: its URL (`sqlite:///...`, `redis://...`, `memory://`), or a driver that is open; None: as configured, and so is
            everything below that is not given.
        prefix: of its keys or tables; "queue_metrics" by default.
        now: the clock, seconds since 1970; the wall clock by default.
        stale_seconds: a worker or depth not heard of for so long is stale; 60 by default.
        lost_seconds: a worker not heard of for so long is lost; 300 by default, and not less than `stale_seconds`.

    Raises:
        ConfigurationError: the URL is malformed or of an unknown kind, or a setting is unknown or wrong, also beside another.
        MissingDependency: the library of this database is not installed.
    """
    from queue_metrics.config import check_ages, load_settings

    if store is None:
        from queue_metrics.storage.manager import open_store

        settings = load_settings(prefix=prefix, stale_seconds=stale_seconds, lost_seconds=lost_seconds)
        store = open_store(settings)
        stale_seconds, lost_seconds = settings.stale_seconds, settings.lost_seconds
    stale_seconds = STALE_SECONDS if stale_seconds is None else stale_seconds
    lost_seconds = LOST_SECONDS if lost_seconds is None else lost_seconds
    check_ages(stale_seconds, lost_seconds)
    if isinstance(store, str):
        from queue_metrics.storage.manager import StorageManager

        store = (StorageManager() if prefix is None else StorageManager(prefix)).open(store)
    return Metrics(store, now=now, stale_seconds=stale_seconds, lost_seconds=lost_seconds)
