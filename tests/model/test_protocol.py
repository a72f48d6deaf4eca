"""The protocol keeps its promises in every state within bounds, and each of its rules is needed for that."""

from __future__ import annotations

import os

import pytest

from tests.model.explore import explore
from tests.model.scenarios import WEAKENED, worlds
from tests.model.state import Rules

pytestmark = pytest.mark.long

SCALE = int(os.environ.get("QM_TEST_SCALE", "1"))
SMALL = worlds()
WORLDS = worlds(SCALE)


@pytest.mark.parametrize("world", WORLDS)
def test_every_execution_is_counted_once_in_every_state(world: str) -> None:
    found = explore(WORLDS[world])
    print(f"{world}: {found}")
    assert found.violation is None, str(found)
    assert found.quiet > 100, "a world that never comes to rest shows nothing"


@pytest.mark.parametrize("broken", WEAKENED)
def test_a_broken_promise_is_caught(broken: str) -> None:
    world, rules = WEAKENED[broken]
    found = explore(SMALL[world], rules)
    print(f"{broken}: {found}")
    assert found.violation is not None
    assert found.trace, "a violation comes with the way to it"


def test_every_rule_of_the_protocol_is_broken_once() -> None:
    weak = {name for _, rules in WEAKENED.values() for name, kept in vars(rules).items() if not kept}
    assert weak == set(vars(Rules()))
