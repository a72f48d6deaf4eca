"""What a process has in place of a `Runtime` where nothing is stored: a recorder that measures for job events and writes nothing."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

from queue_metrics import _core
from queue_metrics.recording.fork import Gate

if TYPE_CHECKING:
    from queue_metrics.config import Settings
    from queue_metrics.hooks.base import Hook


_unstored: dict[Path, Unstored] = {}
_guard = Gate()


def unstored(settings: Settings) -> Unstored:
    """The one of this process for what would be the spool of `settings`."""
    with _guard:
        found = _unstored.get(settings.spool)
        if found is None:
            found = _unstored[settings.spool] = Unstored(settings)
        return found


class Unstored:
    """Made by `unstored`. No store is opened, no file made and no thread begun, whatever a process is told to be."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.recorder = _core.Recorder(os.fspath(settings.spool), socket.gethostname(), spool_bytes=0, exact_peak=settings.exact_peak)

    def add(self, hook: Hook) -> None:
        """Nothing is asked of hooks."""

    def remove(self, hook: Hook) -> None:
        """The reverse of `add`."""

    def on_main(self) -> None:
        """Nobody reports."""

    def on_child(self) -> None:
        """Nobody reports."""

    def on_producer(self) -> None:
        """Nobody reports."""

    def on_execution(self) -> None:
        """Nobody reports."""

    def flush(self, timeout: float) -> bool:
        """True: nothing waits."""
        return True

    def status(self) -> dict[str, Any]:
        """As `Runtime.status`; None is what there is not."""
        return {
            "store": None,
            "namespace": self.settings.namespace,
            "spool": None,
            "recorder": self.recorder.status(),
            "reporter": None,
            "work": {},
            "depth": {},
        }
