"""The soak of a worker's memory at the size of the suite; `make torture` runs a million."""

from __future__ import annotations

from pathlib import Path

from tests.flow.checks import broken
from tests.torture.soak import soak

EXECUTIONS = 40_000


def test_a_worker_holds_no_more_memory_for_more_executions(tmp_path: Path) -> None:
    assert broken(soak(tmp_path / "soak", EXECUTIONS)["claims"]) == []
