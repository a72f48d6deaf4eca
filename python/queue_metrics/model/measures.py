"""What was measured and counted in a stretch of time, with its sample size and error."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from queue_metrics.model.outcomes import Discard, Outcome


@dataclass(frozen=True, slots=True)
class Window:
    """The stretch of time an answer is about."""

    start: float
    """First moment, seconds since 1970."""
    end: float
    """Last moment, seconds since 1970: the moment of reading, inside the last, open step."""
    step_seconds: int
    """Length of the points it is made of."""
    observed_from: float | None
    """
    Since when anything at all was recorded, seconds since 1970: a whole minute, or of an hour or day whose minutes are gone its start. The
    start of the window where it was before, too. None: nothing was.
    """
    observed_until: float | None
    """
    End of the last such step, at most `end`: how fresh the answer is, to a step. Queues are asked every ten seconds while anybody records,
    so a quiet time moves it too. None: nothing was recorded.
    """

    @property
    def seconds(self) -> float:
        """Length, seconds."""
        return self.end - self.start

    @property
    def observed_seconds(self) -> float | None:
        """Seconds from the first sign of recording to the end; what rates are divided by. None: nothing was recorded."""
        return None if self.observed_from is None else max(self.end - self.observed_from, 1.0)

    @property
    def age_seconds(self) -> float | None:
        """How long before the end of the window nothing was recorded any more: 0 while somebody records. None: nothing was recorded."""
        return None if self.observed_until is None else self.end - self.observed_until


@dataclass(frozen=True, slots=True)
class CountedWindow(Window):
    """A stretch of time whose observed part is what a collector counted of it."""

    reason: str | None
    """Why it counted nothing of it; None where it did."""


@dataclass(frozen=True, slots=True)
class Distribution:
    """Measured numbers summed up. Without a measurement n and sum are 0 and all else is None."""

    unit: str
    """Of every field but the counts and ratios: "seconds" or "bytes"."""
    n: int
    sum: float
    mean: float | None
    p50: float | None
    """Half of the measurements are at or below it; None when only sums are kept at this step. So are the next two."""
    p95: float | None
    p99: float | None
    min: float | None
    max: float | None
    """Exact, as are n, sum, mean and min."""
    deviation: float | None
    """Standard deviation, from the sketch; None below two measurements."""
    error_ratio: float | None
    """Bound of the relative error of p50, p95 and p99; None: no quantiles, or the lowest of them were joined and have no bound."""


@dataclass(frozen=True, slots=True)
class Sums(Distribution):
    """Without quantiles and deviation in any window: a measure that may be below zero has no sketch."""


@dataclass(frozen=True, slots=True)
class Total(Sums):
    """Of everything ever measured: n, sum and mean alone."""


@dataclass(frozen=True, slots=True)
class Share:
    """A part of a whole, with the interval in which it is really likely to be."""

    part: int
    n: int
    """The whole."""
    ratio: float | None
    low: float | None
    high: float | None
    """part / n and the ends of its 95 % Wilson interval, 0-1; None when n is 0."""


@dataclass(frozen=True, slots=True)
class Counts:
    """What happened, counted exactly."""

    started: int
    outcomes: Mapping[Outcome, int]
    """Executions that began, and that ended, by outcome; every outcome is there."""
    arrivals: int
    """Jobs enqueued, once per job and attempt."""
    retries_following: int
    """Executions of any outcome after which another attempt follows."""
    discarded: Mapping[Discard, int]
    """Jobs that ended without an execution, by reason; every reason is there."""
    result_errors: int
    """Executions whose result could not be stored afterwards; they stay what they were."""
    clock_skews: int
    """Waits measured below zero, which count as 0."""

    @property
    def ended(self) -> int:
        """Executions with an outcome."""
        return sum(self.outcomes.values())

    @property
    def failures(self) -> int:
        """Executions that failed, timed out or were lost; a retry is not yet a failure."""
        return self.outcomes[Outcome.FAILED] + self.outcomes[Outcome.TIMED_OUT] + self.outcomes[Outcome.LOST]


@dataclass(frozen=True, slots=True)
class Histogram:
    """Everything ever measured, in fixed cumulative steps that never fall."""

    bounds_seconds: tuple[float, ...]
    """Upper bounds, seconds, ascending."""
    cumulative: tuple[int, ...]
    """Measurements at or below each bound."""
    n: int
    sum_seconds: float
    """All measurements, also those above the last bound, and their sum."""


@dataclass(frozen=True, slots=True)
class Lifetime:
    """Exact totals since the store was made; they never expire."""

    counts: Counts
    runtime: Histogram
    wait: Histogram
    cpu: Total
    """CPU time, seconds."""
    memory_peak: Total  # the larger of the resident memory before and after, bytes
    memory_change: Total


class Sampled:
    """What answers about executions have in common."""

    __slots__ = ()
    counts: Counts
    runtime: Distribution

    @property
    def n(self) -> int:
        """Sample size: executions that ended in the window."""
        return self.counts.ended

    @property
    def error_ratio(self) -> float | None:
        """Bound of the relative error of the quantiles; all else is exact."""
        return self.runtime.error_ratio
