"""Everything at one glance, and one reading answered in full."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from queue_metrics.insights import layout
from queue_metrics.insights.collecting import collector_answer
from queue_metrics.insights.fleet import collector_in, settled_in, workers_in
from queue_metrics.insights.health import overall_health
from queue_metrics.insights.measures import counts, distribution, failure_share, merged, rate
from queue_metrics.insights.queues import failures_lately, queues
from queue_metrics.insights.reading import Reading
from queue_metrics.insights.tasks import history, points_together, tasks
from queue_metrics.insights.workers import ages_decide, by_state
from queue_metrics.model import Overview, QueueAnswer, Snapshot, WorkerAnswer


def snapshot(reading: Reading, *, stale_seconds: float, lost_seconds: float) -> Snapshot:
    """Overview, tasks, queues and workers of one reading."""
    found, lines, people = without_tasks(reading, stale_seconds=stale_seconds, lost_seconds=lost_seconds)
    return Snapshot(found, tasks(reading), lines, people)


def overview(reading: Reading, *, stale_seconds: float, lost_seconds: float) -> Overview:
    """The overview alone."""
    return without_tasks(reading, stale_seconds=stale_seconds, lost_seconds=lost_seconds)[0]


def without_tasks(
    reading: Reading, *, stale_seconds: float, lost_seconds: float
) -> tuple[Overview, tuple[QueueAnswer, ...], tuple[WorkerAnswer, ...]]:
    """Overview, queues and workers: what a task costs in full is most of the work, and not everybody asks for it."""
    people, unreadable = workers_in(reading, stale_seconds=stale_seconds, lost_seconds=lost_seconds)
    lines = queues(reading, people, stale_seconds=stale_seconds)
    return _overview(reading, lines, people, unreadable, stale_seconds, lost_seconds), lines, people


def _overview(
    reading: Reading,
    lines: Sequence[QueueAnswer],
    people: Sequence[WorkerAnswer],
    unreadable: int,
    stale_seconds: float,
    lost_seconds: float,
) -> Overview:
    points = points_together(reading.tasks)
    value, when = merged(points.values()), reading.window
    counted = counts(value)
    states = by_state(people)
    goodbye = () if reading.goodbye_age is None else (reading.goodbye_age,)
    drainer_age = min((*(beat.age for beat in reading.beats), *(spool.age for spool in reading.spools), *goodbye), default=None)
    dropped = _dropped(reading)
    collector = collector_answer(collector_in(reading), reading.span.now)
    oldest = max((line for line in lines if line.latency_seconds is not None), key=lambda line: line.latency_seconds or 0.0, default=None)
    depths = [line.ready for line in lines if line.ready is not None]
    return Overview(
        window=when,
        health=replace(
            overall_health(
                queues=lines,
                failure=failures_lately(reading),
                workers=states,
                drainer_age=drainer_age,
                stale_seconds=stale_seconds,
                settling=not ages_decide(settled_in(reading, stale_seconds, lost_seconds), reading.span.now, stale_seconds),
                dropped=dropped,
                unreadable=unreadable,
                recorded=bool(reading.tasks or reading.queues),
                goodbye=bool(goodbye),
                collector=collector,
            ),
            age_seconds=drainer_age,
        ),
        counts=counted,
        throughput_per_second=rate(counted.ended, when.observed_seconds),
        failure=failure_share(counted),
        runtime=distribution(value, layout.RUNTIME),
        wait=distribution(value, layout.WAIT),
        ready=sum(depths) if depths else None,
        latency_seconds=None if oldest is None else oldest.latency_seconds,
        latency_queue=None if oldest is None else (oldest.connection, oldest.queue),
        queues_unknown=len(lines) - len(depths),
        workers=states,
        tasks=len(reading.tasks),
        queues=len(reading.queues),
        drainer_age_seconds=drainer_age,
        waiting_records=sum(spool.waiting for spool in reading.spools) if reading.spools else None,
        dropped=dropped,
        history=history(reading.span, reading.observed_from, points),
        collector=collector,
    )


def _dropped(reading: Reading) -> Mapping[str, int] | None:
    if not reading.spools:
        return None
    total: Counter[str] = Counter()
    for spool in reading.spools:
        total.update(spool.drops)
    return dict(total)
