"""Opens a store for reading."""

from __future__ import annotations

from collections.abc import Callable

from queue_metrics.insights.metrics import Metrics
from queue_metrics.storage.base import StorageDriver
from queue_metrics.storage.manager import configured


def connect(
    store: str | StorageDriver | None = None,
    *,
    prefix: str | None = None,
    now: Callable[[], float] | None = None,
    stale_seconds: float | None = None,
    lost_seconds: float | None = None,
) -> Metrics:
    """
    Open a store for reading. What is not given is as configured.

    Args:
        store: its URL (`sqlite:///...`, `redis://...`, `memory://`), or a driver that is open.
        prefix: of its keys or tables; "queue_metrics" by default.
        now: the clock, seconds since 1970; the wall clock by default.
        stale_seconds: a worker or depth not heard of for so long is stale; 60 by default.
        lost_seconds: a worker not heard of for so long is lost; 300 by default, and not less than `stale_seconds`.

    Raises:
        ConfigurationError: the URL is malformed or of an unknown kind, or a setting is unknown or wrong, also beside another.
        MissingDependency: the library of this database is not installed.
    """
    driver, settings = configured(store, prefix=prefix, stale_seconds=stale_seconds, lost_seconds=lost_seconds)
    return Metrics(driver, now=now, stale_seconds=settings.stale_seconds, lost_seconds=settings.lost_seconds)
