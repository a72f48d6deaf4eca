"""
A million executions in one worker: its memory stays flat, and all are counted.

The worker records with `track`, as any program does, drains into its own store while it works, and says how much memory it holds. Run as a
process of its own: `python -m tests.torture.soak EXECUTIONS`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import queue_metrics as qm
from tests.flow.checks import Claim, nothing_missing, steps_agree
from tests.recording.tools import NAMES, counts, environment, eventually

EXECUTIONS = 1_000_000
TASKS = 50
FAILS = 100
WARM = 0.1
"""So much of it runs before memory is looked at: modules are loaded, maps made, and every series known."""
READINGS = 20
CATCH_UP_SECONDS = 600.0
"""A guard against hangs: the worker drains beside its jobs, and goes on when they are done."""
GROWTH_BYTES = 2 << 20
"""Between the first and the second half of the rest. A leak of 5 bytes an execution would be more, at full size."""


def soak(directory: Path, executions: int) -> dict[str, Any]:
    """The counts of one worker, and the claims about them."""
    directory.mkdir(parents=True)
    store = f"sqlite:///{directory}/store.db"
    variables = {"QUEUE_METRICS_STORE": store, "QUEUE_METRICS_STATE_DIR": os.fspath(directory / "state"), "QUEUE_METRICS_NAMESPACE": "soak"}
    words = [sys.executable, "-m", "tests.torture.soak", str(executions)]
    with (directory / "worker.log").open("wb") as log:
        worker = subprocess.Popen(
            words, env=environment() | variables, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True
        )
    assert worker.stdin is not None
    assert worker.stdout is not None
    try:
        said = worker.stdout.readline()
        assert said, f"the worker ended with {worker.wait()}; {directory}/worker.log says why"
        eventually(lambda: counts(store)["started"] >= executions, "what it recorded is counted", CATCH_UP_SECONDS)
        worker.stdin.close()
        status = worker.wait(60)
    finally:
        worker.kill()
        worker.wait()
        worker.stdout.close()
    readings: list[int] = json.loads(said)
    half = len(readings) // 2
    grown = max(readings[half:]) - max(readings[:half])
    found = counts(store)
    claims = [
        Claim(
            "all of them ran and are counted", f"{executions}, {found}, exit code {status}", found == expected(executions) and status == 0
        ),
        Claim("memory is flat", f"{grown:,} <= {GROWTH_BYTES:,} bytes more, of {readings}", grown <= GROWTH_BYTES),
        *steps_agree(store),
        *nothing_missing(store),
    ]
    return {"answer": {"executions": executions, "rss_bytes": readings[-1], "grown_bytes": grown}, "claims": claims}


def expected(executions: int) -> dict[str, int]:
    """What must be counted: each hundredth fails."""
    failed = -(-executions // FAILS)
    return {**dict.fromkeys(NAMES, 0), "started": executions, "succeeded": executions - failed, "failed": failed}


def resident() -> int:
    """Bytes that this process holds, as the kernel counts them."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def work(executions: int) -> list[int]:
    """Run them; memory at even distances, after the first part."""
    warm = round(executions * WARM)
    stride = (executions - warm) // READINGS
    readings = []
    for number in range(executions):
        try:
            with qm.track(task=f"task-{number % TASKS}", queue="soak", job_id=number):
                if number % FAILS == 0:
                    raise ValueError
        except ValueError:
            pass
        if number >= warm and (number - warm + 1) % stride == 0:
            readings.append(resident())
    return readings


if __name__ == "__main__":
    print(json.dumps(work(int(sys.argv[1]))), flush=True)
    sys.stdin.read()  # until all is counted
