"""
What every background job costs, which workers live, how deep each queue is: exact to the last job, even after kill -9.

    import queue_metrics as qm

    qm.instrument(app)                        # in the module of a Celery app or a Huey
    qm.connect().task("app.send").runtime     # anywhere

This module is the front door. It loads nothing by itself: each name is loaded when it is first used.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False  # as in `typing`, which takes longer to load than all of this
if TYPE_CHECKING:
    from queue_metrics._core import __version__
    from queue_metrics.collector import Collector, collector
    from queue_metrics.config import Settings, load_settings
    from queue_metrics.errors import (
        ConfigurationError,
        DecodeError,
        MissingDependency,
        QueueMetricsError,
        SchemaMismatch,
        StoreError,
        StoreRefused,
        StoreUnavailable,
        UnsupportedTarget,
    )
    from queue_metrics.events import on
    from queue_metrics.http import asgi_app, serve_in_thread
    from queue_metrics.insights import connect
    from queue_metrics.instrument import Instrumentation, instrument, track
    from queue_metrics.model.reasons import why
    from queue_metrics.recording.host import HostWatch

_HOMES = {
    "__version__": "_core",
    "HostWatch": "recording.host",
    "asgi_app": "http",
    "Collector": "collector",
    "collector": "collector",
    "serve_in_thread": "http",
    "connect": "insights",
    "instrument": "instrument",
    "on": "events",
    "track": "instrument",
    "why": "model.reasons",
    "Instrumentation": "instrument",
    "Settings": "config",
    "load_settings": "config",
    "ConfigurationError": "errors",
    "DecodeError": "errors",
    "MissingDependency": "errors",
    "QueueMetricsError": "errors",
    "SchemaMismatch": "errors",
    "StoreError": "errors",
    "StoreRefused": "errors",
    "StoreUnavailable": "errors",
    "UnsupportedTarget": "errors",
}

__all__ = [
    "Collector",
    "ConfigurationError",
    "DecodeError",
    "HostWatch",
    "Instrumentation",
    "MissingDependency",
    "QueueMetricsError",
    "SchemaMismatch",
    "Settings",
    "StoreError",
    "StoreRefused",
    "StoreUnavailable",
    "UnsupportedTarget",
    "__version__",
    "asgi_app",
    "collector",
    "connect",
    "instrument",
    "load_settings",
    "on",
    "serve_in_thread",
    "track",
    "why",
]


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value: object = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


class _FrontDoor(type(sys)):  # type: ignore[misc]  # the type of modules, without loading `types`
    """This module. Its names `instrument` and `collector` are the functions, also after the submodules of those names were imported."""

    def __setattr__(self, name: str, value: object) -> None:
        if name in ("instrument", "collector") and isinstance(value, type(sys)):
            value = getattr(value, name)
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _FrontDoor
