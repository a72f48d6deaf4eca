"""Every claim about stored numbers is made of two stores: the reference in memory and SQLite."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from queue_metrics.storage.base import StorageDriver
from queue_metrics.storage.manager import StorageManager
from queue_metrics.storage.memory import MemoryStorageDriver


@pytest.fixture(params=["memory", "sqlite"])
def driver(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[StorageDriver]:
    """An empty store."""
    opened: StorageDriver = MemoryStorageDriver() if request.param == "memory" else StorageManager().open(f"sqlite:///{tmp_path}/m.db")
    yield opened
    opened.close()
