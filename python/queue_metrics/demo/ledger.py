"""
What really ran, written by the tasks themselves: one byte a start, one byte an end, and who is in a body now; knows nothing of what we
record.

Plain O_APPEND files, so that a byte written is there whatever happens to the process afterwards.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

OK: Final = "ok"
RAISED: Final = "raised"
RETRY: Final = "retry"
TIMEOUT: Final = "timeout"
FATES: Final = (OK, RAISED, RETRY, TIMEOUT)


class Ledger:
    """The files of one run in a directory of their own."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)

    def sent(self) -> None:
        """A job was enqueued."""
        self._append("sent")

    def begun(self) -> None:
        """The body of a task began."""
        self._append("begun")
        self._mark(os.getpid()).touch()

    def ended(self, fate: str) -> None:
        """The body of a task left in one of `FATES`."""
        self._mark(os.getpid()).unlink(missing_ok=True)
        self._append(f"ended-{fate}")

    def runs(self, pid: int) -> bool:
        """Whether a process that lives is in the body of a task."""
        return self._mark(pid).exists()

    def count(self, name: str) -> int:
        """Bytes written under a name: `sent`, `begun` or `ended-<fate>`."""
        try:
            return os.stat(self._directory / name).st_size
        except FileNotFoundError:
            return 0

    def ends(self) -> dict[str, int]:
        """Ends by fate."""
        return {fate: self.count(f"ended-{fate}") for fate in FATES}

    def _mark(self, pid: int) -> Path:
        return self._directory / f"in-{pid}"

    def _append(self, name: str) -> None:
        # Opened each time: a task may have closed every descriptor, and a forked child must not share one.
        descriptor = os.open(self._directory / name, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.write(descriptor, b".")
        finally:
            os.close(descriptor)
