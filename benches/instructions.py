"""Instructions that we add to an execution, by callgrind: counts, repeatable on a noisy machine."""

from __future__ import annotations

import statistics
import sys
import tempfile
from pathlib import Path

from benches.callgrind import total
from benches.rows import Row, at_most

GOAL = 1.01
CYCLES = 100
LAYOUTS = 5
"""A count is the median over so many ways in which objects lie in memory: the same cycle takes up to 1,500 instructions more in one than in
another."""

HUEY = (
    ("Huey execution", "huey-execute", 1.011, "dequeue, execute, result"),
    ("Huey enqueue", "huey-enqueue", 1.02, "enqueue"),
)
"""The sides of a cycle in one layout, and the ratio over which the gate fails: what was reached, and what two layouts differ by. The goal
is the cycle's."""


def once(layout: int, *arguments: str) -> float:
    """Instructions per cycle of one run of `benches.cycles`, in the thread that executes."""
    with tempfile.TemporaryDirectory(prefix="qm-bench-") as folder:
        words = [sys.executable, "-m", "benches.cycles", *arguments[:2], str(CYCLES), folder, str(layout), *arguments[2:]]
        return total(words, Path(folder)) / CYCLES


def count(*arguments: str) -> float:
    """Instructions per cycle, the median over layouts."""
    return statistics.median(once(layout, *arguments) for layout in range(LAYOUTS))


def rows(broker: str | None) -> list[Row]:
    """Added instructions of a Huey cycle, whole and by side, and of a Celery execution, against the same without us."""
    found = []
    off, on = count("huey", "off"), count("huey", "on")
    note = f"enqueue, dequeue, execute, result on SQLite; {on - off:,.0f} added"
    # Reached are 1.0082 to 1.0097; the bound leaves room for what the medians of two runs differ by.
    found.append(at_most("Huey cycle with us, instructions", on, off, "instructions", GOAL, exact=True, bound=1.011, note=note))
    for name, library, bound, what in HUEY:
        off, on = once(0, library, "off"), once(0, library, "on")
        note = f"{what} on SQLite; {on - off:,.0f} added"
        found.append(Row(f"{name} with us, instructions", on, off, "instructions", on / off, note=note, exact=True, bound=bound))
    if broker is not None:
        # Far from its goal: one layout will do.
        added = once(0, "celery", "on") - once(0, "celery", "off")
        cycle = once(0, "celery-worker", "off", broker)
        note = f"solo worker on Redis; {added:,.0f} added in the tracer"
        found.append(at_most("Celery cycle with us, instructions", cycle + added, cycle, "instructions", GOAL, exact=True, note=note))
    return found


def all_rows() -> list[Row]:
    """With a private Redis."""
    from tests.support.servers import RedisServer

    with tempfile.TemporaryDirectory(prefix="qm-bench-") as folder, RedisServer(Path(folder)) as server:
        return rows(server.url)
