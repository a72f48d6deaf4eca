"""Where numbers rest: one contract, one file per database, and the manager that opens one by its URL. Loads a driver on first use."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from queue_metrics.storage.base import Applied, Beat, Mark, Series, StorageDriver
    from queue_metrics.storage.general import Call
    from queue_metrics.storage.general_driver import GeneralStorageDriver
    from queue_metrics.storage.manager import StorageManager
    from queue_metrics.storage.memory import MemoryStorageDriver
    from queue_metrics.storage.redis import RedisStorageDriver
    from queue_metrics.storage.sql import DatabaseStorageDriver

__all__ = [
    "Applied",
    "Beat",
    "Call",
    "DatabaseStorageDriver",
    "GeneralStorageDriver",
    "Mark",
    "MemoryStorageDriver",
    "RedisStorageDriver",
    "Series",
    "StorageDriver",
    "StorageManager",
]

_HOMES = {
    "Applied": "base",
    "Beat": "base",
    "Call": "general",
    "DatabaseStorageDriver": "sql",
    "GeneralStorageDriver": "general_driver",
    "Mark": "base",
    "MemoryStorageDriver": "memory",
    "RedisStorageDriver": "redis",
    "Series": "base",
    "StorageDriver": "base",
    "StorageManager": "manager",
}


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(importlib.import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
