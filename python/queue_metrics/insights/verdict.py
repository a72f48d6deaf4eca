"""Whether a number grows, falls or stays, and how sure that is. Formulas, sources and errors: docs/insights.md."""

from __future__ import annotations

import math
from collections.abc import Sequence

from queue_metrics._core import Series, intervals, normal_quantile, spread, theil_sen
from queue_metrics.insights.flow import FlowCase
from queue_metrics.insights.wording import count, ratio
from queue_metrics.model.trends import Direction, FlowEvidence, Verdict
from queue_metrics.storage.base import HOUR, MINUTE

SURE = 0.95
"""A direction is told from this probability on: then the 90 % interval lies on one side of 0."""
LEVEL = 0.9
POINTS_LEAST = 5
"""Fewer points are no evidence: the residuals of four tell nothing of how alike neighbours are."""
MINUTES_LEAST = 10
"""Fewer minutes are no evidence of a flow: how bursty arrivals are is not known by then."""
COUNT_LEAST, COUNT_PART = 4.0, 0.1
"""
Counts are joined until they are so many on average, and this part of the root of all that was counted: their median rises less than their
mean does, which the more of them see the better.
"""
JOINED_LEAST = 60
"""So many points are left of those that are joined, at least."""
MARGIN = 0.1
"""A change over the window of less than this part of the mean does not matter."""


def unknown(reason: str, n: int = 0) -> Verdict:
    """There is not enough evidence, and why."""
    return Verdict(Direction.UNKNOWN, reason, *(None,) * 6, n, float(n), None)


def line_verdict(times: Series | Sequence[float], values: Series | Sequence[float], period: float, *, least_margin: float = 0.0) -> Verdict:
    """
    By the median of the slopes between points, tested for as many points as they are worth. Counts have their steps taken from them: of
    small ones so many pairs are alike that the median is 0 whatever happens. The smallest are joined before.

    Args:
        times: seconds, ascending.
        values: as many.
        period: the length of the window, seconds.
        least_margin: a change over the window up to this does not matter either.
    """
    n = len(values)
    if n < POINTS_LEAST:
        return unknown(f"{_points(n)}: a verdict needs {POINTS_LEAST}", n)
    values = Series(values)
    mean = values.sum() / n
    many = _joined(values, mean)
    line = theil_sen(_means(Series(times) - times[0], many), spread(_means(values, many)))
    growing, ends = (None, None) if line is None else (line.growing, line.slope_interval(LEVEL))
    if line is None or growing is None or ends is None:
        return unknown(f"neighbouring points are so alike that {count(n)} are worth no more than two", n)
    margin = max(MARGIN * abs(mean), least_margin) / period
    worth = f"{_points(n)}{'' if many == 1 else f' joined by {many}'}, worth {line.effective_size:.3g} independent ones"
    if max(map(abs, ends)) <= margin:
        direction, reason = Direction.STEADY, f"it changes by less than matters ({worth})"
    elif growing >= SURE or growing <= 1 - SURE:
        direction = Direction.GROWING if growing > 0.5 else Direction.DRAINING
        reason = f"it {'rises' if growing > 0.5 else 'falls'} with a probability of {_chance(max(growing, 1 - growing))} ({worth})"
    else:
        direction, reason = Direction.UNKNOWN, f"it may rise or fall ({worth})"
    return Verdict(
        direction=direction,
        reason=reason,
        probability=growing,
        slope_per_second=line.slope,
        slope_low=ends[0],
        slope_high=ends[1],
        relative_change_per_hour=line.slope * HOUR / abs(mean) if mean else None,
        margin_per_second=margin,
        n=n,
        effective_n=line.effective_size,
        flow=None,
    )


def flow_verdict(case: FlowCase, *, minutes: int, ready: float | None, mean_ready: float | None, period: float) -> Verdict:
    """
    By what arrives and what could be started.

    Args:
        case: the evidence.
        minutes: how many it is of.
        ready: ready jobs at the last question; None when nobody asked.
        mean_ready: their mean in the window.
        period: the length of the window, seconds.
    """
    flow, growing = case.flow, case.flow.growing
    low, high = flow.drift_interval(LEVEL)
    a_minute = case.capacity.per_second * MINUTE
    margin = max(MARGIN * (mean_ready or 0.0), a_minute, 1.0) / period
    direction, reason = Direction.UNKNOWN, "arrivals and what can be started are too near to each other to be told apart"
    if minutes < MINUTES_LEAST:
        reason = f"{minutes} whole minutes were recorded: a verdict needs {MINUTES_LEAST}"
    elif max(abs(low), abs(high)) <= margin:
        direction, reason = Direction.STEADY, "what arrives is what can be started, within what matters"
    elif growing >= SURE and not ready and ready is not None:
        reason = "more seems to arrive than can be started, yet nothing waits: there may be more workers than heartbeats tell"
    elif growing >= SURE:
        direction, reason = Direction.GROWING, f"{ratio(flow.load)} of what can be started arrives"
    elif growing <= 1 - SURE and (ready or 0.0) > a_minute:
        direction, reason = Direction.DRAINING, f"only {ratio(flow.load)} of what can be started arrives"
    elif growing <= 1 - SURE:
        direction = Direction.STEADY
        reason = f"only {ratio(flow.load)} of what can be started arrives, and no more waits than is started in a minute"
    half = normal_quantile((1 + LEVEL) / 2) * flow.load_error
    return Verdict(
        direction=direction,
        reason=reason,
        probability=growing,
        slope_per_second=flow.drift,
        slope_low=low,
        slope_high=high,
        relative_change_per_hour=flow.drift * HOUR / mean_ready if mean_ready else None,
        margin_per_second=margin,
        n=case.n,
        effective_n=case.arrivals.size + case.capacity.size,
        flow=FlowEvidence(
            arrivals_per_second=case.arrivals.per_second,
            arrivals_from=case.arrivals_from,
            capacity_per_second=case.capacity.per_second,
            capacity_from=case.capacity_from,
            slots=case.slots,
            load=flow.load,
            load_low=flow.load * math.exp(-half),
            load_high=flow.load * math.exp(half),
        ),
    )


def _joined(values: Series, mean: float) -> int:
    """How many neighbours are joined, of small counts of many points; 1 of all other numbers."""
    if mean <= 0:
        return 1
    enough = max(COUNT_LEAST, COUNT_PART * math.sqrt(mean * len(values)))
    many = min(math.ceil(enough / mean), len(values) // JOINED_LEAST)
    return many if many > 1 and all(map(float.is_integer, values)) else 1


def _means(numbers: Series, many: int) -> Series:
    """Of as many neighbours each; what is left over in front is left out."""
    if many == 1:
        return numbers
    whole = numbers[len(numbers) % many :]
    _, _, sums, _ = intervals(range(len(whole)), whole, 0, many)
    return sums / many


def _points(n: int) -> str:
    return "1 point" if n == 1 else f"{count(n)} points"


def _chance(probability: float) -> str:
    return "over 99.9 %" if probability > 0.999 else ratio(probability)
