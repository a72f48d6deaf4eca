"""What the demo says while it runs: one line that changes on a terminal, a plain line every few seconds elsewhere."""

from __future__ import annotations

import shutil
import time
from typing import TextIO

PLAIN_EVERY = 5.0
TERMINAL_EVERY = 0.5


class Progress:
    """Messages and a state, on one stream."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._terminal = stream.isatty()
        self._next = 0.0
        self._open_line = False

    @property
    def due(self) -> bool:
        """Whether a new state would be shown now."""
        return time.monotonic() >= self._next

    def say(self, text: str) -> None:
        """A message that stays."""
        self._write(("\r\x1b[K" if self._open_line else "") + text + "\n")
        self._open_line = False

    def state(self, text: str) -> None:
        """How it is now."""
        self._next = time.monotonic() + (TERMINAL_EVERY if self._terminal else PLAIN_EVERY)
        if not self._terminal:
            self._write(text + "\n")
            return
        width = shutil.get_terminal_size().columns - 1
        self._write("\r\x1b[K" + text[:width])
        self._open_line = True

    def _write(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):
            pass  # nobody reads any more; the run and its exit code are what counts
