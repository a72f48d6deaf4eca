"""A store of one shard that becomes many: the same numbers, whenever it is stopped, and nobody writes meanwhile."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
import redis

from queue_metrics.cli import main
from queue_metrics.errors import StoreRefused, StoreUnavailable
from queue_metrics.storage import RedisStorageDriver
from queue_metrics.storage.base import EXCEPTION, QUEUE, shard_of
from queue_metrics.storage.redis_reshard import Reshard
from queue_metrics.storage.redis_store import RedisStore
from tests.storage.batches import SPOOL, batch, content, everything, ones, send, series
from tests.support.servers import RedisServer

SCALE = float(os.environ.get("QM_TEST_SCALE", "1"))
_numbers = itertools.count()
NAMES = [("c", "q", f"task {number}") for number in range(30)]


@pytest.fixture
def prefix() -> str:
    return f"split{next(_numbers)}"


@pytest.fixture
def client(shared_redis: RedisServer) -> Iterator[Any]:
    made: Any = redis.Redis(port=shared_redis.port)
    yield made
    made.close()


def fill(driver: RedisStorageDriver, names: Sequence[Sequence[str]] = NAMES) -> dict[str, Any]:
    for number, labels in enumerate(names):
        send(driver, everything(labels, ones(number + 1)))
    send(driver, [*everything(("c", "q"), ones(7), QUEUE), *everything(("c", "q", "t", "E"), ones(8), EXCEPTION)])
    send(driver, everything(NAMES[0], ones()), spool="7" * 32)
    driver.heartbeat_many([("w", b"x")], 60)
    driver.set_hash("mine", {"a": "b"})
    return content(driver, [(SPOOL, 0), ("7" * 32, 0)])


def test_the_numbers_are_the_same_and_lie_in_their_shards(shared_redis: RedisServer, prefix: str, client: Any) -> None:
    driver = RedisStorageDriver(shared_redis.url, prefix)
    before = fill(driver)
    away = sum(shard_of(series(labels), 16) != 0 for labels in NAMES)
    lifetimes = {key.split(b"}:")[1]: client.expiretime(key) for key in client.scan_iter(f"{prefix}:*[mhdt]:*")}
    assert Reshard(shared_redis.url, prefix, 16).run() >= away
    assert content(driver, [(SPOOL, 0), ("7" * 32, 0)]) == before, "found by the driver that wrote them"
    assert driver.shards == 16
    fresh = RedisStorageDriver(shared_redis.url, prefix)
    assert content(fresh, [(SPOOL, 0), ("7" * 32, 0)]) == before, "and by one that believed in one shard"
    assert fresh.read_marks(SPOOL) == [before["marks"][SPOOL, 0]] * 16
    assert (len(fresh.read_heartbeats()), fresh.get_hash("mine")) == (1, {"a": "b"})
    for labels in NAMES:
        home = f"{prefix}:{{q{shard_of(series(labels), 16):02d}}}:t:{series(labels):016x}".encode()
        assert list(client.scan_iter(f"{prefix}:*:t:{series(labels):016x}")) == [home]
    now = {key.split(b"}:")[1]: client.expiretime(key) for key in client.scan_iter(f"{prefix}:*[mhdt]:*")}
    assert now.keys() == lifetimes.keys()
    assert all(abs(now[name] - lifetimes[name]) <= 1 for name in now)
    assert Reshard(shared_redis.url, prefix, 16).run() == 0, "once more does nothing"
    driver.close()
    fresh.close()


def test_whoever_goes_on_writing_is_told_and_writes_to_the_shards(shared_redis: RedisServer, prefix: str) -> None:
    driver = RedisStorageDriver(shared_redis.url, prefix)
    fill(driver)
    Reshard(shared_redis.url, prefix, 8).run()
    waiting = batch(driver.read_mark(SPOOL, 0).sequence + 1, everything(NAMES[0], ones()))
    late = RedisStorageDriver(shared_redis.url, prefix)
    with pytest.raises(StoreUnavailable, match="8 shards now"):
        late.apply_batch(0, waiting)
    assert late.shards == 8
    shard = shard_of(series(NAMES[0]), 8)
    assert late.apply_batch(shard, waiting).applied
    with pytest.raises(StoreRefused, match="does not belong"):
        late.apply_batch((shard + 1) % 8, batch(waiting.sequence + 1, everything(NAMES[0], ones())))
    driver.close()
    late.close()


def test_stopped_anywhere_it_is_run_again_and_nobody_writes_in_between(
    shared_redis: RedisServer, prefix: str, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = RedisStore.ask
    left = 0

    def stopping(self: RedisStore, *arguments: Any, **options: Any) -> list[Any]:
        nonlocal left
        if left == 0:
            raise StoreUnavailable("stopped")
        left -= 1
        return ask(self, *arguments, **options)

    stops = range(0, 60, max(1, round(7 / SCALE)) if SCALE else 60)
    unfinished = 0
    for number, stop in enumerate(stops):
        driver = RedisStorageDriver(shared_redis.url, f"{prefix}_{number}")
        before = fill(driver, NAMES[:6])
        reader = RedisStorageDriver(shared_redis.url, f"{prefix}_{number}")
        with monkeypatch.context() as patch:
            patch.setattr(RedisStore, "ask", stopping)
            left = stop
            try:
                Reshard(shared_redis.url, f"{prefix}_{number}", 4).run()
                stopped = False
            except StoreUnavailable:
                stopped = True
        record = client.get(f"{prefix}_{number}:{{q00}}:schema")
        unfinished += stopped and record == b"1>4"
        if stopped and record == b"1>4":
            for call in (
                lambda driver=driver: driver.apply_batch(0, batch(99)),
                reader.known_series,
                lambda driver=driver: driver.lease("a", "b", 1),
                lambda driver=driver: driver.heartbeat_many([("w", b"")], 9),
            ):
                with pytest.raises(StoreUnavailable, match="being split"):
                    call()
        Reshard(shared_redis.url, f"{prefix}_{number}", 4).run()
        assert content(reader, [(SPOOL, 0), ("7" * 32, 0)]) == before, stop
        driver.close()
        reader.close()
    assert unfinished or SCALE < 0.5


def test_what_cannot_be_split_is_refused(shared_redis: RedisServer, prefix: str) -> None:
    with pytest.raises(StoreRefused, match="2 to 100"):
        Reshard(shared_redis.url, prefix, 1)
    with pytest.raises(StoreRefused, match="there is no store"):
        Reshard(shared_redis.url, prefix, 4).run()
    driver = RedisStorageDriver(shared_redis.url, prefix, shards=3)
    send(driver, everything(next(one for one in NAMES if shard_of(series(one), 3) == 1), ones()), shard=1)
    with pytest.raises(StoreRefused, match="has 3 shards"):
        Reshard(shared_redis.url, prefix, 4).run()
    client: Any = redis.Redis(port=shared_redis.port)
    client.set(f"{prefix}:{{q00}}:schema", "9")
    with pytest.raises(StoreRefused, match="'9'"):
        Reshard(shared_redis.url, prefix, 4).run()
    client.close()
    driver.close()


def test_all_users_of_a_store_take_the_number_of_shards_from_it(shared_redis: RedisServer, prefix: str) -> None:
    """Whoever wrote first decided; a driver that was told another number has the store's."""
    first = RedisStorageDriver(shared_redis.url, prefix, shards=8)
    for labels in NAMES[:10]:
        send(first, everything(labels, ones()), shard=shard_of(series(labels), 8))
    for told in (None, 1, 2, 64):
        other = RedisStorageDriver(shared_redis.url, prefix, shards=told)
        assert content(other) == content(first)
        assert other.shards == 8
        other.close()
    writer = RedisStorageDriver(shared_redis.url, prefix, shards=5)
    assert writer.lease("duty", "me", 5)
    assert writer.shards == 8
    writer.close()
    first.close()


def test_the_command_splits_and_says_so(
    shared_redis: RedisServer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    client: Any = redis.Redis(port=shared_redis.port, db=3)
    url = shared_redis.url[:-1] + "3"
    driver = RedisStorageDriver(url)
    before = fill(driver)
    assert main(["reshard", "--to", "64", "--store", url, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["shards"] == 64
    assert told["moved_series"] > 20
    assert content(driver, [(SPOOL, 0), ("7" * 32, 0)]) == before
    assert main(["reshard", "--to", "64", "--store", "sqlite:////x.db"]) == 2
    assert main(["reshard", "--to", "3", "--store", url]) == 3
    assert "only a store in Redis" in (text := capsys.readouterr().err)
    assert "64 shards" in text
    client.flushdb()
    client.close()
    driver.close()
