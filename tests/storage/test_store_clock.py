"""A store whose clock jumps by an hour: numbers stay the same, and what the store dates by itself only lasts shorter or longer."""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis

from queue_metrics.storage import DatabaseStorageDriver, RedisStorageDriver, StorageDriver
from tests.faults.shim import built
from tests.storage.batches import A, everything, ones, send, series, starts
from tests.support.servers import RedisServer
from tests.support.spooled import Drained
from tests.support.sql_servers import MariaDBServer, PostgreSQLServer, SQLServer

HOUR = 3600


class Store:
    """A server with `clock.c` before its C library, and a driver for it."""

    def __init__(self, server: RedisServer | SQLServer, driver: StorageDriver, clock: Path) -> None:
        self.server, self.driver, self._clock = server, driver, clock

    def jump(self, seconds: int) -> None:
        """Its clock is so far ahead of ours from now on."""
        file = os.open(self._clock, os.O_WRONLY)  # in place: the server has mapped it
        os.pwrite(file, struct.pack("<q", seconds), 0)
        os.close(file)
        assert abs(self._now() - time.time() - seconds) < 60, "the server reads the clock that was moved"

    def _now(self) -> float:
        if isinstance(self.server, RedisServer):
            told: Any = redis.Redis(port=self.server.port).time()
            return float(told[0])
        words = "extract(epoch FROM clock_timestamp())" if isinstance(self.server, PostgreSQLServer) else "unix_timestamp()"
        return float(self.server.execute(f"SELECT {words}")[0][0])


@contextmanager
def moved(kind: str, directory: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    server: RedisServer | SQLServer
    if kind == "redis":
        server, place = RedisServer(directory), directory
    else:
        server = PostgreSQLServer() if kind == "postgresql" else MariaDBServer()
        place = server.directory  # its user gets nowhere else
    clock = place / "clock"
    clock.write_bytes(bytes(8))
    with monkeypatch.context() as patch:
        patch.setenv("LD_PRELOAD", str(built(place, "clock")))
        patch.setenv("QM_TEST_CLOCK", str(clock))
        server.start()
    with server:
        driver: StorageDriver = (RedisStorageDriver if kind == "redis" else DatabaseStorageDriver)(server.url)
        yield Store(server, driver, clock)
        driver.close()


@pytest.fixture(params=["redis", "postgresql", "mariadb"])
def store(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    with moved(request.param, tmp_path, monkeypatch) as found:
        yield found


def test_a_store_whose_clock_jumps_by_an_hour_keeps_the_same_numbers(store: Store, tmp_path: Path) -> None:
    """Points are dated by who recorded them; heartbeats, leases and lifetimes by the store alone."""
    driver = store.driver
    drained = Drained(tmp_path / "spool", driver)
    for ahead in (HOUR, 0, -HOUR, 0):
        drained.run(30)
        drained.settle()
        store.jump(ahead)
        drained.run(30)
        drained.settle()
        driver.sweep()
        assert drained.is_exact()
        driver.heartbeat_many([("w", b"x")], 60)
        (age,) = (beat.age for beat in driver.read_heartbeats() if beat.worker_id == "w")
        assert 0 <= age < 30
        assert driver.lease(f"duty {ahead}", f"who was first, {ahead}", 60)
        driver.set_key("a", "b", 60)
        left = driver.ttl("a")
        assert left is not None
        assert 30 < left <= 60
    assert not drained.failures
    drained.close()


def test_what_the_store_dates_lasts_shorter_or_longer_and_no_number_goes_with_it(store: Store) -> None:
    driver = store.driver
    send(driver, everything(A, ones(3)))
    assert driver.lease("duty", "one", 600)
    driver.heartbeat_many([("w", b"x")], 600)
    driver.set_key("a", "b", 600)
    store.jump(HOUR)
    assert driver.get_key("a") is None
    assert driver.read_heartbeats() == []
    assert driver.lease("duty", "other", 600), "an hour early"
    driver.sweep()
    store.jump(0)
    assert not driver.lease("duty", "one", 600), "an hour late"
    driver.heartbeat_many([("w", b"y")], 600)
    assert [beat.payload for beat in driver.read_heartbeats()] == [b"y"]
    send(driver, everything(A, ones(4)))
    assert starts(driver, series(A)) == 7
