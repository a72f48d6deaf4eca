"""
The spool of the collectors of this machine: what brokers told is recorded and counted at once, or it is known why not. Asks nobody.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from queue_metrics import _core
from queue_metrics.recording.depth import record_depth
from queue_metrics.recording.drain import Drain
from queue_metrics.recording.trouble import shown, warner

if TYPE_CHECKING:
    from queue_metrics.config import Settings
    from queue_metrics.hooks.base import QueueDepth
    from queue_metrics.storage.base import StorageDriver

DRAIN_SECONDS = 5.0
"""Less than the lease of a collector holds, which waits meanwhile."""
_NAMESPACE = "queue-metrics-collector"


class Kept:
    """What was told, on its way to the store. Makes nothing before the first depth."""

    def __init__(self, settings: Settings, store: StorageDriver) -> None:
        """
        Args:
            settings: where spools are.
            store: an open store.
        """
        settings = replace(settings, namespace=_NAMESPACE)
        self._spool = settings.spool
        self.recorder = _core.Recorder(
            str(settings.spool), socket.gethostname(), journal=settings.journal, shared_group=settings.shared_group
        )
        self.recorder.describe(_core.PRODUCER, "", "", "")
        self._drain = Drain(settings.spool, self.recorder, store, limits=settings.limits, shared_group=settings.shared_group)

    def put(self, depths: Sequence[QueueDepth]) -> tuple[int, str | None]:
        """
        Record and count; a spool that cannot be used is warned of.

        Returns:
            How many of them were kept, and why the others were not, with what to do; None: all were.

        Raises:
            StoreError: the store cannot be read or written; they wait in the spool.
        """
        before = self._dropped()
        for depth in depths:
            record_depth(self.recorder, depth)
        dropped = self._dropped() - before
        kept, why = max(len(depths) - dropped, 0), str(self.recorder.status()["last_error"]) if dropped else None
        if kept:
            try:
                _until(self._drain.step, DRAIN_SECONDS)
            except OSError as error:
                self._drain.reset()
                kept, why = 0, shown(error)
        return kept, self._trouble(why)

    def close(self) -> None:
        """Let go of the spool."""
        self.recorder.stopped()
        self._drain.close()

    def _dropped(self) -> int:
        return sum(self.recorder.status()["drops"].values())

    def _trouble(self, why: str | None) -> str | None:
        if why is None:
            warner.over("the collector's spool", "what brokers tell the collector is kept again")
            return None
        text = (
            f"what brokers told cannot be kept in {self._spool} ({why}), so depths that nobody else asks for are unknown: make room "
            "there, or set QUEUE_METRICS_STATE_DIR to a directory of yours"
        )
        warner.warn("the collector's spool", f"{text}; the collector passes all the same")
        return text


def _until(step: Callable[[], bool], seconds: float) -> None:
    """Take steps until all is counted, for so long at most; an agent that drains the spool may do it instead."""
    until = time.monotonic() + seconds
    while not step() and time.monotonic() < until:
        time.sleep(0.05)
