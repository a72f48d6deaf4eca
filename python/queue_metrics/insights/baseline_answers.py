"""Stored baselines, judged at the moment of reading: how good each is, how far the newest executions are from it, how many fit."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace

from queue_metrics.config import BaselineRules
from queue_metrics.insights.baselines import interval_minutes
from queue_metrics.insights.collecting import collector_answer
from queue_metrics.insights.deviation import deviation, no_deviation
from queue_metrics.insights.names import UnknownName, unknown
from queue_metrics.insights.reading import Reading, SeriesReading
from queue_metrics.insights.samples import samples
from queue_metrics.insights.wording import duration
from queue_metrics.model.baselines import Baseline, BaselineAnswer, CapacityEstimate, DeviationAnswer
from queue_metrics.storage.base import DAY
from queue_metrics.storage.baselines import READ_BASELINES, decode
from queue_metrics.storage.collector import READ_COLLECTOR, clock_behind, state_for_reader

RELIABLE_SAMPLES, RELIABLE_CONFIDENCE = 50, 0.7
ENOUGH_SAMPLES = 100
RECENT_SECONDS = DAY


def is_reliable(baseline: Baseline) -> bool:
    """Enough to act on."""
    return baseline.sample_count >= RELIABLE_SAMPLES and baseline.confidence >= RELIABLE_CONFIDENCE


def needs_more_samples(baseline: Baseline) -> bool:
    """Few executions as yet."""
    return baseline.sample_count < ENOUGH_SAMPLES


def is_recent(age_seconds: float) -> bool:
    """Calculated in the last 24 hours."""
    return age_seconds <= RECENT_SECONDS


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
    if not any(series.labels[: len(labels)] == labels for series in reading.tasks):
        kind, known = ("queue", 1) if len(labels) == 2 else ("task", 2)
        raise UnknownName(unknown(kind, labels[-1], [series.labels[known] for series in reading.tasks]))
    stored = decode(reading.answers[READ_BASELINES], reading.span.now, reading.lifetimes.baseline)
    of_queue = [series for series in reading.tasks if series.labels[:2] == labels[:2]]
    judged = _judged(labels, reading, stored, _deviations(of_queue, reading, stored))
    if judged.baseline is None:
        collector = collector_answer(
            state_for_reader(reading.answers.get(READ_COLLECTOR), reading.every_beat, reading.span.now), reading.span.now
        )
        return judged if collector.running else replace(judged, message=f"{judged.message}. {collector.message}")
    given = (cpu_available_percent, memory_available_bytes)
    return replace(judged, capacity=_capacity(judged.baseline, *given), capacity_reason=_no_capacity(judged.baseline, *given))


def answers(reading: Reading) -> tuple[BaselineAnswer, ...]:
    """
    Every stored baseline of a reading, judged now; those first from which the newest executions are farthest, then by executions.

    Args:
        reading: as of `answer`.
    """
    stored = decode(reading.answers[READ_BASELINES], reading.span.now, reading.lifetimes.baseline)
    by_queue: dict[tuple[str, ...], list[SeriesReading]] = {}
    for series in reading.tasks:
        by_queue.setdefault(series.labels[:2], []).append(series)
    recorded = {labels for queue, tasks in by_queue.items() for labels in (queue, *(series.labels for series in tasks))}
    deviations = {queue: _deviations(tasks, reading, stored) for queue, tasks in by_queue.items()}
    found = [
        (_judged(labels, reading, stored, deviations[labels[:2]]), baseline) for labels, baseline in stored.items() if labels in recorded
    ]
    # By their names at last: a store tells them in any order, and a queue is as far as its only task.
    found.sort(key=lambda each: (not each[0].deviation.deviates, -(each[0].deviation.score or 0.0), -each[1].sample_count, each[1].labels))
    return tuple(judged for judged, _ in found)


def _deviations(
    tasks: Iterable[SeriesReading], reading: Reading, stored: Mapping[tuple[str, ...], Baseline]
) -> dict[tuple[str, ...], DeviationAnswer]:
    """Of each of these tasks that has a baseline, from its own."""
    now, rules = reading.span.now, reading.rules
    return {task.labels: deviation(stored[task.labels], samples(task, now, rules), now, rules) for task in tasks if task.labels in stored}


def _judged(
    labels: tuple[str, ...],
    reading: Reading,
    stored: Mapping[tuple[str, ...], Baseline],
    deviations: Mapping[tuple[str, ...], DeviationAnswer],
) -> BaselineAnswer:
    """One baseline, with the deviations of all tasks of its queue."""
    rules, kept = reading.rules, reading.lifetimes.baseline
    baseline, of_whole_queue = stored.get(labels), stored.get(labels[:2])
    next_interval = interval_minutes(of_whole_queue, rules, deviates=any(each.deviates for each in deviations.values()))
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
            next_interval_minutes=next_interval,
            deviation=no_deviation("there is no baseline to compare with", rules),
            capacity=None,
            capacity_reason="there is no baseline",
        )
    age = _age(baseline, reading)
    return BaselineAnswer(
        available=True,
        message=f"made of {baseline.sample_count} executions, confidence {baseline.confidence}",
        baseline=baseline,
        age_seconds=age,
        reliable=is_reliable(baseline),
        needs_more_samples=needs_more_samples(baseline),
        recent=is_recent(age),
        next_interval_minutes=next_interval,
        deviation=_deviation(baseline, deviations, rules),
        capacity=None,
        capacity_reason=_no_capacity(baseline, None, None),
    )


def _age(baseline: Baseline, reading: Reading) -> float:
    """By the store's clock, as far as it tells: a baseline bears the moment of the collector, whose clock may be another."""
    now = reading.span.now
    behind = clock_behind(reading.answers.get(READ_COLLECTOR), reading.every_beat, now)
    return max(now - behind - baseline.calculated_at, 0.0)


def _deviation(asked: Baseline, deviations: Mapping[tuple[str, ...], DeviationAnswer], rules: BaselineRules) -> DeviationAnswer:
    """Of a queue that of the task which is farthest from its own baseline: the mean of a queue also moves when its mixture does."""
    nothing = no_deviation("nothing ended in the last hour", rules)
    if asked.task is not None:
        return deviations.get(asked.labels, nothing)
    found = [(each, labels[2]) for labels, each in deviations.items() if each.available]
    if not found:
        return next(iter(deviations.values()), nothing)
    farthest, task = max(found, key=lambda each: each[0].score or 0.0)
    return replace(farthest, message=f"{task}: {farthest.message}")


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
