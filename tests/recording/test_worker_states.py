"""Real workers, as who reads the store sees them: one that works for long, one that is killed, with and without somebody who sees it go."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from queue_metrics import _core
from queue_metrics.insights import Metrics, connect
from queue_metrics.model import WorkerAnswer
from queue_metrics.recording.runtime import Runtime
from queue_metrics.storage.manager import StorageManager
from tests.recording.tools import ROOT, environment, eventually, settings_for

STALE, LOST = 3.0, 6.0
"""Many of the periods in which these workers beat, as a minute is of ten seconds; nothing here depends on how much time passes."""

WORK = """
import pathlib, sys
from queue_metrics import _core
from queue_metrics.recording.runtime import Runtime
from tests.recording.tools import settings_for
runtime = Runtime(settings_for(pathlib.Path(sys.argv[1]), sys.argv[2]))
runtime.recorder.describe(_core.MAIN, "test", "c", "q")
runtime.on_main()
handle = runtime.recorder.series("c", "q", "app.report", _core.CLOCK_PROCESS)
for number in range(5):
    runtime.recorder.finished(runtime.recorder.started(handle, number, 0, _core.NO_TIME), _core.SUCCEEDED, None, 0)
slot = runtime.recorder.started(handle, "the long one", 0, _core.NO_TIME)
sys.stdin.read()
runtime.recorder.finished(slot, _core.SUCCEEDED, None, 0)
runtime.stop()
"""


@contextmanager
def working(tmp_path: Path, store: str) -> Iterator[subprocess.Popen[bytes]]:
    """A worker in the middle of a job, until its input ends."""
    worker = subprocess.Popen([sys.executable, "-c", WORK, os.fspath(tmp_path), store], stdin=subprocess.PIPE, cwd=ROOT, env=environment())
    try:
        yield worker
    finally:
        worker.kill()
        worker.wait()
        assert worker.stdin is not None
        worker.stdin.close()


def reading(store: str) -> Metrics:
    return connect(StorageManager().open(store), stale_seconds=STALE, lost_seconds=LOST)


def of(metrics: Metrics, worker: subprocess.Popen[bytes]) -> WorkerAnswer | None:
    return next((each for each in metrics.workers() if each.pid == worker.pid), None)


def state(metrics: Metrics, worker: subprocess.Popen[bytes]) -> str | None:
    found = of(metrics, worker)
    return None if found is None else found.state


def test_a_worker_that_works_for_longer_than_any_threshold_stays_busy_with_its_job(tmp_path: Path) -> None:
    """L9: beats came between jobs only, so a job of a minute had its worker deleted."""
    store = settings_for(tmp_path).store
    with working(tmp_path, store) as worker:
        metrics = reading(store)
        eventually(lambda: state(metrics, worker) == "busy", "it works")
        seen: list[WorkerAnswer] = []
        while not seen or (seen[-1].elapsed_seconds or 0.0) <= LOST + 1:
            found = of(metrics, worker)
            assert found is not None
            # Whoever has no processor cannot beat; how old the beat is decides, however busy this machine is.
            assert found.state == "busy" or found.last_seen_seconds > STALE
            seen.append(found)
            time.sleep(0.1)
        assert {(each.task, each.job_id, each.jobs) for each in seen if each.state == "busy"} == {("app.report", "the long one", 5)}
        assert seen[-1].stuck is False, "no job is stuck before a minute has passed"
        assert seen[-1].busy_seconds is not None
        assert seen[-1].busy_seconds > LOST
        assert seen[-1].idle_seconds is not None
        assert seen[-1].idle_seconds < seen[-1].busy_seconds


def test_one_that_is_killed_is_lost_at_once_where_a_drainer_sees_it(tmp_path: Path) -> None:
    settings = settings_for(tmp_path)
    agent = Runtime(settings, agent=True)
    agent.recorder.describe(_core.AGENT, "", "", "")
    with working(tmp_path, settings.store) as worker:
        try:
            metrics = reading(settings.store)
            eventually(lambda: state(metrics, worker) == "busy", "it works")
            agent.on_producer()
            eventually(lambda: agent.reporter.status()["draining"], "the agent drains")
            os.kill(worker.pid, signal.SIGKILL)
            worker.wait()

            def lost() -> WorkerAnswer | None:
                found = of(metrics, worker)
                return found if found is not None and found.state == "lost" else None

            found = eventually(lost, "it is lost")
            assert (found.original_state, found.jobs, found.task) == ("crashed", 5, None)
            assert found.last_seen_seconds <= LOST, "not for its age: somebody saw it go"
        finally:
            agent.stop()


def test_one_that_is_killed_with_all_of_its_host_is_stale_then_lost_and_keeps_its_counters(tmp_path: Path) -> None:
    store = settings_for(tmp_path).store
    with working(tmp_path, store) as worker:
        metrics = reading(store)
        eventually(lambda: state(metrics, worker) == "busy", "it works")
        os.kill(worker.pid, signal.SIGKILL)
        worker.wait()
        seen: list[WorkerAnswer] = []

        def lost() -> bool:
            found = of(metrics, worker)
            assert found is not None
            seen.append(found)
            return found.state == "lost"

        eventually(lost, "it is lost")
        for each in seen:
            by_age = "busy" if each.last_seen_seconds <= STALE else "stale" if each.last_seen_seconds <= LOST else "lost"
            assert each.state == by_age
        assert (seen[-1].jobs, seen[-1].needs_attention) == (5, True)
