"""Programs that end, in good order or not, and what health says long afterwards, when all their heartbeats have expired."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

import queue_metrics as qm
from queue_metrics.insights import Metrics
from queue_metrics.model import Health, Status, WorkerCounts
from queue_metrics.storage.manager import StorageManager
from tests.flow.shown import Place
from tests.recording.tools import environment, eventually
from tests.support.patience import PATIENCE
from tests.support.servers import RedisServer

SOON = {"QUEUE_METRICS_STALE_SECONDS": "1", "QUEUE_METRICS_LOST_SECONDS": "1"}
"""So that heartbeats expire within two seconds."""

SCRIPT = """
import os, signal, sys
import queue_metrics as qm
with qm.track(task="import"):
    pass
if sys.argv[1:] == ["killed"]:
    sys.stdin.read()
"""


def run(place: Place, *words: str) -> None:
    """Run the script to its end; `killed` by SIGKILL, once it is counted."""
    place.directory.mkdir(exist_ok=True)
    script = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, *words], env=environment() | place.variables | SOON, cwd=place.directory, stdin=subprocess.PIPE
    )
    try:
        if words:
            eventually(lambda: qm.connect(place.store).overview().workers.live, "it is there")
            script.send_signal(signal.SIGKILL)
        assert script.wait(PATIENCE) == (-signal.SIGKILL if words else 0)
    finally:
        script.kill()
        script.communicate()


def later(store: str) -> Health:
    """Health after every heartbeat has expired."""
    nobody = WorkerCounts(starting=0, idle=0, busy=0, stopped=0, stale=0, lost=0)
    eventually(lambda: qm.connect(store).overview().workers == nobody, "heartbeats expire")
    eventually(lambda: qm.connect(store).overview().waiting_records is None, "and what the spool told")
    return Metrics(StorageManager().open(store), stale_seconds=0.1).overview().health


@pytest.mark.parametrize("kind", ["sqlite", "redis"])
def test_a_script_that_is_done_is_no_alarm_and_one_that_was_killed_is(tmp_path: Path, kind: str) -> None:
    with RedisServer(tmp_path) as server:
        place = Place(tmp_path / "work", server.url if kind == "redis" else f"sqlite:///{tmp_path}/metrics.db", tmp_path / "state")
        run(place)
        health = later(place.store)
        assert (health.status, [reason.code for reason in health.reasons]) == (Status.WARNING, ["all_stopped"])
        run(place, "killed")
        health = later(place.store)
        assert (health.status, [reason.code for reason in health.reasons]) == (Status.CRITICAL, ["no_drainer"])
