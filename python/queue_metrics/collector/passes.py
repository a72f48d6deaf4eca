"""
One pass of the collector: a look at the store, what follows from it, and one transaction that writes all of it or nothing.

Depth and throughput are in the series already: nothing of them is written. A pass writes the minute of each server and of the workers'
time, baselines that are due, events, and its own moment; the moment is what the transaction rests on, so a minute is done once.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from queue_metrics.collector.baselines import recalculated
from queue_metrics.config import Duties
from queue_metrics.errors import StoreError, TransactionConflict
from queue_metrics.insights import changes
from queue_metrics.insights import queues as queue_answers
from queue_metrics.insights.baselines import Calculated
from queue_metrics.insights.efficiency import efficiency
from queue_metrics.insights.fleet import back_in, worker_calls, worker_parts, workers_in
from queue_metrics.insights.reading import Reading, read
from queue_metrics.insights.window import span_of
from queue_metrics.model.collector import PassAnswer
from queue_metrics.model.events import Event
from queue_metrics.storage.base import MINUTE, QUEUE, TASK, StorageDriver
from queue_metrics.storage.baselines import BASELINES, READ_BASELINES, forgotten
from queue_metrics.storage.baselines import write as write_baselines
from queue_metrics.storage.collector import (
    COLLECTOR,
    PASS_BEAT_SECONDS,
    READ_COLLECTOR,
    CollectorState,
    later,
    pass_beat,
    state_of,
    write_state,
)
from queue_metrics.storage.efficiency import (
    LAST_ROW,
    Counters,
    EfficiencyRow,
    add_counters,
    add_efficiency,
    counters_of,
    fleet_minutes,
    reading_counters,
)
from queue_metrics.storage.events import (
    READ_HEALTH,
    READ_SILENT,
    Queue,
    ToldHealth,
    add_events,
    healths_of,
    numbered,
    write_healths,
    write_silent,
)
from queue_metrics.storage.pipelines import Transaction
from queue_metrics.storage.servers import ServerMinute, add_server_minute, server_minute, server_reports
from queue_metrics.storage.view import Range


@dataclass(frozen=True, slots=True)
class Ages:
    """From when on nobody is believed to live, seconds."""

    stale_seconds: float = 60.0
    lost_seconds: float = 300.0


_ATTEMPTS = 5
AGES, DUTIES = Ages(), Duties()
"""Where nothing is configured."""


@dataclass(frozen=True, slots=True)
class _Found:
    """What a look at the store comes to, ready to be written."""

    state: CollectorState
    servers: dict[str, ServerMinute]
    row: EfficiencyRow | None
    counters: Counters | None
    """None: nobody wants them; those of the last pass would only get older, and are removed."""
    calculated: Sequence[Calculated]
    forgotten: Sequence[str]
    events: Sequence[Event]
    healths: tuple[dict[Queue, ToldHealth], dict[Queue, ToldHealth]]
    silent: tuple[dict[str, str], dict[str, str]]
    """Of both: as it is stored, and as it is to be."""
    queues: int
    workers: int


def collect(
    driver: StorageDriver,
    owner: str,
    *,
    now: float | None = None,
    ages: Ages = AGES,
    duties: Duties = DUTIES,
    interrupted: bool = False,
    asked: Sequence[str] = (),
    dry_run: bool = False,
    progress: Callable[[str], None] = lambda _: None,
) -> PassAnswer:
    """
    Do the pass of this minute, unless it is done.

    Args:
        driver: an open store.
        owner: who does it; for people.
        now: seconds since 1970; the wall clock by default.
        ages: from when on nobody is believed to live.
        duties: what is to be done; what is left out stays as it is stored.
        interrupted: whether the store, or this process, was away since the last pass, so that a worker that lives may be silent.
        asked: connections whose depth was asked for this pass.
        dry_run: find out everything, write nothing.
        progress: is told what is being done.

    Raises:
        StoreError: the store cannot be read or written; then nothing of this minute is written, and the next pass goes on.
        DecodeError: a stored value is damaged or newer than this package.
    """
    now = time.time() if now is None else now
    begun, requests = time.monotonic(), driver.requests
    progress("reading the store")
    reading = _look(driver, now, ages)
    state = state_of(reading.answers[READ_COLLECTOR])
    found = None
    if state.passed(now):
        why = "this minute is done already"
    elif not (reading.every_beat or reading.tasks or reading.queues or state.last_pass):
        why = "nothing was ever recorded in this store, so there is nothing to keep"
    else:
        progress("calculating")
        found = _find(driver, reading, state, now, ages, duties, interrupted)
        progress("writing")
        found = replace(found, state=replace(found.state, asked=tuple(asked)))
        why = "nothing was written: this was a trial" if dry_run else _write(driver, found, state, owner, now)
    return PassAnswer(
        done=why == "",
        message=why or "the minute is written",
        minute=int(now) // MINUTE * MINUTE,
        queues=found.queues if found else len(reading.queues),
        workers=found.workers if found else len(reading.beats),
        servers=len(found.servers) if found else 0,
        baselines=len(found.calculated) if found else 0,
        forgotten=len(found.forgotten) if found else 0,
        events=dict(Counter(event.kind for event in found.events)) if found else {},
        requests=driver.requests - requests,
        seconds=time.monotonic() - begun,
    )


def used(driver: StorageDriver) -> bool:
    """Whether anybody ever recorded: a store that nobody uses is not made by looking after it."""
    view = driver.read_view((Range((TASK, QUEUE), MINUTE, 0, 0),), calls=(READ_COLLECTOR,))
    return bool(view.series or view.beats or view.answers[0])


def _look(driver: StorageDriver, now: float, ages: Ages) -> Reading:
    """What an overview reads, and what the last pass left."""
    calls = (*worker_calls(), READ_BASELINES, READ_HEALTH, READ_SILENT, LAST_ROW)
    further = (*queue_answers.parts(now, ages.stale_seconds), *worker_parts(now))
    return read(driver, span_of(now, retention=driver.retention), further=further, totals=False, calls=calls)


def _find(
    driver: StorageDriver, reading: Reading, state: CollectorState, now: float, ages: Ages, duties: Duties, interrupted: bool
) -> _Found:
    settled = now if interrupted else later(state.settled(now), back_in(reading, ages.stale_seconds))
    people, _ = workers_in(reading, stale_seconds=ages.stale_seconds, lost_seconds=ages.lost_seconds, settled_since=settled)
    queues = queue_answers.queues(reading, people, stale_seconds=ages.stale_seconds)
    row, counters = _spent(reading, state, now, ages) if duties.workers else (None, None)
    watched_at = None if "baselines" in state.off else state.last_pass
    calculated = recalculated(driver, reading, now, watched_at=watched_at) if duties.baselines else ()
    events = changes.baseline_events(calculated, now)
    told, silent = healths_of(reading.answers[READ_HEALTH]), dict(reading.answers[READ_SILENT] or {})
    told_now, silent_now = told, silent
    if duties.silence:
        of_workers, silent_now = changes.worker_events(people, silent, now, stale_seconds=ages.stale_seconds)
        events = [*of_workers, *events]
    if duties.events:
        of_health, told_now = changes.health_events(queues, told, now)
        last = next(iter(fleet_minutes(reading.answers[LAST_ROW])), None)
        of_efficiency = [] if counters is None else changes.efficiency_events(last, row, counters, now)
        recorded = changes.recorded_events(reading.queues, now)
        events = [*changes.depth_events(queues, now), *of_health, *of_efficiency, *events, *recorded]
    return _Found(
        state=CollectorState(now, settled, "", state.events, duties.off),
        servers={
            report.hostname: server_minute(int(now) // MINUTE * MINUTE, report.sample)
            for report in server_reports(reading.every_beat)
            if duties.servers and report.age <= ages.stale_seconds
        },
        row=row,
        counters=counters,
        calculated=calculated,
        forgotten=forgotten(reading.answers[READ_BASELINES] or {}, now, driver.lifetimes.baseline) if duties.cleanup else (),
        events=events,
        healths=(told, told_now),
        silent=(silent, silent_now),
        queues=len(queues),
        workers=len(people),
    )


def _spent(reading: Reading, state: CollectorState, now: float, ages: Ages) -> tuple[EfficiencyRow | None, Counters]:
    previous = None if state.from_the_future(now) else counters_of(reading.answers[reading_counters()] or {})
    return efficiency(previous, reading.beats, now, stale_seconds=ages.stale_seconds, lost_seconds=ages.lost_seconds)


def _write(driver: StorageDriver, found: _Found, state: CollectorState, owner: str, now: float) -> str:
    """All of it in one transaction; answers why nothing was written, or nothing."""
    for _ in range(_ATTEMPTS):
        try:
            with driver.transaction(watch=(COLLECTOR,)) as change:
                latest = state_of(change.get_hash(COLLECTOR))
                if latest.last_pass != state.last_pass:
                    return "another collector was quicker"
                _all(change, driver, found, latest, owner, now)
        except TransactionConflict:  # another pass, which the next look shows, or a baseline calculated by hand
            continue
        with suppress(StoreError):  # the minute is written; without this readers go by the collector's clock
            driver.heartbeat_many([pass_beat(now)], PASS_BEAT_SECONDS)
        return ""
    return "others kept changing what a pass rests on"


def _all(change: Transaction, driver: StorageDriver, found: _Found, latest: CollectorState, owner: str, now: float) -> None:
    kept = driver.lifetimes
    for hostname, minute in found.servers.items():
        add_server_minute(change, hostname, minute, kept.servers)
    if found.row is not None:
        add_efficiency(change, found.row, kept.workers)
    add_counters(change, found.counters)
    if found.calculated:
        write_baselines(change, [each.baseline for each in found.calculated], kept.baseline)
    change.delete_hash_field(BASELINES, *found.forgotten)
    write_healths(change, *found.healths)
    write_silent(change, *found.silent)
    events = numbered(found.events, latest.events)
    add_events(change, events)
    write_state(change, replace(found.state, owner=owner, events=latest.events + len(events)))
