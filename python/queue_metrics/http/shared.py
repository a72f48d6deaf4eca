"""One reading of the store for everybody who asks in the same second, and the last one for when the store is away."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from dataclasses import dataclass

from starlette.concurrency import run_in_threadpool

from queue_metrics.errors import QueueMetricsError, StoreError, StoreUnavailable
from queue_metrics.insights import Metrics
from queue_metrics.model import Snapshot
from queue_metrics.recording.trouble import shown, warner

FRESH_SECONDS = 1.0
PATIENCE_SECONDS = 5.0
"""How long a request waits for the store; a reading that takes longer goes on and serves the next one."""
KEPT_WINDOWS = 8
"""Windows of different length whose last reading is kept: those of the page, and some; each may be large."""


@dataclass(frozen=True, slots=True)
class Held:
    """A reading, and how old it is if the store could not be read anew."""

    snapshot: Snapshot
    stale_seconds: float | None = None
    """None: as fresh as it gets."""


class NothingToShow(Exception):
    """The store cannot be read, and there is no earlier reading; the text may be shown to anybody."""


@dataclass(frozen=True, slots=True)
class _Kept:
    snapshot: Snapshot
    at: float


class SharedReading:
    """Reads in threads, once for all who ask together. For one event loop."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._kept: OrderedDict[int, _Kept] = OrderedDict()
        self._running: dict[int, asyncio.Task[Snapshot]] = {}
        self._trouble = f"reading {self.store}"

    @property
    def store(self) -> str:
        """Where the numbers come from, without a password."""
        return self._metrics.store

    async def get(self, minutes: int) -> Held:
        """
        A snapshot of the last minutes, at most a second old; an older one, marked, when the store cannot be read.

        Raises:
            NothingToShow: it cannot be read, and never could.
        """
        kept = self._kept.get(minutes)
        if kept is not None and time.monotonic() - kept.at < FRESH_SECONDS:
            return Held(kept.snapshot)
        try:
            # Shielded, since others wait for the same reading.
            held = Held(await asyncio.wait_for(asyncio.shield(self._read(minutes)), PATIENCE_SECONDS))
            warner.over(self._trouble, f"the store {self.store} can be read again")
            return held
        except (QueueMetricsError, TimeoutError) as error:
            why = f"no answer in {PATIENCE_SECONDS:g} s" if isinstance(error, TimeoutError) else shown(error, self.store)
            warner.warn(self._trouble, f"the store {self.store} cannot be read ({why}); `queue-metrics doctor` says what to do")
            kept = self._kept.get(minutes)
            if kept is None:
                raise NothingToShow(_said(error)) from error
            return Held(kept.snapshot, time.monotonic() - kept.at)

    def _read(self, minutes: int) -> asyncio.Task[Snapshot]:
        running = self._running.get(minutes)
        if running is None:
            running = asyncio.create_task(self._keep(minutes))
            self._running[minutes] = running
            running.add_done_callback(lambda task: self._finished(minutes, task))
        return running

    async def _keep(self, minutes: int) -> Snapshot:
        snapshot = await run_in_threadpool(self._metrics.snapshot, minutes=minutes)
        self._kept[minutes] = _Kept(snapshot, time.monotonic())
        self._kept.move_to_end(minutes)
        while len(self._kept) > KEPT_WINDOWS:
            self._kept.popitem(last=False)
        return snapshot

    def _finished(self, minutes: int, task: asyncio.Task[Snapshot]) -> None:
        del self._running[minutes]
        if not task.cancelled():
            task.exception()  # looked at: nobody may be waiting any more, and asyncio would complain

    def close(self) -> None:
        """Let go of the store."""
        self._metrics.close()


def _said(error: BaseException) -> str:
    if isinstance(error, (StoreUnavailable, TimeoutError)):
        return "the store cannot be reached; jobs go on and their numbers wait in the spool"
    if isinstance(error, StoreError):
        return "the store refuses to answer, or was written by another version; `queue-metrics doctor` tells more"
    return "the store holds something that this version cannot read; `queue-metrics doctor` tells more"
