"""Stored values: an independent decoder reads them, any bytes are survived, merging has no order."""

from __future__ import annotations

import math
from typing import Any

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from queue_metrics import _core
from queue_metrics.errors import DecodeError

NUMBERS = st.integers(0, 2**45)
VALUES = st.builds(
    _core.Value.from_parts,
    st.lists(st.integers(0, 2**50), max_size=90),
    st.dictionaries(st.integers(0, 4), st.lists(NUMBERS, max_size=20), max_size=5),
    st.dictionaries(st.integers(0, 4), st.lists(st.tuples(st.integers(0, 9), NUMBERS), max_size=5), max_size=5),
)


def cut(array: list[Any], empty: object) -> list[Any]:
    while array and array[-1] == empty:
        array = array[:-1]
    return array


def plain_bucket(number: int) -> int:
    """The bucket at scale 5, from its definition: compares 32nd powers of whole numbers."""
    exponent = number.bit_length() - 1
    index = next(k for k in range(33) if number**32 <= 2 ** (32 * exponent + k))
    return 32 * exponent + index - 1


@given(st.integers(1, 2**63 - 1) | st.integers(0, 62).map(lambda power: 2**power) | st.integers(1, 62).map(lambda power: 2**power + 1))
def test_the_bucket_of_a_number_is_that_of_the_definition(number: int) -> None:
    sketch = _core.Value.from_parts(measures={0: [number]}).sketch(0)
    assert sketch == (5, False, 0, [(plain_bucket(number), 1)])
    coarse = _core.Value.from_parts(measures={0: [number]}, scale=4).sketch(0)
    assert coarse == (4, False, 0, [(plain_bucket(number) >> 1, 1)])


@given(VALUES)
def test_an_independent_decoder_reads_what_is_stored(value: _core.Value) -> None:
    version, *parts = msgpack.unpackb(value.encode())
    counters, measures, gauges, sketches = (parts + [[]] * 4)[:4]
    assert version == 1
    assert counters == cut([value.counter(index) for index in range(100)], 0)
    for index in range(5):
        assert unsplit(measures, index) == value.measure(index)
        assert unsplit(gauges, index) == value.gauge(index)
        sketch = value.sketch(index)
        if index >= len(sketches) or not sketches[index]:
            assert sketch is None
            continue
        scale, collapsed, zeros, *rest = sketches[index]
        indexes = [sum(rest[: 2 * at + 1 : 2]) for at in range(len(rest) // 2)]
        assert sketch == (scale, bool(collapsed), zeros, list(zip(indexes, rest[1::2], strict=True)))
    assert _core.Value.decode(value.encode()).encode() == value.encode()


def unsplit(entries: list[list[int]], index: int) -> tuple[int, ...] | None:
    if index >= len(entries) or not entries[index]:
        return None
    n, high, low, *rest = entries[index]
    assert 0 <= low < 2**32
    return (n, high * 2**32 + low, *rest)


@given(VALUES, VALUES, VALUES)
def test_merging_has_no_order(a: _core.Value, b: _core.Value, c: _core.Value) -> None:
    one, two, three = a.encode(), b.encode(), c.encode()
    merged = _core.merge_values(_core.merge_values(one, two), three)
    assert merged == _core.merge_values(three, _core.merge_values(two, one)) == b.merge(c).merge(a).encode()
    assert _core.merge_values(one, _core.Value().encode()) == one


@settings(max_examples=300)
@given(
    st.binary(max_size=60)
    | st.recursive(st.integers(-(2**63), 2**64 - 1), lambda inner: st.lists(inner, max_size=7), max_leaves=40).map(msgpack.packb)
)
def test_any_bytes_are_refused_or_a_value(data: bytes) -> None:
    try:
        value = _core.Value.decode(data)
    except DecodeError:
        return
    assert _core.Value.decode(value.encode()) == value


@given(VALUES, st.data())
def test_truncated_bytes_are_refused(value: _core.Value, data: st.DataObject) -> None:
    packed = value.encode()
    with pytest.raises(DecodeError):
        _core.Value.decode(packed[: data.draw(st.integers(0, len(packed) - 1))])
    with pytest.raises(DecodeError):
        _core.merge_values(packed, packed + b"\0")


def test_a_newer_version_is_refused() -> None:
    with pytest.raises(DecodeError):
        _core.Value.decode(msgpack.packb([2, [1]]))
    with pytest.raises(DecodeError):
        _core.add_fields(b"", msgpack.packb([2, [1]]))


def test_what_would_leave_64_bits_is_refused() -> None:
    full = _core.Value.from_parts([2**63 - 1]).encode()
    with pytest.raises(OverflowError):
        _core.merge_values(full, _core.Value.from_parts([1]).encode())
    with pytest.raises(OverflowError):
        _core.add_fields(full, full)
    with pytest.raises(OverflowError):
        _core.Value.from_parts(measures={4: [-(2**63), -1]})


@given(VALUES, VALUES)
def test_totals_add_counters_and_sums_alone(a: _core.Value, b: _core.Value) -> None:
    total = _core.Value.decode(_core.add_fields(_core.add_fields(b"", a.encode()), b.encode()))
    both = a.merge(b)
    expected = {f"c{index}": both.counter(index) for index in range(90)}
    for index in range(5):
        if (measure := both.measure(index)) is not None:
            expected |= {f"m{index}n": measure[0], f"m{index}s": measure[1]}
            assert total.measure(index) == (measure[0], measure[1], None, None)
    assert total.fields() == both.fields() == {name: number for name, number in expected.items() if number}
    assert _core.Value.from_fields({**total.fields(), "other": 9, "c1x": 3}) == total
    assert total.sketch(0) is None


def test_the_readings_of_a_gauge() -> None:
    """The last one is that of the greatest moment, of two the greater."""
    value = _core.Value.from_parts(gauges={2: [(5, 3), (9, 1), (9, 2), (7, 8)]})
    assert value.gauge(2) == (4, 14, 1, 8, 2, 9)
    assert value.gauge(0) is None


@settings(max_examples=20)
@given(st.lists(st.integers(0, 2**40), min_size=1, max_size=2_000))
def test_quantiles_are_within_one_point_one_percent(numbers: list[int]) -> None:
    value = _core.Value.from_parts(measures={0: numbers})
    qs = [0.0, 0.01, 0.25, 0.5, 0.9, 0.95, 0.99, 1.0]
    read = value.quantiles(0, qs)
    assert read is not None
    for q, quantile in zip(qs, read, strict=True):
        exact = sorted(numbers)[max(1, math.ceil(q * len(numbers))) - 1]
        assert quantile == pytest.approx(exact, rel=0.0111)
        assert min(numbers) <= quantile <= max(numbers)


def test_deviation_and_quantiles_of_nothing_are_unknown() -> None:
    assert _core.Value().quantiles(0, [0.5]) is None
    assert _core.Value().deviation(0) is None
    assert _core.Value.from_parts(measures={0: [5]}).deviation(0) is None
    assert _core.Value.from_parts(measures={0: [100, 300]}).deviation(0) == pytest.approx(141.4, rel=0.02)


@pytest.mark.parametrize("q", [-0.01, 1.01, math.nan, math.inf])
def test_a_quantile_beyond_its_range_is_an_error(q: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        _core.Value.from_parts(measures={0: [1]}).quantiles(0, [q])
