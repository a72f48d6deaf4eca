"""
Puts a callable of ours where Celery's tracer calls the function of a task; knows nothing of recording.

`build_tracer` returns a closure that calls its cell `fun` once for each execution by a worker, after the request is pushed and
before the result is stored. Replacing the content of that cell sees every execution and no direct call. Tracers are built again in
every pool child and at every restart of the consumer, so the builder is what gets patched; tracers that exist are treated too.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterator
from types import CellType, FunctionType, MethodType, ModuleType, TracebackType
from typing import Any

import celery.app.trace

Treat = Callable[[Any, Any], bool]
"""Given a task and its new tracer: False when the tracer has to be built once more."""

_HANDING_ON = ("mark_as_failure", "mark_as_retry")  # methods of the result backend, from within the tracer's own error handling
_MAX_DEPTH = 8  # wrappers around a tracer; Sentry makes one
_treatments: dict[int, Treat] = {}
_patched: list[tuple[ModuleType, Callable[..., Any], Callable[..., Any]]] = []


def function_cell(tracer: Any) -> CellType | None:
    """The cell that holds what a tracer calls for the body of its task, also below other wrappers; None if this Celery has none."""
    seen: set[int] = set()
    level = [tracer]
    for _ in range(_MAX_DEPTH):
        below: list[Any] = []
        for candidate in level:
            if id(candidate) in seen:
                continue
            seen.add(id(candidate))
            if isinstance(candidate, FunctionType):
                cells = dict(zip(candidate.__code__.co_freevars, candidate.__closure__ or (), strict=True))
                if candidate.__code__.co_name == "trace_task" and "fun" in cells:
                    return cells["fun"]
                below.extend(_contents(cells.values()))
            below.extend(_wrapped(candidate))
        level = below
    return None


def _contents(cells: Any) -> Iterator[Any]:
    for cell in cells:
        try:
            content = cell.cell_contents
        except ValueError:  # a variable that is not bound yet
            continue
        if callable(content) and not isinstance(content, type):
            yield content


def _wrapped(candidate: Any) -> Iterator[Any]:
    if isinstance(candidate, MethodType):
        yield candidate.__func__
        yield candidate.__self__
    elif isinstance(candidate, functools.partial):
        yield candidate.func
    elif not isinstance(candidate, FunctionType):
        yield from (value for value in getattr(candidate, "__dict__", {}).values() if callable(value) and not isinstance(value, type))
    inner = getattr(candidate, "__wrapped__", None)
    if inner is not None:
        yield inner


def current_builder() -> Callable[..., Any]:
    """What builds tracers now, wrapped by us or not."""
    builder: Callable[..., Any] = celery.app.trace.build_tracer
    return builder


def attach(app: Any, treat: Treat) -> None:
    """From now on give each tracer that is built for a worker of `app` to `treat`; tracers of other apps and eager ones are left alone."""
    _treatments[id(app)] = treat
    for module in _modules():
        original = vars(module)["build_tracer"]
        if not any(original is ours for _, ours, _ in _patched):
            ours = _builder(original)
            module.build_tracer = ours  # type: ignore[attr-defined]
            _patched.append((module, ours, original))


def detach(app: Any) -> None:
    """The reverse of `attach`; with the last app the builders are put back, except where somebody wrapped ours meanwhile."""
    _treatments.pop(id(app), None)
    if _treatments:
        return
    for entry in list(_patched):
        module, ours, original = entry
        if vars(module).get("build_tracer") is ours:
            module.build_tracer = original  # type: ignore[attr-defined]
            _patched.remove(entry)


def _modules() -> list[ModuleType]:
    """Every module that holds the builder by name: Celery's trace and consumer modules, and whoever imported the same function."""
    current = current_builder()
    found = []
    for name, module in list(sys.modules.items()):
        builder = vars(module).get("build_tracer") if isinstance(module, ModuleType) else None
        if isinstance(builder, FunctionType) and (builder is current or name.startswith("celery.")):
            found.append(module)
    return found


def _builder(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def build_tracer(name: str, task: Any, *args: Any, **kwargs: Any) -> Any:
        tracer = original(name, task, *args, **kwargs)
        eager = kwargs.get("eager") or (len(args) > 4 and args[4])
        treat = None if eager else _treatments.get(id(kwargs.get("app") or getattr(task, "app", None)))
        if treat is not None and not treat(task, tracer):
            tracer = original(name, task, *args, **kwargs)
        return tracer

    return build_tracer


def body_succeeded() -> bool:
    """
    Whether the exception that Celery's tracer handles right now came after the function had returned.

    The tracer keeps the state in a local variable; it is read on the way of failure only, so this costs a good job nothing.
    """
    step = _caught_by_tracer()
    return step is not None and bool(step.tb_frame.f_locals.get("state") == "SUCCESS")


def outcome_was_lost() -> bool:
    """Whether the exception that Celery's tracer handles right now came while the outcome of the function, good or bad, was handed on."""
    if body_succeeded():
        return True
    step = _caught_by_tracer()
    while step is not None:
        if step.tb_frame.f_code.co_name in _HANDING_ON:
            return True
        step = step.tb_next
    return False


def _caught_by_tracer() -> TracebackType | None:
    """Where the exception that is handled right now begins, if a tracer has caught it."""
    error = sys.exc_info()[1]
    step = None if error is None else error.__traceback__
    code = None if step is None else step.tb_frame.f_code
    return step if code is not None and code.co_name == "trace_task" and "fun" in code.co_freevars else None
