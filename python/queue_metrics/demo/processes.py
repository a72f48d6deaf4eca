"""The demo's processes: started in groups of their own, ended as whole groups, none left behind."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

ENVIRONMENT_PREFIX = "QUEUE_METRICS_"


class Group:
    """A process and all it forks; it ends with the demo, which holds the other end of its standard input."""

    def __init__(self, name: str, command: Sequence[str], directory: Path) -> None:
        """
        Args:
            directory: its working directory, and where what it prints goes, to `<name>.log`.
        """
        self.log = directory / f"{name}.log"
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=log, stderr=log, cwd=directory, env=environment(), start_new_session=True
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def status(self) -> int | None:
        """The exit code of its first process; None while it runs."""
        return self._process.poll()

    def stop(self, number: signal.Signals, seconds: float) -> bool:
        """Ask the first process to end, then kill what is left of the group; False when it did not end by itself in time."""
        if self._process.poll() is None:
            os.kill(self.pid, number)
        deadline = time.monotonic() + seconds
        # Looked at without reaping it: as long as it is there, nobody else can have the number of the group.
        while self._process.returncode is None and not self._ended() and time.monotonic() < deadline:
            time.sleep(0.02)
        willing = self._process.returncode is not None or self._ended()
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()
        if self._process.stdin:
            self._process.stdin.close()
        return willing

    def tail(self, lines: int = 12) -> str:
        """The end of what it printed."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def _ended(self) -> bool:
        return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def environment() -> dict[str, str]:
    """This process's environment, as its children in another directory need it."""
    # Their settings are arguments: what is configured for real queues must not reach them.
    found = {key: value for key, value in os.environ.items() if not key.startswith(ENVIRONMENT_PREFIX)}
    if "PYTHONPATH" in found:  # it may be relative to where we are
        found["PYTHONPATH"] = os.pathsep.join(map(os.path.abspath, found["PYTHONPATH"].split(os.pathsep)))
    return found


def python(module: str, directory: Path) -> Group:
    """Start a module of the demo on the run in a directory."""
    return Group(module.rpartition(".")[2], [sys.executable, "-m", module, str(directory)], directory)
