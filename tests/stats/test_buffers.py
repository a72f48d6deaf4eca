"""Numbers go in from any buffer of float64 and out as one; what is no series of numbers is refused with the reason."""

from __future__ import annotations

import bisect
import ctypes
import gc
import math
import operator
from array import array
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from queue_metrics import _core

NUMBERS = [3.0, -1.5, 1e300, 0.0]
DOUBLES = np.array(NUMBERS)


def shifted() -> np.ndarray:
    """The numbers at an address that is no multiple of 8."""
    return np.ndarray((4,), "f8", b"\0" * 3 + DOUBLES.tobytes(), 3)


WAYS: dict[str, Callable[[], Any]] = {
    "array": lambda: array("d", NUMBERS),
    "numpy": lambda: DOUBLES,
    "memoryview": lambda: memoryview(array("d", NUMBERS)),
    "a cast view of bytes, read-only": lambda: memoryview(DOUBLES.tobytes()).cast("d"),
    "ctypes": lambda: (ctypes.c_double * 4)(*NUMBERS),
    "Series": lambda: _core.Series(NUMBERS),
    "every second of a buffer": lambda: np.repeat(DOUBLES, 2)[::2],
    "a buffer backwards": lambda: DOUBLES[::-1].copy()[::-1],
    "a column": lambda: np.stack([DOUBLES, DOUBLES]).T[:, 0],
    "not aligned": shifted,
    "one item, again and again": lambda: np.broadcast_to(DOUBLES[:1], (3,)),
    "list": lambda: NUMBERS,
    "tuple": lambda: tuple(NUMBERS),
    "range": lambda: range(4),
    "booleans and whole numbers": lambda: [True, 2, 2**60],
    "empty array": lambda: array("d"),
    "empty numpy": lambda: np.zeros(0),
    "empty list": list,
}


@pytest.mark.parametrize("way", WAYS)
def test_numbers_are_read_from_every_buffer_and_sequence(way: str) -> None:
    values = WAYS[way]()
    expected = [float(number) for number in np.asarray(values)]
    series = _core.Series(values)
    assert list(series) == expected
    assert len(series) == len(expected)
    with memoryview(series) as view:
        assert (view.format, view.readonly, view.shape, view.strides) == ("d", True, (len(expected),), (8,))
        assert view.tolist() == expected


@pytest.mark.parametrize(
    ("values", "error", "words"),
    [
        ("12", TypeError, "not this str"),
        (b"12345678", TypeError, "its format is 'B', not 'd'"),
        (bytearray(8), TypeError, "its format is 'B'"),
        (np.arange(3), TypeError, "its format is 'l', not 'd'"),
        (np.arange(3, dtype="f4"), TypeError, "its format is 'f'"),
        (np.arange(3, dtype=np.dtype("f8").newbyteorder()), TypeError, "its format is '>d'"),
        (array("q", [1]), TypeError, "its format is 'q'"),
        (np.float64(3), TypeError, "not this float64"),
        (np.array(3.0), TypeError, "not this ndarray"),
        (np.zeros((2, 2)), ValueError, "one dimension, not 2"),
        (np.zeros((2, 0)), ValueError, "one dimension, not 2"),
        (3, TypeError, "not this int"),
        (None, TypeError, "not this NoneType"),
        ({1.0}, TypeError, "not this set"),
        ([1.0, "2"], TypeError, "real number"),
        ([1.0, None], TypeError, "real number"),
    ],
)
def test_what_is_no_series_of_numbers_is_refused_with_the_reason(values: object, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        _core.Series(values)  # type: ignore[arg-type]


INTEGERS: dict[str, Callable[[], Any]] = {
    "array": lambda: array("q", [3, 0, 2**62]),
    "array of C longs": lambda: array("l", [3, 0, 2**62]),
    "numpy": lambda: np.array([3, 0, 2**62]),
    "every second": lambda: np.array([3, 9, 0, 9, 2**62, 9])[::2],
    "ctypes": lambda: (ctypes.c_int64 * 3)(3, 0, 2**62),
    "list": lambda: [3, 0, 2**62],
}


@pytest.mark.parametrize("way", INTEGERS)
def test_whole_numbers_are_read_from_every_buffer_and_sequence(way: str) -> None:
    assert _core.Sketch(INTEGERS[way]()) == _core.Sketch((3, 0, 2**62))


@pytest.mark.parametrize(
    ("values", "error", "words"),
    [
        (np.arange(3.0), TypeError, "its format is 'd', not 'q'"),
        (np.arange(3, dtype="i4"), TypeError, "its format is 'i'"),
        (np.arange(3, dtype="u8"), TypeError, "its format is 'L'"),
        (array("i", [1]), TypeError, "its format is 'i'"),
        (np.arange(4).reshape(2, 2), ValueError, "one dimension"),
        ([1.5], TypeError, "interpreted as an integer"),
        ([2**63], OverflowError, "too large"),
        ("12", TypeError, "text is no numbers"),
    ],
)
def test_what_is_no_series_of_whole_numbers_is_refused(values: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        _core.Sketch(values)


def test_an_error_of_a_sequence_goes_through() -> None:
    class Broken(Sequence[float]):
        def __len__(self) -> int:
            return 2

        def __getitem__(self, index: Any) -> Any:
            raise RuntimeError("no such luck")

    with pytest.raises(RuntimeError, match="no such luck"):
        _core.Series(Broken())


def test_numpy_copies_nothing_of_a_series_and_keeps_it_alive() -> None:
    series = _core.Series(range(1000))
    one, two = np.asarray(series), np.asarray(memoryview(series))
    assert one.__array_interface__["data"] == two.__array_interface__["data"]
    assert not one.flags.writeable
    del series, two
    gc.collect()
    assert one.tolist() == list(range(1000))


def test_a_series_cannot_be_written_to() -> None:
    series = _core.Series([1.0])
    with pytest.raises(TypeError):
        memoryview(series)[0] = 2
    with pytest.raises((BufferError, TypeError)):
        ctypes.c_double.from_buffer(series)
    assert list(series) == [1.0]


def test_a_series_is_a_sequence() -> None:
    series = _core.Series([1.0, 2.0, math.inf])
    assert (series[0], series[-1], series[-3]) == (1.0, math.inf, 1.0)
    assert list(reversed(series)) == [math.inf, 2.0, 1.0]
    for index in (3, -4, 2**62, -(2**63)):
        with pytest.raises(IndexError):
            series[index]
    assert repr(series) == "Series([1.0, 2.0, inf])"
    assert repr(_core.Series(range(9))).endswith("5.0, ...])")


def test_slices_and_places_of_a_series_are_those_of_a_list() -> None:
    numbers = [3.0, 1.0, math.inf, 7.0]
    series = _core.Series(numbers)
    for part in (slice(1, 3), slice(None), slice(-2, None), slice(9, 2), slice(None, None, -1), slice(3, 0, -2)):
        assert list(series[part]) == numbers[part]
    assert list(series.take([3, 0, 0])) == [7.0, 3.0, 3.0]
    assert list(series.take([])) == []
    for place in (4, -1, 0.5, math.nan):
        with pytest.raises(IndexError):
            series.take([0, place])
    assert (bisect.bisect_left(_core.Series(range(9)), 4.5), len(_core.Series([]))) == (5, 0)


def test_arithmetic_of_series_is_that_of_numpy() -> None:
    random = np.random.default_rng(2)
    one, other = random.normal(0, 5, 300), random.normal(0, 5, 300)
    other[:3], one[2], one[5] = 0.0, 0.0, math.nan
    with np.errstate(all="ignore"):
        for operation in (operator.add, operator.sub, operator.mul, operator.truediv):
            for term in (other, _core.Series(other), other.tolist(), 3.7, 2, np.float64(0.0)):
                np.testing.assert_array_equal(operation(_core.Series(one), term), operation(one, np.asarray(term)))
            for number in (3.7, 2):
                np.testing.assert_array_equal(operation(number, _core.Series(one)), operation(number, one))
    with pytest.raises(ValueError, match="300 numbers and 2: they must be as many"):
        _core.Series(one) + array("d", (1.0, 2.0))
    for wrong in ("1", None, {1.0}):
        with pytest.raises(TypeError):
            _core.Series(one) * wrong  # type: ignore[operator]


def test_the_sum_and_what_is_known_of_a_series() -> None:
    numbers = [1e16, 1.0, -1e16, 0.1]
    assert (_core.Series(numbers).sum(), _core.Series([]).sum()) == (math.fsum(numbers), 0.0)
    broken = _core.Series([1.0, math.nan, math.inf])
    assert math.isnan(broken.sum())
    assert list(broken.known()) == [1.0, math.inf]


def test_a_buffer_is_given_back() -> None:
    """An array that is lent cannot grow; it can again after the call, also after one that failed."""
    lent = array("d", NUMBERS)
    _core.Series(lent)
    lent.append(1.0)
    wrong = array("q", [1])
    with pytest.raises(TypeError):
        _core.Series(wrong)
    wrong.append(1)
