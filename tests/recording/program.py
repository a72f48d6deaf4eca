"""A process that records: run as `python program.py '{"role": "main", ...}'`, told what to do by its arguments and its standard input.

It writes one byte to a file when a job begins and one when it ends, which our package never touches, so that a test can compare.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

from queue_metrics import _core
from queue_metrics.config import load_settings
from queue_metrics.recording import pace
from queue_metrics.recording.runtime import Runtime, runtime


def say(**words: Any) -> None:
    os.write(1, (json.dumps(words) + "\n").encode())


class Jobs:
    """Executes jobs of one millisecond, and counts them by its own means."""

    def __init__(self, records: Runtime, directory: Path) -> None:
        self._recorder = records.recorder
        self._begun = os.open(directory / "begun", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        self._ended = os.open(directory / "ended", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        self._handle = self._recorder.series("c", "q", "t", _core.CLOCK_PROCESS)

    def run(self, number: int, seconds: float = 0.001) -> None:
        slot = self._recorder.started(self._handle, f"{os.getpid()}-{number}", 0, _core.NO_TIME)
        os.write(self._begun, b".")
        time.sleep(seconds)
        os.write(self._ended, b".")
        self._recorder.finished(slot, _core.SUCCEEDED, None, 0)


def child(records: Runtime, jobs: Jobs, count: int | None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    records.on_child()
    number = 0
    while count is None or number < count:
        jobs.run(number)
        number += 1
    say(child_done=os.getpid())
    signal.pause()


def main(task: dict[str, Any]) -> None:
    directory = Path(task["directory"])
    for name, seconds in task.get("pace", {}).items():
        setattr(pace, name, seconds)
    settings = load_settings(store=task["store"], state_dir=task["state"], namespace="test", **task.get("settings", {}))
    records = runtime(settings)
    if task["role"] == "producer":
        for number in range(task["jobs"]):
            records.recorder.arrived(records.recorder.series("c", "q", "t", _core.CLOCK_PROCESS), number, 0, _core.NO_TIME)
        records.on_producer()
        say(done=os.getpid())
        return
    records.recorder.describe(_core.MAIN, "test", "c", "q")
    records.on_main()
    jobs = Jobs(records, directory)
    for number in range(task.get("jobs") or 0):
        jobs.run(number, 0)
    children = []
    for _ in range(task.get("children", 0)):
        pid = os.fork()
        if pid == 0:
            child(records, jobs, task.get("child_jobs"))
            os._exit(0)
        children.append(pid)
    say(ready=os.getpid(), children=children)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    serve(records, jobs, float(task.get("patience", 30)))


def wait_until_idle() -> None:
    """Until the reporting thread waits: what is closed in the middle of a call of SQLite, nobody can save."""
    while True:
        names = {thread.ident: thread.name for thread in threading.enumerate()}
        frames = [frame for ident, frame in sys._current_frames().items() if names.get(ident) == "queue-metrics"]
        if all(frame.f_code.co_name == "wait" for frame in frames):
            return
        time.sleep(0.001)


def serve(records: Runtime, jobs: Jobs, patience: float) -> None:
    """Answer the questions that come on standard input, until it ends."""
    for line in sys.stdin:
        word = line.strip()
        if word == "draining":
            say(draining=records.drain.elected)
        elif word == "flush":
            say(flushed=records.flush(patience))
        elif word == "job":
            jobs.run(0, 0)
            say(ran=True)
        elif word == "failing":
            say(failing=records.reporter.status()["failing_seconds"])
        elif word == "threads":
            say(threads=[thread.name for thread in threading.enumerate()])
        elif word == "close descriptors":
            wait_until_idle()
            os.closerange(3, 256)
            say(done=True)
        elif word == "take descriptors":
            wait_until_idle()
            os.closerange(3, 256)
            taken = [os.open(os.environ["INNOCENT"], os.O_RDWR) for _ in range(64)]
            say(done=len(taken))


main(json.loads(sys.argv[1]))
