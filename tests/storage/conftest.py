"""One fresh store of each kind per test; all tests of a run share one server of each kind, each under a prefix of its own."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from queue_metrics.storage import DatabaseStorageDriver, MemoryStorageDriver, RedisStorageDriver, StorageDriver
from tests.storage.batches import opened
from tests.storage.general import GeneralOverMemory
from tests.support.redis_servers import RedisCluster, SentinelPair
from tests.support.servers import RedisServer
from tests.support.sql_servers import MariaDBServer, PostgreSQLServer, SQLServer

_numbers = itertools.count()

Open = Callable[..., StorageDriver]

SERVERS = {
    "postgresql": "shared_postgresql",
    "mariadb": "shared_mariadb",
    "redis": "shared_redis",
    "sentinel": "pair",
    "cluster": "cluster",
}
"""The fixture of the server that all tests of a kind share."""
KINDS = ["memory", "general", "sqlite", *SERVERS]


@pytest.fixture(scope="session")
def shared_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(scope="session")
def shared_postgresql() -> Iterator[PostgreSQLServer]:
    with PostgreSQLServer() as server:
        yield server


@pytest.fixture(scope="session")
def shared_mariadb() -> Iterator[MariaDBServer]:
    with MariaDBServer() as server:
        yield server


@pytest.fixture(params=["postgresql", "mariadb"])
def sql_kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="session")
def killed_servers() -> Iterator[dict[str, SQLServer]]:
    """Making a server takes seconds, so the tests that kill one hand it on."""
    servers: dict[str, SQLServer] = {}
    yield servers
    for server in servers.values():
        server.remove()


@pytest.fixture
def sql_server(sql_kind: str, killed_servers: dict[str, SQLServer]) -> SQLServer:
    """A server to be killed, paused and spoilt, which runs when the test begins; each test has a prefix of its own in it."""
    if sql_kind not in killed_servers:
        killed_servers[sql_kind] = PostgreSQLServer() if sql_kind == "postgresql" else MariaDBServer()
    return killed_servers[sql_kind].running()


@pytest.fixture
def prefix() -> str:
    return f"t{next(_numbers)}"


@pytest.fixture
def shared_sql(sql_kind: str, request: pytest.FixtureRequest) -> SQLServer:
    server: SQLServer = request.getfixturevalue(f"shared_{sql_kind}")
    return server


@pytest.fixture
def sql_driver(shared_sql: SQLServer) -> Iterator[DatabaseStorageDriver]:
    with opened(shared_sql.url, f"t{next(_numbers)}") as driver:
        yield driver


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisCluster]:
    """Three masters with a replica each; a test leaves it as whole as it was."""
    with RedisCluster(tmp_path_factory.mktemp("cluster"), replicas=1) as made:
        yield made


@pytest.fixture(scope="session")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SentinelPair]:
    """A master and a replica behind a sentinel."""
    with SentinelPair(tmp_path_factory.mktemp("sentinel")) as made:
        yield made


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[RedisServer]:
    """A server of this test alone, to be killed and paused."""
    with RedisServer(tmp_path) as server:
        yield server


@pytest.fixture(params=KINDS)
def open_driver(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    """Opens a driver for the store of this test, by default always with the same prefix; `fresh` ones share only the database."""
    opened: list[StorageDriver] = []
    memory: dict[str, MemoryStorageDriver] = {}
    own = f"t{next(_numbers)}"
    # Asked for here and not below, where threads of a test would ask at once: pytest can answer one at a time.
    url = request.getfixturevalue(SERVERS[request.param]).url if request.param in SERVERS else f"sqlite:///{tmp_path}/store.db"

    def open_driver(prefix: str = own, **options: int) -> StorageDriver:
        if request.param in ("memory", "general"):
            kept = memory.setdefault(prefix, MemoryStorageDriver())
            return kept if request.param == "memory" else GeneralOverMemory(kept)
        driver: StorageDriver
        if request.param in ("redis", "sentinel"):
            driver = RedisStorageDriver(url, prefix, **options)
        elif request.param == "cluster":  # of one shard, as these tests send all series to one
            driver = RedisStorageDriver(url, prefix, **{"shards": 1, **options})
        else:
            driver = DatabaseStorageDriver(url, prefix)
        opened.append(driver)
        return driver

    yield open_driver
    for driver in opened:
        driver.close()


@pytest.fixture
def driver(open_driver: Open) -> StorageDriver:
    return open_driver()
