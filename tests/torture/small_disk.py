"""
A worker on a small file system that another process fills up and clears again: `python -m tests.torture.small_disk DIRECTORY ROUNDS`.

`DIRECTORY/state` is the file system; the store, and what is counted by other means than ours, lie beside it. Prints what was seen as JSON.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from queue_metrics import _core
from queue_metrics.recording.runtime import Runtime
from tests.core.writing import run_once
from tests.flow import telling
from tests.flow.shown import Place
from tests.recording.tools import counts, eventually, settings_for, size

BEFORE, WHILE_FULL = 500, 20_000
"""Jobs of a round before the disk is filled up, and while it is full: more than the segments of both children take."""
FILLER = """
import os, sys
with open(sys.argv[1], "wb", buffering=0) as ballast:
    size = 1 << 16
    while size:
        try:
            ballast.write(bytes(size))
        except OSError:
            size >>= 1
    os.fsync(ballast.fileno())
"""


def dropped(store: str) -> int:
    """Records that all processes dropped, as the store tells."""
    return sum(telling.dropped(store).values())


def fill(path: Path) -> subprocess.Popen[bytes]:
    """A process that takes what the file system has left."""
    return subprocess.Popen([sys.executable, "-c", FILLER, os.fspath(path)], stderr=subprocess.DEVNULL)


def worker(runtime: Runtime, handle: int, over: Path, ran: Path) -> int:
    """A forked child that executes until a file is there; each job that ended is a byte in another."""
    main = os.getpid()
    pid = os.fork()
    if pid == 0:
        try:
            with ran.open("ab", buffering=0) as file:
                while not over.exists() and os.getppid() == main:
                    for number in range(10):
                        run_once(runtime.recorder, handle, number)
                        file.write(b".")
                    time.sleep(0.002)
            os._exit(0)
        finally:
            os._exit(1)
    return pid


def more(ran: Path, jobs: int) -> None:
    """Wait until so many more jobs ran."""
    before = size(ran)
    eventually(lambda: size(ran) >= before + jobs, "jobs run on", 60)


def main() -> None:
    directory, rounds = Path(sys.argv[1]), int(sys.argv[2])
    settings = settings_for(directory)
    place = Place(directory, settings.store, directory / "state")
    runtime = Runtime(settings, grace=0.2)
    handle = runtime.recorder.series("c", "q", "task", _core.CLOCK_NONE)
    runtime.on_main()
    ran, ballast = directory / "ran", place.state / "ballast"
    for number in range(10):
        run_once(runtime.recorder, handle, number)
    first = runtime.recorder.status()
    told = subprocess.run(
        [sys.executable, "-m", "queue_metrics", "doctor", "--store", settings.store, "--namespace", "test"],
        env=os.environ | {"QUEUE_METRICS_STATE_DIR": os.fspath(place.state)},
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    statuses, full = [], 0
    for number in range(rounds):
        over, before = directory / f"over-{number}", dropped(settings.store)
        children = [worker(runtime, handle, over, ran) for _ in range(2)]
        more(ran, BEFORE)
        filler = fill(ballast)
        filler.wait()
        more(ran, WHILE_FULL)
        eventually(lambda before=before: dropped(settings.store) > before, "drops are told")  # type: ignore[misc]
        full += 1
        ballast.unlink()
        eventually(lambda: recorded_again(runtime, handle, ran), "records flow again", 60)
        over.touch()
        statuses += [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children]
    offered = 2 * (10 + ran.stat().st_size)
    eventually(lambda: runtime.flush(2.0) and runtime.drain.status().get("open") == 0, "all is counted", 120)
    eventually(
        lambda: sum(counts(settings.store)[name] for name in ("started", "succeeded")) + dropped(settings.store) >= offered, "all is told"
    )
    runtime.stop()
    found, drops = counts(settings.store), telling.dropped(settings.store)
    seen = {
        "file_system": _core.file_system(os.fspath(place.state)),
        "way": first["way"],
        "doctor": told,
        "statuses": statuses,
        "full": full,
    }
    print(json.dumps({**seen, **found, "jobs": offered // 2, "drops": drops}))


def recorded_again(runtime: Runtime, handle: int, ran: Path) -> bool:
    """One more job, and whether nothing of it was dropped."""
    before = runtime.recorder.status()["drops"]
    run_once(runtime.recorder, handle, "again")
    with ran.open("ab") as file:
        file.write(b".")
    time.sleep(0.01)
    return bool(runtime.recorder.status()["drops"] == before)


if __name__ == "__main__":
    main()
