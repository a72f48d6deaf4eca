"""The mean of numbers that are stored as sums of steps, where each step has a weight, and its standard error. Knows no baseline."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

Part: TypeAlias = tuple[float, int, int]
"""The weight of a step, how many numbers are in it, and their sum."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean, or a ratio of two means over the same steps."""

    n: int
    """Numbers that it is made of."""
    value: float
    pulls: tuple[float, ...]
    """By how much it would move without each step."""
    steps: int
    """Of these, how many have any number in them."""

    @property
    def error(self) -> float | None:
        """
        Its standard error; None of one step, which shows no spread.

        Source:
            The jackknife (Tukey 1958; Efron & Stein 1981) that leaves out a step at a time: numbers of one step are alike, so they count
            together, and no spread within a step need be known.
        """
        return math.sqrt((self.steps - 1) / self.steps * math.fsum(pull * pull for pull in self.pulls)) if self.steps > 1 else None

    def by(self, other: Estimate) -> Estimate | None:
        """The ratio of both, to first order of what a step moves; None where the other is 0."""
        if other.value == 0:
            return None
        ratio = self.value / other.value
        pulls = ((mine - ratio * theirs) / other.value for mine, theirs in zip(self.pulls, other.pulls, strict=True))
        return Estimate(self.n, ratio, tuple(pulls), min(self.steps, other.steps))


def estimate(parts: Sequence[Part]) -> Estimate | None:
    """The weighted mean; None where no step has a number."""
    weights = sum(weight * n for weight, n, _ in parts)
    if weights <= 0:
        return None
    value = sum(weight * total for weight, _, total in parts) / weights
    pulls = tuple(
        weight * (value * n - total) / (weights - weight * n) if n and weight * n < weights else 0.0 for weight, n, total in parts
    )
    return Estimate(sum(n for _, n, _ in parts), value, pulls, sum(n > 0 for _, n, _ in parts))
