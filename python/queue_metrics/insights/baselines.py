"""
What a task or queue usually costs: pure formulas from stored points. Whoever collects calls `due` and `calculate` and stores the answer.

Each execution of the last days counts with a weight that falls with its age, as `BaselineRules` says. Rows 71 to 81 of the original,
with its mistakes mended; docs/insights.md says which.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from queue_metrics.config import BaselineRules
from queue_metrics.insights import layout
from queue_metrics.insights.collecting import collector_answer
from queue_metrics.insights.deviation import deviation, no_deviation
from queue_metrics.insights.names import UnknownName, unknown
from queue_metrics.insights.reading import RULES, Reading, SeriesReading
from queue_metrics.insights.samples import Sample, samples
from queue_metrics.insights.wording import duration
from queue_metrics.model.baselines import Baseline, BaselineAnswer, CapacityEstimate, DeviationAnswer
from queue_metrics.storage.base import DAY, MINUTE
from queue_metrics.storage.baselines import READ_BASELINES, decode
from queue_metrics.storage.collector import READ_COLLECTOR, state_for_reader

RELIABLE_SAMPLES, RELIABLE_CONFIDENCE = 50, 0.7
ENOUGH_SAMPLES = 100
RECENT_SECONDS = DAY
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
    sums = {name: [0.0, 0.0] for name in ("runtime", "cpu", "memory")}
    count = 0
    for sample in measured:
        weight = math.exp(-rules.decay_factor * max(now - sample.at, 0.0) / DAY)
        count += sample.runtime[0]
        for name, (n, total) in (("runtime", sample.runtime), ("cpu", sample.cpu), ("memory", sample.memory)):
            sums[name][0] += weight * n
            sums[name][1] += weight * total
    duration, cpu, memory = (total / n if n else None for n, total in sums.values())
    if duration is None:
        return None
    connection, queue, task = labels
    return Baseline(
        connection=connection,
        queue=queue,
        task=task,
        duration_seconds=duration / layout.MICROSECONDS,
        cpu_ratio=None if cpu is None or duration <= 0 else round(cpu / duration, 4),
        memory_bytes=memory,
        sample_count=count,
        confidence=confidence(count, rules),
        calculated_at=now,
        deviates=False,
    )


def of_queue(tasks: Sequence[Baseline], rules: BaselineRules = RULES) -> Baseline | None:
    """The baseline of a queue: that of its tasks, weighted by their executions; None when there is none."""
    if not tasks:
        return None
    count = sum(each.sample_count for each in tasks)
    duration = _mean((each.duration_seconds, each.sample_count) for each in tasks)
    if duration is None:
        return None
    cpu = _mean((each.cpu_ratio, each.sample_count) for each in tasks)
    return Baseline(
        connection=tasks[0].connection,
        queue=tasks[0].queue,
        task=None,
        duration_seconds=duration,
        cpu_ratio=None if cpu is None else round(cpu, 4),
        memory_bytes=_mean((each.memory_bytes, each.sample_count) for each in tasks),
        sample_count=count,
        confidence=confidence(count, rules),
        calculated_at=max(each.calculated_at for each in tasks),
        deviates=any(each.deviates for each in tasks),
    )


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


def interval_minutes(of_whole_queue: Baseline | None, rules: BaselineRules = RULES) -> int:
    """Minutes from one calculation of a queue to the next: the less is known, the sooner; soon again after a deviation."""
    if of_whole_queue is None:
        return rules.intervals[0]
    usual = next(
        minutes for least, minutes in zip(CONFIDENCES, reversed(rules.intervals[1:]), strict=True) if of_whole_queue.confidence >= least
    )
    return min(usual, rules.deviation_interval) if of_whole_queue.deviates else usual


def due(of_whole_queue: Baseline | None, now: float, rules: BaselineRules = RULES) -> bool:
    """
    Whether a queue is to be calculated in this minute, by its own baseline alone.

    Counted in whole minutes, so that a pass that comes a moment early is not put off, and a second one in a minute does nothing.
    """
    if of_whole_queue is None:
        return True
    passed = now // MINUTE - of_whole_queue.calculated_at // MINUTE
    # A moment to come is of a clock that was set back: waiting for it could take years.
    return passed < 0 or passed >= interval_minutes(of_whole_queue, rules)


def is_reliable(baseline: Baseline) -> bool:
    """Enough to act on."""
    return baseline.sample_count >= RELIABLE_SAMPLES and baseline.confidence >= RELIABLE_CONFIDENCE


def needs_more_samples(baseline: Baseline) -> bool:
    """Few executions as yet."""
    return baseline.sample_count < ENOUGH_SAMPLES


def is_recent(baseline: Baseline, now: float) -> bool:
    """Calculated in the last 24 hours."""
    return now - baseline.calculated_at <= RECENT_SECONDS


def capacity(
    cpu_available_percent: float, memory_available_bytes: float, cpu_percent: float, memory_bytes: float, duration_seconds: float
) -> CapacityEstimate:
    """
    How many executions fit into what a machine has left, by the scarcer of CPU and memory; nothing where any number is not above 0.

    Args:
        cpu_available_percent: idle CPU; 100 is one core.
        memory_available_bytes: free memory.
        cpu_percent: CPU that one execution takes, in the same unit.
        memory_bytes: memory that one execution takes.
        duration_seconds: how long one takes.
    """
    if min(cpu_available_percent, memory_available_bytes, cpu_percent, memory_bytes, duration_seconds) <= 0:
        return CapacityEstimate(0, 0.0)
    parallel = min(math.floor(cpu_available_percent / cpu_percent), math.floor(memory_available_bytes / memory_bytes))
    return CapacityEstimate(parallel, parallel * 3600 / duration_seconds)


def answer(
    reading: Reading, labels: tuple[str, ...], *, cpu_available_percent: float | None = None, memory_available_bytes: float | None = None
) -> BaselineAnswer:
    """
    The stored baseline of a task (three labels) or of a whole queue (two), judged now.

    Args:
        reading: with the parts of `samples.parts`, and the answers to `READ_BASELINES` and `READ_COLLECTOR`.
        labels: connection, queue, and the task or none.
        cpu_available_percent: idle CPU of a machine, 100 is one core.
        memory_available_bytes: its free memory; with both, the answer says how many executions fit.

    Raises:
        UnknownName: nothing of this name was ever recorded.
    """
    tasks = [series for series in reading.tasks if series.labels[: len(labels)] == labels]
    if not tasks:
        kind, known = ("queue", 1) if len(labels) == 2 else ("task", 2)
        raise UnknownName(unknown(kind, labels[-1], [series.labels[known] for series in reading.tasks]))
    stored = decode(reading.answers[READ_BASELINES], reading.span.now, reading.kept)
    judged = _judged(labels, tasks, reading, stored)
    if judged.baseline is None:
        collector = collector_answer(
            state_for_reader(reading.answers.get(READ_COLLECTOR), reading.every_beat, reading.span.now), reading.span.now
        )
        return judged if collector.running else replace(judged, message=f"{judged.message}. {collector.message}")
    given = (cpu_available_percent, memory_available_bytes)
    return replace(judged, capacity=_capacity(judged.baseline, *given), capacity_reason=_no_capacity(judged.baseline, *given))


def answers(reading: Reading) -> tuple[BaselineAnswer, ...]:
    """Every stored baseline of a reading, judged now; those first from which the newest executions are farthest, then by executions."""
    stored = decode(reading.answers[READ_BASELINES], reading.span.now, reading.kept)
    by_queue: dict[tuple[str, ...], list[SeriesReading]] = {}
    for series in reading.tasks:
        by_queue.setdefault(series.labels[:2], []).append(series)
    found = []
    for labels, baseline in stored.items():
        tasks = [series for series in by_queue.get(labels[:2], ()) if series.labels[: len(labels)] == labels]
        if tasks:
            found.append((_judged(labels, tasks, reading, stored), baseline))
    # By their names at last: a store tells them in any order, and a queue is as far as its only task.
    found.sort(key=lambda each: (not each[0].deviation.deviates, -(each[0].deviation.score or 0.0), -each[1].sample_count, each[1].labels))
    return tuple(judged for judged, _ in found)


def _judged(
    labels: tuple[str, ...], tasks: Sequence[SeriesReading], reading: Reading, stored: Mapping[tuple[str, ...], Baseline]
) -> BaselineAnswer:
    now, rules, kept = reading.span.now, reading.rules, reading.kept
    baseline, of_whole_queue = stored.get(labels), stored.get(labels[:2])
    if baseline is None:
        return BaselineAnswer(
            available=False,
            message=f"no baseline was calculated in the last {duration(kept)} (`ttl.baseline`): run `queue-metrics calculate-baselines`, "
            "or keep a collector running",
            baseline=None,
            age_seconds=None,
            reliable=False,
            needs_more_samples=True,
            recent=False,
            next_interval_minutes=interval_minutes(of_whole_queue, rules),
            deviation=no_deviation("there is no baseline to compare with", rules),
            capacity=None,
            capacity_reason="there is no baseline",
        )
    return BaselineAnswer(
        available=True,
        message=f"made of {baseline.sample_count} executions, confidence {baseline.confidence}",
        baseline=baseline,
        age_seconds=now - baseline.calculated_at,
        reliable=is_reliable(baseline),
        needs_more_samples=needs_more_samples(baseline),
        recent=is_recent(baseline, now),
        next_interval_minutes=interval_minutes(of_whole_queue, rules),
        deviation=_deviation(
            baseline, [(stored[task.labels], samples(task, now, rules)) for task in tasks if task.labels in stored], now, rules
        ),
        capacity=None,
        capacity_reason=_no_capacity(baseline, None, None),
    )


def _deviation(asked: Baseline, tasks: Sequence[tuple[Baseline, Sequence[Sample]]], now: float, rules: BaselineRules) -> DeviationAnswer:
    """Of a queue that of the task which is farthest from its own baseline: the mean of a queue also moves when its mixture does."""
    found = [(each, baseline.task) for baseline, measured in tasks if (each := deviation(baseline, measured, now, rules)).available]
    if not found:
        return no_deviation("nothing ended in the last hour", rules)
    farthest, task = max(found, key=lambda each: each[0].score or 0.0)
    return farthest if asked.task is not None else replace(farthest, message=f"{task}: {farthest.message}")


def _capacity(baseline: Baseline, cpu_percent: float | None, memory_bytes: float | None) -> CapacityEstimate | None:
    if cpu_percent is None or memory_bytes is None or baseline.cpu_ratio is None or baseline.memory_bytes is None:
        return None
    return capacity(cpu_percent, memory_bytes, baseline.cpu_ratio * 100, baseline.memory_bytes, baseline.duration_seconds)


def _no_capacity(baseline: Baseline, cpu_percent: float | None, memory_bytes: float | None) -> str | None:
    """What is missing of a capacity, first what was asked and then what is known; None: nothing is."""
    given = {"cpu_available_percent": cpu_percent, "memory_available_bytes": memory_bytes}
    missing = [name for name, value in given.items() if value is None]
    if len(missing) == len(given):
        return "it was not asked for: neither cpu_available_percent nor memory_available_bytes was given"
    if missing:
        return f"{missing[0]} was not given"
    measures = {"CPU time": baseline.cpu_ratio, "memory": baseline.memory_bytes}
    unmeasured = [name for name, value in measures.items() if value is None]
    return f"the baseline has no {' and no '.join(unmeasured)}: it was measured of no execution" if unmeasured else None


def _mean(weighted: Iterable[tuple[float | None, int]]) -> float | None:
    known = [(number, weight) for number, weight in weighted if number is not None]
    weights = sum(weight for _, weight in known)
    return sum(number * weight for number, weight in known) / weights if weights else None


def _scaled(number: float | None, by: float) -> float | None:
    return None if number is None else number * by
