"""
Since when the store has answered a process, and whether it was away before: by that others know who could not beat.

Knows no store; whoever asks one says how it went.
"""

from __future__ import annotations

import time

from queue_metrics.recording import pace


class Contact:
    """Of one process, which begins with it. A forked child makes its own."""

    def __init__(self) -> None:
        self._since = time.monotonic()
        self._returned = False
        self._failing_since: float | None = None

    @property
    def failing_seconds(self) -> float | None:
        """Since the first failure of those that last on; None: the store answered last."""
        since = self._failing_since  # other threads ask too
        return None if since is None else time.monotonic() - since

    @property
    def failing(self) -> bool:
        return self._failing_since is not None

    def failed(self) -> None:
        """To be called when the store did not answer."""
        if self._failing_since is None:
            self._failing_since = time.monotonic()

    def answered(self) -> None:
        """To be called when it did."""
        if self._away:
            self._since, self._returned = time.monotonic(), True
        self._failing_since = None

    def told(self) -> tuple[float, bool]:
        """What is true once the store has taken it: for how many seconds it has answered, and whether it was away before."""
        return (0.0, True) if self._away else (time.monotonic() - self._since, self._returned)

    @property
    def _away(self) -> bool:
        """Whether it fails for so long that every host has something to tell when it is back, each at a moment of its own."""
        since = self.failing_seconds
        return since is not None and since >= pace.OUTAGE_SECONDS
