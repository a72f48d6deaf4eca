"""What a task or queue usually costs, how far its newest executions are from that, and how many fit on a machine."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Baseline:
    """The usual cost of one execution, as it was calculated at some moment."""

    connection: str
    queue: str
    task: str | None
    """None: the whole queue."""
    duration_seconds: float
    """Weighted mean of the run times."""
    cpu_ratio: float | None
    """CPU time by run time, 1 is a whole core; to four decimals. None: never measured."""
    memory_bytes: float | None
    """Weighted mean of the peak resident memory of the process, bytes; None: never measured."""
    sample_count: int
    """Executions of which the run time was measured: all."""
    confidence: float
    """0 to 1, to two decimals; 1 from 200 executions on."""
    calculated_at: float
    """Seconds since 1970."""
    deviates: bool
    """Whether the newest executions were far from the baseline before it."""
    since: float | None = None
    """The first moment of the executions it is made of, which end with `calculated_at`; None of this and the next two: an older version."""
    cpu_sample_count: int | None = None
    memory_sample_count: int | None = None
    """Executions of which CPU time, and memory, was measured."""
    duration_error_seconds: float | None = None
    cpu_error: float | None = None
    memory_error_bytes: float | None = None
    """Standard errors of the three means, each in the unit of its own; None: of one step alone, or never measured."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Connection, queue, and the task where there is one."""
        return (self.connection, self.queue) if self.task is None else (self.connection, self.queue, self.task)


@dataclass(frozen=True, slots=True)
class DeviationAnswer:
    """How far the newest executions are from the baseline, in spreads of the minutes before them."""

    available: bool
    message: str
    """Why there is no answer, or what it says."""
    deviates: bool
    """Whether any score is above the threshold."""
    threshold: float
    n: int
    """Executions that were compared."""
    since: float | None
    until: float | None
    """The ends of the minutes that these ended in, seconds since 1970; None of these and the next: none was compared."""
    age_seconds: float | None
    """How long ago the last of these minutes ended; 0 of the open one."""
    duration_score: float | None
    cpu_score: float | None
    memory_score: float | None
    """Distance by spread; None: not measured on both sides."""

    @property
    def score(self) -> float | None:
        """The largest of them."""
        known = [each for each in (self.duration_score, self.cpu_score, self.memory_score) if each is not None]
        return max(known, default=None)


@dataclass(frozen=True, slots=True)
class CapacityEstimate:
    """How many executions fit beside each other, and how many are done in an hour."""

    parallel: int
    jobs_per_hour: float
    """Both 0 where anything they are made of is not above 0."""


@dataclass(frozen=True, slots=True)
class BaselineAnswer:
    """A stored baseline, judged at the moment of reading."""

    available: bool
    message: str
    """Why there is none and what to do; or how good it is."""
    baseline: Baseline | None
    age_seconds: float | None
    """Since it was calculated."""
    reliable: bool
    """At least 50 executions and a confidence of at least 0.7."""
    needs_more_samples: bool
    """Less than 100 executions."""
    recent: bool
    """Calculated in the last 24 hours."""
    next_interval_minutes: int
    """Minutes from one calculation of its queue to the next, as its confidence has it now, and whether one of its tasks deviates."""
    deviation: DeviationAnswer
    capacity: CapacityEstimate | None
    """None: for `capacity_reason`."""
    capacity_reason: str | None
    """What is missing for it, in words; None where it is known."""
