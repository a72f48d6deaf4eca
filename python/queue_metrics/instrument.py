"""
Two lines in a worker: finds the hook for an object, and wires settings, store, recorder and hook together.

Importing this loads no job library; the hook of one is loaded when an object of that library is given.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import fields
from importlib import import_module
from typing import TYPE_CHECKING, Any

from queue_metrics.config import Settings, load_settings
from queue_metrics.errors import UnsupportedTarget
from queue_metrics.hooks.base import Hook, HookContext
from queue_metrics.hooks.libraries import LIBRARIES, Library
from queue_metrics.recording.fork import Gate
from queue_metrics.recording.runtime import Runtime, runtime
from queue_metrics.recording.trouble import shown, warner
from queue_metrics.recording.unstored import Unstored, unstored

if TYPE_CHECKING:
    from queue_metrics.hooks.custom import Track


_handles: dict[int, Instrumentation] = {}
_guard = Gate()


class Instrumentation:
    """What `instrument` did to a target, and how it goes."""

    def __init__(
        self,
        target: object,
        settings: Settings,
        hook: Hook | None,
        runtime: Runtime | Unstored | None,
        connection: str | None = None,
    ) -> None:
        self.target = target
        self.settings = settings
        self._connection = connection
        self._hook = hook
        self._runtime = runtime

    def __repr__(self) -> str:
        state = "enabled" if self.enabled else "disabled" if self._runtime is None else "uninstalled"
        return f"<Instrumentation of {type(self.target).__name__} {self.settings.namespace!r}: {state}>"

    @property
    def enabled(self) -> bool:
        """Whether anything is recorded: neither disabled by a setting nor uninstalled."""
        return self._hook is not None

    def uninstall(self) -> None:
        """Put the target back as it was; executions that run are still recorded to their end. May be called twice."""
        with _guard:
            if _handles.get(id(self.target)) is self:
                del _handles[id(self.target)]
            hook, self._hook = self._hook, None
        if hook is not None and self._runtime is not None:
            hook.uninstall()
            self._runtime.remove(hook)

    def status(self) -> dict[str, Any]:
        """Where records go and how that goes, in this process: `enabled store namespace spool recorder reporter work depth findings`."""
        about = {"enabled": self.enabled, **(self._runtime.status() if self._runtime is not None else {})}
        return {**about, "findings": list(self.findings())}

    def findings(self) -> Sequence[str]:
        """How the target is wrapped, and what cannot be measured here and why."""
        return () if self._hook is None else tuple(self._hook.findings())

    def flush(self, timeout: float = 10.0) -> bool:
        """
        Have everything that was recorded by now counted in the store: for tests and short scripts, workers do it by themselves.

        Args:
            timeout: seconds to wait at most.

        Returns:
            False if something still waits, because the store is away or another process drains slowly.
        """
        return True if self._runtime is None else self._runtime.flush(timeout)


def instrument(
    target: object, *, store: str | None = None, namespace: str | None = None, connection: str | None = None, **settings: Any
) -> Instrumentation:
    """
    Record what the jobs of an app do, from now on and in every process that imports it.

    To be called beside the definition of the app, so that workers, their children and producers all do it. Nothing is sent and no thread
    runs before a worker starts or the first job is recorded. A store that is away stops nothing: records wait in the spool.

    Args:
        target: a `celery.Celery` or a `huey.Huey`. The same target twice gives the same handle and changes nothing; the log says what the
            second call asked for in vain.
        store: URL of the store; None: as configured, else a SQLite file in the user's state directory.
        namespace: which workers belong together; None: as configured, else the name of the app or of the current directory.
        connection: name of the broker in all numbers; None: the hook chooses.
        **settings: any other field of `Settings`.

    Raises:
        UnsupportedTarget: no hook knows the target.
        ConfigurationError: a setting is unknown or wrong, or the store's URL cannot be used.
        MissingDependency: the store needs a library that is not installed.
    """
    library = _library_of(target)
    with _guard:
        name = getattr(target, library.app_name, None)
        app = name if isinstance(name, str) and name else None
        chosen = load_settings(app=app, store=store, namespace=namespace, **settings)
        handle = _handles.get(id(target))
        if handle is None:
            handle = _handles[id(target)] = _install(target, library, chosen, connection)
        elif store is not None or namespace is not None or connection is not None or settings:
            _say_difference(handle, chosen, connection)
        return handle


def track(*, task: str | None = None, queue: str = "default", connection: str | None = None, job_id: object = None) -> Track:
    """
    Record any code as an execution: `with qm.track(task="import"):`, `async with`, or as a decorator `@qm.track(queue="nightly")`.

    Goes where the first instrumented app of this process goes, else where the settings say.

    Args:
        task: its name; None: that of the decorated function.
        queue: the queue that it counts for.
        connection: name of the broker in all numbers; None: "custom".
        job_id: id of the job, of any type; None: a new random one.

    Raises:
        ConfigurationError: a setting is unknown or wrong.
    """
    from queue_metrics.hooks.custom import track as tracked

    _tracking.check()
    return tracked(_tracking.context, task=task, queue=queue, connection=connection, job_id=job_id)


def _library_of(target: object) -> Library:
    for kind in type(target).__mro__:
        found = LIBRARIES.get(kind.__module__.partition(".")[0])
        if found is not None:
            return found
    known = ", ".join(library.target for library in LIBRARIES.values())
    shown_target = target.__name__ if isinstance(target, type) else type(target).__name__
    raise UnsupportedTarget(
        f"nothing here can instrument {'the class ' if isinstance(target, type) else ''}{shown_target!r}; it can be {known}; "
        "for any other code there is `qm.track(task=..., queue=...)`"
    )


def _install(target: object, library: Library, settings: Settings, connection: str | None) -> Instrumentation:
    if not settings.enabled:
        return Instrumentation(target, settings, None, None, connection)
    records = _records(settings)
    context = HookContext(
        records.recorder,
        on_main=records.on_main,
        on_child=records.on_child,
        on_producer=records.on_producer,
        connection=connection,
    )
    hook: Hook = getattr(import_module(library.module), library.hook)(target, context)
    hook.install()
    records.add(hook)
    return Instrumentation(target, settings, hook, records, connection)


def _records(settings: Settings) -> Runtime | Unstored:
    return runtime(settings) if settings.persistence else unstored(settings)


def _say_difference(handle: Instrumentation, chosen: Settings, connection: str | None) -> None:
    """Warn of what a second call asked for and does not get. Values are not shown: some are secrets."""
    names = [field.name for field in fields(chosen) if getattr(chosen, field.name) != getattr(handle.settings, field.name)]
    if connection is not None and connection != handle._connection:
        names.append("connection")
    if names:
        warner.warn(
            f"twice {id(handle.target)}",
            f"{handle!r} goes on as it is: instrument() was called again with other values for {', '.join(names)}; "
            "call uninstall() on the first handle to begin anew",
        )


class _Tracking:
    """Where `track` records: chosen at the first execution, since decorators run before anything is instrumented."""

    def __init__(self) -> None:
        self._settings: Settings | None = None
        self._context: HookContext | None = None
        self._pid = 0

    def check(self) -> None:
        """Say a configuration error where the user can see it, not at the first execution."""
        if self._settings is None:
            self._settings = load_settings()

    def context(self) -> HookContext | None:
        """Never raises: this is called inside of jobs."""
        if self._pid == os.getpid():
            return self._context
        try:
            self._begin()
        except Exception as error:
            warner.warn("track", f"nothing is recorded by track(): {shown(error)}")
            return None
        return self._context

    def _begin(self) -> None:
        with _guard:
            handle = next((each for each in _handles.values() if each._runtime is not None), None)
        if handle is not None and handle._runtime is not None:
            records = handle._runtime
        else:
            settings = self._settings or load_settings()
            if not settings.enabled:
                self._pid = os.getpid()
                return
            records = _records(settings)
        self._context = HookContext(records.recorder, on_main=records.on_main, on_child=records.on_child, on_producer=records.on_producer)
        records.on_execution()
        self._pid = os.getpid()


_tracking = _Tracking()
