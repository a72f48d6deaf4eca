"""What a worker records is kept as long as its settings say: read in the file itself, by no code of ours."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from queue_metrics import _core
from queue_metrics.config import load_settings
from queue_metrics.recording.runtime import Runtime

KEPT = {"raw": 3600, "aggregated": 7200, "servers": 10800, "hours": 2 * 86400, "days": 3 * 86400}


def test_points_get_the_expiry_of_the_settings(tmp_path: Path) -> None:
    settings = load_settings(store=f"sqlite:///{tmp_path}/store.db", state_dir=tmp_path, ttl=KEPT)
    records = Runtime(settings)
    slot = records.recorder.started(records.recorder.series("broker", "mail", "send", _core.CLOCK_PROCESS), "job", 1, _core.NO_TIME)
    records.recorder.finished(slot, _core.FAILED, "ValueError", 0)
    while not records.drain.step():
        pass
    records.drain.close()
    records.store.close()
    with closing(sqlite3.connect(tmp_path / "store.db")) as database:
        rows = database.execute("SELECT step, expires_at - bucket - step FROM queue_metrics_series WHERE step > 0").fetchall()
        totals = database.execute("SELECT count(*) FROM queue_metrics_series WHERE step = 0 AND expires_at IS NULL").fetchone()
    assert {step: {kept for of, kept in rows if of == step} for step, _ in rows} == {
        60: {KEPT["raw"], KEPT["aggregated"], KEPT["servers"]},  # of the task, of its queue, and of the server
        3600: {KEPT["hours"]},
        86400: {KEPT["days"]},
    }
    assert totals[0] >= 2, "totals are kept for ever"
