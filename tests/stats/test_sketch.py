"""Sketches: quantiles within the stated error, merges without an order, collapsing and ageing."""

from __future__ import annotations

import functools
import math
import random
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from queue_metrics import _core

NUMBERS = st.lists(st.integers(0, 2**62) | st.integers(0, 200) | st.integers(0, 62).map(lambda power: 2**power), max_size=80)
QS = [0.0, 0.001, 0.07, 0.25, 0.5, 0.9, 0.95, 0.99, 0.999, 1.0]


def error(scale: int) -> float:
    """The greatest relative error of the harmonic mean of two bounds: (g - 1) / (g + 1) with g = 2^(2^-scale)."""
    ratio = math.exp2(math.exp2(-scale))
    return (ratio - 1) / (ratio + 1)


def rank(q: float, n: int) -> int:
    return max(1, math.ceil(Fraction(str(q)) * n))


def draws(kind: str, n: int) -> np.ndarray:
    source = np.random.default_rng(9)
    return {
        "run times": source.lognormal(12, 2.5, n),
        "bytes": source.uniform(2**20, 2**34, n),
        "few and zero": source.integers(0, 40, n) * (source.random(n) < 0.7),
        "all sizes": 2.0 ** source.uniform(0, 62, n),
    }[kind].astype(np.int64)


@pytest.mark.parametrize("kind", ["run times", "bytes", "few and zero", "all sizes"])
@pytest.mark.parametrize("scale", [5, 4, 2])
def test_quantiles_of_ten_thousand_are_within_the_error(kind: str, scale: int) -> None:
    numbers = draws(kind, 10_000)
    sketch = _core.Sketch(numbers, scale)
    assert (sketch.count, sketch.scale) == (10_000, scale)
    ordered = np.sort(numbers)
    if sketch.collapsed:
        ordered = np.maximum(ordered, 2 ** (sketch.buckets[0][0] / 2**scale))
    read = sketch.quantiles(QS)
    assert read is not None
    for q, value in zip(QS, read, strict=True):
        assert value == pytest.approx(float(ordered[rank(q, 10_000) - 1]), rel=error(scale) + 1e-12)
    assert sketch.deviation() == pytest.approx(float(np.std(numbers, ddof=1)), rel=2 * error(scale))


@given(NUMBERS, NUMBERS, NUMBERS)
def test_a_merge_is_the_sketch_of_all_in_any_order(a: list[int], b: list[int], c: list[int]) -> None:
    one, two, three = _core.Sketch(a), _core.Sketch(b), _core.Sketch(c)
    everything = _core.Sketch(a + b + c)
    assert one.merge(two).merge(three) == everything == three.merge(one.merge(two)) == two.merge(three).merge(one)
    assert everything.count == len(a) + len(b) + len(c)
    assert everything.at_scale(4) == _core.Sketch(a + b + c, 4) == one.at_scale(4).merge(two.at_scale(4)).merge(three.at_scale(4))


def every_bucket(indexes: Sequence[int]) -> _core.Sketch:
    """A sketch with a number in each bucket of these indexes, which are wide enough for one from 250 on."""
    return _core.Sketch([math.floor(2 ** ((index + 0.5) / 32)) for index in indexes])


@settings(max_examples=50)
@given(st.lists(st.tuples(st.integers(300, 1400), st.integers(1, 550)), min_size=3, max_size=7), st.randoms(use_true_random=False))
def test_the_lowest_buckets_collapse_first_in_any_order(ranges: list[tuple[int, int]], source: random.Random) -> None:
    parts = [every_bucket(range(first, first + many)) for first, many in ranges]
    indexes = sorted({index for first, many in ranges for index in range(first, first + many)})
    expected = functools.reduce(_core.Sketch.merge, parts)
    while len(parts) > 1:
        source.shuffle(parts)
        parts.append(parts.pop().merge(parts.pop()))
    assert parts[0] == expected
    assert expected.collapsed == (len(indexes) > 1024)
    kept = [index for index, _ in expected.buckets]
    assert kept == indexes[-1024:]
    assert expected.count == sum(many for _, many in ranges)


def test_quantiles_above_a_collapse_keep_their_error() -> None:
    sketch = every_bucket(range(300, 1900))
    assert sketch.collapsed
    read = sketch.quantiles([0.5, 0.99])
    assert read is not None
    for q, value in zip((0.5, 0.99), read, strict=True):
        assert value == pytest.approx(2 ** ((300 + rank(q, 1600) - 1 + 0.5) / 32), rel=2 * error(5))


def test_nothing_one_and_alike() -> None:
    none = _core.Sketch([])
    assert (none.count, none.buckets, none.quantiles([0.5]), none.deviation()) == (0, [], None, None)
    assert _core.Sketch([0, 0]).quantiles([0.0, 1.0]) == [0.0, 0.0]
    one = _core.Sketch([7])
    assert one.deviation() is None
    assert one.quantiles([0.0, 1.0]) == pytest.approx([7.0, 7.0], rel=error(5))
    assert _core.Sketch([7] * 1000).deviation() == 0.0
    assert one.quantiles([]) == []


def test_what_is_no_count_is_refused() -> None:
    with pytest.raises(ValueError, match=r"values\[2\] is below 0"):
        _core.Sketch([1, 0, -1])
    with pytest.raises(ValueError, match="scale must be from 0 to 5, not 6"):
        _core.Sketch([1], 6)
    for q in (-0.01, 1.01, math.nan):
        with pytest.raises(ValueError, match="q must be between 0 and 1, not"):
            _core.Sketch([1]).quantiles([q])
