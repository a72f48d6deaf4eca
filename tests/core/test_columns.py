"""Columns of stored values are what each value says alone."""

from __future__ import annotations

import math

import pytest

from queue_metrics import _core
from queue_metrics.errors import DecodeError

VALUES = [
    _core.Value.from_parts([3, 1, 0, 2], {0: [1_000, 5_000], 1: [7]}, {0: [(10, 4), (20, 9), (30, 2)]}),
    _core.Value(),
    _core.Value.from_parts([0, 0, 0, 0, 5], {4: [-3, 1]}, {0: [(40, 0)], 4: [(50, 6)]}),
]


def column(name: str) -> list[float | None]:
    (found,) = _core.columns([value.encode() for value in VALUES], [name])
    return [None if math.isnan(number) else number for number in found]


def test_counters_are_counted_or_0() -> None:
    assert column("c0") == [3, 0, 0]
    assert column("c4") == [0, 0, 5]
    assert column("c1023") == [0, 0, 0]


def test_measures_and_gauges_are_there_or_not_a_number() -> None:
    assert column("m0n") == [2, None, None]
    assert column("m0s") == [6_000, None, None]
    assert (column("m4min"), column("m4max")) == ([None, None, -3], [None, None, 1])
    assert [column(f"g0{part}")[0] for part in ("n", "s", "min", "max", "last", "at")] == [3, 15, 2, 9, 2, 30]
    assert column("g4last") == [None, None, 6]


def test_many_columns_come_at_once_in_their_order_and_lend_their_numbers() -> None:
    starts, depth = _core.columns(tuple(value.encode() for value in VALUES), ("c0", "g0at"))
    assert memoryview(starts).tolist() == [3.0, 0.0, 0.0]
    assert (depth[0], depth[2], len(depth)) == (30.0, 40.0, 3)
    assert [list(each) for each in _core.columns([], ["c0", "m1s"])] == [[], []]
    assert _core.columns([VALUES[0].encode()], []) == []


@pytest.mark.parametrize("name", ["", "c", "m0", "m0last", "g64n", "c1024", "x0", "c-1", "g0 last"])
def test_a_name_of_no_number_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="names no number"):
        _core.columns([], [name])


def test_a_damaged_value_is_refused() -> None:
    with pytest.raises(DecodeError):
        _core.columns([VALUES[0].encode(), VALUES[0].encode()[:-1]], ["c0"])
    with pytest.raises(TypeError):
        _core.columns(["text"], ["c0"])  # type: ignore[list-item]
