"""A whole worker with its threads and its store while calls about the spool fail: all is counted when the trouble is over, or told."""

from __future__ import annotations

from pathlib import Path

from queue_metrics import _core
from queue_metrics.recording.runtime import Runtime
from tests.core.writing import run_once
from tests.faults.shim import Shim
from tests.recording.tools import counts, eventually, settings_for

JOBS, AFTER = 40, 20
SECOND = 1.5
"""After this the recorder tries a spool again, and the drainer asks whether it is elected."""


def by_runtime(shim: Shim, kind: str, first: int, last: int, error: int, place: Path) -> int:
    settings = settings_for(place)
    shim.below(settings.state_dir)
    shim.arm(kind, first, last, error)
    runtime = Runtime(settings, grace=0.2)
    handle = runtime.recorder.series("c", "q", "task", _core.CLOCK_NONE)
    runtime.on_main()
    for number in range(JOBS):
        run_once(runtime.recorder, handle, number)
    runtime.flush(0.3)
    shim.clocks(monotonic=SECOND)
    for number in range(JOBS):
        run_once(runtime.recorder, handle, number)
    runtime.flush(0.3)
    calls = shim.disarm(kind)
    shim.clocks(monotonic=2 * SECOND)
    drops = runtime.recorder.status()["drops"]
    for number in range(AFTER):
        run_once(runtime.recorder, handle, number)
    eventually(lambda: runtime.flush(2.0) and runtime.drain.status().get("open") == 0, "all is counted")
    assert runtime.recorder.status()["drops"] == drops
    found, offered = counts(settings.store), 2 * JOBS + AFTER
    starts_and_ends = found["started"] + found["succeeded"]
    assert starts_and_ends + sum(drops.values()) == 2 * offered, (found, drops)
    assert found["started"] == found["succeeded"] + found["lost"], found
    assert found["lost"] == 0 or drops, found
    return calls
