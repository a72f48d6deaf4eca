"""A cluster of three masters: series in shards, each spool a mark in each; slots that move, nodes that die, replicas that lag."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from queue_metrics.errors import ConfigurationError, StoreRefused, StoreUnavailable
from queue_metrics.storage import MemoryStorageDriver, RedisStorageDriver
from queue_metrics.storage.base import HOUR, MINUTE, shard_of
from tests.storage.batches import NOW, SPOOL, batch, content, everything, ones, send, series
from tests.support.redis_servers import RedisCluster, client_of, wait_for
from tests.support.servers import RedisServer
from tests.support.spooled import Drained

_numbers = itertools.count()
NAMES = [("c", "q", f"task {number}") for number in range(40)]


@pytest.fixture
def driver(cluster: RedisCluster) -> Iterator[RedisStorageDriver]:
    wait_for(cluster.is_whole, "the cluster is whole")
    made = RedisStorageDriver(cluster.url, f"cluster{next(_numbers)}")
    yield made
    made.close()


@pytest.fixture
def watchful(cluster: RedisCluster) -> Iterator[None]:
    with cluster.watchful():
        yield


def fill(driver: RedisStorageDriver) -> None:
    for number, labels in enumerate(NAMES):
        send(driver, everything(labels, ones(number + 1)), shard=shard_of(series(labels), driver.shards))


def keys_by_server(cluster: RedisCluster, prefix: str) -> dict[int, set[str]]:
    return {server.port: {key.decode() for key in client_of(server).scan_iter(f"{prefix}:*", count=1000)} for server in cluster.masters}


def test_series_lie_in_64_shards_on_all_nodes_and_are_read_by_one_request_a_node(cluster: RedisCluster, driver: RedisStorageDriver) -> None:
    memory = MemoryStorageDriver()
    fill(driver)
    for number, labels in enumerate(NAMES):
        send(memory, everything(labels, ones(number + 1)))
    told, expected = content(driver), content(memory)
    assert (driver.shards, told["series"], told["points"], told["totals"]) == (
        64,
        expected["series"],
        expected["points"],
        expected["totals"],
    )
    assert {labels: driver.read_mark(SPOOL, shard_of(series(labels), 64)).sequence > 0 for labels in NAMES} == dict.fromkeys(NAMES, True)
    assert all(len(keys) > 20 for keys in keys_by_server(cluster, driver._keys.prefix).values())
    ids = [series(labels) for labels in NAMES]
    for read in (
        lambda: driver.read_series(ids, MINUTE, NOW - HOUR, NOW + 60),
        lambda: driver.read_totals(ids),
        driver.known_series,
        lambda: driver.read_marks(SPOOL),
    ):
        before = driver.requests
        read()
        assert driver.requests - before <= 3
    assert driver.size() > 10_000
    assert driver.capabilities()["exact"] is True


def test_everything_else_lies_in_shard_0_and_works_as_on_one_server(cluster: RedisCluster, driver: RedisStorageDriver) -> None:
    driver.heartbeat_many([("w", b"x")], 60)
    assert [beat.worker_id for beat in driver.read_heartbeats()] == ["w"]
    assert driver.lease("duty", "me", 60)
    assert not driver.lease("duty", "you", 60)
    with driver.transaction(["a", "b"]) as transaction:
        assert transaction.get_key("a") is None
        transaction.set_key("a", "1")
        transaction.increment_hash_field("b", "n", 5)
        transaction.increment_sorted_set("c", "m", 0.5)
    pipeline = driver.pipeline()
    for name in ("a", "b", "c"):
        pipeline.exists(name)
    assert (transaction.answers, pipeline.execute(), driver.scan_keys()) == ([None, 5, 0.5], [True] * 3, ["a", "b", "c"])
    found = keys_by_server(cluster, driver._keys.prefix)
    assert sum(map(bool, found.values())) == 1
    assert all(":{q00}:" in key for keys in found.values() for key in keys)


def test_a_slot_on_its_way_is_unavailable_and_then_found_where_it_went(cluster: RedisCluster, driver: RedisStorageDriver) -> None:
    """First ASK, when some keys have moved and some have not, then MOVED."""
    fill(driver)
    before = content(driver)
    labels = next(one for one in NAMES if shard_of(series(one), 64) != 0)
    shard = shard_of(series(labels), 64)
    tag = driver._keys.of(shard)
    source = cluster.owner(tag)
    target = next(server for server in cluster.masters if server is not source)
    away, here = client_of(source), client_of(target)
    slot = away.execute_command("CLUSTER", "KEYSLOT", tag)
    here.execute_command("CLUSTER", "SETSLOT", slot, "IMPORTING", cluster.node_id(source))
    away.execute_command("CLUSTER", "SETSLOT", slot, "MIGRATING", cluster.node_id(target))
    away.execute_command("MIGRATE", "127.0.0.1", target.port, driver._keys.of(shard, "marks"), 0, 5000)
    for call in (lambda: driver.read_mark(SPOOL, shard), lambda: driver.apply_batch(shard, batch(1, everything(labels, ones())))):
        with pytest.raises(StoreUnavailable):
            call()
    for key in away.execute_command("CLUSTER", "GETKEYSINSLOT", slot, 10_000):
        away.execute_command("MIGRATE", "127.0.0.1", target.port, key, 0, 5000)
    for server in cluster.masters:
        client_of(server).execute_command("CLUSTER", "SETSLOT", slot, "NODE", cluster.node_id(target))
    wait_for(lambda: cluster.owner(tag) is target, "the slot has its new owner")

    def again() -> bool:
        try:
            return content(driver) == before
        except StoreUnavailable:  # the driver heard MOVED, and asks who has it now
            return False

    wait_for(again, "the numbers are found where they went")
    send(driver, everything(labels, ones()), shard=shard)
    assert content(driver) != before


@pytest.mark.usefixtures("watchful")
@pytest.mark.parametrize("lagging", [False, True], ids=["replica is up to date", "replica lags"])
def test_a_master_that_dies_in_the_middle_of_a_flush_costs_no_number(
    cluster: RedisCluster, driver: RedisStorageDriver, tmp_path: Path, lagging: bool
) -> None:
    """Its replica is promoted; what it had not got is folded once more, for its shards alone."""
    drained = Drained(tmp_path / "spool", driver)
    drained.run(50)
    drained.settle()
    victim = cluster.owner(driver._keys.of(1))
    if lagging:
        client_of(victim).execute_command("ACL", "SETUSER", "default", "-psync", "-sync")
        client_of(victim).execute_command("CLIENT", "KILL", "TYPE", "replica")
        wait_for(lambda: client_of(victim).info("replication")["connected_slaves"] == 0, "no replica follows")
    for _ in range(10):
        drained.run(20)
    counted = [mark.sequence for mark in driver.read_marks(drained.spool_id)]
    victim.kill()
    for _ in range(10):
        drained.run(10)
    wait_for(lambda: cluster.owner(driver._keys.of(1)) is not victim and cluster.is_whole(), "a replica is promoted")
    if lagging:
        there = RedisStorageDriver(cluster.url, driver._keys.prefix)
        assert any(mark.sequence < before for mark, before in zip(there.read_marks(drained.spool_id), counted, strict=True)), (
            "nothing lagged"
        )
        there.close()
    drained.run(10)
    drained.settle()
    drained.another_drainer()
    drained.settle()
    assert drained.failures > 0
    assert drained.is_exact()
    drained.close()
    victim.start()
    wait_for(lambda: client_of(victim).info("replication")["role"] == "slave", "it comes back as a replica")
    wait_for(lambda: client_of(victim).info("replication")["master_link_status"] == "up", "it follows")


@pytest.mark.usefixtures("watchful")
def test_a_cluster_that_lost_a_master_for_good_is_down_and_counts_when_it_is_whole(
    cluster: RedisCluster, driver: RedisStorageDriver, tmp_path: Path
) -> None:
    drained = Drained(tmp_path / "spool", driver)
    drained.run(50)
    drained.settle()
    victim = cluster.owner(driver._keys.of(1))
    others = [server for server in cluster.servers if server is not victim and _slots(server) == _slots(victim)]
    for server in (victim, *others):
        server.kill()
    alive = next(server for server in cluster.servers if server.running)
    wait_for(lambda: client_of(alive).cluster("INFO")["cluster_state"] == "fail", "the others notice")
    with pytest.raises(StoreUnavailable, match=r"(?i)clusterdown|cluster is down|no node|connect"):
        driver.read_marks(drained.spool_id)
    with pytest.raises(StoreUnavailable):
        driver.apply_batch(1, batch(1))
    drained.run(50)
    assert drained.failures == 1
    for server in (victim, *others):
        server.start()
    wait_for(cluster.is_whole, "all are back")
    drained.settle()
    assert drained.is_exact()
    drained.close()


def _slots(server: RedisServer) -> Any:
    """The number of the replication history, which a master and its replicas share."""
    return client_of(server).info("replication")["master_replid"]


def test_a_server_that_is_no_cluster_is_refused(shared_redis: RedisServer) -> None:
    driver = RedisStorageDriver(f"redis+cluster://127.0.0.1:{shared_redis.port}", "alone")
    with pytest.raises(StoreRefused, match="cluster support"):
        driver.known_series()
    driver.close()
    with pytest.raises(ConfigurationError, match="database 0 only"):
        RedisStorageDriver(f"redis+cluster://127.0.0.1:{shared_redis.port}/1")


def test_a_cluster_of_which_nobody_answers_is_unavailable_and_shows_no_password() -> None:
    driver = RedisStorageDriver("redis+cluster://user:s3cret@127.0.0.1:1,127.0.0.1:2", "nobody")
    with pytest.raises(StoreUnavailable) as error:
        driver.known_series()
    assert "s3cret" not in f"{error.value}{driver!r}"
