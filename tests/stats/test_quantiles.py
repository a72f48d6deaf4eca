"""Exact quantiles against sorting, numpy and the original's own formula; their edges; the GIL while they are found."""

from __future__ import annotations

import math
import threading
from array import array
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from queue_metrics import _core
from tests.stats.exact import KINDS, badly_placed

QS = [0.0, 0.01, 0.07, 0.25, 0.5, 0.55, 0.9, 0.95, 0.99, 0.999, 1.0]
RULES = [_core.quantiles_linear, _core.quantiles_nearest_rank]


def original(values: list[float], percent: float) -> float:
    """The original's rule, word by word."""
    ordered = sorted(values)
    index = percent / 100 * (len(ordered) - 1)
    low, high = ordered[math.floor(index)], ordered[math.ceil(index)]
    weight = index - math.floor(index)
    return low * (1 - weight) + high * weight


@given(st.lists(st.floats(-1e300, 1e300), min_size=1, max_size=200), st.integers(0, 100))
def test_the_linear_rule_is_the_originals(values: list[float], percent: int) -> None:
    found = _core.quantiles_linear(values, [percent / 100])
    assert found is not None
    assert found[0] == pytest.approx(original(values, percent), rel=1e-13, abs=1e-13 * max(map(abs, values)))
    assert min(values) <= found[0] <= max(values)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n", [1, 2, 100, 1001, 20_000])
def test_both_rules_are_numpys(kind: str, n: int) -> None:
    values = badly_placed(n, n, kind)
    before = values.copy()
    spread = float(np.abs(values).max())
    assert _core.quantiles_linear(values, QS) == pytest.approx(np.quantile(values, QS), rel=1e-14, abs=1e-14 * spread)
    assert _core.quantiles_nearest_rank(values, QS) == pytest.approx(
        [sorted(values)[max(1, math.ceil(Fraction(str(q)) * n)) - 1] for q in QS], rel=0, abs=0
    )
    assert (values == before).all()


@given(st.lists(st.sampled_from([0.0, 1.0, 1.0, 2.0, -3.0]), min_size=1, max_size=300), st.lists(st.floats(0, 1), max_size=6))
def test_many_equal_numbers(values: list[float], qs: list[float]) -> None:
    found = _core.quantiles_linear(values, qs)
    assert found == pytest.approx(np.quantile(values, qs) if qs else [], abs=1e-12)


@pytest.mark.parametrize("order", ["rising", "falling", "an organ pipe", "a saw"])
def test_no_order_of_the_numbers_is_bad(order: str) -> None:
    n = 200_000
    rising = np.arange(float(n))
    values = {
        "rising": rising,
        "falling": rising[::-1],
        "an organ pipe": np.concatenate([rising[::2], rising[1::2][::-1]]),
        "a saw": rising.reshape(-1, 400).T.reshape(-1).copy(),
    }[order]
    assert _core.quantiles_nearest_rank(values, [0.5, 0.95, 0.99]) == [99_999.0, 189_999.0, 197_999.0]


@pytest.mark.parametrize("rule", RULES)
def test_nothing_one_and_alike(rule: Callable[..., list[float] | None]) -> None:
    assert rule([], [0.5]) is None
    assert rule([0.1], QS) == [0.1] * len(QS)
    assert rule(array("d", [0.1]) * 1000, tuple(QS)) == [0.1] * len(QS)
    assert rule([1.0, 2.0], []) == []


def test_a_rank_is_not_moved_by_rounding() -> None:
    """0.07 * 100 is a little more than 7 in doubles; the seventh of a hundred is meant."""
    values = [float(number) for number in range(1, 101)]
    for percent in range(1, 101):
        assert _core.quantiles_nearest_rank(values, [percent / 100]) == [float(percent)]


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_refused_with_its_place(rule: Callable[..., object], value: float) -> None:
    with pytest.raises(ValueError, match=r"values\[2\] is"):
        rule([1.0, 2.0, value], [0.5])


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("q", [-0.01, 1.01, math.nan, math.inf])
def test_a_quantile_beyond_its_range_is_an_error(rule: Callable[..., object], q: float) -> None:
    with pytest.raises(ValueError, match="q must be between 0 and 1, not"):
        rule([1.0], [0.5, q])
    with pytest.raises(TypeError):
        rule([1.0], 0.5)


def test_a_buffer_may_change_while_quantiles_are_found_without_the_gil() -> None:
    """The numbers are copied before the GIL goes, so they are those of one moment: here all alike."""
    n = 300_000
    values = array("d", [0.0]) * n
    states = [array("d", [float(number)]) * n for number in range(3)]
    done = threading.Event()
    changes = 0

    def change() -> None:
        nonlocal changes
        with memoryview(values) as view:
            while not done.is_set():
                changes += 1
                view[:] = states[changes % 3]

    thread = threading.Thread(target=change)
    thread.start()
    try:
        found = [_core.quantiles_linear(values, [0.0, 0.5, 1.0]) for _ in range(50)]
    finally:
        done.set()
        thread.join()
    assert changes > 10
    assert all(answer is not None and len(set(answer)) == 1 for answer in found)
