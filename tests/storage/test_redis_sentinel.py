"""A master behind sentinels: found through them, lost in the middle of work, replaced by a replica that may lag."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from queue_metrics.errors import StoreError, StoreUnavailable
from queue_metrics.storage import RedisStorageDriver
from tests.storage.batches import A, everything, ones, send, series, starts
from tests.support.redis_servers import SentinelPair, client_of, wait_for
from tests.support.servers import free_port
from tests.support.spooled import Drained

_numbers = itertools.count()


@pytest.fixture
def driver(pair: SentinelPair) -> Iterator[RedisStorageDriver]:
    made = RedisStorageDriver(pair.url, f"sentinel{next(_numbers)}")
    yield made
    made.close()


@pytest.mark.parametrize("lagging", [False, True], ids=["replica is up to date", "replica lags"])
def test_a_master_that_dies_in_the_middle_of_batches_costs_no_number(
    pair: SentinelPair, driver: RedisStorageDriver, tmp_path: Path, lagging: bool
) -> None:
    drained = Drained(tmp_path / "spool", driver)
    drained.run(50)
    drained.settle()
    master, replica = pair.master, pair.replica
    if lagging:
        client_of(master).execute_command("ACL", "SETUSER", "default", "-psync", "-sync")
        client_of(master).execute_command("CLIENT", "KILL", "TYPE", "replica")
        wait_for(lambda: client_of(master).info("replication")["connected_slaves"] == 0, "no replica follows")
    for _ in range(10):
        drained.run(10)
    drained.settle()
    counted = driver.read_mark(drained.spool_id, 0).sequence
    gone = pair.fail_over()
    assert gone is master
    if lagging:
        reached = client_of(replica).hget(driver._keys.of(0, "marks"), drained.spool_id)
        assert isinstance(reached, bytes)
        assert int(reached.partition(b":")[0]) < counted, "nothing lagged"
    for _ in range(10):
        drained.run(10)
    drained.settle()
    assert drained.is_exact()
    assert driver.read_mark(drained.spool_id, 0).sequence > 1
    drained.close()
    gone.start()
    client_of(gone).replicaof("127.0.0.1", str(pair.master.port))  # the sentinel would think about it for ten seconds
    wait_for(lambda: client_of(gone).info("replication")["master_link_status"] == "up", "it follows")


def test_a_master_that_is_demoted_alive_takes_nothing_any_more(pair: SentinelPair, driver: RedisStorageDriver, tmp_path: Path) -> None:
    """Its connections are those of the driver, and it answers READONLY."""
    drained = Drained(tmp_path / "spool", driver)
    drained.run(50)
    drained.settle()
    before = pair.master
    client_of(before).replicaof("127.0.0.1", str(free_port()))  # as sentinels do it, but before they tell anybody
    with pytest.raises(StoreUnavailable):
        driver.lease("duty", "me", 5)
    drained.run(10)
    assert drained.failures
    client_of(before).replicaof("no", "one")
    drained.settle()
    assert drained.is_exact()
    drained.close()


def test_a_password_of_servers_and_one_of_sentinels_stand_in_the_url_and_in_no_message(tmp_path: Path) -> None:
    options = ("--requirepass", "s3rver", "--masterauth", "s3rver")
    with SentinelPair(tmp_path, *options, password="s3rver", sentinel_password="s3ntinel") as pair:
        hosts = pair.url.removeprefix("redis+sentinel://")
        right = RedisStorageDriver(f"redis+sentinel://:s3rver@{hosts}?sentinel_password=s3ntinel")
        send(right, everything(A, ones()))
        assert starts(right, series(A)) == 1
        assert "s3" not in f"{right!r}{right.url}"
        right.close()
        for url in (
            f"redis+sentinel://:wr0ng@{hosts}?sentinel_password=s3ntinel",
            f"redis+sentinel://:s3rver@{hosts}?sentinel_password=wr0ng",
        ):
            wrong = RedisStorageDriver(url)
            with pytest.raises(StoreError, match=r"(?i)password|auth|master") as refused:
                wrong.known_series()
            assert "wr0ng" not in f"{refused.value}{wrong!r}"
            assert "s3" not in str(refused.value)
            wrong.close()


def test_a_service_that_no_sentinel_knows_and_no_sentinel_at_all_are_unavailable(pair: SentinelPair) -> None:
    for url in (pair.url.replace("/shop", "/another"), f"redis+sentinel://127.0.0.1:{free_port()}/shop"):
        driver = RedisStorageDriver(url)
        with pytest.raises(StoreUnavailable):
            driver.known_series()
        driver.close()
