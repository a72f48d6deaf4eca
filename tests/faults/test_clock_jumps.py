"""The wall clock jumps by an hour, forward and back, in the middle of executions: nothing is lost, doubled, or of a wrong length."""

from __future__ import annotations

import json
from pathlib import Path

from tests.faults.jumping import HOUR, JUMPS
from tests.faults.shim import built, preloaded

SECOND = 1_000_000
KILLED = 2
"""Children that are killed while they execute, beside the one that is to be lost."""


def test_an_hour_forward_and_back_changes_no_count_and_no_runtime(tmp_path: Path) -> None:
    clock = tmp_path / "clock"
    clock.write_bytes(bytes(8))
    place = tmp_path / "worker"
    place.mkdir()
    library = built(tmp_path, "clock")
    ran = preloaded(library, "tests.faults.jumping", str(place), str(clock), QM_TEST_CLOCK=str(clock))
    assert ran.returncode == 0, ran.stderr[-4000:]
    seen = json.loads(ran.stdout)
    spans = seen["spans"]
    assert seen["drops"] == {}
    assert seen["started"] == seen["succeeded"] + seen["lost"]
    assert 1 <= seen["lost"] <= 1 + KILLED, "those that died in the middle, and no other"
    assert seen["ended"] <= seen["succeeded"] - spans <= seen["begun"], "each that ended is there, and once"
    assert seen["begun"] <= seen["started"] - spans - 1 <= seen["begun"] + KILLED
    number, total = seen["runtimes"]
    assert number == spans == 2 * len(JUMPS)
    assert seen["inside"] - spans <= total <= seen["outside"] + spans, "rounded to a microsecond each"
    number, total = seen["short_runtimes"]
    assert number == seen["succeeded"] - spans
    assert 1_000 * number <= total < HOUR * SECOND / 2, "each sleeps for a millisecond"
    number, total = seen["waits"]
    forward = sum(after > before for before, after in zip((0, *JUMPS), JUMPS, strict=False))
    assert number == len(JUMPS)
    assert seen["skews"] == number - forward, "an execution that begins before its job could run is told as skew"
    assert forward * HOUR * SECOND <= total < (forward * HOUR + 600) * SECOND, "and no wait is negative"
