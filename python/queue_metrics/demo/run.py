"""One run of the demo, from its first process to its last: starts them, watches, kills when asked to, ends when nothing is left."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from queue_metrics.config import Settings
from queue_metrics.demo.audit import counted
from queue_metrics.demo.killer import Killer
from queue_metrics.demo.ledger import Ledger
from queue_metrics.demo.lifeline import WORK_PREFIX
from queue_metrics.demo.options import Options
from queue_metrics.demo.processes import Group, environment, python
from queue_metrics.demo.progress import Progress
from queue_metrics.demo.queues import DemoQueue
from queue_metrics.errors import StoreError
from queue_metrics.recording import spool
from queue_metrics.storage.manager import open_store

TICK_SECONDS = 0.1
QUIET_SECONDS = 1.5
"""Nothing left for so long: no job is on its way from the broker to its start."""
STALL_SECONDS = 45.0
"""Nothing changed for so long, though something is left: it will not come to an end by itself. A store is tried each 30 s."""
WARM_STOP_SECONDS = 20.0
HASTY_STOP_SECONDS = 2.0
ROUNDS = 3
"""A job that ends during the stop may leave a retry: the worker is started again for it."""


class Interrupted(Exception):
    """Somebody wants the demo to end now."""


class Failed(Exception):
    """A process of the demo did not do its part; the message shows what it printed."""


class Run:
    """The processes of a run and what is known of it."""

    def __init__(self, options: Options, settings: Settings, queue: DemoQueue, progress: Progress, interrupted: threading.Event) -> None:
        self._options = options
        self._settings = settings
        self._queue = queue
        self._progress = progress
        self._interrupted = interrupted
        self._ledger = Ledger(options.ledger)
        self._driver = open_store(settings)
        self._before = counted(self._driver)
        self._killer = (
            None if options.kill_every is None else Killer(options.pool, self._ledger, options.kill_every, random.Random(options.seed))
        )
        self._worker: Group | None = None
        self._producer: Group | None = None
        self._start = time.monotonic()

    @property
    def store_url(self) -> str:
        """Where the numbers go, without a password."""
        return self._driver.url

    def start(self) -> None:
        """Start worker and producer."""
        self._worker = python("queue_metrics.demo.worker", self._options.root)
        self._producer = python("queue_metrics.demo.producer", self._options.root)

    def close(self) -> None:
        """End every process within a few seconds, whatever it does."""
        for group in (self._producer, self._worker):
            if group is not None:
                group.stop(signal.SIGTERM, HASTY_STOP_SECONDS)
        self._producer = self._worker = None
        self._driver.close()

    def for_ever(self) -> None:
        """
        Watch until interrupted.

        Raises:
            Interrupted: always, in the end.
            Failed: a process ended.
        """
        while True:
            self._turn(may_kill=True)
            if self._progress.due:
                self._show()

    def finish(self) -> dict[str, Any]:
        """
        Watch until every job is done and counted, and have that audited.

        Returns:
            What `audit.report` returns.

        Raises:
            Interrupted: somebody wants it to end now.
            Failed: a process ended before its time.
        """
        left = "the run did not begin"
        for _ in range(ROUNDS):
            moves = self._until_quiet()
            wall = time.monotonic() - self._start
            stopped = self._stop_worker()
            left = self._left() if stopped else "the worker did not stop by itself"
            if not left or not stopped or not moves:
                break
            self._worker = python("queue_metrics.demo.worker", self._options.root)
        requests, flushes = self._work_of_drainers()
        return _audited(
            self._options.root,
            {
                "kills": self._killer.kills if self._killer else 0,
                "wall_seconds": round(wall, 3),
                "store_requests": requests,
                "flushes": flushes,
                "before": self._before,
                "left": left,
            },
        )

    def _until_quiet(self) -> bool:
        """Watch until nothing was left for a while; False when there is, and nothing moves any more."""
        moved_at = quiet_at = time.monotonic()
        last: object = None
        while True:
            ready = self._queue.waiting().ready
            self._turn(may_kill=ready > 0)
            left = self._left()
            now, state = time.monotonic(), (left, self._ledger.count("begun"), self._ledger.ends())
            if state != last:
                last, moved_at = state, now
            if left:
                quiet_at = now
            if now - quiet_at >= QUIET_SECONDS and now - moved_at >= QUIET_SECONDS:
                return True
            if now - moved_at >= STALL_SECONDS:
                self._progress.say(f"nothing moves any more, but there is left: {left}")
                return False
            if self._progress.due:
                self._show()

    def _turn(self, *, may_kill: bool) -> None:
        time.sleep(TICK_SECONDS)
        if self._interrupted.is_set():
            raise Interrupted
        worker = self._worker
        assert worker is not None
        if worker.status is not None:
            raise Failed(f"the worker ended with exit code {worker.status}:\n{worker.tail()}")
        if self._producer is not None and self._producer.status not in (None, 0):
            raise Failed(f"the producer ended with exit code {self._producer.status}:\n{self._producer.tail()}")
        # Not before the first job: Celery gives up when a process of its pool dies while it starts.
        if self._killer is not None and may_kill and self._ledger.count("begun"):
            self._killer.turn(worker.pid)

    def _stop_worker(self) -> bool:
        """The orderly stop: running jobs end, the last records are counted."""
        worker, self._worker = self._worker, None
        assert worker is not None
        warm = signal.SIGINT if self._options.library == "huey" else signal.SIGTERM
        return worker.stop(warm, WARM_STOP_SECONDS)

    def _left(self) -> str:
        """What is not done or not counted yet, in words; empty when nothing is."""
        if self._producer is not None and self._producer.status is None:
            return "jobs to be enqueued"
        waiting = self._queue.waiting()
        if not waiting.empty:
            return f"{waiting.ready} jobs ready and {waiting.later} for later in the broker"
        try:
            counts = self._counts()
            records = self._records_waiting()
        except StoreError as error:
            return f"what the store cannot tell: {error}"
        closed = sum(counts[name] for name in ("succeeded", "failed", "retried", "timed_out", "cancelled", "lost"))
        if counts["started"] > closed:
            return f"{counts['started'] - closed} open executions"
        return f"{records} records in the spool" if records else ""

    def _counts(self) -> dict[str, int]:
        now = counted(self._driver)
        return {name: now[name] - self._before[name] for name in now}

    def _records_waiting(self) -> int:
        directory = self._settings.spool
        name = spool.spool_id(directory)
        if name is None:
            return 0
        there = spool.written(directory)
        return spool.waiting(there, self._driver.read_mark(name, 0).positions)

    def _work_of_drainers(self) -> tuple[int, int]:
        """Requests to the store and batches it took, of every process that recorded."""
        work = [entry for path in self._options.root.glob(f"{WORK_PREFIX}*.json") for entry in json.loads(path.read_text())]
        return sum(entry["requests"] for entry in work), sum(entry["batches"] for entry in work)

    def _show(self) -> None:
        try:
            counts = self._counts()
        except StoreError as error:
            self._progress.state(f"the store cannot be read: {error}")
            return
        waiting = self._queue.waiting()
        outcomes = ("succeeded", "failed", "retried", "timed_out", "cancelled", "lost")
        words = [f"{counts[name]} {name.replace('_', ' ')}" for name in outcomes if counts[name]]
        kills = f", {self._killer.kills} killed" if self._killer else ""
        self._progress.state(
            f"{time.monotonic() - self._start:5.0f} s  {self._ledger.count('sent')} jobs, {waiting.ready + waiting.later} waiting{kills}; "
            f"counted {counts['started']}{': ' if words else ''}{', '.join(words)}"
        )


def _audited(directory: Path, run: dict[str, Any]) -> dict[str, Any]:
    """Have another process compare store and ledger."""
    (directory / "run.json").write_text(json.dumps(run))
    command = [sys.executable, "-m", "queue_metrics.demo.audit", str(directory)]
    answer = subprocess.run(command, cwd=directory, env=environment(), capture_output=True, text=True, check=False)
    if answer.returncode != 0:
        raise Failed(f"the audit ended with exit code {answer.returncode}:\n{answer.stderr.strip()}")
    report: dict[str, Any] = json.loads(answer.stdout)
    return report
