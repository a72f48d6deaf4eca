"""
The one door to events: each kind goes to who raises it.

Job events are raised in the process that executes, see `hooks.job_events`; those of the collector are read from the store, see
`collector.listening`.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, overload

from queue_metrics.config import suggestion
from queue_metrics.model.events import EVENT_KINDS
from queue_metrics.model.job_events import JOB_EVENT_KINDS

if TYPE_CHECKING:
    from queue_metrics.model.job_events import JobCompleted, JobDebounced, JobFailed, JobRetried
    from queue_metrics.storage.base import StorageDriver


@overload
def on(kind: Literal["job_completed"], callback: Callable[[JobCompleted], object]) -> Callable[[], None]: ...
@overload
def on(kind: Literal["job_failed"], callback: Callable[[JobFailed], object]) -> Callable[[], None]: ...
@overload
def on(kind: Literal["job_retried"], callback: Callable[[JobRetried], object]) -> Callable[[], None]: ...
@overload
def on(kind: Literal["job_debounced"], callback: Callable[[JobDebounced], object]) -> Callable[[], None]: ...
@overload
def on(
    kind: str, callback: Callable[[Any], object], *, store: str | StorageDriver | None = None, poll_seconds: float | None = None
) -> Callable[[], None]: ...
def on(
    kind: str, callback: Callable[[Any], object], *, store: str | StorageDriver | None = None, poll_seconds: float | None = None
) -> Callable[[], None]:
    """
    Have `callback` called with each event of a kind from now on.

    A job event comes in the process that executed the job, behind its record and outside of its measured time, also in processes forked
    later. What the callback raises is counted (`hook_errors`) and does not reach the job; how long it takes, the worker waits.

    A stored event, which a collector raised, comes in a thread of this process some seconds later, in each process that listens. What the
    callback raises is counted (`errors` of what is returned) and logged.

    Args:
        kind: a job event, `job_completed`, `job_failed`, `job_retried` or `job_debounced`, or a stored one, of
            `queue_metrics.model.events.EVENT_KINDS`.
        callback: a plain function of one argument, the event.
        store: of stored events: URL of the store, or a driver that is open; None: as configured.
        poll_seconds: of stored events: time between two questions to the store; 5 by default.

    Returns:
        What ends it, in this process; may be called twice.

    Raises:
        ValueError: there is no such kind, or it is a job event and a store was named.
        TypeError: the callback cannot be called, or its call makes a coroutine or a generator, which would never run.
        ConfigurationError: the URL of the store, or a setting, is wrong.
    """
    if not callable(callback) or _never_runs(callback):
        raise TypeError(f"{callback!r} cannot be called with an event: give a plain function of one argument")
    if kind in JOB_EVENT_KINDS:
        if store is not None or poll_seconds is not None:
            raise ValueError(f"{kind} is told in the process that executes: leave out `store` and `poll_seconds`")
        from queue_metrics.hooks import job_events

        return job_events.listen(kind, callback)
    if kind not in EVENT_KINDS:
        raise ValueError(f"unknown kind of events {kind!r}{suggestion(kind, (*JOB_EVENT_KINDS, *EVENT_KINDS))}")
    from queue_metrics.collector.listening import POLL_SECONDS, listen

    return listen(kind, callback, store=store, every=POLL_SECONDS if poll_seconds is None else poll_seconds)


def _never_runs(callback: Callable[[Any], object]) -> bool:
    """Whether a call of it, or of what it is a `partial` of, only makes a coroutine or a generator."""
    while isinstance(callback, functools.partial):
        callback = callback.func
    kinds = (inspect.iscoroutinefunction, inspect.isgeneratorfunction, inspect.isasyncgenfunction)
    return any(kind(each) for kind in kinds for each in (callback, type(callback).__call__))
