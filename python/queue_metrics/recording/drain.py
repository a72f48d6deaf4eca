"""
One step of the drain: elected, restored, and batch after batch into the store in total order. No thread, no waiting, no policy.

The store's mark decides what is counted. A batch with an unknown result is simply sent again; one that the store did not take means
that the store knows better, so the drain starts again from the store's mark.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import astuple
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from queue_metrics import _core
from queue_metrics.config import Limits
from queue_metrics.errors import StoreUnavailable
from queue_metrics.recording.fork import Gate
from queue_metrics.recording.lock import spool_lock
from queue_metrics.recording.shards import Shards, furthest, lost_positions
from queue_metrics.recording.spool import spool_id
from queue_metrics.storage.base import Mark
from queue_metrics.storage.names import known_names, let_in
from queue_metrics.storage.spools import spool_beat

if TYPE_CHECKING:
    from queue_metrics.storage.base import StorageDriver

_Answer = TypeVar("_Answer")

SHARD = 0
"""The one whose mark says how far all shards are counted."""
MAX_SERIES = 100
GRACE = 10.0
"""Seconds that the format gives the words about a dead process to arrive."""
_LONGEST_STEP = 2.0  # seconds; heartbeats must not starve behind a backlog
_VERDICTS_EVERY = 1.0
_TIDY_EVERY = 30.0  # it asks the store: 0.03 requests a flush


def never_freed(thing: object) -> None:
    """Keep an object beyond the end of the interpreter, which would close what is in it."""
    import ctypes

    ctypes.pythonapi.Py_IncRef(ctypes.py_object(thing))


class Drain:
    """The spool of this process, drained while its lock can be had; `step` is called by one thread only."""

    def __init__(
        self,
        spool: Path,
        recorder: _core.Recorder,
        store: StorageDriver,
        *,
        agent: bool = False,
        grace: float = GRACE,
        limits: Limits | None = None,
        shared_group: int | None = None,
    ) -> None:
        """
        Args:
            spool: the directory; it need not exist yet.
            recorder: verdicts become records of it.
            store: where batches go.
            agent: this is the agent of the spool, which other drainers make way for.
            grace: seconds between a death and the verdict on what it left open.
            limits: the most names that have numbers of their own; as many as by default where nothing is said.
            shared_group: the group whose members share the spool.
        """
        self.spool = spool
        self.batches = 0
        self.records = 0
        self.requests = 0
        self.store_seconds = 0.0  # that the store took for batches
        self.stranded = False
        self._recorder = recorder
        self._store = store
        self._agent = agent
        self._grace = grace
        self._limits = astuple(limits or Limits())
        self._shared_group = shared_group
        self._lock = spool_lock(spool / "drain.lock")
        self._agent_lock = spool_lock(spool / "agent.lock")
        self._gate = Gate(abandon=self._abandon)
        self._drainer: _core.Drainer | None = None
        self._shards: Shards | None = None  # what the store is believed to have counted; None: it must be asked
        self._verdicts_at = self._tidy_at = 0.0
        self._inherited: list[object] = []

    @property
    def elected(self) -> bool:
        """Whether this process drains the spool."""
        return self._lock.held_by(self)

    @property
    def attends(self) -> bool:
        """Whether this process tells of the host: who drains, and an agent where nothing was recorded yet that anybody could drain."""
        return self.elected or (self._agent and spool_id(self.spool) is None)

    @property
    def orphaned(self) -> bool:
        """Whether there is a spool that nobody drains."""
        return spool_id(self.spool) is not None and self._lock.holder() is None and self._agent_lock.holder() is None

    @property
    def agent_pid(self) -> int | None:
        """Who is the agent of this spool; 0 unknown, None nobody."""
        return self._agent_lock.holder()

    def step(self) -> bool:
        """
        Count what is new, for at most two seconds.

        Returns:
            True when nothing that was there is left; False when there is more, or somebody else drains.

        Raises:
            StoreError: what is not counted stays in the spool; call again later.
            OSError: the spool cannot be read.
        """
        if not self._elect():
            return False
        drainer, shards = self._restore()
        with self._gate:
            drainer.poll()
        until = time.monotonic() + _LONGEST_STEP
        while time.monotonic() < until:
            with self._gate:
                batch = drainer.next_batch(MAX_SERIES)
            if batch is None:
                return self._judge(drainer, shards)
            if not (self._let_in(drainer) and self._take(drainer, shards, batch)):
                shards = self._start_from(drainer, shards.marks)
                with self._gate:
                    drainer.poll()
        return False

    def sound(self) -> bool:
        """
        Whether the descriptors of this process can be relied on; to be asked before each use of the store.

        A job may close all descriptors, and the store's are among them. Its next files get their numbers, and whatever a database
        library does with them is done to those files (tried: SQLite wrote a page of its own into one). So this process uses the store no
        more, for ever; another one drains.
        """
        if not self.stranded and self._lock.robbed():
            self.stranded = True
            for thing in (self._drainer, self._store):
                never_freed(thing)
            self.reset()
        return not self.stranded

    def heartbeats(self, contact: tuple[float, bool] | None = None) -> list[tuple[str, bytes]]:
        """
        (worker id, heartbeat) of every worker of this spool, and the report of the spool; empty when somebody else drains.

        Args:
            contact: of this process to the store, for the report.
        """
        if self._drainer is None or not self.elected:
            return []
        with self._gate:
            beats = self._drainer.heartbeats(_core.clock_us())
            return [*beats, spool_beat(self._drainer.spool_id, self._drainer.status(), contact)]

    def status(self) -> dict[str, Any]:
        """`Drainer.status` with `batches` and `records` sent by this process; empty when somebody else drains."""
        with self._gate:
            if self._drainer is None:
                return {}
            return {**self._drainer.status(), "batches": self.batches, "records": self.records}

    def reset(self) -> None:
        """Forget what was read of the spool, after an error of which nothing is known."""
        with self._gate:
            if not self._lock.held_by(self):
                self._abandon()
            self._drainer = None

    def release(self) -> None:
        """Let somebody else drain."""
        self.reset()
        self._lock.release(self)
        self._agent_lock.release(self)

    def close(self) -> None:
        """Release, for good."""
        self.release()
        self._gate.remove()

    def _elect(self) -> bool:
        # Without a spool there is nothing to drain; it is made by the first record, not by us.
        precedence = self._agent_lock.acquire(self) if self._agent else self._agent_lock.holder() is None
        if not precedence:
            if self._drainer is not None:
                self.release()
            return False
        if self._lock.held_by(self) and self._drainer is not None:
            return True
        self.reset()
        return self._lock.acquire(self)

    def _restore(self) -> tuple[_core.Drainer, Shards]:
        """The drainer and the marks it goes by: those of the store, if they are not known or may be others."""
        drainer = self._drainer
        if drainer is None:
            with self._gate:
                drainer = self._drainer = _core.Drainer(
                    os.fspath(self.spool), grace=self._grace, limits=self._limits, shared_group=self._shared_group
                )
            self._shards = None
        shards = self._shards if self._shards is not None and self._shards.fits else self._start_from(drainer, self._read_marks(drainer))
        return drainer, shards

    def _read_marks(self, drainer: _core.Drainer) -> list[Mark]:
        return self._asked(partial(self._store.read_marks, drainer.spool_id))

    def _asked(self, question: Callable[[], _Answer]) -> _Answer:
        """The answer of the store, with its requests counted; those of heartbeats, leases and sweeps are not for handing over."""
        before = self._store.requests
        try:
            return question()
        finally:
            self.requests += self._store.requests - before

    def _start_from(self, drainer: _core.Drainer, marks: list[Mark]) -> Shards:
        self._shards = None
        shards = Shards(self._store, drainer.spool_id, marks, self._asked)
        # First, so that what is open is put into the series that it began in.
        names = self._asked(partial(known_names, self._store))
        with self._gate:
            drainer.know(names)
        goal = shards.furthest
        for positions, behind in shards.behind().items():
            with self._gate:
                drainer.restore(0, positions, goal)
                drainer.poll()
            while (batch := self._next(drainer)) is not None:
                if not shards.catch_up(behind, batch):
                    raise StoreUnavailable(f"{self._store.url}: somebody else drained meanwhile; the marks are read anew")
                with self._gate:
                    drainer.committed()
            goal = furthest([goal, lost_positions(drainer.status()["lost_to_rollback"])])
        with self._gate:
            drainer.restore(marks[0].sequence, goal)
        self._shards = shards
        return shards

    def _next(self, drainer: _core.Drainer) -> _core.Batch | None:
        with self._gate:
            return drainer.next_batch(MAX_SERIES)

    def _let_in(self, drainer: _core.Drainer) -> bool:
        """Have the store let in the names that are new in the batch in hand; False when it has no room for all of them."""
        with self._gate:
            new = drainer.new_names()
        if not new:
            return True
        names = self._asked(partial(let_in, self._store, new, self._limits))
        with self._gate:
            drainer.know(names)
        return set(new) <= set(names)

    def _take(self, drainer: _core.Drainer, shards: Shards, batch: _core.Batch) -> bool:
        """Hand a batch over; False when the store knows better, and all begins again from the marks it answered."""
        begun = time.monotonic()
        if not shards.apply(batch):
            return False
        self.store_seconds += time.monotonic() - begun
        self.batches += 1
        self.records += batch.records
        with self._gate:
            drainer.committed()
        return True

    def _judge(self, drainer: _core.Drainer, shards: Shards) -> bool:
        """Close what the dead left open, delete what is no longer needed; False when the store went back and all begins again."""
        now, wall = time.monotonic(), _core.clock_us()
        if now - self._verdicts_at >= _VERDICTS_EVERY:
            self._verdicts_at = now
            with self._gate:
                drainer.verdicts(self._recorder, wall)
        if now - self._tidy_at >= _TIDY_EVERY:
            # A store may go back while nothing is sent to it: nothing is deleted on the word of marks that do not hold any more.
            level = shards.level()
            marks = self._read_marks(drainer)
            if not level or marks != shards.marks:
                self._start_from(drainer, marks)
                return False
            self._tidy_at = now
            with self._gate:
                drainer.tidy(wall)
        return True

    def _abandon(self) -> None:
        # Kept, not dropped: dropping would close what is the parent's; or, when a job closed all descriptors and the lock with them,
        # files of that job which have our numbers by now.
        if self._drainer is not None:
            self._inherited.append(self._drainer)
            self._drainer = None
