"""What the estimators are held against: rational arithmetic, and the numbers to try them with."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

import numpy as np
from hypothesis import strategies as st

EPSILON = sys.float_info.epsilon


class Line(NamedTuple):
    """Least squares without a rounding; the squares are sums about the means."""

    n: int
    mean_x: Fraction
    mean_y: Fraction
    xx: Fraction
    xy: Fraction
    yy: Fraction

    @property
    def slope(self) -> Fraction:
        return self.xy / self.xx

    @property
    def intercept(self) -> Fraction:
        return self.mean_y - self.slope * self.mean_x

    @property
    def residuals(self) -> Fraction:
        return self.yy - self.slope * self.xy

    @property
    def condition(self) -> float:
        """How far the slope moves when y moves by its deviation: what an error of the slope is measured by."""
        return math.sqrt(self.yy / self.xx)


def line(x: Sequence[float], y: Sequence[float]) -> Line:
    """The sums behind every line through points."""
    xs, ys = [Fraction(value) for value in x], [Fraction(value) for value in y]
    n = len(xs)
    mean_x, mean_y = sum(xs) / Fraction(n), sum(ys) / Fraction(n)
    dx, dy = [value - mean_x for value in xs], [value - mean_y for value in ys]

    def product(one: Sequence[Fraction], other: Sequence[Fraction]) -> Fraction:
        return sum((a * b for a, b in zip(one, other, strict=True)), Fraction(0))

    return Line(n, mean_x, mean_y, product(dx, dx), product(dx, dy), product(dy, dy))


def off(found: float, exact: Fraction | float, scale: float) -> float:
    """The error in units in the last place of a scale."""
    return float(abs(Fraction(found) - Fraction(exact))) / (EPSILON * scale) if scale else float(Fraction(found) != Fraction(exact))


def badly_placed(seed: int, n: int, kind: str) -> np.ndarray:
    """Numbers of a kind on which naive sums fail."""
    random = np.random.default_rng(seed)
    noise = random.normal(0, 1, n)
    return {
        "around 0": noise,
        "1e9 and a little": 1e9 + 1e-3 * noise,
        "seconds since 1970": 1.76e9 + np.sort(random.uniform(0, 3600, n)),
        "a few units in the last place": 1e12 + random.integers(0, 4, n) * 2.0**-13,
        "one far outlier first": np.concatenate([[1e9], noise[1:]]) if n else noise,
        "two levels": np.where(np.arange(n) < n // 2, -1e8, 1e8) + noise,
        "sixteen decades": 10.0 ** random.uniform(-8, 8, n),
    }[kind]


KINDS = (
    "around 0",
    "1e9 and a little",
    "seconds since 1970",
    "a few units in the last place",
    "one far outlier first",
    "two levels",
    "sixteen decades",
)
"""Those of `badly_placed`."""


def numbers(least: int = 0, most: int = 60) -> st.SearchStrategy[list[float]]:
    """Numbers near 0, or near a number far from 0, a little apart; none so small that its square is no double."""
    places = st.sampled_from([0.0, 1e9, -1.7e9, 1e15])
    number = st.floats(-1e6, 1e6).map(lambda value: value if abs(value) > 1e-60 else 0.0) | st.integers(-3, 3).map(float)
    apart = st.lists(number, min_size=least, max_size=most)
    return st.builds(lambda place, values: [place + value for value in values], places, apart)
