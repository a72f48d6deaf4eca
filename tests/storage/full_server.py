"""
A database server whose disk fills up and is cleared again: `python -m tests.storage.full_server postgresql|mariadb DIRECTORY DISK`.

Temporary directories, and so the server's data, lie on the small file system DISK; the spool lies in DIRECTORY. Prints what was seen as
JSON.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from pathlib import Path

from queue_metrics import _core
from queue_metrics.errors import StoreError, StoreUnavailable
from queue_metrics.recording.drain import Drain
from queue_metrics.storage import DatabaseStorageDriver
from queue_metrics.storage.base import TASK
from tests.core.writing import run_once
from tests.storage.batches import eventually
from tests.support.patience import PATIENCE
from tests.support.spooled import numbers, what_the_spool_says
from tests.support.sql_servers import MariaDBServer, PostgreSQLServer, SQLServer

TASKS = 900
"""Names, which are rows to be stored; below the limits on names."""
REFUSALS = 3
"""Flushes that have to fail while the disk is full."""


def take_all(path: Path) -> None:
    """A file of all that the file system has left."""
    with path.open("wb", buffering=0) as ballast:
        size = 1 << 20
        while size:
            try:
                ballast.write(bytes(size))
            except OSError:
                size >>= 1


class Worker:
    """Records jobs of ever new names and drains them."""

    def __init__(self, spool: Path, store: DatabaseStorageDriver) -> None:
        self.spool, self.jobs = spool, 0
        self._recorder = _core.Recorder(os.fspath(spool), "host")
        self._drain = Drain(spool, self._recorder, store)
        self.refusals: list[StoreError] = []

    def run(self, jobs: int) -> None:
        for _ in range(jobs):
            name = self.jobs % TASKS
            run_once(self._recorder, self._recorder.series("c", f"queue {name % 6}", f"task {name}", _core.CLOCK_NONE), self.jobs)
            self.jobs += 1

    def flush(self) -> bool:
        """Whether nothing is left. Says to standard error what hinders it."""
        try:
            return self._drain.step()
        except StoreError as error:
            self.refusals.append(error)
            print(error, file=sys.stderr)
            return False

    def drops(self) -> dict[str, int]:
        return dict(self._recorder.status()["drops"])

    def close(self) -> None:
        self._drain.close()


def stuff(store: DatabaseStorageDriver) -> None:
    """Fill what the server has room for inside of its files, in ever smaller pieces."""
    for size in (100_000, 2_000):
        with contextlib.suppress(StoreError):
            for number in range(100_000):
                store.set_key(f"stuffing {size} {number}", "x" * size)


def counted(store: DatabaseStorageDriver) -> int:
    """Executions that the store has as succeeded."""
    tasks = [one.id for one in store.known_series() if one.kind == TASK]
    return sum(_core.Value.decode(total).counter(1) for total in store.read_totals(tasks).values())


def main() -> None:
    kind, directory, disk = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    server: SQLServer = PostgreSQLServer() if kind == "postgresql" else MariaDBServer()
    ballast = disk / "ballast"
    with server:
        store = DatabaseStorageDriver(server.url)
        worker = Worker(directory / "spool", store)
        worker.run(20)
        eventually(worker.flush)
        take_all(ballast)
        stuff(store)
        deadline = time.monotonic() + PATIENCE
        while len(worker.refusals) < REFUSALS:
            worker.run(100)
            worker.flush()
            assert time.monotonic() < deadline, "the full disk hinders nobody"
        waited = worker.jobs - 20
        ballast.unlink()
        eventually(lambda: server.running() is server and worker.flush())  # one that gave up is started again, as by an init
        worker.run(20)
        eventually(worker.flush)
        seen = {
            "jobs": worker.jobs,
            "waited": waited,
            "counted": counted(store),
            "exact": numbers(store) == what_the_spool_says(worker.spool),
            "drops": worker.drops(),
            "unavailable": all(isinstance(error, StoreUnavailable) for error in worker.refusals),
            "said": sorted({str(error)[:300] for error in worker.refusals}),
        }
        worker.close()
        store.close()
    print(json.dumps(seen))


if __name__ == "__main__":
    main()
