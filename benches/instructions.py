"""Instructions that we add to an execution, by callgrind: counts, repeatable on a noisy machine."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

from benches.rows import Row, at_most

GOAL = 1.01
CYCLES = 100


def count(*arguments: str) -> float:
    """Instructions per cycle of one run of `benches.cycles`, in the thread that executes."""
    with tempfile.TemporaryDirectory(prefix="qm-bench-") as folder:
        out = Path(folder) / "callgrind.out"
        command = [
            "valgrind",
            "--tool=callgrind",
            "--instr-atstart=no",
            "--collect-atstart=no",
            f"--callgrind-out-file={out}",
            sys.executable,
            "-m",
            "benches.cycles",
            *arguments[:2],
            str(CYCLES),
            folder,
            *arguments[2:],
        ]
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=900,
            check=False,
            env={"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": folder, "PYTHONHASHSEED": "0", "C_FORCE_ROOT": "1"},
        )
        found = re.search(r"^totals: (\d+)", out.read_text() if out.exists() else "", re.MULTILINE)
        if done.returncode or not found:
            raise RuntimeError(f"callgrind run failed ({done.returncode}): {done.stderr[-2000:]}")
        return int(found.group(1)) / CYCLES


def rows(broker: str | None) -> list[Row]:
    """Added instructions of a whole Huey cycle and of a Celery execution, against the whole cycle without us."""
    huey_off, huey_on = count("huey", "off"), count("huey", "on")
    found = [
        at_most(
            "Huey cycle with us, instructions",
            huey_on,
            huey_off,
            "instructions",
            GOAL,
            exact=True,
            note=f"enqueue, dequeue, execute, result on SQLite; {huey_on - huey_off:,.0f} added",
        )
    ]
    added = count("celery", "on") - count("celery", "off")
    if broker is not None:
        cycle = count("celery-worker", "off", broker)
        found.append(
            at_most(
                "Celery cycle with us, instructions",
                cycle + added,
                cycle,
                "instructions",
                GOAL,
                exact=True,
                note=f"solo worker on Redis; {added:,.0f} added in the tracer",
            )
        )
    return found
