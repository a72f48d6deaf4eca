"""What a broker says of a queue: a record, and a second one where something is scheduled."""

from __future__ import annotations

from pathlib import Path

import pytest

from queue_metrics import _core
from tests.core.writing import of_kind
from tests.support.journal_oracle import hash64, label_list


def test_when_the_next_job_is_due_is_a_record_of_its_own(tmp_path: Path, way: str) -> None:
    recorder = _core.Recorder(str(tmp_path / "spool"), "host-1", journal=way)
    recorder.gauge("broker", "default", 12, None, 3, None, 0, 90_000_000)
    recorder.gauge("broker", "default", 12, None, 0, None, 0, None)
    told = of_kind(tmp_path / "spool", "GAUGE")
    assert [(gauge.flags, gauge.ready) for gauge in told] == [(0b10101, 12), (0b100000, 90_000_000), (0b10101, 12)]
    assert told[0].at == told[1].at
    assert told[0].queue == told[1].queue == hash64(label_list(2, "broker", "default"))


@pytest.mark.parametrize("due", [-1, "soon", None])
def test_a_time_that_is_none_is_not_told(tmp_path: Path, due: object) -> None:
    recorder = _core.Recorder(str(tmp_path / "spool"), "host-1")
    recorder.gauge("broker", "default", 1, None, 2, None, 0, due)  # type: ignore[arg-type]
    assert [gauge.flags for gauge in of_kind(tmp_path / "spool", "GAUGE")] == [0b10101]
