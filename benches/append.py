"""
One append of a record, either way, beside C that does the same: `limit: append 64 B` by map, a bare write(2) by write.

Both are programs that time a segment of their own a round, made before the clock starts, so that neither pays for Python. The clock is
that of the process's CPU, user and system: what others do to the machine is not in it.
"""

from __future__ import annotations

import os
import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from benches.effort import EFFORT
from benches.native import program
from benches.rows import Row, alternate, at_most, count_at_most, median_interval

ROOT = Path(__file__).resolve().parent.parent
RECORDS = {"map": 16_000, "write": 4_000}
COUNTED = (2_000, 42_000)
GOALS = {"map": 1.5, "write": 1.2}
LIMITS = {"map": "limit: atomic add + CAS + CRC32C", "write": "limit: bare write(2)"}
CALLS = {"map": 0.001, "write": 1.02}
"""System calls an append at most: a look at the file once a second by map, at its size and name now and then by write."""
INSTRUCTIONS_BOUND = {"map": 3.0, "write": 12.0}
"""What the ratio of user instructions must not exceed: a little more than is reached."""
ROUNDS = 41
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


def _nanoseconds(which: Path, way: str, folder: str) -> float:
    """An append in one run of a program."""
    words = [str(which), way, folder, str(SEGMENTS), str(RECORDS[way])]
    done = subprocess.run(words, check=True, capture_output=True, text=True, timeout=120)
    return statistics.median(float(line) for line in done.stdout.split())


def rows() -> list[Row]:
    """Nanoseconds of CPU an append, in a directory of the file system of temporary files."""
    mine, limit = ours(), program("append")
    found = []
    with tempfile.TemporaryDirectory(prefix="qm-bench-") as folder:
        for way, reference in LIMITS.items():
            cases = [lambda which=which, way=way: _nanoseconds(which, way, folder) for which in (mine, limit)]
            times = alternate(cases, EFFORT.rounds(ROUNDS))
            ratio, low, high = median_interval([one / other for one, other in zip(*times, strict=True)])
            best, least = (statistics.median(each) for each in times)
            note = f"90 % interval {low:.3g}-{high:.3g}; user and system time"
            what = f"one append by {way} / {reference}"
            found.append(at_most(what, best, least, "ns CPU", GOALS[way], ratio=ratio, interval=(low, high), note=note))
    return found


def _an_append(count: Callable[[list[str]], int], which: Path, way: str, folder: str) -> float:
    """What more records take: neither the program's begin is in it nor the segment's, which differ by as much as 1,000 appends."""
    few, many = (count([str(which), way, folder, "1", str(records)]) for records in COUNTED)
    return (many - few) / (COUNTED[1] - COUNTED[0])


def _instructions(words: list[str]) -> int:
    with tempfile.TemporaryDirectory(prefix="qm-bench-") as folder:
        out = Path(folder) / "callgrind.out"
        tool = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}"]
        subprocess.run([*tool, *words], check=True, capture_output=True, timeout=120)
        found = re.search(r"^(?:totals|summary): (\d+)", out.read_text(), re.MULTILINE)
    if not found:
        raise RuntimeError("callgrind counted nothing")
    return int(found.group(1))


def _calls(words: list[str]) -> int:
    done = subprocess.run(["strace", "-f", "-qq", *words], check=True, capture_output=True, text=True, timeout=120)
    return len(done.stderr.splitlines())


def counts() -> list[Row]:
    """System calls and user instructions an append."""
    mine, limit = ours(), program("append")
    found = []
    with tempfile.TemporaryDirectory(prefix="qm-bench-") as folder:
        for way, reference in LIMITS.items():
            calls = _an_append(_calls, mine, way, folder)
            found.append(count_at_most(f"one append by {way}: system calls", calls, CALLS[way], "system calls"))
            here, there = (_an_append(_instructions, which, way, folder) for which in (mine, limit))
            what, note = f"one append by {way}: user instructions / {reference}", "without the kernel's"
            bound = INSTRUCTIONS_BOUND[way]
            found.append(Row(what, here, there, "instructions", here / there, note=note, exact=True, bound=bound))
    return found
