"""Which job libraries there are, and where the hook of each is; loads one only when it is asked for."""

from __future__ import annotations

from importlib import import_module
from types import MappingProxyType
from typing import Any, NamedTuple

from queue_metrics.errors import ConfigurationError


class Library(NamedTuple):
    """Where the hook of a job library is, and how an app of it tells its name."""

    module: str
    hook: str
    target: str
    app_name: str


LIBRARIES = MappingProxyType(
    {
        "celery": Library("queue_metrics.hooks.celery", "CeleryHook", "a celery.Celery", "main"),
        "huey": Library("queue_metrics.hooks.huey", "HueyHook", "a huey.Huey", "name"),
    }
)
"""What `instrument` knows, by the top-level package that the class of a target, or a base of it, comes from."""


def hook_class(library: str) -> Any:
    """
    The hook of a job library, which is loaded now.

    Raises:
        ConfigurationError: there is none by this name.
    """
    found = LIBRARIES.get(library)
    if found is None:
        raise ConfigurationError(f"unknown job library {library!r}; known are {', '.join(LIBRARIES)}")
    return getattr(import_module(found.module), found.hook)
