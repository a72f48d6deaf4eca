"""Columns of stored values are what each value says alone."""

from __future__ import annotations

import json
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
    assert (column("m0n"), column("m0s")) == ([2, 0, 0], [6_000, 0, 0])
    assert (column("g4n"), column("g4s")) == ([0, 0, 1], [0, 0, 6])
    assert (column("m4min"), column("m4max")) == ([None, None, -3], [None, None, 1])
    assert [column(f"g0{part}")[0] for part in ("n", "s", "min", "max", "last", "at")] == [3, 15, 2, 9, 2, 30]
    assert column("g4last") == [None, None, 6]


def test_many_columns_come_at_once_in_their_order_and_lend_their_numbers() -> None:
    starts, depth = _core.columns(tuple(value.encode() for value in VALUES), ("c0", "g0at"))
    assert memoryview(starts).tolist() == [3.0, 0.0, 0.0]
    assert (depth[0], depth[2], len(depth)) == (30.0, 40.0, 3)
    assert [list(each) for each in _core.columns([], ["c0", "m1s"])] == [[], []]
    assert _core.columns([VALUES[0].encode()], []) == []


def test_a_sum_of_names_is_the_sum_of_their_columns() -> None:
    assert column("c0+c3+c4") == [5, 0, 5]
    assert column("c1+m0n") == [3, 0, 0]
    assert column("c1+m0max") == [5_001, None, None]
    assert [list(each) for each in _core.columns([VALUES[0].encode()], ["c0+c1", "c3", "c0+c0"])] == [[4.0], [2.0], [6.0]]


def test_rows_of_text_are_columns_of_what_json_reads() -> None:
    rows = ("[2,1800000000.123,null,0.5,7]", '[2, -4e-7, 3, 1000000000000000, 8, "more"]', "[1]", "no list")
    found = _core.row_columns(rows, 4)
    shown = [[None if math.isnan(number) else number for number in each] for each in found]
    assert shown == [list(each) for each in zip(*(json.loads(row)[:4] for row in rows[:2]), strict=True)]
    assert _core.row_columns([], 0) == []


def test_a_series_in_intervals() -> None:
    times, values = [0.0, 59.0, 61.0, 300.0], [1.0, math.nan, 4.0, 8.0]
    found = _core.intervals(times, values, 60.0, 120.0)
    assert [list(each) for each in found] == [[-1, 0, 2], [1, 1, 1], [1.0, 4.0, 8.0], [0, 2, 3]]
    with pytest.raises(ValueError, match="length"):
        _core.intervals(times, values, 0.0, 0.0)


@pytest.mark.parametrize("name", ["", "c", "c0+", "+", "c0+x", "m0", "m0last", "g64n", "c1024", "x0", "c-1", "g0 last"])
def test_a_name_of_no_number_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="names no number"):
        _core.columns([], [name])


def test_a_damaged_value_is_refused() -> None:
    with pytest.raises(DecodeError):
        _core.columns([VALUES[0].encode(), VALUES[0].encode()[:-1]], ["c0"])
    with pytest.raises(TypeError):
        _core.columns(["text"], ["c0"])  # type: ignore[list-item]
