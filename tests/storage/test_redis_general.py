"""General operations where only Redis can differ: what is undone by ourselves, types of others, connections, requests."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis

from queue_metrics.errors import SchemaMismatch, StoreRefused, StoreUnavailable, TransactionConflict
from queue_metrics.storage import RedisStorageDriver
from queue_metrics.storage.general import LARGEST
from tests.support.servers import RedisServer

_numbers = itertools.count()


@pytest.fixture
def driver(shared_redis: RedisServer) -> Iterator[RedisStorageDriver]:
    made = RedisStorageDriver(shared_redis.url, f"general{next(_numbers)}")
    yield made
    made.close()


@pytest.fixture
def client(shared_redis: RedisServer) -> Iterator[Any]:
    made: Any = redis.Redis(port=shared_redis.port)
    yield made
    made.close()


def place(driver: RedisStorageDriver, letter: str, name: str) -> str:
    return f"{driver._keys.prefix}:{{q00}}:g{letter}:{name}"


def test_keys_carry_the_tag_of_shard_0_and_a_letter_for_their_type(driver: RedisStorageDriver, client: Any) -> None:
    driver.set_key("a", "1")
    driver.set_hash("a", {"f": "1"})
    driver.add_to_set("a", "m")
    driver.add_to_sorted_set("a", {"m": 1})
    assert {key.decode() for key in client.scan_iter(f"{driver._keys.prefix}:*")} == {place(driver, letter, "a") for letter in "khsz"}
    assert client.type(place(driver, "z", "a")) == b"zset"


def test_no_name_reaches_a_key_of_the_load_or_of_another_type(driver: RedisStorageDriver, client: Any) -> None:
    assert driver.lease("duty", "me", 60)
    for name in ("schema", "{q00}:schema", "h:a", "lease:x", "../schema", "*"):
        driver.set_key(name, "mine")
        assert driver.get_hash(name) == {}
        assert driver.delete(name) == 1
    assert client.get(f"{driver._keys.prefix}:{{q00}}:schema") == b"1"


def test_a_transaction_that_is_refused_puts_everything_back_also_lifetimes(driver: RedisStorageDriver, client: Any) -> None:
    driver.set_hash("h", {"n": str(LARGEST), "other": "x", "word": "y"}, ttl=500)
    driver.add_to_sorted_set("z", {"m": 1.7e308, "l": 0.1})
    driver.set_key("k", "kept", ttl=500)
    driver.add_to_set("s", "one")
    before = {key: (client.dump(key), client.pttl(key) > 0) for key in client.scan_iter(f"{driver._keys.prefix}:*")}

    def refused(last: Callable[[Any], object], words: str) -> None:
        with pytest.raises(StoreRefused, match=words):
            all_in_a_transaction(driver, last)
        now = {key: (client.dump(key), client.pttl(key) > 0) for key in client.scan_iter(f"{driver._keys.prefix}:*")}
        assert now == before

    refused(lambda transaction: transaction.increment_hash_field("h", "n", 1), "range")
    refused(lambda transaction: transaction.increment_hash_field("h", "word", 1), "no whole number")
    refused(lambda transaction: transaction.increment_sorted_set("z", "m", 1.7e308), "range")


def all_writes(transaction: Any) -> None:
    """One of each, on names that are there and on a new one."""
    for name in ("k", "h", "z", "s", "new"):
        transaction.set_key(name, "changed", 3)
        transaction.set_hash(name, {"a": "b"}, 3)
        transaction.add_to_set(name, "two")
        transaction.add_to_sorted_set(name, {"n": 2.0}, 3)
        transaction.increment_hash_field(name, "counter", 2)
        transaction.increment_sorted_set(name, "n", 0.5)
        transaction.delete_hash_field(name, "other")
        transaction.trim_sorted_set_by_rank(name, 0, 0)
        transaction.expire(name, 7)
    transaction.delete("k", "s")


def test_a_transaction_with_increments_answers_as_without(driver: RedisStorageDriver) -> None:
    with driver.transaction(["h"]) as transaction:
        transaction.increment_hash_field("h", "n", 2**62)
        transaction.increment_hash_field("h", "n", 2**62 - 1)
        transaction.increment_sorted_set("z", "m", 0.1)
        transaction.increment_sorted_set("z", "m", 0.2)
        transaction.set_key("k", "v", 60)
        transaction.delete("h", "nothing")
    assert transaction.answers == [2**62, 2**63 - 1, 0.1, 0.1 + 0.2, None, 1]
    assert driver.get_sorted_set_by_rank("z") == [("m", 0.1 + 0.2)]


def test_a_score_comes_back_to_the_last_bit(driver: RedisStorageDriver) -> None:
    scores = {f"m{n}": score for n, score in enumerate([0.1, 1 / 3, 5e-324, 1.7976931348623157e308, 2**53 - 1.0, -1e-300, math.pi])}
    driver.add_to_sorted_set("z", scores)
    assert dict(driver.get_sorted_set_by_rank("z")) == scores
    assert driver.increment_sorted_set("z", "m1", 1 / 7) == 1 / 3 + 1 / 7


@pytest.mark.parametrize("letter", list("khsz"))
def test_a_key_of_another_program_in_our_place_is_refused_and_left_as_it_is(driver: RedisStorageDriver, client: Any, letter: str) -> None:
    client.rpush(place(driver, letter, "a"), "theirs")
    calls: dict[str, list[Callable[[], object]]] = {
        "k": [lambda: driver.get_key("a")],
        "h": [lambda: driver.get_hash("a"), lambda: driver.set_hash("a", {"f": "1"}), lambda: driver.increment_hash_field("a", "f")],
        "s": [lambda: driver.get_set_members("a"), lambda: driver.add_to_set("a", "m")],
        "z": [lambda: driver.add_to_sorted_set("a", {"m": 1}, 5), lambda: driver.increment_sorted_set("a", "m", 1)],
    }
    for call in calls[letter]:
        with pytest.raises(StoreRefused, match=r"WRONGTYPE|wrong kind"):
            call()
    assert client.lrange(place(driver, letter, "a"), 0, -1) == [b"theirs"]


def test_a_scan_names_only_what_is_ours_and_each_once(driver: RedisStorageDriver, client: Any) -> None:
    other = RedisStorageDriver(f"redis://127.0.0.1:{client.connection_pool.connection_kwargs['port']}/0", driver._keys.prefix + "_2")
    other.set_key("theirs", "1")
    for number in range(2500):
        driver.set_key(f"name {number:04}", "x")
    driver.add_to_set("name 0007", "x")
    driver.lease("duty", "me", 60)
    assert driver.scan_keys() == [f"name {number:04}" for number in range(2500)]
    assert driver.scan_keys("name 000?") == [f"name {number:04}" for number in range(10)]
    assert other.scan_keys() == ["theirs"]
    pipeline = driver.pipeline()
    pipeline.delete("name 0001")
    pipeline.scan_keys("name 000*")
    pipeline.set_key("name 0001", "back")
    assert pipeline.execute()[1] == [f"name {number:04}" for number in range(10) if number != 1]
    other.close()


def test_requests_are_one_for_a_pipeline_and_two_for_a_transaction(driver: RedisStorageDriver) -> None:
    driver.set_key("a", "b")

    def requests(call: Callable[[], object]) -> int:
        before = driver.requests
        call()
        return driver.requests - before

    pipeline = driver.pipeline()
    for name in ("a", "b"):
        all_writes(pipeline)
        pipeline.get_hash(name)
        pipeline.ttl(name)
    assert requests(pipeline.execute) == 1

    def transact() -> None:
        with driver.transaction(["a", "b"]) as transaction:
            all_writes(transaction)

    assert requests(transact) == 2


def test_connections_of_transactions_are_given_back_whatever_happens(driver: RedisStorageDriver, client: Any) -> None:
    driver.set_key("a", "b")
    mine = client.info("clients")["connected_clients"]

    def spoiled(how: str) -> None:
        with driver.transaction(["a"]) as transaction:
            transaction.set_key("b", "c")
            if how == "conflict":
                driver.set_key("a", how)
            elif how == "error":
                raise KeyError(how)
            elif how == "refusal":
                transaction.set_hash("h", {"f": "x"})
                transaction.increment_hash_field("h", "f")

    for _ in range(20):
        for how, error in (("conflict", TransactionConflict), ("error", KeyError), ("refusal", StoreRefused)):
            with pytest.raises(error):
                spoiled(how)
        spoiled("nothing")
    assert client.info("clients")["connected_clients"] <= mine + 1
    with driver.transaction() as transaction:  # one that still watched "a" would see this change
        driver.set_key("a", "changed")
        transaction.set_key("b", "d")
    assert driver.get_key("b") == "d"


def test_an_error_of_the_block_comes_out_as_it_is(driver: RedisStorageDriver) -> None:
    """An OSError of the user's own code is no failure of the store."""
    with pytest.raises(OSError, match="mine"), driver.transaction(["a"]):
        raise OSError("mine")


def test_a_full_server_refuses_writes_and_answers_reads(shared_redis: RedisServer, driver: RedisStorageDriver, client: Any) -> None:
    driver.set_hash("h", {"n": "1"})
    client.config_set("maxmemory", "1")
    try:
        for call in (
            lambda: driver.set_key("a", "b"),
            lambda: driver.increment_hash_field("h", "n"),
            lambda: driver.increment_sorted_set("z", "m", 1),
            lambda: driver.set_hash("h", {"n": "2"}, ttl=5),
            lambda: all_in_a_transaction(driver),
        ):
            with pytest.raises(StoreUnavailable, match=r"(?i)maxmemory|OOM"):
                call()
        assert driver.get_hash("h") == {"n": "1"}
        assert driver.delete("h") == 1, "what gives memory back is taken"
    finally:
        client.config_set("maxmemory", "0")


def all_in_a_transaction(driver: RedisStorageDriver, last: Callable[[Any], object] = lambda transaction: None) -> None:
    with driver.transaction(["h"]) as transaction:
        all_writes(transaction)
        last(transaction)


def test_many_fields_and_an_increment_are_one_transaction(driver: RedisStorageDriver) -> None:
    """A command of thousands of words is more than Lua's stack holds at once."""
    fields = {f"field {number}": str(number) for number in range(9_001)}
    with driver.transaction() as transaction:
        transaction.set_hash("many", fields)
        transaction.add_to_sorted_set("ranks", {name: float(number) for name, number in fields.items()})
        transaction.add_to_set("names", *fields)
        transaction.increment_hash_field("counts", "n", 1)
    assert transaction.answers[-1] == 1
    assert driver.get_hash("many") == fields
    assert (driver.count_sorted_set("ranks"), driver.count_set("names")) == (9_001, 9_001)
    with driver.transaction() as transaction:
        transaction.delete_hash_field("many", *fields)
        transaction.remove_from_set("names", *list(fields)[:8_500])
        transaction.increment_hash_field("counts", "n", 1)
    assert transaction.answers == [9_001, 8_500, 2]
    assert driver.get_hash("many") == {}


def test_a_store_of_a_newer_version_is_left_untouched_by_whatever_is_asked(driver: RedisStorageDriver, client: Any) -> None:
    """Its keys may mean something else."""
    client.set(f"{driver._keys.prefix}:{{q00}}:schema", "77")
    before = client.dbsize()

    def transact() -> None:
        with driver.transaction(["name"]) as transaction:
            transaction.set_key("name", "value")

    for call in (lambda: driver.set_key("name", "value"), lambda: driver.get_key("name"), lambda: driver.count_set("name"), transact):
        with pytest.raises(SchemaMismatch, match="'77'"):
            call()
    assert client.dbsize() == before
