"""Servers that go back in time, lose the end of their file, load for long, or have another clock: every number is there in the end."""

from __future__ import annotations

import os
import random
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from queue_metrics.cli import main
from queue_metrics.errors import StoreUnavailable
from queue_metrics.storage import MemoryStorageDriver, RedisStorageDriver
from tests.storage.batches import SPOOL, A, content, eventually, everything, ones, send, series, starts
from tests.support.servers import RedisServer, binary
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


@pytest.fixture(scope="module")
def clock_shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library that adds `SHIFTED_CLOCK` seconds to the time of day."""
    folder = tmp_path_factory.mktemp("clock")
    (folder / "clock.c").write_text(
        """
        #define _GNU_SOURCE
        #include <dlfcn.h>
        #include <stdlib.h>
        #include <sys/time.h>
        #include <time.h>
        static long shift(void) { const char *told = getenv("SHIFTED_CLOCK"); return told ? atol(told) : 0; }
        int gettimeofday(struct timeval *restrict at, void *restrict zone) {
          static int (*real)(struct timeval *, void *);
          if (!real) real = dlsym(RTLD_NEXT, "gettimeofday");
          int code = real(at, zone);
          at->tv_sec += shift();
          return code;
        }
        int clock_gettime(clockid_t clock, struct timespec *at) {
          static int (*real)(clockid_t, struct timespec *);
          if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
          int code = real(clock, at);
          if (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE) at->tv_sec += shift();
          return code;
        }
        time_t time(time_t *at) {
          static time_t (*real)(time_t *);
          if (!real) real = dlsym(RTLD_NEXT, "time");
          time_t now = real(0) + shift();
          if (at) *at = now;
          return now;
        }
        """
    )
    subprocess.run([binary("cc"), "-shared", "-fPIC", "-o", "clock.so", "clock.c", "-ldl"], cwd=folder, check=True)
    return folder / "clock.so"


@pytest.mark.parametrize("hours", [-1, 1])
def test_a_store_whose_clock_is_an_hour_off_keeps_the_same_numbers(
    tmp_path: Path, clock_shim: Path, monkeypatch: pytest.MonkeyPatch, hours: int
) -> None:
    """Points are dated by who recorded them; heartbeats and leases by the store alone."""
    server = RedisServer(tmp_path)
    with monkeypatch.context() as patch:
        patch.setenv("LD_PRELOAD", str(clock_shim))
        patch.setenv("SHIFTED_CLOCK", str(hours * 3600))
        server.start()
    with server:
        driver, memory = RedisStorageDriver(server.url), MemoryStorageDriver()
        seconds, _ = redis.Redis(port=server.port).time()
        assert abs(seconds - hours * 3600 - time.time()) < 60, "the shim works"
        for store in (driver, memory):
            send(store, everything(A, ones(3)))
        assert content(driver) == content(memory)
        driver.heartbeat_many([("w", b"x")], 60)
        (beat,) = driver.read_heartbeats()
        assert 0 <= beat.age < 30
        assert driver.lease("duty", "me", 60)
        assert not driver.lease("duty", "you", 60)
        driver.set_key("a", "b", 60)
        left = driver.ttl("a")
        assert left is not None
        assert 30 < left <= 60
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
