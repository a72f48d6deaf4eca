"""Moments against rational arithmetic, numpy and scipy; merging, and the state that is kept."""

from __future__ import annotations

import math
import struct
from array import array
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from queue_metrics import _core
from queue_metrics.errors import DecodeError
from tests.stats.exact import EPSILON, KINDS, badly_placed, numbers, off


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n", [2, 3, 100, 257, 5000])
def test_mean_and_deviation_are_exact_to_rounding(kind: str, n: int) -> None:
    values = badly_placed(n, n, kind)
    found = _core.Moments(values)
    exact = [Fraction(value) for value in values]
    mean = sum(exact) / n
    squares = sum((value - mean) ** 2 for value in exact)
    assert (found.n, found.min, found.max) == (n, min(values), max(values))
    assert found.mean is not None
    assert found.variance is not None
    assert off(found.mean, mean, float(max(abs(value) for value in exact))) <= 1
    assert off(found.variance, squares / (n - 1), float(squares / (n - 1))) <= 8
    assert found.population_variance == pytest.approx(float(squares / n), rel=1e-14)


@pytest.mark.parametrize("kind", ["around 0", "1e9 and a little", "seconds since 1970", "two levels"])
def test_the_shape_is_that_of_scipy(kind: str) -> None:
    values = badly_placed(3, 3000, kind)
    found = _core.Moments(values)
    near = values - values.mean()  # scipy loses digits far from 0
    assert found.skewness == pytest.approx(stats.skew(near), rel=1e-9, abs=1e-9)
    assert found.kurtosis == pytest.approx(stats.kurtosis(near), rel=1e-9, abs=1e-9)
    assert found.variance == pytest.approx(np.var(near, ddof=1), rel=1e-12)


@given(numbers(), numbers(), numbers())
def test_merged_moments_are_those_of_all_numbers(a: list[float], b: list[float], c: list[float]) -> None:
    one, two, three = _core.Moments(a), _core.Moments(b), _core.Moments(c)
    assert one.merge(two) == two.merge(one)
    assert one.merge(_core.Moments()) == one
    everything = _core.Moments(a + b + c)
    for merged in (one.merge(two).merge(three), one.merge(two.merge(three)), three.merge(one).merge(two)):
        assert (merged.n, merged.min, merged.max) == (everything.n, everything.min, everything.max)
        if everything.mean is not None:
            greatest = max(map(abs, a + b + c))
            assert merged.mean == pytest.approx(everything.mean, rel=0, abs=2 * EPSILON * greatest)
        if everything.variance is not None:
            assert merged.variance == pytest.approx(everything.variance, rel=1e-14, abs=0)


@given(numbers())
def test_a_packed_state_comes_back_the_same(values: list[float]) -> None:
    found = _core.Moments(values)
    packed = found.encode()
    assert _core.Moments.decode(packed) == found
    version, n, high, low = struct.unpack_from("<BQdd", packed)
    assert (version, n, len(packed)) == (1, len(values), 65)
    assert high + low == pytest.approx(found.mean or 0.0)


@given(st.binary(max_size=70) | st.binary(min_size=64, max_size=64).map(lambda rest: b"\1" + rest))
def test_other_bytes_are_refused_or_moments(data: bytes) -> None:
    try:
        found = _core.Moments.decode(data)
    except DecodeError:
        return
    assert _core.Moments.decode(found.encode()) == found


def test_nothing_one_and_alike() -> None:
    none = _core.Moments([])
    assert none == _core.Moments()
    assert {none.mean, none.variance, none.population_variance, none.skewness, none.kurtosis, none.min, none.max} == {None}
    one = _core.Moments([0.1])
    assert (one.n, one.mean, one.variance, one.population_variance) == (1, 0.1, None, 0.0)
    alike = _core.Moments(array("d", [1e9 + 0.1]) * 1000)
    assert (alike.mean, alike.variance, alike.skewness, alike.kurtosis) == (1e9 + 0.1, 0.0, None, None)
    assert _core.Moments([1e-160, 2e-160]).kurtosis is None


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_refused_with_its_place(value: float) -> None:
    with pytest.raises(ValueError, match=r"values\[300\] is .*; every number must be finite"):
        _core.Moments([1.0] * 300 + [value] + [2.0] * 9)


def test_a_spread_without_a_fourth_power_is_refused() -> None:
    with pytest.raises(ValueError, match="use another unit"):
        _core.Moments([-1e90, 1e90])


def test_what_lies_too_far_apart_is_refused_in_a_merge_too() -> None:
    for apart in (1e100, 1.7e308):
        with pytest.raises(ValueError, match="cannot be squared within doubles"):
            _core.Moments([apart]).merge(_core.Moments([-apart]))


def test_the_moments_show_themselves_as_python_does() -> None:
    assert repr(_core.Moments([1.0, 2.0])) == "Moments(n=2, mean=1.5, variance=0.5)"
    assert repr(_core.Moments()) == "Moments(n=0, mean=None, variance=None)"
