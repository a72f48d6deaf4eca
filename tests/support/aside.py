"""A program of the tests beside the others: begun at once, asked later for the one JSON object that it prints at its end."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.recording.tools import environment


class Aside:
    """`python -m module words...` in a session of its own."""

    def __init__(self, name: str, module: str, *words: str, log: Path, seconds: float) -> None:
        """
        Args:
            name: what it is, for people.
            log: a file for what it says on standard error.
            seconds: how long it may take; a guard against hangs.
        """
        self.name = name
        self._seconds = seconds
        self._log = log
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-m", module, *words],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=environment(),
                start_new_session=True,
                text=True,
            )

    def answer(self) -> dict[str, Any]:
        """Wait for its end; fails when it did not come to one."""
        out, _ = self._process.communicate(timeout=self._seconds)
        assert self._process.returncode == 0, f"{self.name}:\n{self._log.read_text(errors='replace')[-6000:]}"
        found: dict[str, Any] = json.loads(out)
        return found

    def end(self) -> None:
        """Kill it, if it still runs; whatever it started in a session of its own sees that and ends too."""
        with contextlib.suppress(ProcessLookupError):
            if self._process.poll() is None:
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
