"""The general operations on every database: what each promises beyond its answer, and what becomes of those who compete."""

from __future__ import annotations

import contextlib
import math
import random
import threading
from collections.abc import Callable
from typing import Any

import pytest

from queue_metrics.errors import StoreRefused, TransactionConflict
from queue_metrics.storage import Call, StorageDriver
from queue_metrics.storage.general import LARGEST, GeneralOperations
from tests.storage.batches import HOSTILE, eventually

Open = Callable[..., StorageDriver]


def committed(driver: StorageDriver, calls: list[Call]) -> Any:
    with driver.watching(("a", "")) as commit:
        return commit(calls)


def test_what_stands_before_a_refused_call_is_done_and_a_refused_transaction_changes_nothing(driver: StorageDriver) -> None:
    driver.set_hash("h", {"n": str(LARGEST), "word": "seven"})
    for field in ("n", "word"):
        pipeline = driver.pipeline()
        pipeline.set_key("before", field)
        pipeline.increment_hash_field("h", field)
        with pytest.raises(StoreRefused, match=field):
            pipeline.execute()
        assert driver.get_key("before") == field
        writes = [Call("set_key", ("before", "nothing", None)), Call("increment_hash_field", ("h", field, 1))]
        with pytest.raises(StoreRefused, match=field):
            committed(driver, writes)
        assert driver.get_key("before") == field
    assert driver.get_hash("h") == {"n": str(LARGEST), "word": "seven"}
    driver.add_to_sorted_set("z", {"m": 1.7e308})
    with pytest.raises(StoreRefused):
        driver.increment_sorted_set("z", "m", 1.7e308)
    assert driver.get_sorted_set_by_rank("z") == [("m", 1.7e308)]


@pytest.mark.parametrize("swept", [False, True])
def test_what_expires_is_gone_in_every_type_and_begins_anew(driver: StorageDriver, swept: bool) -> None:
    driver.set_key("x", "old", 0.2)
    driver.set_hash("x", {"old": "1"}, 0.2)
    driver.add_to_sorted_set("x", {"old": 1}, 0.2)
    driver.add_to_set("x", "old")
    assert driver.ttl("x") == math.inf
    assert driver.expire("x", 0.2)
    eventually(lambda: not driver.exists("x"))
    assert (driver.get_key("x"), driver.get_hash("x"), driver.get_set_members("x"), driver.count_sorted_set("x")) == (None, {}, set(), 0)
    assert (driver.ttl("x"), driver.scan_keys(), driver.delete("x"), driver.expire("x", 5)) == (None, [], 0, False)
    if swept:
        driver.sweep()
    assert driver.set_hash("x", {"new": "1"}) == 1
    assert driver.add_to_set("x", "new") == 1
    assert driver.increment_sorted_set("x", "new", 2) == 2
    assert (driver.get_hash("x"), driver.get_set_members("x")) == ({"new": "1"}, {"new"})
    assert driver.get_sorted_set_by_rank("x") == [("new", 2.0)]
    assert driver.ttl("x") == math.inf
    driver.sweep()
    assert (driver.get_hash("x"), driver.get_set_members("x"), driver.count_sorted_set("x")) == ({"new": "1"}, {"new"}, 1)


def test_a_write_leaves_an_expiry_as_it_is_but_for_keys(driver: StorageDriver) -> None:
    driver.set_hash("x", {"a": "1"}, 1000)
    driver.set_hash("x", {"b": "1"})
    driver.increment_hash_field("x", "c")
    ttl = driver.ttl("x")
    assert ttl is not None
    assert 900 < ttl <= 1000
    driver.set_key("x", "stays")
    assert driver.ttl("x") == math.inf
    driver.delete_hash_field("x", "a", "b", "c")
    driver.set_hash("x", {"a": "1"})
    driver.delete("y")
    assert driver.execute([Call("ttl", ("x",))]) == [math.inf]


def test_members_of_equal_score_stand_in_the_order_of_their_characters_also_far_behind(driver: StorageDriver) -> None:
    """By code points, which are the bytes of UTF-8: neither a collation nor a limit of a sort may come in between."""
    members = [*HOSTILE, "a", "a ", "A", "é", "\uffff", "\U0001f4a9", "x" * 2000 + "a", "x" * 2000 + "b", "x" * 9000 + "b"]
    random.Random(1).shuffle(members)
    driver.add_to_sorted_set("z", dict.fromkeys(members, 7))
    found = [member for member, _ in driver.get_sorted_set_by_rank("z")]
    assert found == sorted(set(members))
    assert [member for member, _ in driver.get_sorted_set_by_score("z", 7, 7, descending=True)] == found[::-1]


@pytest.mark.parametrize("change", ["written", "deleted", "expired", "made", "made and deleted", "deleted and made", "another type"])
def test_a_transaction_does_nothing_when_what_it_rests_on_changed(driver: StorageDriver, change: str) -> None:
    driver.set_key("there", "1", 0.5 if change == "expired" else None)
    begun = contextlib.ExitStack()
    transaction = begun.enter_context(driver.transaction(watch=["there", "missing"]))
    assert transaction.get_key("there") == "1"
    transaction.set_key("result", "wrong")
    if change == "written":
        driver.set_key("there", "1")
    if change.startswith("deleted"):
        driver.delete("there")
    if change == "deleted and made":
        driver.set_key("there", "1")
    if change.startswith("made"):
        driver.set_key("missing", "1")
    if change == "made and deleted":
        driver.delete("missing")
    if change == "expired":
        eventually(lambda: not driver.exists("there"))
    if change == "another type":
        driver.add_to_set("missing", "m")
    with pytest.raises(TransactionConflict):
        begun.close()
    assert driver.get_key("result") is None


@pytest.mark.parametrize("watch", ["stock", b"stock", ["a\0"], ["\ud800"], [1], [b"x"], [None]])
def test_names_to_watch_are_a_list_of_what_every_operation_takes_for_a_name(driver: StorageDriver, watch: Any) -> None:
    with pytest.raises(ValueError, match=r"expected|list of names"), driver.transaction(watch=watch) as transaction:
        transaction.set_key("begun", "1")
    assert driver.scan_keys() == []


def test_a_transaction_whose_ground_holds_is_done_as_a_whole(driver: StorageDriver) -> None:
    driver.set_key("there", "1")
    driver.set_key("aside", "1")
    with driver.transaction(watch=["there", "missing"]) as transaction:
        driver.set_key("aside", "2")
        transaction.set_key("there", "2")
        transaction.add_to_set("missing", "m")
        transaction.increment_hash_field("missing", "n", 5)
    assert transaction.answers == [None, 1, 5]
    assert (driver.get_key("there"), driver.get_set_members("missing"), driver.get_hash("missing")) == ("2", {"m"}, {"n": "5"})


def test_competing_increments_lose_nothing(open_driver: Open) -> None:
    rounds, writers = 25, 6
    failures: list[BaseException] = []

    def work(number: int) -> None:
        mine = open_driver()
        chance = random.Random(number)
        try:
            for _ in range(rounds):
                pipeline = mine.pipeline()
                for name in chance.sample(["a", "b", "c"], 3):  # in any order: nobody may wait in a circle
                    pipeline.increment_hash_field(name, "n")
                    pipeline.increment_sorted_set(name, "m", 1)
                pipeline.execute()
                transact(mine)
        except BaseException as error:
            failures.append(error)
            raise

    def transact(mine: GeneralOperations) -> None:
        assert isinstance(mine, StorageDriver)
        while True:
            try:
                with mine.transaction(watch=["sum"]) as transaction:
                    transaction.set_key("sum", str(int(transaction.get_key("sum") or "0") + 1))
                return
            except TransactionConflict:
                pass

    threads = [threading.Thread(target=work, args=(number,)) for number in range(writers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    found = open_driver()
    assert [found.get_hash(name) for name in "abc"] == [{"n": str(rounds * writers)}] * 3
    assert [found.get_sorted_set_by_rank(name) for name in "abc"] == [[("m", float(rounds * writers))]] * 3
    assert found.get_key("sum") == str(rounds * writers)


def test_a_pipeline_is_one_request(driver: StorageDriver) -> None:
    driver.set_key("a", "1")
    before = driver.requests
    pipeline = driver.pipeline()
    for number in range(20):
        pipeline.add_to_sorted_set("z", {str(number): number})
        pipeline.get_key("a")
    assert pipeline.execute() == [1, "1"] * 20
    assert driver.requests - before in (0, 1)  # 0 where there is nobody to ask
