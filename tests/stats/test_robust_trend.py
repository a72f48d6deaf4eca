"""The line of Theil and Sen against exact arithmetic and scipy, and how often its test calls a trend."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given
from scipy import signal, stats

from queue_metrics import _core
from tests.stats.exact import KINDS, badly_placed, numbers, off

MINUTES = 1.76e9 + 60.0 * np.arange(60)


def exact_slope(x: list[float], y: list[float]) -> Fraction | None:
    points = [(Fraction(a), Fraction(b)) for a, b in zip(x, y, strict=True)]
    slopes = sorted((b[1] - a[1]) / (b[0] - a[0]) for a, b in itertools.combinations(points, 2) if a[0] != b[0])
    if not slopes:
        return None
    half = len(slopes) // 2
    return slopes[half] if len(slopes) % 2 else (slopes[half - 1] + slopes[half]) / 2


@given(numbers(1, 25), numbers(25, 25))
def test_the_slope_is_the_median_of_all_exact_slopes(x: list[float], y: list[float]) -> None:
    y = y[: len(x)]
    expected = exact_slope(x, y)
    if expected is None:
        assert _core.theil_sen(x, y) is None
        return
    assume(abs(expected) < 1e140)
    found = _core.theil_sen(x, y)
    assert found is not None
    assert off(found.slope, expected, float(abs(expected))) <= 3


@pytest.mark.parametrize("kind_y", KINDS)
@pytest.mark.parametrize("kind_x", KINDS)
def test_slope_and_height_against_scipy(kind_x: str, kind_y: str) -> None:
    for n in (2, 3, 17, 200):
        x, y = badly_placed(n, n, kind_x), badly_placed(n + 1, n, kind_y)
        if len(set(x)) < 2:
            assert _core.theil_sen(x, y) is None
            continue
        found = _core.theil_sen(x, y)
        assert found is not None
        peer = stats.theilslopes(y, x, method="joint")
        assert found.slope == pytest.approx(peer.slope, rel=1e-12, abs=0)
        # At the middle, since at x = 0 scipy loses the line where x is seconds since 1970.
        middle = float(np.median(x))
        height = float(np.median(y - found.slope * (x - middle)))
        assert found.at(middle) == pytest.approx(height, abs=1e-12 * float(np.abs(y).max() + np.abs(found.slope * (x - middle)).max()))
        assert found.intercept == found.at(0.0)


def test_equal_x_make_no_slope() -> None:
    x, y = [1.0, 1.0, 2.0, 2.0, 3.0], [5.0, -5.0, 6.0, 7.0, 8.0]
    found = _core.theil_sen(x, y)
    assert found is not None
    assert found.slope == float(exact_slope(x, y) or 0)
    assert found.slope == stats.theilslopes(y, x).slope


def test_the_test_by_its_formulas() -> None:
    """Independent arithmetic, with scipy's ranks, score and quantiles."""
    random, n = np.random.default_rng(9), 60
    for r in (0.5, -0.4):
        y = 3 + 0.002 * (MINUTES - MINUTES[0]) + signal.lfilter([1], [1, -r], random.normal(0, 2, n))
        found = _core.theil_sen(MINUTES, y)
        assert found is not None
        ranks = stats.rankdata(y - found.slope * (MINUTES - MINUTES[0]))
        ranks -= ranks.mean()
        first = float((ranks[:-1] * ranks[1:]).sum() / (ranks**2).sum())
        alike = max((first + 2 / n) / (1 - 5 / n), -0.5)
        lags = np.arange(1, n)
        wider = 1 + 2 / (n * (n - 1) * (n - 2)) * float(((n - lags) * (n - lags - 1) * (n - lags - 2) * alike**lags).sum())
        size = min(n / wider, n)
        score = stats.kendalltau(MINUTES, y).statistic * n * (n - 1) / 2
        deviation = math.sqrt(n * (n - 1) * (2 * n + 5) / 18 * wider)
        assert found.autocorrelation == pytest.approx(alike, rel=1e-9)
        assert found.effective_size == pytest.approx(size, rel=1e-9)
        assert found.growing == pytest.approx(stats.t.cdf(score / deviation, size - 2), rel=1e-8)
        assert found.p_value == pytest.approx(2 * stats.t.sf(abs(score) / deviation, size - 2), rel=1e-8)
        slopes = sorted((y[b] - y[a]) / (MINUTES[b] - MINUTES[a]) for a, b in itertools.combinations(range(n), 2))
        outside = math.ceil((len(slopes) - stats.t.ppf(0.95, size - 2) * deviation) / 2)
        assert found.slope_interval(0.9) == (slopes[outside - 1], slopes[-outside])
        at_end = stats.kendalltau(MINUTES, y - slopes[outside - 1] * (1 + 1e-9) * MINUTES).statistic * n * (n - 1) / 2
        assert at_end <= stats.t.ppf(0.95, size - 2) * deviation < at_end + 4, "the ends are where a test of that slope turns"


def test_the_score_of_points_that_are_alike_has_the_variance_of_scipy() -> None:
    """x and y with ties: scipy's asymptotic p-value, where residuals are as independent as ours may say."""
    random = np.random.default_rng(12)
    compared = 0
    while compared < 20:
        x, y = random.integers(0, 12, 50).astype(float), random.integers(0, 5, 50).astype(float)
        found = _core.theil_sen(x, y)
        assert found is not None
        if found.p_value is None or found.p_value == 1.0:
            continue
        lags = np.arange(1, 50)
        wider = 1 + 2 / (50 * 49 * 48) * float(((50 - lags) * (49 - lags) * (48 - lags) * found.autocorrelation**lags).sum())
        plain = stats.kendalltau(x, y, method="asymptotic")
        z = stats.norm.isf(plain.pvalue / 2) / math.sqrt(wider)
        assert found.p_value == pytest.approx(2 * stats.t.sf(z, found.effective_size - 2), rel=1e-6)
        compared += 1


def alarms(series: Callable[[], np.ndarray], runs: int) -> float:
    """The share of runs that the test calls a trend at 5 %."""
    called = 0
    for _ in range(runs):
        found = _core.theil_sen(MINUTES, series())
        assert found is not None
        called += found.p_value is not None and found.p_value < 0.05
    return called / runs


@pytest.mark.parametrize("r", [0.0, 0.5, 0.8])
def test_series_without_a_trend_are_rarely_called_one(r: float) -> None:
    """At most 10 % at a nominal 5, where a t-test of independent points calls up to half of them."""
    random = np.random.default_rng(31)
    assert alarms(lambda: signal.lfilter([1], [1, -r], random.normal(0, 1, 460))[400:], 800) <= 0.10


@pytest.mark.parametrize("load", [0.7, 0.9, 0.95])
def test_a_queue_that_stands_still_on_average_is_rarely_called_a_trend(load: float) -> None:
    """Depth of an M/M/4 queue each minute, jobs of half a minute: at most 13 %, where a t-test of independent points calls 72 %."""
    random, mean = np.random.default_rng(17), 0.5
    steady = [1.0]
    for here in range(1, 500):
        steady.append(steady[-1] * 4 * load / min(here, 4))

    def depth() -> np.ndarray:
        here, time = int(random.choice(500, p=np.array(steady) / sum(steady))), 0.0
        found: list[int] = []
        while len(found) < 60:
            rate = 4 * load + min(here, 4)
            time += random.exponential(mean / rate)
            while len(found) < 60 and time >= len(found):
                found.append(max(here - 4, 0))
            here += 1 if random.random() * rate < 4 * load else -1
        return np.array(found, dtype=float)

    assert alarms(depth, 300) <= 0.13


def test_a_trend_is_found() -> None:
    random, called = np.random.default_rng(6), 0
    for _ in range(400):
        found = _core.theil_sen(np.arange(60.0), 0.1 * np.arange(60) + signal.lfilter([1], [1, -0.3], random.normal(0, 2, 60)))
        assert found is not None
        called += found.p_value is not None and found.p_value < 0.05
    assert called / 400 > 0.9


def test_the_interval_is_on_one_side_of_0_when_the_probability_says_so() -> None:
    random = np.random.default_rng(8)
    sides = set()
    for _ in range(300):
        found = _core.theil_sen(MINUTES, 0.1 * np.arange(60) * random.random() + random.normal(0, 2, 60))
        assert found is not None
        assert found.growing is not None
        for level in (0.5, 0.9, 0.99):
            ends = found.slope_interval(level)
            assert ends is not None
            assert ends[0] <= found.slope <= ends[1]
            assert (ends[0] > 0) == (found.growing >= 0.5 + level / 2)
            sides.add(ends[0] > 0)
    assert sides == {True, False}


def test_points_that_are_all_too_alike_for_a_rank_have_all_slopes_in_their_interval() -> None:
    curve = np.exp(np.arange(12.0) / 3)
    found = _core.theil_sen(np.arange(12.0), curve)
    assert found is not None
    assert found.growing is not None
    assert found.growing < 0.95
    assert found.slope_interval(0.99) == (0.0, curve[11] - curve[10]), "each slope is above 0, and still it is not sure"


def test_a_quarter_of_wrong_points_moves_it_little() -> None:
    x = np.arange(200.0)
    y = 5 * x + np.random.default_rng(2).normal(0, 1, 200)
    y[::4] = -1e9
    found, straight = _core.theil_sen(x, y), _core.fit(x, y)
    assert found is not None
    assert straight is not None
    assert found.slope == pytest.approx(5, abs=0.05)
    assert abs(straight.slope - 5) > 1000


def test_more_points_than_are_all_paired_give_nearly_the_same() -> None:
    random = np.random.default_rng(14)
    for n, wave in ((1500, 0.0), (2500, 5.0)):
        x = 1.76e9 + 60.0 * np.arange(n)
        y = 1e9 + 2e-5 * (x - x[0]) + wave * np.sin(np.arange(n) * 2 * np.pi / 60) + random.standard_t(3, n)
        found, exact = _core.theil_sen(x, y), stats.theilslopes(y - 1e9, x - x[0]).slope
        assert found is not None
        ends = found.slope_interval(0.9)
        assert ends is not None
        assert abs(found.slope - exact) < 0.15 * (ends[1] - ends[0])
        assert _core.theil_sen(x, y) == found, "no chance is in it"


def test_nothing_one_two_and_alike() -> None:
    assert (_core.theil_sen([], []), _core.theil_sen([1.0], [1.0]), _core.theil_sen([1.0] * 9, [2.0] * 9)) == (None, None, None)
    two = _core.theil_sen([1.0, 3.0], [5.0, 1.0])
    assert two is not None
    assert (two.slope, two.intercept, two.p_value, two.growing, two.slope_interval(0.9)) == (-2.0, 7.0, None, None, None)
    flat = _core.theil_sen(MINUTES, [1e9 + 0.1] * 60)
    assert flat is not None
    assert (flat.slope, flat.p_value, flat.growing, flat.effective_size, flat.at(0.0)) == (0.0, 1.0, 0.5, 60.0, 1e9 + 0.1)
    straight = _core.theil_sen(MINUTES, 0.1 * np.arange(60))
    assert straight is not None
    assert straight.p_value == 0.0


def test_what_is_refused_says_why() -> None:
    for value in (math.nan, math.inf):
        with pytest.raises(ValueError, match=r"x\[1\]"):
            _core.theil_sen([1.0, value, 3.0], [1.0, 2.0, 3.0])
        with pytest.raises(ValueError, match=r"y\[99\]"):
            _core.theil_sen(np.arange(100.0), [*np.arange(99.0), value])
    with pytest.raises(ValueError, match="one length"):
        _core.theil_sen([1.0], [])
    with pytest.raises(ValueError, match="spread of y"):
        _core.theil_sen([1.0, 2.0], [1e200, 0.0])
