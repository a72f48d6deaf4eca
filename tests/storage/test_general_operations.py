"""The general operations on every database, against the plainest code for them: any calls in any order give equal answers."""

from __future__ import annotations

import contextlib
import math
import os
import random
import threading
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from queue_metrics.errors import StoreRefused, TransactionConflict
from queue_metrics.storage import Call, StorageDriver
from queue_metrics.storage.general import LARGEST, GeneralOperations
from queue_metrics.storage.keyspace import Keyspace
from tests.storage.batches import HOSTILE, eventually

Open = Callable[..., StorageDriver]

SCALE = float(os.environ.get("QM_TEST_SCALE", "1"))
EXAMPLES = max(1, round(25 * SCALE))

# Few names and members, so that calls meet; among them what databases trip over.
SPECIAL = ["a", "b", "", " ", "a ", "A", "é", "e\u0301", "\x01", "\U0001f4a9", "\uffff", "a\\", "%", "_", "*", "?", "k:a", "x" * 3000]
texts = st.one_of(
    st.sampled_from(SPECIAL),
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=6),
    st.sampled_from(HOSTILE),
)
names = st.sampled_from(["a", "a ", "", "*", "'; DROP TABLE x; --", "k" * 5000])
scores = st.one_of(
    st.sampled_from([0.0, 1.0, 1.5, -1.0, 1e308, -1e308, 5e-324, 2.0**53 + 2, 0.1]),
    st.floats(allow_nan=False, allow_infinity=False).map(lambda score: score + 0.0),
)
bound = st.one_of(scores, st.sampled_from([math.inf, -math.inf]))
ranks = st.one_of(st.integers(-4, 4), st.sampled_from([LARGEST, -LARGEST, 2**31]))
whole = st.one_of(st.integers(-3, 3), st.sampled_from([LARGEST, -LARGEST - 1, 2**53 + 1]))
ttls = st.one_of(st.none(), st.none(), st.sampled_from([1e9, 4000.0]))
values = st.one_of(texts, whole.map(str), st.sampled_from(["01", "+1", "1.5", "9" * 30, "-0", "١"]))


def call(name: str, *arguments: st.SearchStrategy[Any]) -> st.SearchStrategy[Call]:
    return st.tuples(*arguments).map(lambda drawn: Call(name, drawn))


some = st.lists(texts, min_size=1, max_size=4, unique=True).map(tuple)
ANY_CALL = st.one_of(
    call("delete", st.lists(names, min_size=1, max_size=3, unique=True).map(tuple)),
    call("exists", names),
    call("expire", names, st.sampled_from([1e9, 5000.0])),
    call("scan_keys", st.one_of(st.sampled_from(["*", "a*", "?", "\\*", "k*k", ""]), texts)),
    call("set_key", names, texts, ttls),
    call("get_key", names),
    call("set_hash", names, st.dictionaries(texts, values, min_size=1, max_size=4), ttls),
    call("get_hash", names),
    call("get_hash_field", names, texts),
    call("increment_hash_field", names, st.sampled_from(["n", "a", "a "]), whole),
    call("delete_hash_field", names, some),
    call("add_to_sorted_set", names, st.dictionaries(texts, scores, min_size=1, max_size=5), ttls),
    call("get_sorted_set_by_rank", names, ranks, ranks, st.booleans()),
    call("get_sorted_set_by_score", names, bound, bound, st.booleans(), st.integers(0, 3), st.one_of(st.none(), st.integers(0, 3))),
    call("count_sorted_set", names),
    call("count_sorted_set_by_score", names, bound, bound),
    call("increment_sorted_set", names, st.sampled_from(SPECIAL), scores),
    call("remove_from_sorted_set", names, some),
    call("trim_sorted_set_by_rank", names, ranks, ranks),
    call("trim_sorted_set_by_score", names, bound, bound),
    call("add_to_set", names, some),
    call("get_set_members", names),
    call("is_set_member", names, texts),
    call("remove_from_set", names, some),
    call("count_set", names),
)

# What is sent as one request, and whether as a transaction.
REQUESTS = st.lists(st.tuples(st.lists(ANY_CALL, min_size=1, max_size=5), st.booleans()), min_size=1, max_size=12)


def outcome(work: Callable[[], Any]) -> Any:
    """What it answers, or that it was refused."""
    try:
        return work()
    except StoreRefused:
        return StoreRefused


def committed(driver: StorageDriver, calls: list[Call]) -> Any:
    with driver.watching(("a", "")) as commit:
        return commit(calls)


def content(execute: Callable[[list[Call]], list[Any]]) -> Any:
    """Everything under every name, and whether it expires."""
    (found,) = execute([Call("scan_keys", ("*",))])
    answers = {}
    for name in found:
        kinds = [Call("get_key", (name,)), Call("get_hash", (name,)), Call("get_set_members", (name,))]
        kinds += [Call("get_sorted_set_by_rank", (name, 0, -1, False)), Call("ttl", (name,))]
        *kept, ttl = execute(kinds)
        answers[name] = (kept, round(ttl / 100) if math.isfinite(ttl) else ttl)
    return answers


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(requests=REQUESTS)
def test_any_calls_in_any_order_answer_as_the_plain_ones_do(open_driver: Open, requests: list[tuple[list[Call], bool]]) -> None:
    driver, model = open_driver(), Keyspace()
    for name in driver.scan_keys():
        driver.delete(name)
    for calls, transacted in requests:
        writes = [one for one in calls if not one.reads] if transacted else calls
        if transacted:
            refused = outcome(lambda writes=writes: model.rehearse(writes)) is StoreRefused  # type: ignore[misc]
            expected = StoreRefused if refused else model.execute(writes)
            assert outcome(lambda writes=writes: committed(driver, writes)) == expected  # type: ignore[misc]
        else:
            for one in calls[1:]:
                assert outcome(lambda one=one: driver.execute([one])) == outcome(lambda one=one: model.execute([one]))  # type: ignore[misc]
            first = calls[0]
            pipe = [first, *(one for one in calls if one.reads)]
            assert outcome(lambda pipe=pipe: driver.execute(pipe)) == outcome(lambda pipe=pipe: model.execute(pipe))  # type: ignore[misc]
    assert content(driver.execute) == content(model.execute)


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
