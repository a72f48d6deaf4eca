"""Every interval of ours holds the truth as often as it says: those of 90 % in 87 to 93 of 100, of 1,000 simulations with a fixed seed."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from queue_metrics import _core
from queue_metrics.insights.measures import share
from tests.stats.simulated import ALIKE, FLOWS, LAWS, LEAST, MOST, RUNS, WEEK, of_counts, of_flows, of_lines

QUICK = [(law, n, alike) for law in LAWS for n in (20, 60) for alike in ALIKE] + [
    ("normal", 240, 0.3),
    ("heavy", 240, 0.6),
    ("skewed", WEEK, 0.3),
]


@pytest.mark.parametrize(("law", "n", "alike"), QUICK)
def test_intervals_of_a_slope_hold_it_whatever_the_noise(law: str, n: int, alike: float) -> None:
    """`make torture` has those of 240, 1,440 and 10,080 points."""
    found = of_lines(1, law, n, alike)
    assert found.given == RUNS
    assert LEAST <= found.share <= MOST, str(found)


@pytest.mark.parametrize("change", [0.0, 0.5, 1.0])
@pytest.mark.parametrize(
    ("mean", "n"), [(2.0, 20), (3.0, 20), (30.0, 20), (1.0, 60), (3.0, 60), (30.0, 60), (0.3, 240), (3.0, 240), (1.0, 1440)]
)
def test_intervals_of_the_slope_of_counts_hold_it(mean: float, n: int, change: float) -> None:
    """
    The ranks of bare counts would hold it in less than 1 of 100 where a mean of 1 doubles within 240 points. Those without their steps
    would in 61 where it does within 1,440, since their median rises less than their mean: so small counts are joined.
    """
    found = of_counts(1, mean, n, change)
    assert found.given == RUNS
    assert LEAST <= found.share <= MOST, str(found)


@pytest.mark.parametrize("n", [20, 60, 240])
@pytest.mark.parametrize(("burst", "workers"), FLOWS)
def test_intervals_of_a_flow_hold_its_drift_and_its_load(burst: int, workers: int, n: int) -> None:
    for found in of_flows(1, burst, workers, n):
        assert LEAST <= found.share <= MOST, str(found)


@pytest.mark.parametrize("n", [5, 20, 60, 240])
def test_intervals_of_least_squares_hold_the_slope_and_the_next_point(n: int) -> None:
    source, x = np.random.default_rng(n), np.arange(float(n))
    slopes = points = 0
    for _ in range(RUNS):
        y = 3 + 0.2 * x + source.normal(0, 2, n)
        found = _core.fit(x, y)
        assert found is not None
        ends, next_ = found.slope_interval(0.9), found.prediction(n + 5, 0.9)
        assert ends is not None
        assert next_ is not None
        slopes += ends[0] <= 0.2 <= ends[1]
        points += next_[0] <= 3 + 0.2 * (n + 5) + source.normal(0, 2) <= next_[1]
    assert LEAST * RUNS <= slopes <= MOST * RUNS
    assert LEAST * RUNS <= points <= MOST * RUNS


def covered(low: list[float], high: list[float], p: float) -> float:
    """How often intervals of 0, 1, ..., n hold p: no simulation, but all that can happen."""
    n = len(low) - 1
    chances = stats.binom.pmf(np.arange(n + 1), n, p)
    return float(chances[(np.array(low) <= p) & (p <= np.array(high))].sum())


@pytest.mark.parametrize("n", [20, 60, 240, 1440])
def test_intervals_of_a_share_hold_it_as_nearly_as_counts_allow(n: int) -> None:
    """Counts have steps, so the level swings with p: on average it is held, and near 0 and 1 no interval can do better than some jumps."""
    ps = np.arange(1, 200) / 200 if n == 1440 else np.arange(1, 1000) / 1000
    for level, least, most in ((0.9, 0.869, MOST), (0.95, 0.93, 0.97)):
        if level == 0.95:  # that of our answers
            answers = [share(k, n) for k in range(n + 1)]
            ends = [(found.low, found.high) for found in answers]
        else:
            ends = [_core.wilson_interval(k, n, level) or (0.0, 0.0) for k in range(n + 1)]
        found = np.array([covered([end[0] or 0.0 for end in ends], [end[1] or 0.0 for end in ends], p) for p in ps])
        assert level - 0.001 <= found.mean() <= level + 0.008
        assert found.min() >= level - 0.1
        many = n * ps * (1 - ps) >= 10
        assert not many.any() or (found[many].min() >= least and found[many].max() <= most)


def test_an_interval_that_is_too_narrow_would_be_seen() -> None:
    """The same simulations with the textbook's error of a regression, which takes neighbours for independent."""
    source, x, held = np.random.default_rng(4), np.arange(60.0), 0
    for _ in range(RUNS):
        found = stats.linregress(x, np.convolve(source.normal(0, 1, 61), [1, 0.6], "valid"))
        held += abs(found.slope) <= stats.t.ppf(0.95, 58) * found.stderr
    assert held < LEAST * RUNS
