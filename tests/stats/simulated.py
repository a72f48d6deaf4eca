"""Series whose truth is known, and how many of the intervals that our answers give of them hold it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy import signal

from queue_metrics._core import Series
from queue_metrics.insights.flow import FlowCase, flow_case
from queue_metrics.insights.minutes import Minutes
from queue_metrics.insights.verdict import flow_verdict, line_verdict

RUNS = 1_000
LEAST, MOST = 0.87, 0.93
"""Of intervals of 90 %, in so many runs: three standard errors, about."""
LAWS = ("normal", "heavy", "skewed")
ALIKE = (0.0, 0.3, 0.6)
"""Autocorrelations between neighbours."""
SIZES = (20, 60, 240, 1440)
WEEK = 10_080
"""Minutes: so many points that not all of their pairs are taken."""
COUNTS = (0.3, 1.0, 3.0, 30.0)
"""Mean counts of a point."""
FLOWS = ((1, 4), (1, 20), (5, 4))
"""Arrivals at once, and workers."""
BURN_IN = 200


@dataclass(frozen=True)
class Held:
    """How many intervals were given, and how many of those held the truth."""

    what: str
    given: int
    held: int

    @property
    def share(self) -> float:
        return self.held / self.given

    def __str__(self) -> str:
        return f"{self.what}: {self.held} of {self.given}"


def noise(source: np.random.Generator, law: str, n: int, alike: float) -> np.ndarray:
    """An autoregressive series without a trend: Student's t with 3 degrees of freedom is heavy, the lognormal law skewed."""
    size = n + BURN_IN
    if law == "normal":
        drawn = source.normal(0, 1, size)
    elif law == "heavy":
        drawn = source.standard_t(3, size)
    else:
        drawn = source.lognormal(0, 1, size) - math.exp(0.5)
    series: np.ndarray = signal.lfilter([1.0], [1.0, -alike], drawn)
    return series[BURN_IN:]


def of_lines(seed: int, law: str, n: int, alike: float, runs: int = RUNS) -> Held:
    """Any true slope, minutes from an epoch on."""
    source = np.random.default_rng([seed, n, LAWS.index(law), round(10 * alike)])
    times = 1.76e9 + 60.0 * np.arange(n)

    def each() -> Iterable[tuple[np.ndarray, float]]:
        for _ in range(runs):
            slope = source.uniform(-0.01, 0.01)
            yield 50 + slope * (times - times[0]) + 10 * noise(source, law, n, alike), slope

    return _held(f"{law} noise, {n} points, r = {alike:g}", times, each())


def of_counts(seed: int, mean: float, n: int, change: float, runs: int = RUNS) -> Held:
    """Poisson counts whose mean rises by a part of itself over the window: most of small ones are alike."""
    source = np.random.default_rng([seed, n, round(10 * mean), round(10 * change)])
    times = 1.76e9 + 60.0 * np.arange(n)
    slope = mean * change / (60.0 * n)
    means = mean + slope * (times - times.mean())
    return _held(
        f"counts of {mean:g}, {n} points, rising by {change:g}",
        times,
        ((source.poisson(means).astype(float), slope) for _ in range(runs)),
    )


def _held(what: str, times: np.ndarray, series: Iterable[tuple[np.ndarray, float]]) -> Held:
    given = held = 0
    for values, slope in series:
        found = line_verdict(times.tolist(), values.tolist(), 60.0 * len(times))
        if found.slope_low is not None and found.slope_high is not None:
            given += 1
            held += found.slope_low <= slope <= found.slope_high
    return Held(what, given, held)


def of_flows(seed: int, burst: int, workers: int, n: int, runs: int = RUNS) -> tuple[Held, Held]:
    """
    Of the drift and of the load, over n minutes at a load from 0.7 to 1.3.

    Arrivals come one by one or in bursts, run times are exponential; each minute knows its executions and the time they took.
    """
    source = np.random.default_rng([seed, n, burst, workers])
    drifts = loads = 0
    for _ in range(runs):
        load, mean = source.uniform(0.7, 1.3), 10.0
        rate = workers / mean
        ended = source.poisson(min(load, 1.0) * rate * 60, n)
        busy = source.gamma(np.maximum(ended, 1e-9), mean) * (ended > 0)
        arrived = source.poisson(load * rate * 60 / burst, n) * burst
        waiting = np.full(n, 5.0)
        at = range(0, 60 * n, 60)
        columns = (ended, ended, 0 * ended, arrived, ended, busy, waiting, waiting, np.array(at))
        case = flow_case(Minutes(at, *(Series(column.astype(float)) for column in columns)), workers)
        assert isinstance(case, FlowCase)
        found = flow_verdict(case, minutes=n, ready=5.0, mean_ready=5.0, period=60.0 * n)
        if found.slope_low is not None and found.slope_high is not None and found.flow is not None:
            drifts += found.slope_low <= (load - 1) * rate <= found.slope_high
            loads += found.flow.load_low <= load <= found.flow.load_high
    what = f"{n} minutes, {workers} workers, bursts of {burst}"
    return Held(f"drift of {what}", runs, drifts), Held(f"load of {what}", runs, loads)
