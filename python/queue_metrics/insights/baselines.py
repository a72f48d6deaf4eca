"""
What a task or queue usually costs: pure formulas from stored points. Whoever collects calls `due` and `calculate` and stores the answer.

Each execution of the last days counts with a weight that falls with its age, as `BaselineRules` says. Rows 71 to 81 of the original,
with its mistakes mended; docs/insights.md says which.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter

from queue_metrics.config import BaselineRules
from queue_metrics.insights import layout
from queue_metrics.insights.deviation import deviation
from queue_metrics.insights.reading import RULES, SeriesReading
from queue_metrics.insights.samples import Sample, samples
from queue_metrics.insights.weighted import Estimate, estimate
from queue_metrics.model.baselines import Baseline
from queue_metrics.storage.base import DAY, MINUTE

SIGNIFICANT_CHANGE = 0.2
CONFIDENCES = (0.9, 0.7, 0.5, 0.0)
"""From which on the longest interval is right, the next one, ...; the shortest of the five is for a queue without a baseline."""
_MEBIBYTE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Calculated:
    """A new baseline, and whether it is far from the one before it."""

    baseline: Baseline
    significant_change: bool


def confidence(n: int, rules: BaselineRules = RULES) -> float:
    """How much n executions tell, 0 to 1: the logarithm of their number by that of the target, to two decimals."""
    return round(min(1.0, math.log(n + 1) / math.log(rules.target_sample_size + 1)), 2)


def of_task(labels: Sequence[str], measured: Iterable[Sample], now: float, rules: BaselineRules = RULES) -> Baseline | None:
    """The baseline of one task on one queue; None when none of its executions ended in the window."""
    those = tuple(measured)
    weights = [math.exp(-rules.decay_factor * max(now - sample.at, 0.0) / DAY) for sample in those]

    def usual(part: Callable[[Sample], tuple[int, int]]) -> Estimate | None:
        return estimate([(weight, *part(sample)) for weight, sample in zip(weights, those, strict=True)])

    duration, cpu_time, memory = (usual(attrgetter(name)) for name in ("runtime", "cpu", "memory"))
    if duration is None:
        return None
    cpu = None if cpu_time is None else cpu_time.by(duration)
    duration_error, cpu_error, memory_error = (None if each is None else each.error for each in (duration, cpu, memory))
    connection, queue, task = labels
    return Baseline(
        connection=connection,
        queue=queue,
        task=task,
        duration_seconds=duration.value / layout.MICROSECONDS,
        cpu_ratio=None if cpu is None else round(cpu.value, 4),
        memory_bytes=None if memory is None else memory.value,
        sample_count=duration.n,
        confidence=confidence(duration.n, rules),
        calculated_at=now,
        deviates=False,
        since=now - rules.sliding_window_days * DAY,
        cpu_sample_count=0 if cpu is None else cpu.n,
        memory_sample_count=0 if memory is None else memory.n,
        duration_error_seconds=None if duration_error is None else duration_error / layout.MICROSECONDS,
        cpu_error=cpu_error,
        memory_error_bytes=memory_error,
    )


def of_queue(tasks: Sequence[Baseline], rules: BaselineRules = RULES) -> Baseline | None:
    """The baseline of a queue: that of its tasks, weighted by the executions that were measured of each; None when there is none."""
    durations = [(each.duration_seconds, each.duration_error_seconds, each.sample_count) for each in tasks]
    cpus = [(each.cpu_ratio, each.cpu_error, each.cpu_sample_count or 0) for each in tasks]
    memories = [(each.memory_bytes, each.memory_error_bytes, each.memory_sample_count or 0) for each in tasks]
    (duration, duration_error), (cpu, cpu_error), (memory, memory_error) = (_together(each) for each in (durations, cpus, memories))
    if duration is None:
        return None
    count = sum(each.sample_count for each in tasks)
    return Baseline(
        connection=tasks[0].connection,
        queue=tasks[0].queue,
        task=None,
        duration_seconds=duration,
        cpu_ratio=None if cpu is None else round(cpu, 4),
        memory_bytes=memory,
        sample_count=count,
        confidence=confidence(count, rules),
        calculated_at=max(each.calculated_at for each in tasks),
        deviates=any(each.deviates for each in tasks),
        since=min((each.since for each in tasks if each.since is not None), default=None),
        cpu_sample_count=sum(n for _, _, n in cpus),
        memory_sample_count=sum(n for _, _, n in memories),
        duration_error_seconds=duration_error,
        cpu_error=cpu_error,
        memory_error_bytes=memory_error,
    )


def _together(tasks: Sequence[tuple[float | None, float | None, int]]) -> tuple[float | None, float | None]:
    """The mean of some tasks by their executions, and its error, as of a queue of this mixture: None where one of theirs is not known."""
    known = [(value, error, n) for value, error, n in tasks if value is not None and n]
    whole = sum(n for _, _, n in known)
    if not whole:
        return None, None
    errors = [error * n / whole for _, error, n in known if error is not None]
    return sum(value * n for value, _, n in known) / whole, math.hypot(*errors) if len(errors) == len(known) else None


def calculate(
    tasks: Iterable[SeriesReading], previous: Mapping[tuple[str, ...], Baseline], now: float, rules: BaselineRules = RULES
) -> tuple[Calculated, ...]:
    """
    New baselines of these tasks, each on its queue, and of their queues as wholes.

    Args:
        tasks: as `samples.parts` had them read: all tasks of each queue that is due, since the queue is their mean.
        previous: the stored ones.
        now: seconds since 1970.
    """
    by_queue: dict[tuple[str, ...], list[Baseline]] = {}
    for task in tasks:
        measured = samples(task, now, rules)
        baseline = of_task(task.labels, measured, now, rules)
        if baseline is not None:
            before = previous.get(baseline.labels)
            deviates = before is not None and deviation(before, measured, now, rules).deviates
            by_queue.setdefault(baseline.labels[:2], []).append(replace(baseline, deviates=deviates))
    found: list[Baseline] = []
    for of_one_queue in by_queue.values():
        whole = of_queue(of_one_queue, rules)
        found += [*of_one_queue, *([] if whole is None else [whole])]
    return tuple(Calculated(each, significant_change(previous.get(each.labels), each)) for each in found)


def significant_change(before: Baseline | None, after: Baseline) -> bool:
    """
    Whether run time, CPU share or memory changed by more than a fifth of what it was.

    Small numbers are held against 1 ms, 1 % of a core and 1 MiB, so that noise about nothing is no change. A first baseline is none.
    """
    if before is None:
        return False
    if before.labels != after.labels:
        raise ValueError(f"a baseline is compared with an earlier one of its own, not {after.labels} with {before.labels}")
    pairs = (
        (before.duration_seconds * 1000, after.duration_seconds * 1000),
        (_scaled(before.cpu_ratio, 100), _scaled(after.cpu_ratio, 100)),
        (_scaled(before.memory_bytes, 1 / _MEBIBYTE), _scaled(after.memory_bytes, 1 / _MEBIBYTE)),
    )
    return any(old is not None and new is not None and abs(new - old) > SIGNIFICANT_CHANGE * max(old, 1.0) for old, new in pairs)


def interval_minutes(of_whole_queue: Baseline | None, rules: BaselineRules = RULES, *, deviates: bool = False) -> int:
    """
    Minutes from one calculation of a queue to the next: the less is known, the sooner; soon after a deviation.

    Args:
        of_whole_queue: its baseline.
        rules: the intervals.
        deviates: whether the newest executions are far from it now; that they were when it was calculated, it says itself.
    """
    if of_whole_queue is None:
        return rules.intervals[0]
    usual = next(
        minutes for least, minutes in zip(CONFIDENCES, reversed(rules.intervals[1:]), strict=True) if of_whole_queue.confidence >= least
    )
    return min(usual, rules.deviation_interval) if deviates or of_whole_queue.deviates else usual


def due(of_whole_queue: Baseline | None, now: float, rules: BaselineRules = RULES) -> bool:
    """
    Whether a queue is to be calculated in this minute, by its own baseline alone.

    Counted in whole minutes, so that a pass that comes a moment early is not put off, and a second one in a minute does nothing.
    """
    if of_whole_queue is None:
        return True
    passed = _minutes_since(of_whole_queue, now)
    # A moment to come is of a clock that was set back: waiting for it could take years.
    return passed < 0 or passed >= interval_minutes(of_whole_queue, rules)


def to_be_watched(of_whole_queue: Baseline | None, now: float, watched_at: float | None = None, rules: BaselineRules = RULES) -> bool:
    """
    Whether a queue that is not due would be, if one of its tasks deviated now: asked as often as it would then be calculated, since
    to know it the executions of days are read.

    Args:
        of_whole_queue: its baseline.
        now: seconds since 1970.
        watched_at: the same, of the pass before; one that did not come is made up for by the next. None: it is asked for once.
        rules: the intervals.
    """
    if of_whole_queue is None or due(of_whole_queue, now, rules):
        return False
    every, passed = interval_minutes(of_whole_queue, rules, deviates=True), _minutes_since(of_whole_queue, now)
    return passed >= every and (watched_at is None or passed // every != _minutes_since(of_whole_queue, watched_at) // every)


def minutes_left(of_whole_queue: Baseline | None, now: float, rules: BaselineRules = RULES, *, deviates: bool) -> int:
    """
    Minutes until a queue is calculated, by passes that come each minute.

    Args:
        of_whole_queue, now, rules: as `due`.
        deviates: whether one of its tasks does now, which passes see when they watch the queue.
    """
    if of_whole_queue is None:
        return interval_minutes(None, rules)
    if due(of_whole_queue, now, rules):
        return 0
    passed = int(_minutes_since(of_whole_queue, now))
    every = interval_minutes(of_whole_queue, rules, deviates=deviates)
    return min(every - passed if passed < every else -passed % every, interval_minutes(of_whole_queue, rules) - passed)


def _minutes_since(baseline: Baseline, now: float) -> float:
    return now // MINUTE - baseline.calculated_at // MINUTE


def _scaled(number: float | None, by: float) -> float | None:
    return None if number is None else number * by
