"""What power failures leave of segments (`rust/core/tests/torn`), a hundred times as many images as in the suite."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

from tests.flow.checks import Claim
from tests.torture.rust_tests import run, told

IMAGES = 10_000
"""Of each way at scale 1."""
COUNT = re.compile(r"(\w+): (\d+)")


def torn(scale: float) -> dict[str, Any]:
    """The counts of both ways of appending together."""
    ran = run("torn", scale)
    counts: Counter[str] = Counter()
    ways = set()
    for line in ran.stdout.splitlines():
        way, _, seen = line.partition(": Seen ")
        if seen.endswith("0 phantoms"):
            # A test that ended before is a dot at the beginning of the line.
            ways.add(way.partition(",")[0].lstrip("."))
            counts.update({name: int(number) for name, number in COUNT.findall(seen)})
    claims = [
        Claim("no image shows a record that was never written or hides a whole one", told(ran), ran.returncode == 0),
        Claim("both ways of appending were torn", ", ".join(sorted(ways)), ways == {"Map", "Write"}),
        Claim(f"there were {2 * scale * IMAGES:g} images", str(counts["images"]), counts["images"] >= 2 * int(scale * IMAGES)),
    ]
    return {"answer": dict(counts), "claims": claims}
