"""Random schedules of the model drive the real reader, fold, drainer and store; at the end both count the same."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.model import protocol
from tests.model.real_world import RealWorld
from tests.model.scenarios import worlds
from tests.model.schedules import walk
from tests.model.state import Do

SCALE = int(os.environ.get("QM_TEST_SCALE", "1"))
WORLDS = worlds()
EACH = -(-1000 * SCALE // len(WORLDS))


@pytest.mark.parametrize("world", WORLDS)
def test_the_core_counts_what_the_model_counts(world: str, tmp_path: Path) -> None:
    for seed in range(EACH):
        schedule = walk(WORLDS[world], seed)
        spool = tmp_path / str(seed)
        spool.mkdir(mode=0o700)
        real = RealWorld(spool, WORLDS[world])
        try:
            real.replay(schedule)
        except BaseException as error:
            error.add_note(f"world {world!r}, seed {seed}:\n{schedule}")
            raise
        finally:
            real.close()


def test_the_schedules_take_every_step_there_is() -> None:
    taken = {step.do for bounds in WORLDS.values() for seed in range(EACH) for step in walk(bounds, seed).steps}
    assert taken == set(Do) - {Do.NUMBERS, Do.MARK, Do.RENUMBER}


@pytest.mark.parametrize("world", WORLDS)
def test_a_schedule_ends_where_the_model_counts_right(world: str) -> None:
    for seed in range(EACH):
        assert protocol.differs(WORLDS[world], walk(WORLDS[world], seed).last) is None
