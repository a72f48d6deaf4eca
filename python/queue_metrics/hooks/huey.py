"""
Huey: executions by wrapping `execute` of the registered task classes, arrivals by wrapping the ways into storage.

A message of Huey does not hold when it was enqueued. With the plain pickling serializer this hook appends a trailer of 20 bytes to it:
the moment and our own count of attempts (Huey counts retries down, and `RetryTask` not at all). `pickle` stops reading at its
end mark, so a consumer without this hook reads the same message. Compressed, signed and custom serializers are left alone.
"""

from __future__ import annotations

import functools
import os
import struct
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from types import FunctionType
from typing import Any

from huey import signals
from huey.api import Task
from huey.exceptions import CancelExecution, RateLimitExceeded, RetryTask, TaskTimeout
from huey.serializer import Serializer

from queue_metrics import _core
from queue_metrics.hooks.base import DepthProbe, Hook, HookContext, guarded
from queue_metrics.hooks.huey_depth import SqliteDepth, sqlite_file

MAGIC = b"\x00qm\x01"
TRAILER = struct.Struct("<4sqII")
"""Magic, µs since 1970 when the job was enqueued, attempt, and a spare zero."""

_STATE = "_queue_metrics"
"""Attribute of a task that came out of a message: [enqueued µs or NO_TIME, attempt, whether it was executed]."""

RULES: Sequence[Any] = (
    (RetryTask, _core.RETRIED, _core.RETRY_FOLLOWS),
    (RateLimitExceeded, _core.RETRIED, _core.RETRY_FOLLOWS, "retry", True),
    (TaskTimeout, _core.TIMED_OUT, _core.RETRY_IF_LEFT),
    (CancelExecution, _core.CANCELLED, 0, "retry", False),
    (CancelExecution, _core.CANCELLED, _core.RETRY_FOLLOWS, "retry", True),
    (CancelExecution, _core.CANCELLED, _core.RETRY_IF_LEFT),
    (KeyboardInterrupt, _core.CANCELLED, 0),  # the consumer was told not to wait for it
)

_DISCARDS = {
    signals.SIGNAL_REVOKED: _core.REVOKED,
    signals.SIGNAL_EXPIRED: _core.EXPIRED,
    signals.SIGNAL_CANCELED: _core.SKIPPED,  # by a pre_execute hook; from inside a body it is an outcome
}


class HueyHook(Hook):
    """One Huey instance: in its consumer, the consumer's workers, and every process that enqueues through it."""

    library = "huey"

    def __init__(self, huey: Any, context: HookContext) -> None:
        self._huey = huey
        self._context = context
        self._recorder = context.recorder
        self._connection = context.connection or "huey"
        self._clock = _core.CLOCK_PROCESS
        self._installed = False
        self._consumer_pid = 0  # the main process of the consumer, in it and in its children
        self._stamps = type(huey.serializer) is Serializer and not huey.serializer.comp
        self._handles: dict[type, int] = {}
        self._own_executes: dict[type, Any] = {}
        self._replaced: list[tuple[Any, str, Any]] = []
        self._receiver = guarded(self._recorder, self._on_signal)
        self._depth: SqliteDepth | None = None

    def install(self) -> None:
        if self._installed:
            return
        self._installed = True
        huey, registry = self._huey, self._huey._registry
        for task_class in list(registry._registry.values()):
            self._wrap_class(task_class)
        self._replace(registry, "register", self._register)
        self._replace(huey, "create_consumer", self._create_consumer)
        self._replace(huey, "enqueue", self._enqueue)
        self._replace(huey, "add_schedule", self._add_schedule)
        self._replace(huey, "serialize_task", self._serialize)
        self._replace(huey, "deserialize_task", self._deserialize)
        huey._signal.connect(self._receiver, *_DISCARDS, signals.SIGNAL_INTERRUPTED)
        huey._startup[_STATE] = guarded(self._recorder, self._on_worker_startup)
        huey._shutdown[_STATE] = guarded(self._recorder, self._on_worker_shutdown)

    def uninstall(self) -> None:
        if not self._installed:
            return
        self._installed = False
        huey = self._huey
        huey._shutdown.pop(_STATE, None)
        huey._startup.pop(_STATE, None)
        huey._signal.disconnect(self._receiver, *_DISCARDS, signals.SIGNAL_INTERRUPTED)
        for owner, name, own in reversed(self._replaced):
            if own is None:
                vars(owner).pop(name, None)
            else:
                setattr(owner, name, own)
        self._replaced.clear()
        for task_class, own in self._own_executes.items():
            if own is None:
                del task_class.execute  # type: ignore[attr-defined]
            else:
                task_class.execute = own  # type: ignore[attr-defined]
        self._own_executes.clear()

    def probes(self) -> Sequence[DepthProbe]:
        if self._depth is None and sqlite_file(self._huey) is not None:
            self._depth = SqliteDepth(self._huey, self._connection, TRAILER.size, enqueued_at)
        return () if self._depth is None else (self._depth,)

    def findings(self) -> Sequence[str]:
        findings = ["huey: executions are recorded around Task.execute"] if self._installed else []
        if not self._stamps:
            kind = type(self._huey.serializer).__name__
            findings.append(
                f"huey: messages of {kind} (or compressed ones) cannot be stamped; "
                "wait is known for scheduled jobs only, the age of the queue is not"
            )
        if self._huey.immediate:
            findings.append("huey: immediate mode is on; tasks run in the caller and are not recorded")
        if sqlite_file(self._huey) is None:
            storage = type(self._huey.storage).__name__
            findings.append(f"huey: depth of the queue is not asked: the storage is {storage}, only SQLite files are supported")
        return findings

    # Executions

    def _register(self, inner: Callable[..., Any], task_class: type) -> Any:
        answer = inner(task_class)
        self._wrap_class(task_class)
        return answer

    def _wrap_class(self, task_class: type) -> None:
        try:
            own = vars(task_class).get("execute")
            if isinstance(own, _core.Tracked):
                return
            execute: Any = own if own is not None else task_class.execute  # type: ignore[attr-defined]
            if not isinstance(execute, FunctionType | _core.Tracked):
                execute = _bind_each_time(execute, task_class)
            task_class.execute = _core.Tracked(  # type: ignore[attr-defined]
                self._recorder, execute, self._probe, RULES, pass_self=True
            )
            self._own_executes[task_class] = own
        except Exception:
            self._recorder.hook_error()

    def _probe(self, task: Any) -> tuple[int, object, int, int, bool] | None:
        """
        An execution by a consumer, of a task that came out of a message.

        The second call for the same object is `super().execute()` or the user's own: part of the first.
        """
        state = vars(task).get(_STATE)
        if state is None:
            if not self._consumer_pid or self._huey._immediate:
                return None
            state = vars(task)[_STATE] = [_core.NO_TIME, 0, False]
        if state[2]:
            return None
        state[2] = True
        ready_at: int = state[0]
        if task.eta is not None:
            ready_at = max(ready_at, self._eta_us(task.eta))
        return self._handle(type(task)), task.id, state[1], ready_at, bool(task.retries and task.retries > 0)

    def _handle(self, task_class: type) -> int:
        handle = self._handles.get(task_class)
        if handle is None:
            name = self._huey._registry.task_to_string(task_class)
            handle = self._recorder.series(self._connection, self._huey.name, name, self._clock)
            self._handles[task_class] = handle
        return handle

    def _eta_us(self, eta: datetime) -> int:
        """µs of a moment as Huey keeps it: without zone, in UTC or local time as the instance is set."""
        try:
            aware = eta.replace(tzinfo=UTC) if eta.tzinfo is None and self._huey.utc else eta
            return round(aware.timestamp() * 1_000_000)
        except (ValueError, OverflowError, OSError):
            return _core.NO_TIME

    # Messages

    def _next(self, task: Any) -> tuple[int, int, bool]:
        """(enqueued µs, attempt, whether this is a new arrival) if the task goes into storage now: moving a scheduled job is none."""
        state = vars(task).get(_STATE)
        if state is None:
            return time.time_ns() // 1000, 0, True
        if state[2]:
            return time.time_ns() // 1000, state[1] + 1, True
        return state[0], state[1], False

    def _serialize(self, inner: Callable[..., Any], task: Any) -> Any:
        data = inner(task)
        try:
            if self._stamps and not self._huey._immediate:
                at, attempt, _ = self._next(task)
                return data + TRAILER.pack(MAGIC, at, min(attempt, 2**32 - 1), 0)
        except Exception:
            self._recorder.hook_error()
        return data

    def _deserialize(self, inner: Callable[..., Any], data: Any) -> Any:
        task = inner(data)
        try:
            at, attempt = _trailer(data) if self._stamps else (_core.NO_TIME, 0)
            vars(task)[_STATE] = [at, attempt, False]
        except Exception:
            self._recorder.hook_error()
        return task

    def _enqueue(self, inner: Callable[..., Any], task: Any) -> Any:
        if not isinstance(task, Task) or self._huey._immediate:  # a group or chord comes back here with its members
            return inner(task)
        return self._store(inner, task)

    def _add_schedule(self, inner: Callable[..., Any], task: Any) -> Any:
        return self._store(inner, task)

    def _store(self, inner: Callable[..., Any], task: Any) -> Any:
        try:
            at, attempt, arrives = self._next(task)
        except Exception:
            arrives = False
            self._recorder.hook_error()
        answer = inner(task)
        if arrives and self._installed:
            try:
                self._know_process()
                ready_at = at if task.eta is None else max(at, self._eta_us(task.eta))
                self._recorder.arrived(self._handle(type(task)), task.id, attempt, ready_at)
            except Exception:
                self._recorder.hook_error()
        return answer

    def _replace(self, owner: Any, name: str, ours: Callable[..., Any]) -> None:
        """Put a function on the instance that gives `ours` the original and the arguments; subclasses' methods stay below it."""
        inner = getattr(owner, name)
        self._replaced.append((owner, name, vars(owner).get(name)))
        setattr(owner, name, functools.partial(ours, inner))

    # Processes

    def _create_consumer(self, inner: Callable[..., Any], **options: Any) -> Any:
        """The way into the consumer's main process; `on_startup` runs in its workers."""
        try:
            kind = options.get("worker_type", "thread")
            self._clock = {"process": _core.CLOCK_PROCESS, "thread": _core.CLOCK_THREAD}.get(kind, _core.CLOCK_NONE)
            self._handles.clear()
            self._context.known_pid = self._consumer_pid = os.getpid()
            self._recorder.describe(_core.MAIN, self.library, self._connection, self._huey.name)
            self._context.on_main()
        except Exception:
            self._recorder.hook_error()
        return inner(**options)

    def _know_process(self) -> None:
        """Called where a process enqueues, and where a worker starts."""
        if self._context.known_pid == os.getpid():
            return
        self._context.known_pid = os.getpid()
        if self._consumer_pid:
            self._context.on_child()
        else:
            self._recorder.describe(_core.PRODUCER, self.library, self._connection, self._huey.name)
            self._context.on_producer()

    def _on_worker_startup(self) -> None:
        self._know_process()

    def _on_worker_shutdown(self) -> None:
        if self._consumer_pid and self._consumer_pid != os.getpid():  # threads share the main process, which goes on
            self._recorder.stopped()

    def _on_signal(self, signal: str, task: Any, *_: Any) -> None:
        if signal == signals.SIGNAL_INTERRUPTED:
            self._recorder.hinted(task.id, _core.CANCELLED, None)
        elif not (vars(task).get(_STATE) or (0, 0, False))[2]:
            self._recorder.discarded(self._handle(type(task)), task.id, _DISCARDS[signal])


def _trailer(data: Any) -> tuple[int, int]:
    if len(data) > TRAILER.size:
        magic, at, attempt, _ = TRAILER.unpack(bytes(data[-TRAILER.size :]))
        if magic == MAGIC:
            return at, attempt
    return _core.NO_TIME, 0


def enqueued_at(tail: bytes) -> float | None:
    """Seconds since 1970 in the last bytes of a message, or None when they are not ours."""
    at, _ = _trailer(b"\0" + tail)
    return None if at == _core.NO_TIME else at / 1_000_000


def _bind_each_time(execute: Any, task_class: type) -> Callable[..., Any]:
    """A function for an `execute` that is no plain function: a static method, a partial, an object that binds in its own way."""

    def bound(task: Any, *args: Any, **kwargs: Any) -> Any:
        bind = getattr(execute, "__get__", None)
        return (bind(task, task_class) if bind is not None else execute)(*args, **kwargs)

    return bound
