"""`persistence = false`: jobs are measured, and nothing of it is anywhere but in the process."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from huey import MemoryHuey

import queue_metrics as qm
from queue_metrics import _core
from queue_metrics.cli import main


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUEUE_METRICS_STATE_DIR", os.fspath(tmp_path / "state"))
    monkeypatch.setenv("QUEUE_METRICS_STORE", "redis://127.0.0.1:1/0")
    monkeypatch.setenv("QUEUE_METRICS_PERSISTENCE", "false")


def test_a_recorder_of_nothing_measures_and_makes_no_file(tmp_path: Path) -> None:
    recorder = _core.Recorder(os.fspath(tmp_path / "spool"), "here", spool_bytes=0)
    recorder.describe(_core.MAIN, "huey", "c", "q")
    recorder.ready()
    handle = recorder.series("c", "q", "t", _core.CLOCK_PROCESS)
    recorder.arrived(handle, "1", 0, _core.NO_TIME)
    slot = recorder.started(handle, "1", 0, _core.NO_TIME)
    assert recorder.status()["running"] == 1
    recorder.finished(slot, _core.FAILED, "ValueError", 0)
    recorder.discarded(handle, "2", _core.REVOKED)
    recorder.hinted("1", _core.LOST, None)
    recorder.gauge("c", "q", 1, None, None, None, None)
    recorder.stopped()
    recorder.hook_error()
    status = recorder.status()
    assert not (tmp_path / "spool").exists()
    assert (status["records"], status["drops"], status["segment"], status["page"]) == (0, {}, None, False)
    assert (status["running"], status["hook_errors"], status["last_error"]) == (0, 1, None)


def test_an_app_is_instrumented_without_store_spool_and_threads(tmp_path: Path) -> None:
    threads = threading.active_count()
    told: list[str] = []
    stop = qm.on("job_completed", lambda event: told.append(event.job_id))
    huey = MemoryHuey("unstored")
    task = huey.task()(lambda: None)
    handle = qm.instrument(huey)
    try:
        sent = huey.enqueue(task.s())
        huey.execute(huey.dequeue())
        assert told == [sent.id]
        assert handle.flush()
        assert handle.enabled
        status = handle.status()
        assert (status["store"], status["spool"], status["reporter"]) == (None, None, None)
    finally:
        handle.uninstall()
        stop()
    assert threading.active_count() == threads
    assert not (tmp_path / "state").exists()


def test_apps_of_one_process_may_differ(tmp_path: Path) -> None:
    handles = [
        qm.instrument(MemoryHuey("one"), namespace="n", persistence=stored, store=f"sqlite:///{tmp_path}/s.db") for stored in (False, True)
    ]
    try:
        assert [handle.status()["spool"] is None for handle in handles] == [True, False]
    finally:
        for handle in handles:
            handle.uninstall()


def test_the_agent_says_that_there_is_nothing_to_drain(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["agent"]) == 2
    assert "QUEUE_METRICS_PERSISTENCE" in capsys.readouterr().err
