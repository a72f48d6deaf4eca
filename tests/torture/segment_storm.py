"""The storm on one map (`rust/core/tests/storm`) with many more kills, over code that is optimised as that of users."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

from tests.flow.checks import Claim
from tests.torture.rust_tests import run, told

COUNT = re.compile(r"(\w+): (\d+)")


def storm(scale: float) -> dict[str, Any]:
    """The counts of `scale` times the kills of the suite, both ways to kill together, and what it said when something was not exact."""
    ran = run("storm", scale)
    counts: Counter[str] = Counter()
    for line in ran.stdout.splitlines():
        way, _, met = line.removeprefix("storm, ").partition(": Met ")
        if line.startswith("storm, ") and met:
            found = {name: int(number) for name, number in COUNT.findall(met)}
            counts.update(found)
            counts[f"holes {way}"] = found["holes"]
    kills = counts["kills"]
    claims = [
        Claim("what was appended is there once and whole", told(ran), ran.returncode == 0),
        Claim(f"there were {scale * 2_000:g} kills", str(kills), kills >= scale * 2_000),
        Claim("20 holes at least", str(counts["holes"]), counts["holes"] >= 20),
        Claim("one slot half filled at least", str(counts["half_filled"]), counts["half_filled"] >= 1),
    ]
    return {"answer": dict(counts), "claims": claims}
