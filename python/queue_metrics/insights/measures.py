"""From a stored value to the numbers of an answer: counts, distributions, shares, totals."""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import reduce
from itertools import accumulate
from typing import TypeVar

from queue_metrics._core import Value
from queue_metrics.insights import layout
from queue_metrics.model import Counts, Distribution, Histogram, Lifetime, Outcome, Share, Sums, Total

_Kind = TypeVar("_Kind", bound=Distribution)
_SECONDS, _BYTES = "seconds", "bytes"
_Z95 = 1.959963984540054
"""Quantile 0.975 of the normal distribution."""


def merged(values: Iterable[Value]) -> Value:
    """All of them together; the empty value for none."""
    return reduce(Value.merge, values) if (values := tuple(values)) else Value()


def counts(value: Value) -> Counts:
    """What happened."""
    return Counts(
        started=value.counter(layout.STARTED),
        outcomes={outcome: value.counter(index) for outcome, index in layout.OUTCOMES.items()},
        arrivals=value.counter(layout.ARRIVALS),
        retries_following=value.counter(layout.RETRIES_FOLLOWING),
        discarded={reason: value.counter(index) for reason, index in layout.DISCARDED.items()},
        result_errors=value.counter(layout.RESULT_ERRORS),
        clock_skews=value.counter(layout.CLOCK_SKEWS),
    )


def distribution(value: Value, measure: int) -> Distribution:
    """A measure of a window, in seconds or bytes."""
    return _distribution(Distribution, value, measure)


def memory_change(value: Value) -> Sums:
    """How the resident memory changed in a window, bytes."""
    return _distribution(Sums, value, layout.MEMORY_CHANGE)


def total(value: Value, measure: int) -> Total:
    """A measure of a stored total, in seconds or bytes."""
    return _distribution(Total, value, measure)


def _distribution(kind: type[_Kind], value: Value, measure: int) -> _Kind:
    memory = measure in (layout.MEMORY_PEAK, layout.MEMORY_CHANGE)
    unit, scale = (_BYTES, 1) if memory else (_SECONDS, layout.MICROSECONDS)
    found = value.measure(measure)
    if found is None or found[0] == 0:
        return kind(unit, 0, 0.0, *(None,) * 8)
    n, whole, low, high = found
    quantiles = value.quantiles(measure, (0.5, 0.95, 0.99))
    p50, p95, p99 = (None, None, None) if quantiles is None else (each / scale for each in quantiles)
    deviation = value.deviation(measure)
    return kind(
        unit=unit,
        n=n,
        sum=whole / scale,
        mean=whole / n / scale,
        p50=p50,
        p95=p95,
        p99=p99,
        min=None if low is None else low / scale,
        max=None if high is None else high / scale,
        deviation=None if deviation is None else deviation / scale,
        error_ratio=None if quantiles is None else _error_ratio(value, measure),
    )


def _error_ratio(value: Value, measure: int) -> float | None:
    # The harmonic mean of a bucket's bounds 1 and b is off by (b - 1) / (b + 1) at most.
    sketch = value.sketch(measure)
    if sketch is None or sketch[1]:
        return None
    base = math.exp2(math.exp2(-sketch[0]))
    return (base - 1) / (base + 1)


def share(part: int, n: int) -> Share:
    """
    A part of n with its 95 % interval.

    Source:
        Wilson (1927): holds for few and for rare ones too, where the usual interval leaves 0-1.
    """
    if n == 0:
        return Share(part, 0, None, None, None)
    ratio, z2 = part / n, _Z95 * _Z95
    middle = (ratio + z2 / (2 * n)) / (1 + z2 / n)
    half = _Z95 / (1 + z2 / n) * math.sqrt(ratio * (1 - ratio) / n + z2 / (4 * n * n))
    low = 0.0 if part == 0 else max(middle - half, 0.0)
    high = 1.0 if part == n else min(middle + half, 1.0)
    return Share(part, n, ratio, low, high)


def failure_share(counted: Counts) -> Share:
    """Failures among the executions that were decided; a retried or cancelled one is neither success nor failure."""
    return share(counted.failures, counted.failures + counted.outcomes[Outcome.SUCCEEDED])


def success_share(counted: Counts) -> Share:
    """Successes among the same."""
    succeeded = counted.outcomes[Outcome.SUCCEEDED]
    return share(succeeded, counted.failures + succeeded)


def rate(count: int, seconds: float | None) -> float | None:
    """Per second; None when nothing was recorded."""
    return None if seconds is None else count / seconds


def lifetime(value: Value) -> Lifetime:
    """A stored total."""
    return Lifetime(
        counts=counts(value),
        runtime=_histogram(value, layout.RUNTIME, layout.RUNTIME_BOUNDS),
        wait=_histogram(value, layout.WAIT, layout.WAIT_BOUNDS),
        cpu=total(value, layout.CPU),
        memory_peak=total(value, layout.MEMORY_PEAK),
        memory_change=total(value, layout.MEMORY_CHANGE),
    )


def _histogram(total: Value, measure: int, first: int) -> Histogram:
    found = total.measure(measure)
    steps = tuple(accumulate(total.counter(first + k) for k in range(len(layout.BOUNDS_SECONDS) + 1)))
    seconds = 0.0 if found is None else found[1] / layout.MICROSECONDS
    return Histogram(layout.BOUNDS_SECONDS, steps[:-1], steps[-1], seconds)
