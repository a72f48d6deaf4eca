"""
Job events: whom to call in this process when a job has ended, right behind its record. Knows no job library.

The core asks nobody until somebody listens. What a listener raises is counted as a hook error, and logged the first time.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any, TypeAlias

from queue_metrics import _core
from queue_metrics.model.job_events import (
    JOB_COMPLETED,
    JOB_DEBOUNCED,
    JOB_EVENT_KINDS,
    JOB_FAILED,
    JOB_RETRIED,
    JobCompleted,
    JobDebounced,
    JobFailed,
    JobMeasured,
    JobRetried,
)

_How: TypeAlias = tuple[int, int, BaseException | None]  # outcome, flags, exception
_What: TypeAlias = tuple[str, str, str, str, str]  # host, connection, queue, task, job
_Cost: TypeAlias = tuple[int, int | None, int | None, int | None]  # ns of run time and CPU time, KiB of peak and change

_LONGEST_MESSAGE = 1_000
_DEBOUNCED = frozenset({_core.REVOKED, _core.EXPIRED, _core.SKIPPED})
_logger = logging.getLogger("queue_metrics")
_listeners: dict[str, list[_Listener]] = {kind: [] for kind in JOB_EVENT_KINDS}
_memory_limits: dict[str, float] = {}


class _Telling(threading.local):
    now = False


_telling = _Telling()


class _Listener:
    __slots__ = ("callback", "failed", "kind")

    def __init__(self, kind: str, callback: Callable[[Any], object]) -> None:
        self.kind = kind
        self.callback = callback
        self.failed = False

    def hear(self, event: object) -> bool:
        """Whether the callback bore the event."""
        try:
            self.callback(event)
        except Exception:
            if not self.failed:
                self.failed = True
                _logger.exception("queue_metrics: a callback for %s raised; jobs go on, later errors of it are only counted", self.kind)
            return False
        return True


def listen(kind: str, callback: Callable[[Any], object]) -> Callable[[], None]:
    """Have `callback` called with each event of one of `JOB_EVENT_KINDS`, here and in processes forked later; answers what ends it."""
    listener = _Listener(kind, callback)
    _listeners[kind].append(listener)
    _core.listen(_ended, _discarded)

    def stop() -> None:
        if listener in _listeners[kind]:
            _listeners[kind].remove(listener)
        if not any(_listeners.values()):
            _core.listen_no_more()

    return stop


def limit_memory(connection: str, kibibytes: int | None) -> None:
    """Say at which resident memory the library replaces a process that executes jobs of this connection; None: at none."""
    _memory_limits.pop(connection, None)
    if kibibytes:
        _memory_limits[connection] = kibibytes / 1024


def _ended(how: _How, what: _What, cost: _Cost) -> int:
    """Called by the core when an execution has ended and is recorded; the number of errors."""
    outcome, flags, error = how
    if outcome == _core.SUCCEEDED:
        return _tell(JOB_COMPLETED, lambda: JobCompleted(**_measured(what, cost)))
    if outcome == _core.RETRIED or flags & _core.RETRY_FOLLOWS:
        return _tell(JOB_RETRIED, lambda: JobRetried(**_measured(what, cost), exception_message=_message(error)))
    # What raises in a process that is being ended is the library, and its text an exit code, which says nothing of why.
    error = None if flags & _core.PROVISIONAL else error
    return _tell(JOB_FAILED, lambda: JobFailed(**_measured(what, cost), exception_message=_message(error)))


def _discarded(reason: int, what: _What) -> int:
    """Called by the core when a job that will not be executed is recorded; the number of errors."""
    return _tell(JOB_DEBOUNCED, lambda: JobDebounced(**_identity(what))) if reason in _DEBOUNCED else 0


def _tell(kind: str, event: Callable[[], JobMeasured | JobDebounced]) -> int:
    """
    Call who listens; answers how many of them raised.

    What a callback executes itself, by `qm.track` perhaps, is recorded but not told: it would be told for ever.
    """
    listeners = tuple(_listeners[kind])
    if not listeners or _telling.now:
        return 0
    try:
        _telling.now = True
        told = event()
        return sum(not listener.hear(told) for listener in listeners)
    finally:
        _telling.now = False


def _identity(what: _What) -> dict[str, Any]:
    host, connection, queue, task, job = what
    return {"job_id": job, "job_class": task, "connection": connection, "queue": queue, "hostname": host}


def _measured(what: _What, cost: _Cost) -> dict[str, Any]:
    runtime, cpu, peak, change = cost
    return {
        **_identity(what),
        "duration_ms": runtime / 1e6,
        "memory_mb": None if peak is None else peak / 1024,
        "cpu_time_ms": None if cpu is None else cpu / 1e6,
        "worker_memory_limit_mb": _memory_limits.get(what[1]),
        "memory_incremental_mb": None if change is None else change / 1024,
    }


def _message(error: BaseException | None) -> str | None:
    """The text of an exception; None too where making it fails, which is code of the job's."""
    try:
        return None if error is None else str(error)[:_LONGEST_MESSAGE]
    except Exception:
        return None
