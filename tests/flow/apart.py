"""
A worker, or who drains, to be run in a pid namespace of its own: `python -m tests.flow.apart work|drain STORE STATE`.

It says when it is ready, and goes on until it is killed.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

from queue_metrics import _core
from queue_metrics.config import load_settings
from queue_metrics.recording.runtime import Runtime
from tests.core.writing import run_once
from tests.flow.shown import NAMESPACE
from tests.recording.tools import QUICK

JOBS = 3
GRACE = 0.2


def leave_open(recorder: _core.Recorder) -> None:
    """Some executions that end, and one that does not."""
    recorder.describe(_core.MAIN, "test", "c", "q")
    handle = recorder.series("c", "q", "task", _core.CLOCK_PROCESS)
    for number in range(JOBS):
        run_once(recorder, handle, number)
    recorder.started(handle, "open", 0, _core.NO_TIME)


def neighbour(spool: str) -> None:
    """A worker of this namespace that dies in the middle: when it is judged, everybody was."""
    ready, told = os.pipe()
    pid = os.fork()
    if pid == 0:
        leave_open(_core.Recorder(spool, "host"))
        os.write(told, b".")
        while True:
            signal.pause()
    os.read(ready, 1)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def main() -> None:
    role, store, state = sys.argv[1:]
    quick: dict[str, Any] = dict(QUICK)
    settings = load_settings(environ={}, config=os.devnull, store=store, state_dir=state, namespace=NAMESPACE, **quick)
    spool = os.fspath(settings.spool)
    if role == "work":
        recorder = _core.Recorder(spool, "host")
        leave_open(recorder)
        way = str(recorder.status()["way"])
    else:
        neighbour(spool)
        runtime = Runtime(settings, grace=GRACE)
        runtime.on_main()
        way = ""
    print(f"ready {os.getpid()} {way}", flush=True)
    while True:
        signal.pause()


if __name__ == "__main__":
    main()
