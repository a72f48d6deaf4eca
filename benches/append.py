"""
One append of a record, either way, beside C that does the same: `limit: append 64 B` by map, a bare write(2) by write.

Both are programs that time a segment of their own a round, made before the clock starts, so that neither pays for Python.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from benches.native import program
from benches.rows import Row, alternate, at_most, median_interval

ROOT = Path(__file__).resolve().parent.parent
RECORDS = {"map": 16_000, "write": 4_000}
GOALS = {"map": 1.5, "write": 1.2}
ROUNDS = 21
SEGMENTS = 7
"""A program times so many segments a round; the median counts."""


def ours() -> Path:
    """`append_rate` of the core, built as the extension is."""
    cargo = [sys.executable, str(ROOT / "tools" / "toolchain.py")]
    subprocess.run(
        [*cargo, "build", "--quiet", "--locked", "--release", "-p", "queue-metrics-core", "--example", "append_rate"], check=True
    )
    target = Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target")
    return target / "release" / "examples" / "append_rate"


def nanoseconds(which: Path, way: str, folder: str) -> float:
    """An append in one run of a program."""
    words = [str(which), way, folder, str(SEGMENTS), str(RECORDS[way])]
    done = subprocess.run(words, check=True, capture_output=True, text=True, timeout=120)
    return statistics.median(float(line) for line in done.stdout.split())


def rows() -> list[Row]:
    """Nanoseconds an append, in a directory of the file system of temporary files."""
    mine, limit = ours(), program("append")
    found = []
    with tempfile.TemporaryDirectory(prefix="qm-bench-") as folder:
        for way, reference in (("map", "limit: atomic add + CAS + CRC32C"), ("write", "limit: bare write(2)")):
            cases = [lambda which=which, way=way: nanoseconds(which, way, folder) for which in (mine, limit)]
            times = alternate(cases, ROUNDS)
            ratio, low, high = median_interval([one / other for one, other in zip(*times, strict=True)])
            best, least = (statistics.median(each) for each in times)
            what = f"one append by {way} / {reference}"
            found.append(
                at_most(what, best, least, "ns", GOALS[way], ratio=ratio, interval=(low, high), note=f"90 % interval {low:.3g}-{high:.3g}")
            )
    return found
