"""
Real workers under kills of children, drainers and whole workers, and with a store that is away: afterwards the demo's equations hold.

What ran is counted by the tasks themselves, one byte a begin and an end; `python -m tests.torture` runs the same for longer.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.flow.checks import broken
from tests.flow.running import Running
from tests.flow.trial import PLANS

pytestmark = pytest.mark.long

SECONDS = 20.0 * float(os.environ.get("QM_TEST_SCALE", "1"))


@pytest.fixture(scope="module")
def trials(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Running]]:
    """All that are asked for, side by side: mostly they wait."""
    here = [item for item in request.session.items if isinstance(item, pytest.Function) and item.path == request.path]
    asked = {item.callspec.params["name"] for item in here}
    found = {
        name: Running(name, tmp_path_factory.mktemp("trial") / "run", SECONDS, seed)  #
        for seed, name in enumerate(PLANS)
        if name in asked
    }
    yield found
    for running in found.values():
        running.end()


@pytest.mark.parametrize("name", PLANS)
def test_the_numbers_are_those_of_what_ran(name: str, trials: dict[str, Running]) -> None:
    answer = trials[name].answer()
    assert broken(answer["claims"]) == []
    assert answer["answer"]["begun"] > 20
    assert answer["answer"]["lost"] > 0
