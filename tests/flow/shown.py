"""Workers of the apps in `tests/flow/apps`, where their numbers go, and what `doctor` says of that."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from queue_metrics.config import load_settings
from tests.hooks.processes import Worker, worker
from tests.recording.tools import environment, eventually
from tests.support.patience import PATIENCE

NAMESPACE = "flow"
HUEY = "tests.flow.apps.huey_app"
CELERY = "tests.flow.apps.celery_app"


@dataclass(frozen=True)
class Place:
    """A worker's directory, its store and the state directory of its spool."""

    directory: Path
    store: str
    state: Path

    @property
    def variables(self) -> dict[str, str]:
        return {
            "FLOW_DIRECTORY": os.fspath(self.directory),
            "QUEUE_METRICS_STORE": self.store,
            "QUEUE_METRICS_STATE_DIR": os.fspath(self.state),
            "QUEUE_METRICS_NAMESPACE": NAMESPACE,
            "QUEUE_METRICS_FLUSH_SECONDS": "0.2",
            "QUEUE_METRICS_HEARTBEAT_SECONDS": "0.5",
            "QUEUE_METRICS_DEPTH_SECONDS": "0.5",
        }

    @property
    def spool(self) -> Path:
        return load_settings(environ={}, config=os.devnull, store=self.store, state_dir=self.state, namespace=NAMESPACE).spool

    def begun(self, name: str) -> int:
        path = self.directory / f"begun-{name}"
        return path.stat().st_size if path.exists() else 0

    def doctor(self) -> dict[str, Any]:
        """What `queue-metrics doctor --json` says."""
        done = subprocess.run(
            [sys.executable, "-m", "queue_metrics", "doctor", "--json"],
            env=environment() | self.variables,
            cwd=self.directory,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert done.stdout, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        assert done.returncode == (3 if not found["store"]["reachable"] else 0 if found["ok"] else 1), done.stderr
        return found

    def problems(self) -> str:
        return "\n".join(problem["what"] for problem in self.doctor()["problems"])


@contextlib.contextmanager
def huey_worker(place: Place, **variables: str) -> Iterator[Worker]:
    place.directory.mkdir(parents=True, exist_ok=True)
    with worker(place.directory, HUEY, "work", **place.variables, **variables) as running:
        yield running


@contextlib.contextmanager
def celery_worker(place: Place, broker: str) -> Iterator[Worker]:
    place.directory.mkdir(parents=True, exist_ok=True)
    words = ("celery", "-A", CELERY, "worker", "-P", "prefork", "-c", "2", "-l", "WARNING", "--without-gossip", "--without-mingle")
    with worker(place.directory, *words, **place.variables, FLOW_BROKER=broker) as running:
        yield running


def until(running: Worker, question: Callable[[], object], what: str, seconds: float = PATIENCE) -> None:
    """Wait for something as long as the worker lives."""

    def asked() -> object:
        assert running.process.poll() is None, running.log()[-3000:]
        return question()

    eventually(asked, what, seconds)
