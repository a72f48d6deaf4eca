"""Every decoder takes any bytes: no panic, memory in proportion, and what was decoded is the same when it is encoded and decoded again."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from tests.fuzz.fuzzing import DECODERS, checked

SECONDS = 20 * float(os.environ.get("QM_TEST_SCALE", "1"))


@pytest.mark.timeout(1800)  # a first build beside other work takes minutes
def test_decoders_take_any_bytes(tmp_path: Path) -> None:
    runner = checked()
    assert set(runner.targets()) == DECODERS
    seed = random.randrange(1, 2**31)
    found = runner.run(tmp_path, max(1.0, SECONDS), seed)
    print(f"{runner}, seed {seed}: " + ", ".join(f"{one.target} {one.inputs:,}" for one in found))
    assert {one.target: one.broken for one in found if one.broken} == {}
    assert min(one.inputs for one in found) > 10
