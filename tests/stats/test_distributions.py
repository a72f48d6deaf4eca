"""The normal distribution and Student's t against scipy, in the middle and far out."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special, stats

from queue_metrics import _core

PROBABILITIES = st.floats(1e-12, 1 - 1e-12) | st.floats(-100, -1).map(lambda exponent: 10.0**exponent)
DEGREES = st.floats(0.2, 200) | st.integers(1, 10_000).map(float) | st.floats(1e3, 1e9)


@given(st.floats(-37, 37))
def test_normal_probabilities(z: float) -> None:
    assert _core.normal_cdf(z) == pytest.approx(special.ndtr(z), rel=5e-13)


@given(PROBABILITIES)
def test_normal_quantiles(p: float) -> None:
    assert _core.normal_quantile(p) == pytest.approx(special.ndtri(p), rel=1e-13, abs=1e-15)


@given(st.floats(-40, 40), DEGREES)
def test_t_probabilities(t: float, df: float) -> None:
    expected = stats.t.cdf(t, df)
    assert _core.student_t_cdf(t, df) == pytest.approx(expected, rel=1e-12 if expected > 1e-50 else 1e-10)


@given(st.floats(1e-9, 1 - 1e-9), DEGREES)
def test_t_quantiles(p: float, df: float) -> None:
    assert _core.student_t_quantile(p, df) == pytest.approx(stats.t.ppf(p, df), rel=1e-9, abs=1e-9)


@given(PROBABILITIES, DEGREES)
def test_a_t_quantile_is_where_the_probability_is_reached(p: float, df: float) -> None:
    t = _core.student_t_quantile(p, df)
    assert _core.student_t_cdf(t, df) == pytest.approx(p, rel=1e-12 if p > 1e-50 else 1e-10)


def test_the_ends() -> None:
    assert _core.normal_cdf(0.0) == 0.5
    assert (_core.normal_cdf(math.inf), _core.normal_cdf(-math.inf)) == (1.0, 0.0)
    assert _core.student_t_quantile(0.975, math.inf) == _core.normal_quantile(0.975)
    assert _core.student_t_quantile(0.975, 58.0) == pytest.approx(2.0017174841, rel=1e-10)  # any table


@pytest.mark.parametrize("p", [0.0, 1.0, -0.5, 1.5, math.nan])
def test_what_is_no_probability_is_refused(p: float) -> None:
    with pytest.raises(ValueError, match="p must be between 0 and 1, both excluded, not"):
        _core.normal_quantile(p)
    with pytest.raises(ValueError, match="p must be"):
        _core.student_t_quantile(p, 3.0)


@pytest.mark.parametrize("df", [0.0, -2.0, math.nan])
def test_degrees_of_freedom_are_above_0(df: float) -> None:
    with pytest.raises(ValueError, match="df must be above 0, not"):
        _core.student_t_cdf(1.0, df)
    with pytest.raises(ValueError, match="df must be"):
        _core.student_t_quantile(0.5, df)


def test_no_number_is_refused_and_infinity_is_one() -> None:
    for refused in (lambda: _core.normal_cdf(math.nan), lambda: _core.student_t_cdf(math.nan, 3.0)):
        with pytest.raises(ValueError, match="must be a number, not NaN"):
            refused()
    assert _core.normal_cdf(math.inf) == _core.student_t_cdf(math.inf, 3.0) == 1.0
