"""The rights that docs/stores.md gives to users are enough for what they do, and for no more."""

from __future__ import annotations

import itertools
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis

from queue_metrics.collector import Collector, once
from queue_metrics.errors import StoreRefused
from queue_metrics.storage import RedisStorageDriver
from queue_metrics.storage.base import shard_of
from queue_metrics.storage.redis_reshard import Reshard
from tests.storage.batches import SPOOL, A, eventually, everything, ones, send, series, starts
from tests.support.redis_servers import RedisCluster, client_of
from tests.support.servers import RedisServer

_numbers = itertools.count()
PAGE = Path(__file__).parents[2] / "docs" / "stores.md"


def in_a_transaction(driver: RedisStorageDriver) -> None:
    with driver.transaction(["h"]) as transaction:
        transaction.set_hash("h", {"f": "5", "g": "6"})
        transaction.increment_hash_field("h", "f")


WRITES: list[Callable[[Any], object]] = [
    lambda driver: driver.set_key("k", "v", 60),
    lambda driver: driver.set_hash("h", {"f": "1"}, 60),
    lambda driver: driver.increment_hash_field("h", "f"),
    lambda driver: driver.add_to_sorted_set("z", {"a": 1, "b": 2, "c": 3}, 60),
    lambda driver: driver.increment_sorted_set("z", "a", 0.5),
    lambda driver: driver.trim_sorted_set_by_rank("z", 0, 0),
    lambda driver: driver.trim_sorted_set_by_score("z", 3, 3),
    lambda driver: driver.add_to_set("s", "m", "n"),
    lambda driver: driver.remove_from_set("s", "n"),
    lambda driver: driver.expire("s", 60),
    in_a_transaction,
    lambda driver: driver.remove_from_sorted_set("z", "b"),
    lambda driver: driver.delete_hash_field("h", "f"),
    lambda driver: driver.delete("k", "h"),
]
READS: list[Callable[[Any], object]] = [
    lambda driver: driver.get_key("k"),
    lambda driver: (driver.exists("k"), driver.ttl("k"), driver.scan_keys("k*")),
    lambda driver: (driver.get_hash("h"), driver.get_hash_field("h", "f")),
    lambda driver: (driver.get_sorted_set_by_rank("z"), driver.get_sorted_set_by_rank("z", descending=True)),
    lambda driver: (driver.get_sorted_set_by_score("z", 0, 9), driver.get_sorted_set_by_score("z", 0, 9, descending=True)),
    lambda driver: (driver.count_sorted_set("z"), driver.count_sorted_set_by_score("z", 0, 9)),
    lambda driver: (driver.get_set_members("s"), driver.is_set_member("s", "m"), driver.count_set("s")),
]


def rules() -> list[str]:
    return re.findall(r"^ACL SETUSER .*$", PAGE.read_text(), re.MULTILINE)


@pytest.fixture
def place(redis_server: RedisServer) -> str:
    client: Any = redis.Redis(port=redis_server.port)
    for rule in rules():
        client.execute_command(*shlex.split(rule))
    client.close()
    return f"127.0.0.1:{redis_server.port}/0"


def test_a_worker_does_every_general_operation_and_a_reader_every_reading(place: str) -> None:
    worker, reader = (RedisStorageDriver(f"redis://qm-{name}:SECRET@{place}") for name in ("worker", "reader"))
    for call in [*WRITES, *READS]:
        call(worker)
    send(worker, everything(A, ones()))
    for call in READS:
        call(reader)
    for call in WRITES:
        with pytest.raises(StoreRefused, match=r"(?i)permission"):
            call(reader)
    assert starts(reader, series(A)) == 1
    for user in (worker, reader):
        other = RedisStorageDriver(user._store.connections._url, "another")  # the URL with its password
        for call in (lambda other=other: other.get_key("k"), lambda other=other: other.read_mark(SPOOL, 0)):
            with pytest.raises(StoreRefused, match=r"(?i)permission"):
                call()
        other.close()
        user.close()


def test_a_reader_who_may_not_ask_for_the_start_of_the_server_reads_all_the_same(place: str, redis_server: RedisServer) -> None:
    reader = RedisStorageDriver(f"redis://qm-reader:SECRET@{place}")
    reader.get_key("k")
    assert reader.read_view().uptime_seconds is not None
    client: Any = redis.Redis(port=redis_server.port)
    client.execute_command("ACL", "SETUSER", "qm-reader", "-info")
    client.close()
    assert (reader.read_view().beats, reader.read_view().uptime_seconds) == ([], None)
    reader.close()


def test_who_may_only_read_collects_nothing_and_is_told_what_to_do(place: str, caplog: pytest.LogCaptureFixture) -> None:
    """As `serve` does with the rights of the page's reader; a worker's rights are all that a collector needs."""
    worker, reader = (RedisStorageDriver(f"redis://qm-{name}:SECRET@{place}") for name in ("worker", "reader"))
    send(worker, everything(A, ones()))
    advice = "needs the rights of a worker: give them to this user, or set `collector = false`"
    with pytest.raises(StoreRefused, match=advice):
        once(reader)
    with Collector(reader, turn_seconds=0.01) as running:
        eventually(lambda: running.errors > 0)
    assert advice in str(running.last_error)
    assert any("the collector did not pass" in text and advice in text for text in caplog.messages)
    answer = once(worker)
    assert answer is not None
    assert answer.done
    worker.close()
    reader.close()


def test_every_right_of_the_worker_is_needed(place: str, redis_server: RedisServer) -> None:
    """Taken away one by one, something fails each time; `hlen` and others are called inside a script."""
    worker, admin = RedisStorageDriver(f"redis://qm-worker:SECRET@{place}"), redis.Redis(port=redis_server.port)
    rights = re.findall(r"\+(\S+)", next(rule for rule in rules() if "qm-worker" in rule))

    def everything_works() -> bool:
        try:
            for call in [*WRITES, *READS]:
                call(worker)
            before = worker.read_mark(SPOOL, 0), starts(worker, series(A))
            try:
                send(worker, [*everything(A, ones()), *everything(("c", "q", f"new {next(_numbers)}"), ones())])
            except StoreRefused:
                admin.execute_command("ACL", "SETUSER", "qm-admin", "on", ">x", "~*", "+@all")
                looking = RedisStorageDriver(f"redis://qm-admin:x@{place}")
                assert (looking.read_mark(SPOOL, 0), starts(looking, series(A))) == before, "refused, and yet it changed something"
                looking.close()
                raise
            worker.read_series([series(A)], 60, 0, 3600 * 24 * 365 * 100)
            worker.read_series([series(A)], 86400, 86400 * 20000, 86400 * 20001)
            for seconds in (0.001, 9.0):  # the second beat clears away the first
                worker.heartbeat_many([(f"w{seconds}", b"x")], seconds)
            worker.read_heartbeats()
            with pytest.raises(StoreRefused) as why:
                refused(worker)
            whole = "no whole number" in str(why.value) and worker.get_hash("kept") == {"g": "y"}
            return whole and worker.lease("duty", "me", 9) and bool(worker.known_series()) and bool(worker.capabilities())
        except StoreRefused:
            return False
        finally:
            worker.close()

    def refused(driver: RedisStorageDriver) -> None:
        with driver.transaction() as transaction:
            transaction.set_hash("kept", {"f": "x"})
            transaction.increment_hash_field("kept", "f")

    worker.set_hash("kept", {"g": "y"})
    assert everything_works()
    unneeded = []
    for right in rights:
        admin.execute_command("ACL", "SETUSER", "qm-worker", f"-{right}")
        admin.script_flush()
        if everything_works():
            unneeded.append(right)
        admin.execute_command("ACL", "SETUSER", "qm-worker", f"+{right}")
        worker.delete("kept")
        worker.set_hash("kept", {"g": "y"})
    assert unneeded == []
    admin.close()


def test_the_rights_with_those_for_a_cluster_are_enough_there(cluster: RedisCluster) -> None:
    for server in cluster.servers:
        for rule in rules():
            client_of(server).execute_command(*shlex.split(rule), "+cluster|slots")
    hosts = cluster.url.removeprefix("redis+cluster://")
    worker, reader = (RedisStorageDriver(f"redis+cluster://qm-{name}:SECRET@{hosts}") for name in ("worker", "reader"))
    send(worker, everything(A, ones()), shard=shard_of(series(A), 64))
    for call in [*WRITES, *READS]:
        call(worker)
    for call in READS:
        call(reader)
    assert starts(reader, series(A)) == 1
    for driver in (worker, reader):
        driver.close()


def test_the_rights_of_a_worker_are_enough_to_split_a_store(place: str) -> None:
    worker = RedisStorageDriver(f"redis://qm-worker:SECRET@{place}")
    send(worker, everything(A, ones()))
    Reshard(f"redis://qm-worker:SECRET@{place}", "queue_metrics", 64).run()
    assert starts(worker, series(A)) == 1
    worker.close()
