"""Jobs in a spool, and the numbers that a store must hold of it: told by a drainer and a store of memory in which nothing goes wrong."""

from __future__ import annotations

import os
import random
import time
from pathlib import Path

from queue_metrics import _core
from queue_metrics.errors import StoreUnavailable
from queue_metrics.recording.drain import Drain
from queue_metrics.storage import MemoryStorageDriver, StorageDriver
from queue_metrics.storage.base import MINUTE
from tests.support.patience import PATIENCE


def numbers(*nodes: StorageDriver) -> dict[object, object]:
    """All totals and minutes that these hold."""
    found: dict[object, object] = {}
    for node in nodes:
        ids = [one.id for one in node.known_series()]
        for one, total in node.read_totals(ids).items():
            assert one not in found
            found[one] = _core.Value.decode(total).fields()
        for one, points in node.read_series(ids, MINUTE, 0, 2**40).items():
            found[one, MINUTE] = points
    return found


def what_the_spool_says(spool: Path) -> dict[object, object]:
    """The numbers of a store that was never split and in which nothing went wrong."""
    drainer, store = _core.Drainer(os.fspath(spool)), MemoryStorageDriver()
    drainer.poll()
    while (batch := drainer.next_batch()) is not None:
        assert store.apply_batch(0, batch).applied
        drainer.committed()
    return numbers(store)


def run_jobs(recorder: _core.Recorder, chance: random.Random, count: int) -> None:
    for _ in range(count):
        handle = recorder.series("c", f"queue {chance.randrange(3)}", f"task {chance.randrange(12)}", _core.CLOCK_PROCESS)
        slot = recorder.started(handle, chance.randrange(10**6), 0, _core.NO_TIME)
        failed = chance.random() < 0.2
        exception = f"Error{chance.randrange(3)}" if failed else None
        recorder.finished(slot, _core.FAILED if failed else _core.SUCCEEDED, exception, 0)


class Drained:
    """
    A spool that is drained into a store that may fail.

    Args:
        spool: its directory.
        store: where batches go.
    """

    def __init__(self, spool: Path, store: StorageDriver) -> None:
        self.spool = spool
        self.store = store
        self.failures = 0
        self.last_failure: StoreUnavailable | None = None
        self._chance = random.Random(os.fspath(spool.name))
        self._recorder = _core.Recorder(os.fspath(spool), "host")
        self._drain = Drain(spool, self._recorder, store)

    @property
    def spool_id(self) -> str:
        return _core.Drainer(os.fspath(self.spool)).spool_id

    def run(self, jobs: int) -> None:
        """Record jobs, and drain once, whatever comes of it."""
        run_jobs(self._recorder, self._chance, jobs)
        self._step()

    def settle(self, seconds: float = PATIENCE) -> None:
        """Drain until nothing is left, as a worker does: after each failure once more."""
        deadline = time.monotonic() + seconds
        while not self._step():
            assert time.monotonic() < deadline, f"the store is not there after {seconds} s: {self.last_failure}"
            time.sleep(0.02)

    def _step(self) -> bool:
        try:
            return self._drain.step()
        except StoreUnavailable as error:
            self.failures, self.last_failure = self.failures + 1, error
            return False

    def another_drainer(self) -> None:
        """The drainer dies, another process takes over."""
        self._drain.close()
        self._drain = Drain(self.spool, self._recorder, self.store)

    def is_exact(self) -> bool:
        """Whether the store holds the numbers of the spool, neither more nor less; a difference is shown by the assertion."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                held = numbers(self.store)
            except StoreUnavailable:
                assert time.monotonic() < deadline
                time.sleep(0.05)
                continue
            assert held == what_the_spool_says(self.spool)
            return int(self._drain.status()["lost_to_rollback"]) == 0

    def close(self) -> None:
        self._drain.close()
