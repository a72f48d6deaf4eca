"""The one door to events: each kind goes to who raises it. Those of the collector are read from the store, see `collector.listening`."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from queue_metrics.config import suggestion
from queue_metrics.model.events import EVENT_KINDS

if TYPE_CHECKING:
    from queue_metrics.storage.base import StorageDriver


def on(
    kind: str, callback: Callable[[Any], object], *, store: str | StorageDriver | None = None, poll_seconds: float | None = None
) -> Callable[[], None]:
    """
    Have `callback` called with each event of a kind from now on.

    A stored event, which a collector raised, comes in a thread of this process some seconds later, in each process that listens. What the
    callback raises is counted (`errors` of what is returned) and logged.

    Args:
        kind: of stored events, one of `queue_metrics.model.events.EVENT_KINDS`.
        callback: a plain function of one argument, the event.
        store: of stored events: URL of the store, or a driver that is open; None: as configured.
        poll_seconds: of stored events: time between two questions to the store; 5 by default.

    Returns:
        What ends it, in this process; may be called twice.

    Raises:
        ValueError: there is no such kind.
        TypeError: the callback cannot be called, or is a coroutine function, which would never run.
        ConfigurationError: the URL of the store, or a setting, is wrong.
    """
    if not callable(callback) or inspect.iscoroutinefunction(callback):
        raise TypeError(f"{callback!r} cannot be called with an event: give a plain function of one argument")
    if kind not in EVENT_KINDS:
        raise ValueError(f"unknown kind of events {kind!r}{suggestion(kind, tuple(EVENT_KINDS))}")
    from queue_metrics.collector.listening import POLL_SECONDS, listen

    return listen(kind, callback, store=store, every=POLL_SECONDS if poll_seconds is None else poll_seconds)
