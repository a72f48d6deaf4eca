"""What the tests of recording share: processes that record, numbers that are in a store, waiting for something to become true."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from queue_metrics import _core
from queue_metrics.config import Settings, load_settings
from queue_metrics.storage.base import TASK
from queue_metrics.storage.manager import StorageManager
from tests.support.patience import PATIENCE

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = Path(__file__).with_name("program.py")
QUICK = {"flush_seconds": 0.05, "flush_seconds_max": 0.2, "heartbeat_seconds": 0.2, "depth_seconds": 0.1}
"""Settings with which a test need not wait."""


def quick(**others: Any) -> dict[str, Any]:
    """These, with others in their place."""
    chosen = {**QUICK, **others}
    return {**chosen, "flush_seconds_max": max(chosen["flush_seconds"], chosen["flush_seconds_max"])}


_Answer = TypeVar("_Answer")


def environment(package: Path = ROOT / "python") -> dict[str, str]:
    """Of the tests, without settings of ours, and with the package, or another version of it."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("QUEUE_METRICS_")}
    return {**kept, "PYTHONPATH": f"{package}:{ROOT}"}


def eventually(question: Callable[[], _Answer | None], what: str, seconds: float = PATIENCE) -> _Answer:
    """The first true answer; fails when there is none in time."""
    deadline = time.monotonic() + seconds
    while True:
        answer = question()
        if answer:
            return answer
        assert time.monotonic() < deadline, f"did not happen in {seconds} s: {what}; last answer {answer!r}"
        time.sleep(0.02)


def settings_for(tmp_path: Path, store: str | None = None, **others: Any) -> Settings:
    return load_settings(
        environ={}, store=store or f"sqlite:///{tmp_path}/store.db", state_dir=tmp_path / "state", namespace="test", **quick(**others)
    )


NAMES = ("started", "succeeded", "failed", "retried", "timed_out", "cancelled", "lost", "arrivals")


def counts(store: str) -> dict[str, int]:
    """All tasks of a store together, as read by a driver of our own."""
    driver = StorageManager().open(store)
    tasks = [series.id for series in driver.known_series() if series.kind == TASK]
    totals = [_core.Value.decode(value) for value in driver.read_totals(tasks).values()]
    return {name: sum(total.counter(index) for total in totals) for index, name in enumerate(NAMES)}


def beats(store: str) -> dict[str, dict[str, Any]]:
    """The workers whose heartbeats are in a store."""
    found = StorageManager().open(store).read_heartbeats()
    return {beat.worker_id: _core.decode_heartbeat(beat.payload) for beat in found if not beat.worker_id.startswith(("spool:", "server:"))}


def size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


class Program:
    """`program.py` as a process, with its children; ended at the end of the block whatever happened."""

    def __init__(
        self,
        tmp_path: Path,
        store: str,
        *,
        role: str = "main",
        settings: dict[str, Any] | None = None,
        package: Path = ROOT / "python",
        **task: Any,
    ) -> None:
        self.directory = tmp_path
        whole = {
            "role": role,
            "store": store,
            "state": os.fspath(tmp_path / "state"),
            "directory": os.fspath(tmp_path),
            "settings": quick(**(settings or {})),
            **task,
        }
        self._process = subprocess.Popen(
            [sys.executable, os.fspath(PROGRAM), json.dumps(whole)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=(tmp_path / "stderr").open("ab"),
            env={**environment(package), "INNOCENT": os.fspath(tmp_path / "innocent")},
            start_new_session=True,  # children of a killed main are ended as a group
            text=True,
        )
        self.children: list[int] = []

    def ready(self) -> Self:
        self.children = self.hear("children")
        return self

    @property
    def pid(self) -> int:
        return self._process.pid

    def ask(self, word: str, key: str) -> Any:
        assert self._process.stdin is not None
        self._process.stdin.write(word + "\n")
        self._process.stdin.flush()
        return self.hear(key)

    def hear(self, key: str) -> Any:
        """The next answer with this key; what comes before it is passed over."""
        assert self._process.stdout is not None
        while line := self._process.stdout.readline():
            answer = json.loads(line)
            if key in answer:
                return answer[key]
        raise AssertionError(f"the program ended: {self.errors()}")

    def errors(self) -> str:
        return (self.directory / "stderr").read_text()

    def kill(self) -> None:
        """SIGKILL for the main process alone."""
        self._process.kill()
        self._process.wait()

    def leave(self) -> int:
        """Let it end in good order; returns its exit code."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        return self._process.wait()

    @property
    def ended(self) -> bool:
        return self._process.poll() is not None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()
