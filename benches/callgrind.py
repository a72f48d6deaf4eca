"""User-space instructions by callgrind: repeatable to less than 1 % on a noisy machine, blind to the kernel. Knows no subject."""

from __future__ import annotations

import functools
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benches.measure import EMPTY, Subject, command, run_child
from benches.rows import Row, count_at_most


def total(words: Sequence[str], folder: Path) -> int:
    """
    Instructions of a command between its marks (`collect(True)` and `collect(False)` of `benches.native`).

    Raises:
        RuntimeError: the run failed, or counted nothing.
    """
    out = folder / "callgrind.out"
    tool = ["valgrind", "--tool=callgrind", "--instr-atstart=no", "--collect-atstart=no", f"--callgrind-out-file={out}"]
    done = run_child([*tool, *words], folder)
    found = re.search(r"^totals: (\d+)", out.read_text() if out.exists() else "", re.MULTILINE)
    if not found:
        raise RuntimeError(f"callgrind counted nothing: {done.stderr[-2000:]}")
    return int(found.group(1))


@functools.cache
def instructions(cases: Subject, name: str, operations: int = 500, *, loop: bool = True) -> float:
    """Instructions an operation of a case, less those of the empty loop around it; `loop=False` for a batch of C."""
    with tempfile.TemporaryDirectory(prefix="qm-bench-") as folder:
        words = [*command(cases), "--case", name, "--operations", str(operations), "--marks", "callgrind"]
        found = total(words, Path(folder)) / operations
    return found - instructions(cases, EMPTY, operations, loop=False) if loop else found


def row(what: str, cases: Subject, name: str, goal: float, *, bound: float | None = None, operations: int = 500, note: str = "") -> Row:
    """A gated row: a case takes at most `goal` instructions an operation; `bound` fails the gate while the goal is not met."""
    return count_at_most(what, instructions(cases, name, operations), goal, "instructions", bound=bound, note=note)
