"""A line over a sliding window against rational arithmetic, after few points and after very many."""

from __future__ import annotations

import math
import os
import threading
from collections import deque

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from queue_metrics import _core
from tests.stats.exact import badly_placed, line, off

SCALE = float(os.environ.get("QM_TEST_SCALE", "1"))


def agrees(window: _core.SlidingFit, points: deque[tuple[float, float]], slope: float | None) -> None:
    """The window's line is that of its points, within 64 units of its condition."""
    x, y = [point[0] for point in points], [point[1] for point in points]
    assert len(window) == len(points)
    assert window.slope == slope
    found = window.fit()
    if len(set(x)) < 2:
        assert found is None
        assert slope is None
        return
    exact = line(x, y)
    assert found is not None
    assert slope is not None
    for value in (slope, found.slope):
        assert off(value, exact.slope, exact.condition) <= 64
    assert off(found.mean_y, exact.mean_y, max(map(abs, y))) <= 16
    if found.residual_deviation is not None and exact.yy:
        variance = found.residual_deviation**2 * (exact.n - 2)
        assert off(variance, exact.residuals, float(exact.yy)) <= 256


@pytest.mark.parametrize("kind", ["1e9 and a little", "one far outlier first", "two levels", "sixteen decades", "around 0"])
@pytest.mark.parametrize("most", [2, 7, 50])
def test_every_state_is_the_fit_of_its_points(kind: str, most: int) -> None:
    window, points = _core.SlidingFit(most), deque[tuple[float, float]](maxlen=most)
    y = badly_placed(most, 200, kind)
    for at, value in enumerate(float(number) for number in y):
        x = 1.76e9 + at * 10.0
        points.append((x, value))
        agrees(window, points, window.push(x, value))


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(-100, 100), st.sampled_from([0.0, 1e9, -1e6])), max_size=60), st.integers(0, 8))
def test_a_span_lets_go_by_x(steps: list[tuple[int, int, float]], span: int) -> None:
    window, points = _core.SlidingFit(1000, float(span)), deque[tuple[float, float]]()
    x = 1e9
    for step, y, level in steps:
        x += step
        points.append((x, level + y))
        while points[0][0] < x - span:
            points.popleft()
        agrees(window, points, window.push(x, level + y))


def test_it_never_drifts() -> None:
    """Levels, outliers and ramps go in and out; 10^7 points at a scale of 10."""
    most = 500
    window = _core.SlidingFit(most)
    random = np.random.default_rng(3)
    pushed = 0
    while pushed < 1_000_000 * SCALE:
        for kind in ("around 0", "1e9 and a little", "one far outlier first", "two levels", "seconds since 1970"):
            y = badly_placed(int(random.integers(2**31)), 20_000, kind)
            x = 1.76e9 + np.arange(pushed, pushed + len(y)) * 0.5
            pushed += len(y)
            slopes = window.push_all(x, y)
            points = deque(zip(map(float, x[-most:]), map(float, y[-most:]), strict=True))
            agrees(window, points, slopes[-1])


def test_many_points_at_once_are_the_same_one_by_one() -> None:
    x, y = np.arange(300.0), badly_placed(4, 300, "1e9 and a little")
    one, other = _core.SlidingFit(20), _core.SlidingFit(20)
    slopes = one.push_all(x, y)
    singly = [other.push(float(a), float(b)) for a, b in zip(x, y, strict=True)]
    assert math.isnan(slopes[0])
    assert singly[0] is None
    assert list(slopes)[1:] == singly[1:]
    with pytest.raises(ValueError, match="not of one length"):
        one.push_all([1.0], [])
    with pytest.raises(ValueError, match="y must be between"):
        one.push_all([300.0, 301.0], [1.0, math.nan])
    assert len(one) == 20


def test_few_alike_and_refused_points() -> None:
    window = _core.SlidingFit(5)
    assert (window.slope, window.fit(), len(window)) == (None, None, 0)
    for x, y in ((math.nan, 1.0), (1.0, math.inf), (-1e150, 0.0)):
        with pytest.raises(ValueError, match="must be between -1e149 and 1e149"):
            window.push(x, y)
    assert (window.push(0.1, 7.0), window.push(0.1, 9.0), window.push(1.1, 8.0)) == (None, None, 0.0)
    for _ in range(9):
        window.push(5.5, 1.0)
    assert (window.slope, window.fit()) == (None, None)
    with pytest.raises(TypeError):
        window.push("1", 2.0)  # type: ignore[arg-type]
    for most, span in ((0, None), (2**24 + 1, None), (5, -1.0), (5, math.nan)):
        with pytest.raises(ValueError, match="must be"):
            _core.SlidingFit(most, span)
    backwards = _core.SlidingFit(5, 10.0)
    backwards.push(3.0, 1.0)
    with pytest.raises(ValueError, match="no less than the one before"):
        backwards.push(2.0, 1.0)


def test_threads_may_push_at_once() -> None:
    """Every point of theirs lies on one line; so does the window, whatever the order."""
    window = _core.SlidingFit(1000)

    def push(first: int) -> None:
        for at in range(first, 20_000, 4):
            window.push(float(at), 3.0 * at + 1.0)

    threads = [threading.Thread(target=push, args=(first,)) for first in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = window.fit()
    assert found is not None
    assert (len(window), found.n) == (1000, 1000)
    assert found.slope == pytest.approx(3.0, rel=1e-12)


def test_of_many_points_the_refused_one_is_named_and_those_before_it_are_in() -> None:
    window, ewma = _core.SlidingFit(10), _core.Ewma(1.0)
    with pytest.raises(ValueError, match=r"point 2: y"):
        window.push_all([1.0, 2.0, 3.0], [1.0, 2.0, math.nan])
    with pytest.raises(ValueError, match=r"point 1: time must be not before the last one"):
        ewma.push_all([2.0, 1.0], [1.0, 2.0])
    assert (len(window), ewma.mean) == (2, 1.0)


def test_a_line_is_read_at_finite_places_only() -> None:
    for fitted in (_core.fit([1.0, 2.0, 3.0], [1.0, 2.0, 3.0]), _core.theil_sen([1.0, 2.0, 3.0], [1.0, 2.0, 3.0])):
        assert fitted is not None
        assert fitted.at(4.0) == pytest.approx(4.0)
        for place in (math.nan, math.inf):
            with pytest.raises(ValueError, match="x must be finite"):
                fitted.at(place)
