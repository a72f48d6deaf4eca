"""started + finished from Python, beside a C extension that makes the same readings."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benches.native import load
from benches.rows import Row, alternate, median_interval

PAIRS = 20_000


def _timer(start: Callable[..., int], finish: Callable[..., Any], handle: int) -> Callable[[], float]:
    def run() -> float:
        begin = time.process_time_ns()
        for _ in range(PAIRS):
            finish(start(handle, "6f1a7c1e-0000-4000-8000-000000000000", 0, 0), 1, None, 0)
        return (time.process_time_ns() - begin) / PAIRS

    return run


def rows(rounds: int = 9) -> list[Row]:
    """CPU time a pair; the floor appends by one write(2) a record as we do, and once more to a shared mapping."""
    from queue_metrics import _core

    floor = load()
    with tempfile.TemporaryDirectory(prefix="qm-bench-") as folder:
        recorder = _core.Recorder(str(Path(folder) / "spool"), "bench", spool_bytes=1 << 34)
        handle = recorder.series("bench", "default", "nothing", _core.CLOCK_PROCESS)
        ours = _timer(recorder.started, recorder.finished, handle)
        written = _timer(floor.started, floor.finished, 0)

        def by_write() -> float:
            floor.configure(str(Path(folder) / "floor.log"), True, True)
            return written()

        def by_map() -> float:
            floor.configure(None, True, True)
            return written()

        def bare() -> float:
            floor.configure(None, False, False)
            return written()

        results = alternate([ours, by_write, by_map, bare], rounds)
        drops = recorder.status()["drops"]
    if drops:
        raise RuntimeError(f"records were dropped in the measurement: {drops}")
    found = []
    for name, index in (("C pair, CPU and RSS, two write(2)", 1), ("C pair, CPU and RSS, shared mapping", 2), ("C pair, wall only", 3)):
        ratio, low, high = median_interval([a / b for a, b in zip(results[0], results[index], strict=True)])
        mine, theirs = (median_interval(results[i])[0] for i in (0, index))
        found.append(Row(f"started + finished / {name}", mine, theirs, "ns", ratio, note=f"90 % interval {low:.2f}-{high:.2f}; write way"))
    return found
