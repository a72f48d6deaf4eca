"""A line by least squares against rational arithmetic, numpy and scipy, on points well and badly placed."""

from __future__ import annotations

import math
from array import array

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from queue_metrics import _core
from tests.stats.exact import EPSILON, KINDS, badly_placed, line, numbers, off


def close_to_exact(x: list[float], y: list[float], found: _core.Fit) -> None:
    """Hold what a fit says against the same without a rounding, each error in units of its condition."""
    exact = line(x, y)
    far_x, far_y = max(map(abs, x)), max(map(abs, y))
    spread_x, spread_y = math.sqrt(exact.xx / exact.n), math.sqrt(exact.yy / exact.n)
    assert found.n == exact.n
    assert off(found.mean_x, exact.mean_x, far_x + spread_x) <= 1
    assert off(found.mean_y, exact.mean_y, far_y + spread_y) <= 1
    assert off(found.slope, exact.slope, exact.condition) <= 4
    assert off(found.intercept, exact.intercept, far_y + exact.condition * (far_x + spread_x)) <= 4
    if exact.yy:
        assert found.r_squared is not None
        assert off(found.r_squared, exact.slope * exact.xy / exact.yy, 1.0) <= 8
    else:
        assert (found.r_squared, found.slope) == (None, 0.0)
    if exact.n > 2:
        assert found.residual_deviation is not None
        s = math.sqrt(exact.residuals / (exact.n - 2))
        # Each residual is a difference of numbers of this size.
        assert off(found.residual_deviation, s, spread_y + EPSILON * far_y) <= 8 * min(1.0 + spread_y / s, 2.0**10) if s else True


@pytest.mark.parametrize("kind_y", KINDS)
@pytest.mark.parametrize("kind_x", KINDS)
def test_points_well_and_badly_placed(kind_x: str, kind_y: str) -> None:
    for n in (2, 3, 17, 129, 2000):
        x, y = badly_placed(n, n, kind_x), badly_placed(n + 1, n, kind_y)
        if len(set(x)) < 2:
            assert _core.fit(x, y) is None
            continue
        found = _core.fit(x, y)
        assert found is not None
        close_to_exact(list(x), list(y), found)


@given(st.data())
def test_any_points(data: st.DataObject) -> None:
    x = data.draw(numbers(1))
    y = data.draw(numbers(len(x), len(x)))
    found = _core.fit(x, y)
    if len(set(x)) < 2:
        assert found is None
        return
    assert found is not None
    close_to_exact(x, y, found)


@given(numbers())
def test_counted_points(y: list[float]) -> None:
    found = _core.fit_counted(y)
    if len(y) < 2:
        assert found is None
        return
    assert found is not None
    close_to_exact([float(at) for at in range(len(y))], y, found)


def test_seconds_since_1970_against_scipy_and_polyfit() -> None:
    random = np.random.default_rng(5)
    x = 1.76e9 + 60.0 * np.arange(500)
    y = 1e9 + 1e-4 * (x - x[0]) + random.normal(0, 0.5, 500)
    found = _core.fit(x, y)
    assert found is not None
    peer = stats.linregress(x - x[0], y - 1e9)
    assert found.slope == pytest.approx(peer.slope, rel=1e-10)
    assert found.slope_error == pytest.approx(peer.stderr, rel=1e-10)
    assert found.r_squared == pytest.approx(peer.rvalue**2, rel=1e-10)
    assert found.slope == pytest.approx(np.polyfit(x - x[0], y, 1)[0], rel=1e-6)
    at_start = _core.fit(x - x[0], y - 1e9)
    assert at_start is not None
    assert at_start.intercept_error == pytest.approx(peer.intercept_stderr, rel=1e-10)
    assert at_start.intercept == pytest.approx(peer.intercept, rel=1e-10)


def test_intervals_by_the_textbook() -> None:
    x, y = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [2.1, 3.9, 6.2, 7.8, 10.1, 11.7]
    found = _core.fit(array("d", x), array("d", y))
    assert found is not None
    assert found.residual_deviation is not None
    exact = line(x, y)
    s = math.sqrt(exact.residuals / 4)
    for level in (0.5, 0.9, 0.999):
        t = stats.t.ppf(0.5 + level / 2, 4)
        for place in (-3.0, 3.5, 20.0):
            half = t * s * math.sqrt(1 + 1 / 6 + (place - 3.5) ** 2 / float(exact.xx))
            middle = float(exact.intercept + exact.slope * int(place * 2) / 2)
            assert found.at(place) == pytest.approx(middle)
            assert found.prediction(place, level) == pytest.approx((middle - half, middle + half))
        half = t * s / math.sqrt(exact.xx)
        assert found.slope_interval(level) == pytest.approx((float(exact.slope) - half, float(exact.slope) + half))


def test_a_prediction_holds_as_often_as_it_says() -> None:
    random = np.random.default_rng(11)
    held = 0
    for _ in range(2000):
        y = random.normal(0, 3, 12)
        found = _core.fit_counted(y[:11])
        assert found is not None
        interval = found.prediction(11.0, 0.9)
        assert interval is not None
        held += interval[0] <= y[11] <= interval[1]
    assert 0.88 <= held / 2000 <= 0.92


def test_nothing_one_alike_and_two() -> None:
    assert _core.fit([], []) is None
    assert _core.fit([1.0], [2.0]) is None
    assert _core.fit([0.1] * 500, [float(at) for at in range(500)]) is None
    assert _core.fit_counted([]) is None
    flat = _core.fit_counted([1e9 + 0.1] * 500)
    assert flat is not None
    assert (flat.slope, flat.intercept, flat.r_squared, flat.residual_deviation) == (0.0, 1e9 + 0.1, None, 0.0)
    two = _core.fit([1.0, 3.0], [5.0, 1.0])
    assert two is not None
    assert (two.slope, two.intercept, two.r_squared) == (-2.0, 7.0, 1.0)
    assert (two.residual_deviation, two.slope_error, two.intercept_error) == (None, None, None)
    assert (two.prediction(2.0, 0.9), two.slope_interval(0.9)) == (None, None)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_refused_with_its_place(value: float) -> None:
    good = [float(at) for at in range(300)]
    bad = [*good[:250], value, *good[251:]]
    with pytest.raises(ValueError, match=r"x\[250\] is"):
        _core.fit(bad, good)
    with pytest.raises(ValueError, match=r"y\[250\] is"):
        _core.fit(good, bad)
    with pytest.raises(ValueError, match=r"y\[250\] is"):
        _core.fit_counted(bad)


def test_points_that_are_none_are_refused() -> None:
    with pytest.raises(ValueError, match="not of one length: 2 and 1"):
        _core.fit([1.0, 2.0], [1.0])
    with pytest.raises(ValueError, match="spread of x cannot be squared"):
        _core.fit([0.0, 1e200], [1.0, 2.0])
    with pytest.raises(ValueError, match="spread of y cannot be squared"):
        _core.fit([0.0, 1.0, 2.0], [0.0, 1e-170, 0.0])
    found = _core.fit_counted([1.0, 2.0, 4.0])
    assert found is not None
    with pytest.raises(ValueError, match="x must be finite"):
        found.prediction(math.inf, 0.9)
    for level in (0.0, 1.0, math.nan):
        with pytest.raises(ValueError, match="level must be between 0 and 1"):
            found.slope_interval(level)


@given(numbers(2), st.floats(-1e3, 1e3), st.floats(1e-3, 1e3))
def test_moving_and_stretching_y_moves_and_stretches_the_line(y: list[float], move: float, stretch: float) -> None:
    found, other = _core.fit_counted(y), _core.fit_counted([move + stretch * value for value in y])
    assert found is not None
    assert other is not None
    far = stretch * max(map(abs, y)) + abs(move)
    assume(far < 1e17)
    assert other.slope == pytest.approx(stretch * found.slope, rel=1e-9, abs=8 * EPSILON * far)
    assert other.mean_y == pytest.approx(move + stretch * found.mean_y, rel=1e-9, abs=4 * EPSILON * far)
