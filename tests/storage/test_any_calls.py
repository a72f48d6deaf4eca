"""
The general operations on every database as a state machine beside the plainest code for them: any calls in any order, alone, as one
request, as a transaction or against one, while names expire, give equal answers.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from queue_metrics.errors import StoreRefused
from queue_metrics.storage import Call, StorageDriver
from queue_metrics.storage.general import LARGEST
from queue_metrics.storage.keyspace import Keyspace
from tests.storage.batches import HOSTILE, eventually

Open = Callable[..., StorageDriver]

SCALE = float(os.environ.get("QM_TEST_SCALE", "1"))
EXAMPLES = max(1, round(15 * SCALE))

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
    call("ttl", names),
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

SOON = 0.001
"""The shortest time to live. Nothing that has it is looked at before it is gone, so that no machine is too slow for a test."""

# What writes with a time to live, and how to see that it has ended.
SOON_GONE = {"set_key": "get_key", "set_hash": "get_hash", "add_to_sorted_set": "count_sorted_set"}
FLEETING = st.one_of(
    call("set_key", names, texts, st.just(SOON)),
    call("set_hash", names, st.dictionaries(texts, values, min_size=1, max_size=3), st.just(SOON)),
    call("add_to_sorted_set", names, st.dictionaries(texts, scores, min_size=1, max_size=3), st.just(SOON)),
)

Execute = Callable[[list[Call]], list[Any]]


@st.composite
def drawn(draw: st.DrawFn, inside: Callable[[], st.SearchStrategy[Call]]) -> Call:
    """One of these calls; Hypothesis writes down the strategies of a rule, and these have long names in them."""
    return draw(inside())


any_call = drawn(lambda: ANY_CALL)


def outcome(execute: Execute, calls: list[Call]) -> Any:
    """The answers, times to live to a hundred seconds; or that it was refused."""
    try:
        answers = execute(calls)
    except StoreRefused:
        return StoreRefused
    return [_coarse(answer) if one.name == "ttl" else answer for one, answer in zip(calls, answers, strict=True)]


def _coarse(ttl: float | None) -> float | None:
    return ttl if ttl is None or math.isinf(ttl) else round(ttl / 100)


def content(execute: Execute) -> Any:
    """Everything under every name, and whether it expires."""
    (found,) = execute([Call("scan_keys", ("*",))])
    answers = {}
    for name in found:
        calls = [Call(kind, (name,)) for kind in ("get_key", "get_hash", "get_set_members", "ttl")]
        answers[name] = outcome(execute, [*calls, Call("get_sorted_set_by_rank", (name, 0, -1, False))])
    return answers


class Operations(RuleBasedStateMachine):
    """A driver and the model of it. The clock of the model is moved when something has expired in the driver."""

    def __init__(self, driver: StorageDriver) -> None:
        super().__init__()
        self.driver = driver
        for name in driver.scan_keys():
            driver.delete(name)
        self.seconds = 1e9
        self.model = Keyspace(lambda: self.seconds)

    def _same(self, calls: list[Call]) -> None:
        expected = outcome(self.model.execute, calls)
        assert outcome(self.driver.execute, calls) == expected

    @rule(calls=st.lists(any_call, min_size=1, max_size=5))
    def one_after_the_other(self, calls: list[Call]) -> None:
        for one in calls:
            self._same([one])

    @rule(first=any_call, calls=st.lists(any_call, max_size=5))
    def in_one_request(self, first: Call, calls: list[Call]) -> None:
        self._same([first, *(one for one in calls if one.reads)])  # behind a refused write others may have been done

    @rule(calls=st.lists(any_call, min_size=1, max_size=5), watch=st.lists(names, unique=True, max_size=3), changed=st.none() | names)
    def as_a_transaction(self, calls: list[Call], watch: list[str], changed: str | None) -> None:
        writes = [one for one in calls if not one.reads]
        with self.driver.watching(tuple(watch)) as commit:
            if changed is not None:
                self._same([Call("set_key", (changed, "meanwhile", None))])
            if changed in watch:
                assert commit(writes) is None
                return
            try:
                self.model.rehearse(writes)
                expected: Any = self.model.execute(writes)
            except StoreRefused:
                expected = StoreRefused
            try:
                answers: Any = commit(writes)
            except StoreRefused:
                answers = StoreRefused
            assert answers == expected

    @rule(one=drawn(lambda: FLEETING))
    def write_what_expires(self, one: Call) -> None:
        self._same([one])
        self._pass_until_gone(Call(SOON_GONE[one.name], one.arguments[:1]))

    @rule(name=names)
    def let_a_name_expire(self, name: str) -> None:
        self._same([Call("expire", (name, SOON))])
        self._pass_until_gone(Call("exists", (name,)))

    def _pass_until_gone(self, look: Call) -> None:
        eventually(lambda: self.driver.execute([look])[0] in (None, {}, 0), 10.0)  # an empty text is something
        self.seconds += 2 * SOON

    @rule()
    def sweep(self) -> None:
        """Changes nothing that can be seen."""
        self.driver.sweep()

    def teardown(self) -> None:
        assert content(self.driver.execute) == content(self.model.execute)


def test_any_calls_in_any_order_answer_as_the_plain_ones_do(open_driver: Open) -> None:
    sized = settings(max_examples=EXAMPLES, stateful_step_count=12, suppress_health_check=list(HealthCheck))
    run_state_machine_as_test(lambda: Operations(open_driver()), settings=sized)  # type: ignore[arg-type]  # any callable, it says
