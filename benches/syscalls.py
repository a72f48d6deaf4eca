"""System calls of a case by strace, between two marks of the thread that runs it. Knows no subject."""

from __future__ import annotations

import re
import tempfile
from collections import Counter
from pathlib import Path

from benches.measure import MARK, Subject, command, run_child
from benches.rows import Row, exactly

LINE = re.compile(r"^(\d+) +(?:<\.\.\. )?(\w+)")


def counts(cases: Subject, name: str, operations: int = 1000, *, windows: int = 1) -> Counter[str]:
    """
    How often each system call was made in `operations` operations of a case; a clock read in the vDSO is none.

    Args:
        windows: the operations are done so often, and the window of the fewest calls is told. What an operation makes is in each; what
            happens once a second, or when others had the CPU for a millisecond under strace, is not in all of them.

    Raises:
        RuntimeError: the run failed, or its marks were not seen.
    """
    with tempfile.TemporaryDirectory(prefix="qm-bench-") as folder:
        out = Path(folder) / "strace.out"
        words = [*command(cases), "--case", name, "--operations", str(operations), "--windows", str(windows)]
        run_child(["strace", "-f", "-qq", "-o", str(out), *words], Path(folder))
        lines = out.read_text(errors="replace").splitlines()
    marks = [index for index, line in enumerate(lines) if MARK in line and "resumed" not in line]
    if len(marks) != 2 * windows:
        raise RuntimeError(f"strace saw {len(marks)} marks of {2 * windows} around {name}")
    found = [_window(lines[begin:end]) for begin, end in zip(marks[::2], marks[1::2], strict=True)]
    return min(found, key=Counter.total)


def _window(lines: list[str]) -> Counter[str]:
    """The calls of the thread that made the first line, which is a mark."""
    thread = lines[0].split()[0]
    found: Counter[str] = Counter()
    for line in lines[1:]:
        match = LINE.match(line)
        if match and match.group(1) == thread and "resumed>" not in line and "+++" not in line and "---" not in line:
            found[match.group(2)] += 1
    return found


def row(what: str, cases: Subject, name: str, goal: float, *, operations: int = 20, note: str = "") -> Row:
    """A gated row: a case makes exactly `goal` system calls an operation, in the quietest of 25 windows of `operations`."""
    found = counts(cases, name, operations, windows=25)
    told = ", ".join(f"{call} {count / operations:g}" for call, count in found.most_common(6))
    return exactly(what, found.total() / operations, goal, "system calls", note="; ".join(part for part in (told, note) if part))
