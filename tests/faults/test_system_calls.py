"""The n-th call of open, fallocate, mmap, lock, rename, unlink or write fails, for every n of a run: jobs run on, counts are exact."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path
from typing import Any

import pytest

from tests.faults.every_call import ERRORS, SCENARIOS
from tests.faults.shim import KINDS, built, preloaded

pytestmark = pytest.mark.long

EACH = max(1, min(len(ERRORS), round(float(os.environ.get("QM_TEST_SCALE", "1")))))
"""Errors that each call fails with; all five in torture."""
TURN = os.environ.get("QM_TEST_TURN", "")
"""Which errors meet which calls; else any."""
CASE = os.environ.get("QM_TEST_FAULT", "")
"""The one case to run, some times, as a failure tells it."""
LEAST = {
    "recorder, write": {"open": 20, "lock": 3, "rename": 3, "write": 100, "mmap": 1},
    "recorder, map": {"open": 40, "lock": 5, "rename": 5, "fallocate": 5, "mmap": 5},
    "drainer, write": {"open": 100, "lock": 5, "rename": 1, "unlink": 2, "write": 2},
    "drainer, map": {"open": 200, "lock": 5, "rename": 1, "unlink": 2, "write": 2, "mmap": 2},
    "worker": {"open": 40, "lock": 2, "rename": 2, "write": 1},
}
"""Calls below which a scenario shows nothing."""


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_system_call_that_fails_costs_no_job_and_no_count(scenario: str, tmp_path: Path) -> None:
    turn = int(TURN) if TURN else random.randrange(len(ERRORS))
    what = [CASE] if CASE else [str(EACH), str(turn)]
    ran = preloaded(built(tmp_path), "tests.faults.every_call", scenario, str(tmp_path), *what, seconds=550)
    assert ran.returncode == 0, f"turn {turn}\n{ran.stderr}"
    answer: dict[str, Any] = json.loads(ran.stdout)
    print(f"{scenario}, turn {turn}: {answer['runs']} runs, {answer['failed']} calls failed, calls of a run {answer['calls']}")
    again = f"again: QM_TEST_FAULT='KIND CALL alone|on ERROR' as below, or all of it: QM_TEST_TURN={turn} QM_TEST_SCALE={EACH}"
    assert answer["wrong"] == [], "\n".join(
        [again, f"{len(answer['wrong'])} of {answer['runs']} runs of {scenario!r}", *answer["wrong"][:3]]
    )
    if CASE:
        return
    assert answer["failed"] >= answer["runs"] - len(KINDS)
    assert {kind: least for kind, least in LEAST[scenario].items() if answer["calls"][kind] < least} == {}
