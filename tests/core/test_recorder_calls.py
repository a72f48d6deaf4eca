"""The calls that each job makes: by position, by name, and with what does not fit."""

from __future__ import annotations

from pathlib import Path

import pytest

from queue_metrics import _core
from tests.core.writing import of_kind
from tests.support.journal_oracle import NO_TIME, job_hash, read_spool


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    return tmp_path / "spool"


@pytest.fixture
def recorder(spool: Path, way: str) -> _core.Recorder:
    return _core.Recorder(str(spool), "host-1", journal=way)


@pytest.fixture
def handle(recorder: _core.Recorder) -> int:
    return recorder.series("broker", "default", "app.send", _core.CLOCK_PROCESS)


def test_the_calls_of_each_job_take_names_too_and_refuse_what_does_not_fit(spool: Path, recorder: _core.Recorder, handle: int) -> None:
    recorder.arrived(handle, "job-1", attempt=3, ready_at=7)
    slot = recorder.started(ready_at=8, attempt=4, job_id="job-1", handle=handle)
    recorder.finished(slot, flags=_core.RETRY_FOLLOWS, exception=None, outcome=_core.RETRIED)
    records = {record.kind: record for record in read_spool(spool)}
    assert (records["ARRIVE"].small, records["ARRIVE"].ready_at) == (3, 7)
    assert (records["START"].small, records["START"].ready_at, records["START"].job) == (4, 8, job_hash("job-1"))
    assert (records["END"].small, records["END"].flags) == (_core.RETRIED, _core.RETRY_FOLLOWS)
    written = recorder.status()["records"]
    wrong: list[tuple[tuple[object, ...], dict[str, object]]] = [
        ((handle, "job-1", 0), {}),
        ((handle, "job-1", 0, 0, 0), {}),
        ((handle, "job-1", 0), {"attempt": 0}),
        ((handle, "job-1", 0), {"ready": 0}),
        (("first", "job-1", 0, 0), {}),
    ]
    for positional, named in wrong:
        with pytest.raises(TypeError):
            recorder.started(*positional, **named)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        recorder.finished(slot, _core.SUCCEEDED, 5, 0)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        _core.Recorder.started(object(), handle, "job-1", 0, 0)  # type: ignore[arg-type]
    assert recorder.status()["records"] == written == 3
    assert recorder.status()["hook_errors"] == 0


def test_numbers_that_are_too_large_or_none_at_all_raise_nothing(spool: Path, recorder: _core.Recorder, handle: int) -> None:
    slot = recorder.started(handle, "job-1", 1 << 70, -(1 << 70))
    recorder.finished(slot, _core.SUCCEEDED, None, None)  # type: ignore[arg-type]
    recorder.finished(1 << 70, _core.SUCCEEDED, None, 0)
    other = recorder.started(handle, "job-2", -1, "soon")  # type: ignore[arg-type]
    recorder.finished(other, 1 << 70, None, 0)
    starts = of_kind(spool, "START")
    assert [(start.small, start.ready_at) for start in starts] == [(65_535, NO_TIME), (0, NO_TIME)]
    assert [end.small for end in of_kind(spool, "END")] == [_core.SUCCEEDED, _core.FAILED]
    assert recorder.status()["running"] == 0
