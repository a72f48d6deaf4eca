"""
How often the verdict on a depth is wrong: M/M/4 queues, simulated event by event, by way of journal, drainer and store.

The journal of every run is written by the independent writer and drained into a store of its own by the real drainer.
"""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from scipy import stats

from queue_metrics import _core
from queue_metrics._core import Series
from queue_metrics.insights import connect
from queue_metrics.insights.flow import flow_case
from queue_metrics.insights.minutes import Minutes
from queue_metrics.insights.verdict import flow_verdict
from queue_metrics.model import DepthTrend, Direction, NoTrend
from queue_metrics.storage.base import StorageDriver
from queue_metrics.storage.manager import StorageManager
from queue_metrics.storage.memory import MemoryStorageDriver
from tests.support.fleet import heartbeat
from tests.support.queueing import Hour, in_equilibrium, simulate, write_journal
from tests.support.servers import RedisServer

pytestmark = pytest.mark.long

SCALE = float(os.environ.get("QM_TEST_SCALE", "1"))
RUNS = max(round(20 * SCALE), 10)
"""For each kind of evidence and load, all by way of a journal."""
MORE = max(round(150 * SCALE), 50)
"""By minutes counted from the simulation, without journal and store."""
QUEUE = ("broker", "mail")
WORKERS = 4
BEGIN = int(time.time()) // 60 * 60 - 3600
"""An hour ago: stores expire points by their own clock."""


def stored(hour: Hour, spool: Path, store: StorageDriver, *, arrivals: bool, dedicated: bool) -> DepthTrend | NoTrend:
    """The answer at the end of the hour."""
    write_journal(spool, hour, BEGIN, connection=QUEUE[0], queue=QUEUE[1], arrivals=arrivals)
    drainer = _core.Drainer(os.fspath(spool))
    drainer.restore(0, b"")
    while drainer.poll():
        while (batch := drainer.next_batch()) is not None:
            assert store.apply_batch(0, batch).applied
            drainer.committed()
    queue = QUEUE[1] if dedicated else ""
    pages = [(str(pid), heartbeat(connection=QUEUE[0], queue=queue, pid=pid)) for pid in range(WORKERS)]
    store.heartbeat_many(pages, 600.0)
    return connect(store, now=lambda: BEGIN + 3600.5).trend(*QUEUE)


def hour_at(load: float, seed: int) -> Hour:
    """Below its capacity the queue is in equilibrium at the start, above it begins empty."""
    chance = random.Random(seed)
    return simulate(chance, load=load, workers=WORKERS, present=in_equilibrium(chance, load, WORKERS) if load < 1 else 0)


def told(load: float, tmp_path: Path, **evidence: bool) -> Counter[Direction]:
    return Counter(
        stored(hour_at(load, seed), tmp_path / f"{load}-{seed}", MemoryStorageDriver(), **evidence).verdict.direction
        for seed in range(RUNS)
    )


@pytest.mark.parametrize("arrivals", [True, False])
@pytest.mark.parametrize("dedicated", [True, False])
def test_a_stable_queue_is_not_called_growing_and_an_overloaded_one_is(
    tmp_path: Path, dedicated: bool, arrivals: bool, record_property: Callable[[str, object], None]
) -> None:
    stable = told(0.95, tmp_path, dedicated=dedicated, arrivals=arrivals)
    record_property("stored hours at 95 %", RUNS)
    record_property("of those called growing", stable[Direction.GROWING])
    assert stable[Direction.GROWING] <= 0.02 * RUNS, stable
    overloaded = told(1.3, tmp_path, dedicated=dedicated, arrivals=arrivals)
    record_property("stored hours at 130 %", RUNS)
    record_property("of these called growing", overloaded[Direction.GROWING])
    assert overloaded[Direction.GROWING] >= 0.95 * RUNS, overloaded


def counted(hour: Hour) -> Minutes:
    """The minutes of an hour, from the jobs themselves."""
    started, ended, arrived, busy, ready, fewest = ([0.0] * 60 for _ in range(6))
    for job in hour.jobs:
        for moment, column in ((job.arrived, arrived), (job.started, started), (job.ended, ended)):
            if 0 < moment < hour.seconds:
                column[int(moment // 60)] += 1
        if job.ended < hour.seconds:
            busy[int(job.ended // 60)] += job.ended - job.started
    asked = hour.depths()
    for number in range(60):
        depths = [depth for at, depth in asked if at // 60 == number]
        ready[number], fewest[number] = depths[-1], min(depths)
    starts = [BEGIN + 60 * number for number in range(60)]
    columns = (started, ended, [0.0] * 60, arrived, ended, busy, ready, fewest, [start + 50.0 for start in starts])
    return Minutes(starts, *map(Series, columns))


def test_of_many_more_hours_by_their_numbers_alone(record_property: Callable[[str, object], None]) -> None:
    for load, least, most in ((0.95, 0.0, 0.02), (1.3, 0.95, 1.0)):
        growing: Counter[int | None] = Counter()
        by_line = 0
        for seed in range(1_000, 1_000 + MORE):
            minutes = counted(hour_at(load, seed))
            by_line += stats.linregress(minutes.starts, minutes.ready).pvalue < 0.05
            for workers in (WORKERS, None):
                case = flow_case(minutes, workers)
                if not isinstance(case, str):
                    found = flow_verdict(case, minutes=60, ready=minutes.ready[-1], mean_ready=sum(minutes.ready) / 60, period=3600)
                    growing[workers] += found.direction is Direction.GROWING
        for workers in (WORKERS, None):
            record_property(f"counted hours at {load:.0%}", MORE)
            record_property(f"counted hours at {load:.0%} called growing", growing[workers])
            assert least * MORE <= growing[workers] <= most * MORE, (load, growing)
        assert by_line > MORE / 2, "a line through the depth calls a trend in most hours, stable or not"


@pytest.mark.parametrize("kind", ["sqlite", "redis"])
def test_every_store_gives_the_same_answer(tmp_path: Path, kind: str) -> None:
    def answer(store: StorageDriver, name: str) -> DepthTrend | NoTrend:
        found = stored(hour_at(1.3, 7), tmp_path / name, store, arrivals=True, dedicated=True)
        store.close()
        return found

    expected = answer(MemoryStorageDriver(), "memory")
    assert expected.verdict.direction is Direction.GROWING
    if kind == "sqlite":
        assert answer(StorageManager().open(f"sqlite:///{tmp_path}/m.db"), "sqlite") == expected
        return
    with RedisServer(tmp_path) as server:
        assert answer(StorageManager().open(server.url), "redis") == expected


def test_the_answer_says_what_it_rests_on(tmp_path: Path) -> None:
    """Truth counted from the simulation, not from what is stored."""
    hour = hour_at(1.3, 3)

    def answer(name: str, known: bool) -> DepthTrend | NoTrend:
        return stored(hour, tmp_path / name, MemoryStorageDriver(), arrivals=known, dedicated=known)

    arrived = sum(job.arrived < 3600 for job in hour.jobs)
    done = [job for job in hour.jobs if job.ended < 3600]
    known = answer("known", True)
    flow = known.verdict.flow
    assert flow is not None
    assert (flow.arrivals_from, flow.capacity_from, flow.slots) == ("arrivals", "workers", 4.0)
    assert flow.arrivals_per_second == pytest.approx(arrived / 3600)
    assert flow.capacity_per_second == pytest.approx(WORKERS * len(done) / sum(job.ended - job.started for job in done), rel=1e-6)
    assert known.verdict.n == arrived + len(done)
    # The minute that is open now counts as the sixtieth.
    assert known.values == tuple(float(depth) for at, depth in hour.depths() if at % 60 == 50 and at > 60)
    told_ = answer("told", False).verdict.flow
    assert told_ is not None
    assert (told_.arrivals_from, told_.capacity_from, told_.slots) == ("starts and depth", "starts while jobs waited", None)
    assert told_.arrivals_per_second == pytest.approx(flow.arrivals_per_second, rel=0.02)
    assert told_.capacity_per_second == pytest.approx(flow.capacity_per_second, rel=0.1)
