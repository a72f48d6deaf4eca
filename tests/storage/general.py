"""A driver of somebody's own: the general operations of the one in memory, and all that carries the load made of them."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

from queue_metrics.storage import Call, GeneralStorageDriver, MemoryStorageDriver
from queue_metrics.storage.base import Commit


class GeneralOverMemory(GeneralStorageDriver):
    """Knows nothing of batches."""

    def __init__(self, under: MemoryStorageDriver) -> None:
        self._under = under

    @property
    def url(self) -> str:
        return "general://"

    def execute(self, calls: Sequence[Call]) -> list[Any]:
        return self._under.execute(calls)

    def watching(self, names: Sequence[str]) -> contextlib.AbstractContextManager[Commit]:
        return self._under.watching(names)

    def capabilities(self) -> dict[str, object]:
        return self._under.capabilities()

    def size(self) -> int:
        return self._under.size()

    def close(self) -> None:
        pass
