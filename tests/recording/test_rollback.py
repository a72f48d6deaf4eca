"""A store that goes back to an older moment of itself gets what it lost once more, also when nothing new happens."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from queue_metrics import _core
from queue_metrics.recording import drain as drain_module
from queue_metrics.recording.drain import Drain
from queue_metrics.storage.base import StorageDriver
from queue_metrics.storage.manager import StorageManager
from tests.recording.tools import counts, eventually, settings_for


def run_jobs(recorder: _core.Recorder, count: int) -> None:
    handle = recorder.series("c", "q", "task", _core.CLOCK_PROCESS)
    for job in range(count):
        recorder.finished(recorder.started(handle, job, 0, _core.NO_TIME), _core.SUCCEEDED, None, 0)


def move(store: StorageDriver, source: Path, target: Path) -> None:
    """Copy a SQLite database while nobody has it open, with what belongs to it."""
    store.close()
    for tail in ("", "-wal", "-shm"):
        if (piece := source.with_name(source.name + tail)).exists():
            shutil.copy(piece, target.with_name(target.name + tail))
        else:
            target.with_name(target.name + tail).unlink(missing_ok=True)


def test_an_idle_drainer_finds_that_the_store_went_back_and_deletes_nothing_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_for(tmp_path)
    database, backup = tmp_path / "store.db", tmp_path / "backup.db"
    store = StorageManager().open(settings.store)
    recorder = _core.Recorder(str(settings.spool), "host")
    drain = Drain(settings.spool, recorder, store)
    try:
        run_jobs(recorder, 10)
        eventually(drain.step, "the first ten are counted")
        move(store, database, backup)
        run_jobs(recorder, 90)
        eventually(drain.step, "all are counted")
        assert counts(settings.store)["succeeded"] == 100
        move(store, backup, database)
        assert counts(settings.store)["succeeded"] == 10
        monkeypatch.setattr(drain_module, "_TIDY_EVERY", 0.0)
        assert not drain.step(), "the step that finds it does not call itself done"
        eventually(drain.step, "what the store lost is counted again")
        assert counts(settings.store) == {
            "started": 100,
            "succeeded": 100,
            "failed": 0,
            "retried": 0,
            "timed_out": 0,
            "cancelled": 0,
            "lost": 0,
            "arrivals": 0,
        }
    finally:
        drain.close()
