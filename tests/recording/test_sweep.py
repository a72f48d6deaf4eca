"""What has expired is removed by one process for all, in bites, and not slower than it comes."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from queue_metrics.recording.runtime import Runtime
from queue_metrics.storage.manager import StorageManager
from tests.recording.test_reporter import record
from tests.recording.tools import eventually, settings_for


def test_one_of_many_hosts_sweeps_bite_after_bite_until_nothing_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = "memory://swept"
    store = StorageManager().open(url)
    lease = store.lease
    asked: list[str] = []
    sweeps: list[tuple[int, int]] = []
    waiting = 2_300

    def watched(name: str, owner: str, seconds: float) -> bool:
        try:
            return lease(name, owner, seconds)
        finally:
            asked.append(name)

    def sweep(limit: int) -> int:
        nonlocal waiting
        removed = min(limit, waiting)
        waiting -= removed
        sweeps.append((threading.get_ident(), removed))
        return removed

    monkeypatch.setattr(store, "lease", watched)
    monkeypatch.setattr(store, "sweep", sweep)
    runtimes = [Runtime(settings_for(tmp_path / f"host-{number}", url)) for number in range(3)]
    try:
        for runtime in runtimes:
            record(runtime, 1)
            runtime.on_main()
        eventually(lambda: asked.count("sweep") >= len(runtimes), "each of them asked for the duty")
        eventually(lambda: waiting == 0, "everything is swept")
    finally:
        for runtime in runtimes:
            runtime.stop()
    assert [removed for _, removed in sweeps] == [1_000, 1_000, 300]
    assert len({thread for thread, _ in sweeps}) == 1
