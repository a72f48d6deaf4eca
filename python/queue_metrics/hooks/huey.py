"""
Huey: executions by wrapping `execute` of the registered task classes, arrivals by wrapping the ways into storage.

A message of Huey does not hold when it was enqueued. With the plain pickling serializer this hook appends a trailer of 20 bytes to it:
the moment and our own count of attempts (Huey counts retries down, and `RetryTask` not at all). `pickle` stops reading at its
end mark, so a consumer without this hook reads the same message. Compressed, signed and custom serializers are left alone.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from types import FunctionType, MethodType
from typing import Any

from huey import signals
from huey.api import Task
from huey.exceptions import CancelExecution, RateLimitExceeded, RetryTask, TaskTimeout
from huey.serializer import Serializer

from queue_metrics import _core
from queue_metrics.hooks.base import DepthProbe, Hook, HookContext, guarded
from queue_metrics.hooks.huey_depth import SqliteDepth, sqlite_file

MAGIC = int.from_bytes(b"\x00qm\x01", "little")
TRAILER = struct.Struct("<IqI4x")
"""Magic, µs since 1970 when the job was enqueued, attempt, and four spare zeros."""

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
        self._replace(huey, "enqueue", self._store)
        self._replace(huey, "add_schedule", self._store)
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
                delattr(owner, name)
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

    def _register(self, inner: Callable[..., Any]) -> Callable[..., Any]:
        def register(task_class: type) -> Any:
            answer = inner(task_class)
            self._wrap_class(task_class)
            return answer

        return register

    def _wrap_class(self, task_class: type) -> None:
        try:
            own = vars(task_class).get("execute")
            if isinstance(own, _core.Tracked):
                return
            execute: Any = own if own is not None else task_class.execute  # type: ignore[attr-defined]
            if not isinstance(execute, FunctionType | _core.Tracked):
                execute = _bind_each_time(execute, task_class)
            task_class.execute = _core.Tracked(  # type: ignore[attr-defined]
                self._recorder, execute, self._probe(), RULES, pass_self=True
            )
            self._own_executes[task_class] = own
        except Exception:
            self._recorder.hook_error()

    def _probe(self) -> Callable[[Any], tuple[int, object, int, int, bool] | None]:
        handles = self._handles

        def probe(task: Any) -> tuple[int, object, int, int, bool] | None:
            """
            An execution by a consumer, of a task that came out of a message.

            The second call for the same object is `super().execute()` or the user's own: part of the first.
            """
            try:
                state = task._queue_metrics
            except AttributeError:
                if not self._consumer_pid or self._huey._immediate:
                    return None
                state = task._queue_metrics = [_core.NO_TIME, 0, False]
            ready_at, attempt, executed = state
            if executed:
                return None
            if task.eta is not None:
                ready_at = max(ready_at, self._eta_us(task.eta))
            task_class = type(task)
            try:
                handle = handles[task_class]
            except KeyError:
                handle = self._handle(task_class)
            retries = task.retries
            job = handle, task.id, attempt, ready_at, bool(retries) and retries > 0
            state[2] = True
            return job

        return probe

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

    def _serialize(self, inner: Callable[[Any], Any]) -> Callable[[Any], Any]:
        if not self._stamps:
            return inner
        huey, pack, now_us = self._huey, TRAILER.pack, _core.clock_us

        def serialize_task(task: Any) -> Any:
            data = inner(task)
            try:
                if huey._immediate:
                    return data
                state = getattr(task, _STATE, None)
                if state is None:
                    return data + pack(MAGIC, now_us(), 0)
                at, attempt, executed = state
                return data + (pack(MAGIC, now_us(), min(attempt + 1, 2**32 - 1)) if executed else pack(MAGIC, at, attempt))
            except Exception:
                self._recorder.hook_error()
                return data

        return serialize_task

    def _deserialize(self, inner: Callable[[Any], Any]) -> Callable[[Any], Any]:
        stamps, size, read = self._stamps, TRAILER.size, TRAILER.unpack_from

        def deserialize_task(data: Any) -> Any:
            task = inner(data)
            try:
                at, attempt = _core.NO_TIME, 0
                if stamps and len(data) > size:
                    magic, stamp, count = read(data, -size)
                    if magic == MAGIC:
                        at, attempt = stamp, count
                task._queue_metrics = [at, attempt, False]
            except Exception:
                self._recorder.hook_error()
            return task

        return deserialize_task

    def _store(self, inner: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """Around a way into storage: a job arrives when it got in, unless it is a scheduled one that moves on."""
        huey, context, recorder, handles = self._huey, self._context, self._recorder, self._handles
        now_us, getpid = _core.clock_us, os.getpid

        def store(task: Any) -> Any:
            if huey._immediate or not isinstance(task, Task):  # a group or chord comes back here with its members
                return inner(task)
            at, state = now_us(), getattr(task, _STATE, None)
            if state is None:
                attempt = 0
            elif state[2]:
                attempt = state[1] + 1
            else:
                return inner(task)
            answer = inner(task)
            if self._installed:
                try:
                    if context.known_pid != getpid():
                        self._know_process()
                    if task.eta is not None:
                        at = max(at, self._eta_us(task.eta))
                    task_class = type(task)
                    try:
                        handle = handles[task_class]
                    except KeyError:
                        handle = self._handle(task_class)
                    recorder.arrived(handle, task.id, attempt, at)
                except Exception:
                    recorder.hook_error()
            return answer

        return store

    def _replace(self, owner: Any, name: str, ours: Callable[[Any], Any]) -> None:
        """
        Put what `ours` makes of the original on the instance; subclasses' methods stay below it.

        The instance's `__dict__` is not asked for: once it is made, each attribute that Huey reads costs three times as much.
        """
        inner = getattr(owner, name)
        inherited = MethodType(getattr(type(owner), name), owner)
        self._replaced.append((owner, name, None if inner == inherited else inner))
        setattr(owner, name, ours(inner))

    # Processes

    def _create_consumer(self, inner: Callable[..., Any]) -> Callable[..., Any]:
        def create_consumer(**options: Any) -> Any:
            try:
                self._become_main(options.get("worker_type", "thread"))
            except Exception:
                self._recorder.hook_error()
            return inner(**options)

        return create_consumer

    def _become_main(self, worker_type: str) -> None:
        """In the consumer's main process, before it makes its workers; `on_startup` runs in these."""
        self._clock = {"process": _core.CLOCK_PROCESS, "thread": _core.CLOCK_THREAD}.get(worker_type, _core.CLOCK_NONE)
        self._handles.clear()
        self._context.known_pid = self._consumer_pid = os.getpid()
        self._recorder.describe(_core.MAIN, self.library, self._connection, self._huey.name)
        self._context.on_main()

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
        elif not getattr(task, _STATE, (0, 0, False))[2]:
            self._recorder.discarded(self._handle(type(task)), task.id, _DISCARDS[signal])


def enqueued_at(tail: bytes) -> float | None:
    """Seconds since 1970 in the last bytes of a message, or None when they are not ours."""
    if len(tail) != TRAILER.size:
        return None
    magic, at, _ = TRAILER.unpack(tail)
    return at / 1_000_000 if magic == MAGIC and at != _core.NO_TIME else None


def _bind_each_time(execute: Any, task_class: type) -> Callable[..., Any]:
    """A function for an `execute` that is no plain function: a static method, a partial, an object that binds in its own way."""

    def bound(task: Any, *args: Any, **kwargs: Any) -> Any:
        bind = getattr(execute, "__get__", None)
        return (bind(task, task_class) if bind is not None else execute)(*args, **kwargs)

    return bound
