"""What arrives at a queue and what could be started of it, from its minutes: the evidence of the flow test. Judges nothing."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

from queue_metrics._core import Flow, Rate, Series, balance
from queue_metrics._core import variation as variation_of_groups
from queue_metrics.insights.minutes import Minutes
from queue_metrics.model import WorkerAnswer
from queue_metrics.storage.base import MINUTE

_LIVE = ("starting", "idle", "busy")
_NEARLY_ALL = 0.9
"""Recorded arrivals count when there are at least so many of those that starts and depth tell: else some producers record none."""
_ALL_BUSY = 0.5
"""Only from so many minutes of all on, in which jobs waited throughout, is the rate of their starts a capacity."""


_Capacity: TypeAlias = tuple[Rate, str, float | None, int]
"""The rate, where it is from, slots, and executions that were counted."""


@dataclass(frozen=True, slots=True)
class FlowCase:
    """Both rates of a queue, and where they are from."""

    flow: Flow
    arrivals: Rate
    arrivals_from: str
    capacity: Rate
    capacity_from: str
    slots: float | None
    n: int
    """Arrivals and executions that were counted."""


def dedicated(workers: Iterable[WorkerAnswer], connection: str, queue: str) -> int | None:
    """Live workers that serve this queue and no other; None when others share one that does, or none is known to serve it."""
    served = [each.queue for each in workers if each.role == "worker" and each.state in _LIVE and each.connection == connection]
    serving = [names for names in served if not names or queue in names.split(",") or names == queue]
    return len(serving) if serving and all(names == queue for names in serving) else None


def flow_case(minutes: Minutes, workers: int | None) -> FlowCase | str:
    """
    The evidence, or what is missing of it.

    Args:
        minutes: whole ones, without the open one.
        workers: live workers that serve this queue and no other; None when others share them, or it is not known.
    """
    counted = arrivals(minutes)
    if counted is None:
        return "arrivals are not recorded and nobody asked the broker for the depth"
    numbers, source = counted
    rate = Rate.of_counts(numbers, MINUTE)
    found = (_slots(minutes, workers) if workers else None) or _while_waiting(minutes)
    if rate is None or found is None:
        return "what the workers can start is not known: none serves this queue alone, and seldom did jobs wait throughout a minute"
    capacity, capacity_from, slots, n = found
    return FlowCase(Flow(rate, capacity), rate, source, capacity, capacity_from, slots, round(numbers.sum()) + n)


def arrivals(minutes: Minutes) -> tuple[Series, str] | None:
    """
    Arrivals by minute, and where they are from: recorded ones; else jobs that left for a worker or were discarded, plus the change of
    depth since the question of the minute before. None when neither is known.
    """
    told = balance(minutes.starts, MINUTE, minutes.ready, minutes.started + minutes.discarded)
    known = told.known()
    if minutes.arrivals.sum() > 0:
        recorded = (minutes.arrivals + told * 0.0).known()  # of those minutes of which starts and depth tell, too: NaN stays NaN
        if recorded.sum() >= _NEARLY_ALL * known.sum():
            return minutes.arrivals, "arrivals"
    if not len(known):
        return None
    # Jobs may leave between the question and the start of their execution, so that a single minute may come out below 0.
    return Series([max(each, 0.0) for each in known]), "starts and depth"


def _slots(minutes: Minutes, workers: int) -> _Capacity | None:
    executions, busy = minutes.executions.sum(), minutes.busy_seconds.sum()
    # A worker may run several at once: there are at least as many slots as were busy on average.
    slots = max(float(workers), busy / (MINUTE * len(minutes.starts))) if minutes.starts else float(workers)
    rate = Rate.of_slots(slots, executions, busy, variation(minutes))
    return None if rate is None else (rate, "workers", slots, round(executions))


def variation(minutes: Minutes) -> float:
    """
    The squared coefficient of variation of a run time, 1 where it cannot be told.

    Minutes hold sums only, so it is that of their means, each times its sample size: the mean square between groups of an analysis of
    variance (Fisher 1925), which drifts of the run time raise as they should.
    """
    found = variation_of_groups(minutes.executions, minutes.busy_seconds)
    return 1.0 if found is None else found


def _while_waiting(minutes: Minutes) -> _Capacity | None:
    """The rate of starts in minutes that began with waiting jobs and had some at every question."""
    before = [math.nan, *minutes.ready]
    waited = [started for started, last, least in zip(minutes.started, before, minutes.ready_min, strict=False) if last > 0 and least > 0]
    if len(waited) < _ALL_BUSY * len(minutes.starts):
        return None
    rate = Rate.of_counts(waited, MINUTE)
    return None if rate is None else (rate, "starts while jobs waited", None, round(sum(waited)))
