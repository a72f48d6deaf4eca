"""Servers that go back in time, lose the end of their file, or load for long: every number is there in the end."""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from queue_metrics.cli import main
from queue_metrics.errors import StoreUnavailable
from queue_metrics.storage import RedisStorageDriver
from tests.storage.batches import SPOOL, A, eventually, everything, ones, send, series, starts
from tests.support.servers import RedisServer
from tests.support.spooled import Drained

CUTS = max(1, round(4 * float(os.environ.get("QM_TEST_SCALE", "1"))))


@pytest.fixture
def snapshots(tmp_path: Path) -> Iterator[RedisServer]:
    """A server whose only memory are its snapshots."""
    with RedisServer(tmp_path, "--appendonly", "no") as server:
        yield server


def test_an_older_snapshot_that_is_put_back_gets_what_it_misses_once_more(snapshots: RedisServer, tmp_path: Path) -> None:
    driver = RedisStorageDriver(snapshots.url)
    drained = Drained(tmp_path / "spool", driver)
    drained.run(30)
    drained.settle()
    old = snapshots.snapshot()
    for _ in range(5):
        drained.run(30)
    drained.settle()
    newer = driver.read_mark(drained.spool_id, 0)
    for _ in range(2):
        snapshots.kill()
        snapshots.restore(old)
        snapshots.start()
        assert RedisStorageDriver(snapshots.url).read_mark(drained.spool_id, 0).sequence < newer.sequence
        drained.run(10)
        drained.settle()
        assert drained.is_exact()
    drained.close()
    driver.close()


def test_an_append_only_file_cut_anywhere_in_its_tail_gets_what_it_misses_once_more(redis_server: RedisServer, tmp_path: Path) -> None:
    """As a crash of the machine leaves it: the end is missing, half a command may be there."""
    chance = random.Random(5)
    driver = RedisStorageDriver(redis_server.url)
    drained = Drained(tmp_path / "spool", driver)
    for _ in range(CUTS):
        for _ in range(4):
            drained.run(10)
        drained.settle()
        redis_server.kill()
        (log,) = tmp_path.glob("redis-*/appendonlydir/*.incr.aof")
        os.truncate(log, max(0, log.stat().st_size - chance.randrange(20_000)))
        redis_server.start()
        drained.run(5)
        drained.settle()
        assert drained.is_exact()
    drained.close()
    driver.close()


def test_a_server_that_loads_its_numbers_is_unavailable_until_it_has_them(snapshots: RedisServer) -> None:
    driver, client = RedisStorageDriver(snapshots.url), redis.Redis(port=snapshots.port)
    send(driver, everything(A, ones()))
    pipeline: Any = client.pipeline()
    for number in range(400):
        pipeline.set(f"other {number}", os.urandom(1100))  # it looks at connections after each 1,024 bytes
    pipeline.execute()
    saved = snapshots.snapshot()
    snapshots.kill()
    snapshots.restore(saved)
    snapshots.options = (*snapshots.options, "--key-load-delay", "10000", "--loading-process-events-interval-bytes", "1024")
    starting = threading.Thread(target=snapshots.start)
    starting.start()
    words: set[str] = set()

    def told() -> bool:
        try:
            driver.read_mark(SPOOL, 0)
        except StoreUnavailable as error:
            words.add("loading" if "loading" in str(error).lower() else "connect")
        return "loading" in words

    eventually(told)
    with pytest.raises(StoreUnavailable, match=r"(?i)loading"):
        driver.lease("duty", "me", 5)
    with pytest.raises(StoreUnavailable, match=r"(?i)loading"):
        driver.get_key("a")
    starting.join()
    assert starts(driver, series(A)) == 1
    client.close()
    driver.close()


def test_doctor_says_that_a_store_that_may_throw_numbers_away_is_not_exact(
    redis_server: RedisServer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("QUEUE_METRICS_STATE_DIR", str(tmp_path / "state"))
    client: Any = redis.Redis(port=redis_server.port)
    assert main(["doctor", "--store", redis_server.url]) == 0
    assert "problem" not in capsys.readouterr().out.replace("no problem found", "")
    client.config_set("maxmemory", "100mb")
    client.config_set("maxmemory-policy", "allkeys-lru")
    assert main(["doctor", "--store", redis_server.url]) == 1
    said = capsys.readouterr().out
    assert "is not exact" in said
    assert "noeviction" in said
    client.close()
