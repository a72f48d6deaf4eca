"""
Jobs a second of a real worker with and without us, and the CPU time a job of the process that executes, in alternating rounds.

`python -m benches.throughput LIBRARY on|off N FOLDER BROKER` is one of them.
"""

from __future__ import annotations

import contextlib
import os
import signal
import statistics
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
SECONDS = 150.0
"""A library gets so long, and fewer rounds on a machine that is slow or busy."""


class Stopwatch:
    """In the process that executes: seconds and CPU seconds from the first body to the one after `count` more, left in a file."""

    def __init__(self, count: int, folder: Path) -> None:
        self.count, self.path = count, folder / "seconds"
        self.seen, self.begin, self.cpu = 0, 0.0, 0.0

    def lap(self) -> None:
        """To be called by each body."""
        if self.seen == 0:
            self.begin, self.cpu = time.perf_counter(), time.process_time()
        elif self.seen == self.count:
            part = self.path.with_suffix(".part")
            part.write_text(f"{time.perf_counter() - self.begin} {time.process_time() - self.cpu}")
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


def one_run(library: str, state: str, broker: str) -> tuple[float, float]:
    """Jobs a second of one worker on a queue that was filled before, and ns of CPU a job of the process that executes."""
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
            wall, cpu = map(float, seconds.read_text().split())
            return JOBS / wall, 1e9 * cpu / JOBS
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def rows() -> list[Row]:
    """Both with us / without, with 90 % intervals. Throughput is wall time: what else the machine does is in its interval."""
    from tests.support.servers import RedisServer

    found = []
    with tempfile.TemporaryDirectory(prefix="qm-bench-") as folder:
        server = RedisServer(Path(folder))
        server.start()
        try:
            for library in ("huey", "celery"):
                cases = [partial(one_run, library, state, server.url) for state in ("on", "off")]
                on, off = alternate(cases, EFFORT.rounds(ROUNDS), seconds=SECONDS)
                for number, (what, unit) in enumerate((("throughput", "jobs/s"), ("CPU a job of the process that executes", "ns CPU"))):
                    mine, theirs = ([each[number] for each in runs] for runs in (on, off))
                    ratio, low, high = median_interval([a / b for a, b in zip(mine, theirs, strict=True)])
                    note = f"90 % interval {low:.3g}-{high:.3g}; {len(on)} alternating rounds of {JOBS:,} empty jobs"
                    name = f"{library}: {what}, with us / without"
                    found.append(Row(name, statistics.median(mine), statistics.median(theirs), unit, ratio, note=note))
        finally:
            server.stop()
    return found


if __name__ == "__main__":
    worker(sys.argv[1], sys.argv[2] == "on", int(sys.argv[3]), Path(sys.argv[4]), sys.argv[5])
