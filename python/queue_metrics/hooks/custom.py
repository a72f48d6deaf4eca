"""The machinery behind `qm.track`: any piece of code as an execution, whatever runs it; knows no job library."""

from __future__ import annotations

import functools
import inspect
import os
import sys
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

from queue_metrics import _core
from queue_metrics.hooks.base import HookContext

_Function = TypeVar("_Function", bound=Callable[..., Any])


class Track:
    """
    What `qm.track(...)` returns: a context manager for `with` and `async with`, and a decorator for functions and coroutine functions.

    `with` is recorded with the CPU clock of its thread and is part of an execution that runs in the same thread already. `async with`,
    coroutine functions, and `with` where an asyncio loop runs in the thread have no CPU time (other tasks run in between) and are
    never nested. One object may be entered again and recursively; for bodies that overlap in another order make one for each.

    Outcome: succeeded without an exception; cancelled on KeyboardInterrupt or asyncio's CancelledError; else failed.

    Example:
        >>> with track(context, task="import", queue="files"):
        ...     pass
    """

    def __init__(
        self,
        context: Callable[[], HookContext | None],
        *,
        task: str | None = None,
        queue: str = "default",
        connection: str | None = None,
        job_id: object = None,
    ) -> None:
        """
        Args:
            context: asked at each execution for where to record; None records nothing. Whoever gives it knows what this process
                is: any code may be tracked in a main, a child, or a process of its own.
            task: name of the task; None: the qualified name of the decorated function.
            job_id: id of the job, of any type; None: a new random one for each execution.
        """
        self._context = context
        self._task = task
        self._queue = queue
        self._connection = connection
        self._job_id = job_id
        self._entered: list[_core.Track | None] = []

    def __call__(self, function: _Function) -> _Function:
        """
        Raises:
            TypeError: a generator function, whose body does not run when it is called.
        """
        if isinstance(function, staticmethod | classmethod):
            return type(function)(self(function.__func__))
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise TypeError(f"{function.__qualname__} is a generator function; use `with qm.track(...)` inside of it")
        task = self._task or f"{function.__module__}.{function.__qualname__}"
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def run_async(*args: Any, **kwargs: Any) -> Any:
                track = self._track(task, _core.CLOCK_NONE)
                if track is None:
                    return await function(*args, **kwargs)
                with track:
                    return await function(*args, **kwargs)

            return run_async  # type: ignore[return-value]

        @functools.wraps(function)
        def run(*args: Any, **kwargs: Any) -> Any:
            track = self._track(task, _core.CLOCK_THREAD)
            if track is None:
                return function(*args, **kwargs)
            with track:
                return function(*args, **kwargs)

        return run  # type: ignore[return-value]

    def __enter__(self) -> Self:
        self._enter(_core.CLOCK_NONE if _in_event_loop() else _core.CLOCK_THREAD)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self._exit(kind, error, traceback)

    async def __aenter__(self) -> Self:
        self._enter(_core.CLOCK_NONE)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self._exit(kind, error, traceback)

    def _enter(self, clock: int) -> None:
        track = self._track(self._task or "untitled", clock)
        self._entered.append(track)
        if track is not None:
            track.__enter__()

    def _exit(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        track = self._entered.pop() if self._entered else None
        if track is not None:
            track.__exit__(kind, error, traceback)

    def _track(self, task: str, clock: int) -> _core.Track | None:
        context = self._context()
        if context is None:
            return None
        try:
            recorder = context.recorder
            handle = recorder.series(self._connection or context.connection or "custom", self._queue, task, clock)
            job_id = os.urandom(16).hex() if self._job_id is None else self._job_id
            return _core.Track(recorder, handle, job_id, 0, _core.NO_TIME, _rules())
        except Exception:
            context.recorder.hook_error()
            return None


def _in_event_loop() -> bool:
    """Whether an asyncio loop runs in this thread: then a body that awaits overlaps with others. Not where asyncio was never loaded."""
    running = getattr(sys.modules.get("asyncio"), "_get_running_loop", None)
    return running is not None and running() is not None


def _rules() -> Sequence[Any]:
    """CancelledError is looked up only where asyncio is loaded already: loading it costs more than this package."""
    asyncio = sys.modules.get("asyncio")
    cancelled = getattr(asyncio, "CancelledError", None)
    interrupted = (KeyboardInterrupt, _core.CANCELLED, 0)
    return (interrupted,) if cancelled is None else (interrupted, (cancelled, _core.CANCELLED, 0))


def track(
    context: Callable[[], HookContext | None],
    *,
    task: str | None = None,
    queue: str = "default",
    connection: str | None = None,
    job_id: object = None,
) -> Track:
    """Record a body of code as an execution of `task`; see `Track`."""
    return Track(context, task=task, queue=queue, connection=connection, job_id=job_id)
