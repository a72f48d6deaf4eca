"""Baselines of the queues that are due, or of those that somebody names."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from queue_metrics.config import BaselineRules
from queue_metrics.errors import TransactionConflict
from queue_metrics.insights import samples
from queue_metrics.insights.baselines import Calculated, calculate, due, minutes_left, to_be_watched
from queue_metrics.insights.changes import baseline_events
from queue_metrics.insights.deviation import deviation, may_deviate
from queue_metrics.insights.reading import Reading, SeriesReading, read
from queue_metrics.insights.window import span_of
from queue_metrics.model import Baseline
from queue_metrics.storage.base import TASK, StorageDriver
from queue_metrics.storage.baselines import READ_BASELINES, decode, field, newer, write
from queue_metrics.storage.collector import COLLECTOR, state_of
from queue_metrics.storage.events import add_events, numbered

Labels: TypeAlias = tuple[str, ...]
_ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class Recalculation:
    """What a calculation came to."""

    calculated: Sequence[Calculated]
    next_minutes: int | None
    """Minutes until the first of all queues is due by its schedule; None: no queue is known."""


def recalculated(
    driver: StorageDriver,
    reading: Reading,
    now: float,
    *,
    watched_at: float | None = None,
    connection: str | None = None,
    queue: str | None = None,
) -> tuple[Calculated, ...]:
    """
    New baselines of queues, and of the tasks on them; no task is read of another queue.

    Args:
        driver: an open store.
        reading: of all tasks in the last hour, with the answer to `READ_BASELINES`.
        now: seconds since 1970.
        watched_at: the same, of the pass before; None: nobody passes, so every queue is watched for deviations.
        connection: its queues, due or not; None: of all those that are due, each by its own schedule, or of which a task deviates; but
            what a newer version of the package calculated, which is not ours to replace.
        queue: of this connection, this one alone.
    """
    stored = decode(reading.answers[READ_BASELINES] or {}, now, driver.lifetimes.baseline)
    known = {series.labels[:2] for series in reading.tasks}
    kept, suspects = newer(reading.answers[READ_BASELINES] or {}) if connection is None else set(), set[Labels]()
    if connection is None:
        known = {labels for labels in known if field(labels) not in kept}
        those = {labels for labels in known if due(stored.get(labels), now, driver.baselines)}
        watched = {labels for labels in known - those if to_be_watched(stored.get(labels), now, watched_at, driver.baselines)}
        suspects = _suspects(reading, stored, watched, now, driver.baselines)
    else:
        those = {labels for labels in known if labels[0] == connection and queue in (None, labels[1])}
    if not those | suspects:
        return ()
    tasks = _days(driver, reading, those | suspects, now)
    those |= suspects & _deviating(tasks, stored, now, driver.baselines)
    calculated = calculate([task for task in tasks if task.labels[:2] in those], stored, now, driver.baselines)
    return tuple(each for each in calculated if field(each.baseline.labels) not in kept)


def _suspects(
    reading: Reading, stored: Mapping[Labels, Baseline], queues: Collection[Labels], now: float, rules: BaselineRules
) -> set[Labels]:
    """Those of some queues with a task that may deviate by its newest minutes alone: of these the executions of days are read."""
    compared = ((task, stored[task.labels]) for task in reading.tasks if task.labels[:2] in queues and task.labels in stored)
    return {task.labels[:2] for task, baseline in compared if may_deviate(baseline, samples.newest_minutes(task), now, rules)}


def _days(driver: StorageDriver, reading: Reading, queues: Collection[Labels], now: float) -> Sequence[SeriesReading]:
    """All tasks of some queues, with what a baseline is made of."""
    further = samples.parts(now, driver.retention, lambda series: series.labels[:2] in queues, driver.baselines)
    return read(driver, reading.span, kinds=(), further=further, totals=False, heartbeats=False).of(TASK)


def _deviating(tasks: Iterable[SeriesReading], stored: Mapping[Labels, Baseline], now: float, rules: BaselineRules) -> set[Labels]:
    """Queues of which a task is far from its own baseline."""
    compared = ((task, stored[task.labels]) for task in tasks if task.labels in stored)
    return {task.labels[:2] for task, baseline in compared if deviation(baseline, samples.samples(task, now, rules), now, rules).deviates}


def calculate_now(
    driver: StorageDriver, *, connection: str | None = None, queue: str | None = None, dry_run: bool = False, now: float | None = None
) -> Recalculation:
    """
    Calculate baselines and store them with their events, as the pass of a collector does; what is named is calculated, due or not.

    Raises:
        StoreError: the store cannot be read or written; then nothing is written.
        TransactionConflict: others kept coming in between.
    """
    now = time.time() if now is None else now
    reading = read(driver, span_of(now), kinds=(TASK,), totals=False, heartbeats=False, calls=(READ_BASELINES,))
    found = recalculated(driver, reading, now, connection=connection, queue=queue)
    after = decode(reading.answers[READ_BASELINES] or {}, now, driver.lifetimes.baseline)
    after |= {each.baseline.labels: each.baseline for each in found}
    if found and not dry_run:
        _store(driver, found, now)
    return Recalculation(found, _next_minutes(driver, reading, after, now))


def _next_minutes(driver: StorageDriver, reading: Reading, stored: Mapping[Labels, Baseline], now: float) -> int | None:
    """Minutes until the first queue is due by its baseline or because a task of it deviates; None: no queue is known."""
    queues, rules = {series.labels[:2] for series in reading.tasks}, driver.baselines
    suspects = _suspects(reading, stored, queues, now, rules)
    deviating = _deviating(_days(driver, reading, suspects, now), stored, now, rules) if suspects else ()
    return min((minutes_left(stored.get(each), now, rules, deviates=each in deviating) for each in queues), default=None)


def _store(driver: StorageDriver, found: Sequence[Calculated], now: float) -> None:
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            with driver.transaction(watch=(COLLECTOR,)) as change:
                last = state_of(change.get_hash(COLLECTOR)).events
                write(change, [each.baseline for each in found], driver.lifetimes.baseline)
                events = numbered(baseline_events(found, now), last)
                add_events(change, events)
                change.set_hash(COLLECTOR, {"events": str(last + len(events))})
        except TransactionConflict:
            if attempt == _ATTEMPTS:
                raise
        else:
            return
