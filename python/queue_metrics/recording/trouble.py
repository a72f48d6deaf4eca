"""What the owner of the process is told: what is wrong and what to do, each kind at most once a minute."""

from __future__ import annotations

import logging
import re
import time

from queue_metrics.errors import StoreError

EVERY = 60.0
"""Seconds between two warnings of a kind."""

# Loaded with this module, on the caller's thread: a thread that imports while the process forks leaves the import locked in the child.
_logger = logging.getLogger("queue_metrics")


class Warner:
    """Says each kind of trouble at most once in `EVERY` seconds, and when it is over."""

    def __init__(self) -> None:
        self._said: dict[str, float] = {}
        self._lasting: set[str] = set()

    def warn(self, kind: str, text: str) -> None:
        """Say `text` unless `kind` was said less than a minute ago."""
        now = time.monotonic()
        self._lasting.add(kind)
        if now - self._said.get(kind, -EVERY) >= EVERY:
            self._said[kind] = now
            _logger.warning("queue_metrics: %s", text)

    def over(self, kind: str, text: str) -> None:
        """Say `text`, as information, if `kind` was said since the last time it was over."""
        if kind in self._lasting:
            self._lasting.discard(kind)
            _logger.info("queue_metrics: %s", text)


warner = Warner()
"""The one of this process: several spools with the same dead store are one trouble."""


def shown(error: BaseException, store: str | None = None) -> str:
    """An error as part of a line, without the password of a URL in it; without the URL `store`, where the sentence around it has that."""
    said = error.reason(store) if store is not None and isinstance(error, StoreError) else str(error)
    text = " ".join(said.split()).rstrip(".") or type(error).__name__
    return re.sub(r"//[^/@\s]*@", "//", text)[:500]
