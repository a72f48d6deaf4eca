"""A store in two shards counts each record once in its shard, in every state within bounds, and each rule is needed for that."""

from __future__ import annotations

import os

import pytest

from tests.model.explore import explore_shards
from tests.model.shards import WEAKENED, Bounds, Rules

MORE = int(os.environ.get("QM_TEST_SCALE", "1")) > 1
SMALL = Bounds()
WORLDS = {"two shards": Bounds(crashes=1 + MORE), "no late part, but two that go back": Bounds(rollbacks=2, late=0)}


@pytest.mark.parametrize("world", WORLDS)
def test_every_record_is_counted_once_in_its_shard(world: str) -> None:
    found = explore_shards(WORLDS[world])
    print(f"{world}: {found}")
    assert found.violation is None, str(found)
    assert found.quiet > 100, "a world that never comes to rest shows nothing"


@pytest.mark.parametrize("broken", WEAKENED)
def test_a_broken_promise_between_shards_is_caught(broken: str) -> None:
    found = explore_shards(SMALL, WEAKENED[broken])
    print(f"{broken}: {found}")
    assert found.violation is not None
    assert found.trace, "a violation comes with the way to it"


def test_every_rule_of_the_shards_is_broken_once() -> None:
    weak = {name for rules in WEAKENED.values() for name, kept in vars(rules).items() if not kept}
    assert weak == set(vars(Rules()))
