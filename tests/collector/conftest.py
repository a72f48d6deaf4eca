"""Every claim about what is written is made of four stores: memory, SQLite, Redis and PostgreSQL."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from queue_metrics.storage.base import StorageDriver
from queue_metrics.storage.manager import StorageManager
from queue_metrics.storage.memory import MemoryStorageDriver
from tests.support.servers import RedisServer
from tests.support.sql_servers import PostgreSQLServer

_numbers = itertools.count()


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server.url


@pytest.fixture(scope="session")
def postgresql_url() -> Iterator[str]:
    with PostgreSQLServer() as server:
        yield server.url


@pytest.fixture(params=["sqlite", "redis", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, str]:
    """URL and prefix of an empty store that other processes can open."""
    url = f"sqlite:///{tmp_path}/m.db" if request.param == "sqlite" else str(request.getfixturevalue(f"{request.param}_url"))
    return url, f"p{next(_numbers)}"


@pytest.fixture(params=["memory", "sqlite", "redis", "postgresql"])
def driver(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[StorageDriver]:
    """An empty store."""
    opened: StorageDriver
    if request.param == "memory":
        opened = MemoryStorageDriver()
    elif request.param == "sqlite":
        opened = StorageManager().open(f"sqlite:///{tmp_path}/m.db")
    else:
        opened = StorageManager(f"d{next(_numbers)}").open(str(request.getfixturevalue(f"{request.param}_url")))
    yield opened
    opened.close()
