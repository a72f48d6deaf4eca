"""Dropped records are told by one alone: the page of their worker, or who has none."""

from __future__ import annotations

from pathlib import Path

import pytest

from queue_metrics import _core
from queue_metrics.recording.runtime import Runtime
from queue_metrics.storage.spools import spool_reports
from tests.recording.tools import eventually, settings_for


def record(runtime: Runtime, jobs: int, task: str = "t") -> None:
    handle = runtime.recorder.series("c", "q", task, _core.CLOCK_THREAD)
    for number in range(jobs):
        runtime.recorder.finished(runtime.recorder.started(handle, number, 0, _core.NO_TIME), _core.SUCCEEDED, None, 0)


def test_drops_of_a_process_whose_page_tells_them_are_told_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full spool has no room for a segment, but the page is there: the drainer tells of it."""
    made = _core.Recorder
    monkeypatch.setattr(_core, "Recorder", lambda *given, **options: made(*given, **{**options, "spool_bytes": 70_000}))
    runtime = Runtime(settings_for(tmp_path))
    try:
        runtime.on_main()
        while not runtime.recorder.status()["drops"]:
            record(runtime, 500)
        status = runtime.recorder.status()
        assert (status["segment"], status["page"]) == (None, True)
        lost = sum(status["drops"].values())

        def told() -> int:
            return sum(sum(report.drops.values()) for report in spool_reports(runtime.store.read_heartbeats()))

        eventually(lambda: told() >= lost, "the store is told")
        assert told() == lost
        assert runtime.reporter._beats._shared_drops() == {} == runtime.reporter._beats._own(also_without_drops=True)
    finally:
        runtime.stop()
