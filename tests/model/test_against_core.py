"""Random schedules of the model drive the real reader, fold, drainer and store; at the end both count the same."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest

from tests.model import protocol
from tests.model.explore import explore
from tests.model.real_world import RealWorld
from tests.model.scenarios import WEAKENED, worlds
from tests.model.schedules import Schedule, follow, walk
from tests.model.state import Do

pytestmark = pytest.mark.long

SCALE = int(os.environ.get("QM_TEST_SCALE", "1"))
WORLDS = worlds()
EACH = -(-1000 * SCALE // len(WORLDS))


def play(schedule: Schedule, spool: Path, name: str) -> Counter[str]:
    """Let the package live through a schedule and count the same; answers how often it did what."""
    spool.mkdir(mode=0o700)
    real = RealWorld(spool, schedule.bounds)
    try:
        real.replay(schedule)
    except BaseException as error:
        error.add_note(f"{name}:\n{schedule}")
        raise
    finally:
        real.close()
    return real.done


@pytest.mark.parametrize("world", WORLDS)
def test_the_core_counts_what_the_model_counts(world: str, tmp_path: Path) -> None:
    done: Counter[str] = Counter()
    for seed in range(EACH):
        done += play(walk(WORLDS[world], seed), tmp_path / str(seed), f"world {world!r}, seed {seed}")
    print(f"{world}: {EACH} schedules, {dict(done)}")
    bounds = WORLDS[world]
    expected = {"applied", "verdicts"} | ({"refused"} if bounds.rollbacks else set()) | ({"deleted"} if bounds.tidy else set())
    assert expected <= set(done), "a schedule in which nothing happens shows nothing"


@pytest.mark.parametrize("broken", WEAKENED)
def test_what_a_weaker_protocol_dies_of_does_the_core_no_harm(broken: str, tmp_path: Path) -> None:
    """The shortest way to a wrong number without one of the rules, taken by the package, which has them all."""
    world, rules = WEAKENED[broken]
    play(follow(WORLDS[world], rules, explore(WORLDS[world], rules).trace), tmp_path / "spool", broken)


def test_the_schedules_take_every_step_there_is() -> None:
    taken = {step.do for bounds in WORLDS.values() for seed in range(EACH) for step in walk(bounds, seed).steps}
    assert taken == set(Do) - {Do.NUMBERS, Do.MARK, Do.RENUMBER}


@pytest.mark.parametrize("world", WORLDS)
def test_a_schedule_ends_where_the_model_counts_right(world: str) -> None:
    for seed in range(EACH):
        assert protocol.differs(WORLDS[world], walk(WORLDS[world], seed).last) is None
