"""The way of appending where any user may mount a file system in a namespace of his own, and a full disk; torture takes the others."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.flow.checks import broken
from tests.torture.file_systems import KINDS, Kind, check


@pytest.mark.parametrize("kind", [kind for kind in KINDS if not kind.needs_root], ids=lambda kind: kind.name)
def test_the_right_way_is_chosen_and_a_full_disk_costs_counted_records_only(tmp_path: Path, kind: Kind) -> None:
    assert broken(check(kind, tmp_path / "disk")["claims"]) == []
