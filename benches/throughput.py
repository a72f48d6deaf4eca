"""
Jobs a second of a real worker with and without us, in alternating rounds.

`python -m benches.throughput LIBRARY on|off N FOLDER BROKER` is one of them.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

from benches.effort import EFFORT
from benches.rows import Row, alternate, median_interval

JOBS = 2000
ROUNDS = 7
LIMIT = 120.0


class Stopwatch:
    """In the process that executes: the seconds from the first body to the one after `count` more, left in a file."""

    def __init__(self, count: int, folder: Path) -> None:
        self.count, self.path = count, folder / "seconds"
        self.seen, self.begin = 0, 0.0

    def lap(self) -> None:
        """To be called by each body."""
        if self.seen == 0:
            self.begin = time.perf_counter()
        elif self.seen == self.count:
            part = self.path.with_suffix(".part")
            part.write_text(repr(time.perf_counter() - self.begin))
            part.rename(self.path)
        self.seen += 1


def worker(library: str, instrumented: bool, count: int, folder: Path, broker: str) -> None:
    """Fill the queue, then be the worker until somebody ends this process."""
    watch = Stopwatch(count, folder)
    target: Any

    def lap() -> None:
        watch.lap()

    if library == "huey":
        from huey import SqliteHuey

        target = SqliteHuey("bench", filename=str(folder / "huey.db"), results=False)
        job = target.task()(lap)
    else:
        from celery import Celery

        target = Celery("bench", broker=broker)
        # A queue of its own: what a worker that was ended left behind is not the next one's.
        target.conf.update(task_ignore_result=True, worker_concurrency=1, task_default_queue=folder.name)
        job = target.task(name="bench.lap")(lap).delay
    for _ in range(count + 1):
        job()
    if instrumented:
        import queue_metrics as qm

        qm.instrument(target, store=f"sqlite:///{folder}/metrics.db", state_dir=folder, namespace="bench")
    if library == "huey":
        target.create_consumer(workers=1, worker_type="process", initial_delay=0.01).run()
    else:
        target.Worker(pool="prefork", loglevel="ERROR", without_mingle=True, without_gossip=True).start()


def one_run(library: str, state: str, broker: str) -> float:
    """Jobs a second of one worker on a queue that was filled before."""
    with tempfile.TemporaryDirectory(prefix="qm-bench-", ignore_cleanup_errors=True) as name:
        said, seconds = Path(name) / "said", Path(name) / "seconds"
        with said.open("wb") as out:
            process = subprocess.Popen(
                [sys.executable, "-m", "benches.throughput", library, state, str(JOBS), name, broker],
                start_new_session=True,
                stdout=out,
                stderr=out,
                env={"PATH": os.defpath, "HOME": name, "C_FORCE_ROOT": "1"},
            )
        try:
            deadline = time.monotonic() + LIMIT
            while not seconds.exists():
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"the {library} worker did not finish ({process.returncode}): {said.read_text()[-2000:]}")
                time.sleep(0.05)
            return JOBS / float(seconds.read_text())
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def rows() -> list[Row]:
    """The ratio of throughput with us to without, with its 90 % interval; the machine's noise is in the interval."""
    from tests.support.servers import RedisServer

    found = []
    with tempfile.TemporaryDirectory(prefix="qm-bench-") as folder:
        server = RedisServer(Path(folder))
        server.start()
        try:
            for library in ("huey", "celery"):
                on, off = alternate(
                    [partial(one_run, library, "on", server.url), partial(one_run, library, "off", server.url)], EFFORT.rounds(ROUNDS)
                )
                ratio, low, high = median_interval([a / b for a, b in zip(on, off, strict=True)])
                mine, theirs = median_interval(on)[0], median_interval(off)[0]
                found.append(
                    Row(
                        f"{library}: throughput with us / without",
                        mine,
                        theirs,
                        "jobs/s",
                        ratio,
                        note=f"90 % interval {low:.2f}-{high:.2f}, {len(on)} alternating rounds of {JOBS:,} empty jobs",
                    )
                )
        finally:
            server.stop()
    return found


if __name__ == "__main__":
    worker(sys.argv[1], sys.argv[2] == "on", int(sys.argv[3]), Path(sys.argv[4]), sys.argv[5])
