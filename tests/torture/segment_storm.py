"""The storm on one map (`rust/core/tests/storm`) with many more kills, over code that is optimised as that of users."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from tests.flow.checks import Claim

ROOT = Path(__file__).resolve().parents[2]
STORM = ("test", "--locked", "--quiet", "--profile", "fuzz", "--package", "queue-metrics-core", "--test", "storm", "--", "--nocapture")
COUNT = re.compile(r"(\w+): (\d+)")


def storm(scale: float) -> dict[str, Any]:
    """The counts of `scale` times the kills of the suite, both ways to kill together, and what it said when something was not exact."""
    ran = subprocess.run(
        [sys.executable, ROOT / "tools" / "toolchain.py", *STORM],
        cwd=ROOT,
        env=os.environ | {"QM_TEST_SCALE": f"{scale:g}"},
        capture_output=True,
        text=True,
        check=False,
    )
    counts: Counter[str] = Counter()
    for line in ran.stdout.splitlines():
        way, _, told = line.removeprefix("storm, ").partition(": Met ")
        if line.startswith("storm, ") and told:
            found = {name: int(number) for name, number in COUNT.findall(told)}
            counts.update(found)
            counts[f"holes {way}"] = found["holes"]
    kills = counts["kills"]
    claims = [
        Claim(
            "what was appended is there once and whole", (ran.stdout + ran.stderr)[-2_000:] if ran.returncode else "", ran.returncode == 0
        ),
        Claim(f"there were {scale * 2_000:g} kills", str(kills), kills >= scale * 2_000),
        Claim("20 holes at least", str(counts["holes"]), counts["holes"] >= 20),
        Claim("one slot half filled at least", str(counts["half_filled"]), counts["half_filled"] >= 1),
    ]
    return {"answer": dict(counts), "claims": claims}
