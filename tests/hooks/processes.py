"""Worker processes of the hook tests: started with their own spool, always gone at the end."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from tests.support.patience import PATIENCE

ROOT = Path(__file__).resolve().parents[2]
STOP_SECONDS = 25.0


class Worker:
    """A process group of its own that runs `python -m <words>`; `environment` is what the apps in `tests/hooks/apps` read."""

    def __init__(self, directory: Path, *words: str, **environment: str) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self.spool = directory / "spool"
        self.environment = {"HOOK_TEST_DIR": os.fspath(directory), **environment}
        self._log = directory / "log"
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", *words],
                cwd=ROOT,
                env=self._environ(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._seen: set[int] = {self.process.pid}

    def _environ(self) -> dict[str, str]:
        paths = [os.fspath(ROOT), os.fspath(ROOT / "python"), os.environ.get("PYTHONPATH", "")]
        return {**os.environ, **self.environment, "PYTHONPATH": os.pathsep.join(filter(None, paths)), "PYTHONUNBUFFERED": "1"}

    def run(self, module: str, *words: str) -> str:
        """Run a producer of the same app to its end; its output."""
        done = subprocess.run(
            [sys.executable, "-m", module, *words],
            cwd=ROOT,
            env=self._environ(),
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout

    def said(self) -> list[tuple[str, int]]:
        """What the hook called: (main | child | producer, pid), in order."""
        path = self.directory / "said"
        lines = path.read_text().splitlines() if path.exists() else []
        return [(word, int(pid)) for word, pid in (line.split() for line in lines)]

    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def children(self) -> list[int]:
        """Pids of what it forked and is alive."""
        with contextlib.suppress(psutil.NoSuchProcess):
            alive = [child.pid for child in psutil.Process(self.process.pid).children(recursive=True)]
            self._seen.update(alive)
            return alive
        return []

    def stop(self, how: signal.Signals = signal.SIGTERM) -> bool:
        """Ask it to stop; False if it had to be killed after a while, which is Celery's and Huey's own affair."""
        self.children()
        if self.process.poll() is None:
            self.process.send_signal(how)
        try:
            self.process.wait(timeout=STOP_SECONDS)
            return True
        except subprocess.TimeoutExpired:
            return False
        finally:
            self.end()

    def end(self) -> None:
        """Kill whatever of it is left, also children whose main is gone."""
        self.children()
        for pid in self._seen:
            with contextlib.suppress(ProcessLookupError):
                if pid == self.process.pid and self.process.poll() is not None:
                    continue
                os.kill(pid, signal.SIGKILL)
        self.process.wait(timeout=PATIENCE)
        deadline = time.monotonic() + PATIENCE
        while any(psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE for pid in self._seen):
            assert time.monotonic() < deadline, "a killed process is still there"
            time.sleep(0.05)


@contextlib.contextmanager
def worker(directory: Path, *words: str, **environment: str) -> Iterator[Worker]:
    started = Worker(directory, *words, **environment)
    try:
        yield started
    finally:
        started.end()
