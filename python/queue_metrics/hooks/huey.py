"""
Huey: executions by wrapping `execute` of the registered task classes, arrivals by wrapping the ways into storage.

A message of Huey does not hold when it was enqueued. With the plain pickling serializer this hook appends a stamp of 20 bytes to it:
the moment it could run and our own count of attempts (Huey counts retries down, and `RetryTask` not at all). `pickle` stops reading at
its end mark, so a consumer without this hook reads the same message. Compressed, signed and custom serializers are left alone.

What is done for each job is native, and what Python code is left stands where it is cheaper: an attribute is read by the interpreter
in a tenth of the instructions that the same costs over its C interface.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from types import FunctionType, MethodType
from typing import Any, TypeAlias

from huey import signals
from huey.api import Task
from huey.exceptions import CancelExecution, RateLimitExceeded, RetryTask, TaskTimeout
from huey.serializer import Serializer

from queue_metrics import _core
from queue_metrics.hooks.base import DepthProbe, Hook, HookContext, guarded
from queue_metrics.hooks.huey_depth import SqliteDepth, sqlite_file
from queue_metrics.hooks.replaced import Replaced, is_plain_method

_Method: TypeAlias = Callable[..., Any]

_NOTE = "_queue_metrics"
"""
Attribute of a task that came out of a message: that message or its stamp, b"" where messages are not stamped; once executed its
attempt. None, in the class, of every other task. While `Messages` has the task wait for its execution it is the attempt already: ask
`HueyHook._note`.
"""

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
        self._messages: _core.Messages | None = None
        self._stamps = type(huey.serializer) is Serializer and not huey.serializer.comp
        self._replaced = Replaced()
        self._receiver = guarded(self._recorder, self._on_signal)
        self._depth: SqliteDepth | None = None

    def install(self) -> None:
        if self._installed:
            return
        self._installed = True
        huey, registry = self._huey, self._huey._registry
        messages = self._messages = _core.Messages(self._recorder, huey, _NOTE, "retries", self._series, self._eta_us, self._arrived)
        for task_class in list(registry._registry.values()):
            self._wrap_class(task_class)
        self._replaced.put(registry, "register", self._register(registry.register))
        self._replaced.put(huey, "create_consumer", self._create_consumer(huey.create_consumer))
        self._put_method("enqueue", messages.storing)
        self._put_method("add_schedule", lambda inner: self._add_schedule(messages, inner))
        if self._stamps:
            self._put_method("serialize_task", lambda inner: self._serialize(messages, inner))
        self._put_method("deserialize_task", lambda inner: self._deserialize(messages, inner))
        for listing in ("pending", "scheduled"):
            self._put_method(listing, lambda inner: self._list(messages, inner))
        huey._signal.connect(self._receiver, *_DISCARDS, signals.SIGNAL_INTERRUPTED)
        huey._startup[_NOTE] = guarded(self._recorder, self._on_worker_startup)
        huey._shutdown[_NOTE] = guarded(self._recorder, self._on_worker_shutdown)

    def uninstall(self) -> None:
        if not self._installed:
            return
        self._installed = False
        huey = self._huey
        huey._shutdown.pop(_NOTE, None)
        huey._startup.pop(_NOTE, None)
        huey._signal.disconnect(self._receiver, *_DISCARDS, signals.SIGNAL_INTERRUPTED)
        if self._messages is not None:
            self._messages.stop()  # what others hold of ours passes everything through from now on
        self._replaced.take_away()

    def probes(self) -> Sequence[DepthProbe]:
        if self._depth is None and sqlite_file(self._huey) is not None:
            self._depth = SqliteDepth(self._huey, self._connection, _core.STAMP_SIZE, ready_at)
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
            if self._installed:
                self._wrap_class(task_class)
            return answer

        return register

    def _wrap_class(self, task_class: type) -> None:
        try:
            own = vars(task_class).get("execute")
            if isinstance(own, _core.Method):
                return
            execute: Any = own if own is not None else task_class.execute  # type: ignore[attr-defined]
            if not isinstance(execute, FunctionType | _core.Method):
                execute = _bind_each_time(execute, task_class)
            tracked = _core.Tracked(self._recorder, execute, self._probe, RULES, pass_self=True, messages=self._messages)
            self._replaced.put(task_class, "execute", _core.method(tracked))
            self._replaced.put(task_class, _NOTE, None)
        except Exception:
            self._recorder.hook_error()

    def _probe(self, task: Any) -> tuple[int, object, int, int, bool] | None:
        """
        An execution by a consumer, of a task that came out of a message; asked where the note alone cannot tell.

        The second call for the same object is `super().execute()` or the user's own: part of the first.
        """
        note = self._note(task)
        if note is None:
            if not self._consumer_pid or self._huey._immediate:
                return None
            note = b""
        if isinstance(note, int):
            return None
        ready_at, attempt = _core.read_stamp(bytes(note[-_core.STAMP_SIZE :])) or (_core.NO_TIME, 0)
        if task.eta is not None and ready_at == _core.NO_TIME:
            ready_at = self._eta_us(task.eta)
        retries = task.retries
        job = self._handle(type(task)), task.id, attempt, ready_at, bool(retries) and retries > 0
        task._queue_metrics = attempt
        return job

    def _note(self, task: Any) -> Any:
        """The note of a task as it is: of one that waited for its execution, which it does not any longer, not the attempt."""
        if self._messages is not None:
            self._messages.settle(task)
        return getattr(task, _NOTE, None)

    def _handle(self, task_class: type) -> int:
        messages = self._messages
        return self._series(task_class) if messages is None else messages.handle(task_class)

    def _series(self, task_class: type) -> int:
        name = self._huey._registry.task_to_string(task_class)
        return self._recorder.series(self._connection, self._huey.name, name, self._clock)

    def _eta_us(self, eta: datetime) -> int:
        """µs of a moment as Huey keeps it: without zone, in UTC or local time as the instance is set."""
        try:
            aware = eta.replace(tzinfo=UTC) if eta.tzinfo is None and self._huey.utc else eta
            return round(aware.timestamp() * 1_000_000)
        except (ValueError, OverflowError, OSError):
            return _core.NO_TIME

    # Messages

    # Methods of the instance's class: the interpreter remembers where it found them, which it does not for attributes of an instance.

    def _serialize(self, messages: _core.Messages, inner: _Method) -> _Method:
        stamped = messages.stamped

        def serialize_task(self: Any, task: Any) -> Any:
            return stamped(inner(self, task), self, task, task.id, task.eta)

        return serialize_task

    def _deserialize(self, messages: _core.Messages, inner: _Method) -> _Method:
        huey, recorder, unpacked = self._huey, self._recorder, messages.unpacked if self._stamps else _unstamped

        def deserialize_task(self: Any, data: Any) -> Any:
            task = inner(self, data)
            if self is huey:
                try:
                    task._queue_metrics = unpacked(data, task, task.id)
                except Exception:
                    recorder.hook_error()
            return task

        return deserialize_task

    def _list(self, messages: _core.Messages, inner: _Method) -> _Method:
        """Tasks that are looked at come out of messages too, and wait for nothing: they live as long as who looks at them wants."""

        def listing(self: Any, *args: Any, **options: Any) -> Any:
            try:
                return inner(self, *args, **options)
            finally:
                messages.settle()

        return listing

    def _add_schedule(self, messages: _core.Messages, inner: _Method) -> _Method:
        """In immediate mode `enqueue` comes here too, with what is due later."""
        huey, store, dismiss = self._huey, messages.storing(inner), messages.dismiss

        def add_schedule(self: Any, task: Any) -> Any:
            if self is not huey or not huey._immediate:
                return store(self, task)
            try:
                return inner(self, task)
            finally:
                dismiss()

        return add_schedule

    def _arrived(self, task: Any) -> None:
        """
        A task was stored; asked where its message did not pass our serializer, and first in each process.

        Groups and chords come here too, after their members.
        """
        if not self._installed or self._huey._immediate or not isinstance(task, Task):
            return
        note = self._note(task)
        if note is not None and not isinstance(note, int):
            return  # a scheduled one that moves on
        self._know_process()
        at = _core.clock_us()
        if task.eta is not None:
            at = max(at, self._eta_us(task.eta))
        self._recorder.arrived(self._handle(type(task)), task.id, 0 if note is None else note + 1, at)

    def _put_method(self, name: str, make: Callable[[_Method], Any]) -> None:
        """Put what `make` makes of a method over the method of the class; over that of the instance only where it has one of its own."""
        huey = self._huey
        if is_plain_method(huey, name):
            self._replaced.put(type(huey), name, make(getattr(type(huey), name)))
        else:
            own = getattr(huey, name)
            self._replaced.put(huey, name, MethodType(make(lambda _, *args, **kwargs: own(*args, **kwargs)), huey))

    # Processes

    def _create_consumer(self, inner: Callable[..., Any]) -> Callable[..., Any]:
        def create_consumer(**options: Any) -> Any:
            try:
                if self._installed:
                    self._become_main(options.get("worker_type", "thread"))
            except Exception:
                self._recorder.hook_error()
            return inner(**options)

        return create_consumer

    def _become_main(self, worker_type: str) -> None:
        """In the consumer's main process, before it makes its workers; `on_startup` runs in these."""
        self._clock = {"process": _core.CLOCK_PROCESS, "thread": _core.CLOCK_THREAD}.get(worker_type, _core.CLOCK_NONE)
        if self._messages is not None:
            self._messages.forget()
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
        elif not isinstance(self._note(task), int):
            self._recorder.discarded(self._handle(type(task)), task.id, _DISCARDS[signal])


def ready_at(tail: bytes) -> float | None:
    """Seconds since 1970 when the job of a message could run, by its last bytes, or None when they are no stamp of ours."""
    stamp = _core.read_stamp(tail)
    return None if stamp is None or stamp[0] == _core.NO_TIME else stamp[0] / 1_000_000


def _unstamped(*_: object) -> bytes:
    """The note of a task whose message cannot have a stamp."""
    return b""


def _bind_each_time(execute: Any, task_class: type) -> Callable[..., Any]:
    """A function for an `execute` that is no plain function: a static method, a partial, an object that binds in its own way."""

    def bound(task: Any, *args: Any, **kwargs: Any) -> Any:
        bind = getattr(execute, "__get__", None)
        return (bind(task, task_class) if bind is not None else execute)(*args, **kwargs)

    return bound
