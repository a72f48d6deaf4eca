"""A trial (`tests.flow.trial`) as a process of its own: started at once, asked for its answer later."""

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

MORE_THAN_ENOUGH = 240.0
"""Seconds that a trial may take beyond its trouble; a guard against hangs."""


class Running:
    """One trial in a directory of its own."""

    def __init__(self, name: str, directory: Path, seconds: float, seed: int) -> None:
        self.name = name
        self._seconds = seconds
        directory.mkdir(parents=True)
        self._errors = directory / "trial.err"
        with self._errors.open("wb") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.flow.trial", os.fspath(directory), name, str(seconds), str(seed)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=environment(),
                start_new_session=True,
                text=True,
            )

    def answer(self) -> dict[str, Any]:
        """Wait for its end; fails when it did not come to one."""
        out, _ = self._process.communicate(timeout=self._seconds + MORE_THAN_ENOUGH)
        assert self._process.returncode == 0, f"{self.name}:\n{self._errors.read_text(errors='replace')[-6000:]}"
        found: dict[str, Any] = json.loads(out)
        return found

    def end(self) -> None:
        """Kill it, if it still runs; its processes see that and end too (`demo.lifeline.hold`)."""
        with contextlib.suppress(ProcessLookupError):
            if self._process.poll() is None:
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
