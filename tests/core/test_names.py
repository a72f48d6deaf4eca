"""Names, hashes and heartbeats as bytes: equal to the independent reader's, and hostile bytes are refused."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from queue_metrics import _core
from queue_metrics.errors import DecodeError
from tests.support import journal_oracle as oracle

STORABLE = st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=60)


@given(st.integers(0, 255), st.lists(STORABLE, max_size=5))
def test_label_lists_and_ids_are_those_of_the_format(kind: int, labels: list[str]) -> None:
    encoded = oracle.label_list(kind, *labels)
    assert _core.label_list(kind, labels) == encoded
    assert _core.series_id(kind, labels) == _core.hash64(encoded) == oracle.hash64(encoded)
    assert _core.parse_label_list(encoded) == (kind, tuple(labels))


@given(st.lists(st.text(max_size=30), max_size=4))
def test_any_text_becomes_labels(labels: list[str]) -> None:
    kind, stored = _core.parse_label_list(_core.label_list(1, labels))
    assert kind == 1
    assert _core.label_list(1, stored) == _core.label_list(1, labels)
    assert [len(label) for label in stored] == [len(label) for label in labels]


@given(st.binary(max_size=80))
def test_other_bytes_are_no_label_list(data: bytes) -> None:
    try:
        kind, labels = _core.parse_label_list(data)
    except ValueError:
        return
    assert oracle.label_list(kind, *labels) == data


def test_more_labels_than_a_list_holds_are_refused() -> None:
    with pytest.raises(ValueError, match="255"):
        _core.label_list(1, ["x"] * 256)


def test_job_ids_are_hashed_by_their_text() -> None:
    assert _core.job_hash("job-1") == 0x2E0B2CBDF4A8B6CC
    assert _core.job_hash(17) == _core.job_hash("17") == oracle.job_hash("17")


@given(st.text(st.characters(codec="utf-8"), max_size=2_000))
@example("x" * 240)
@example("x" * 10_000)
def test_the_hash_of_a_job_id_is_that_of_the_format(job_id: str) -> None:
    assert _core.job_hash(job_id) == oracle.job_hash(job_id)


@given(st.binary(max_size=300))
def test_other_bytes_are_no_heartbeat(data: bytes) -> None:
    with pytest.raises(DecodeError):
        _core.decode_heartbeat(data)


def test_a_heartbeat_with_any_byte_changed_is_read_or_refused(tmp_path: Path) -> None:
    heartbeat = _core.Recorder(str(tmp_path / "spool"), "host").heartbeat()
    keys = _core.decode_heartbeat(heartbeat).keys()
    for place in range(len(heartbeat)):
        for value in (0, 0x7F, 0xFF):
            changed = heartbeat[:place] + bytes((value,)) + heartbeat[place + 1 :]
            with contextlib.suppress(DecodeError):
                assert _core.decode_heartbeat(changed).keys() == keys
        with pytest.raises(DecodeError):
            _core.decode_heartbeat(heartbeat[:place])


def test_the_file_system_of_a_path_has_a_name(tmp_path: Path) -> None:
    assert _core.file_system(str(tmp_path)) != ""
    assert _core.file_system(os.fspath(tmp_path / "missing")) == "unknown"
