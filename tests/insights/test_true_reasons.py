"""What `qm.why` says is so: each place where a reason at hand would be another than the true one."""

from __future__ import annotations

import pytest

import queue_metrics as qm
from queue_metrics.collector import collect
from queue_metrics.insights import Metrics, connect
from queue_metrics.insights.window import Asked
from queue_metrics.model.trends import NoTrend
from queue_metrics.storage.efficiency import Crew, EfficiencyRow, Spent, add_efficiency
from queue_metrics.storage.memory import MemoryStorageDriver
from tests.support.fleet import NOW, Fleet, minute

MAIL = ("broker", "mail")
SEND = (*MAIL, "app.send")
DONE = {"started": 1, "succeeded": 1}


def opened(fleet: Fleet, *, passes: int = 0) -> Metrics:
    """A store with it, after as many passes of a collector."""
    driver = MemoryStorageDriver()
    fleet.store(driver)
    for back in reversed(range(passes)):
        collect(driver, "test", now=NOW - 60 * back)
    return connect(driver, now=lambda: NOW)


def test_no_job_waits_in_an_empty_queue() -> None:
    fleet, asked = Fleet(), int((NOW - 5) * 1e6)
    fleet.queue(MAIL, minute(0), gauges={0: [(asked, 0)]})
    queue = opened(fleet).queue(*MAIL)
    assert (queue.ready, qm.why(queue, "latency_seconds")) == (0, "no job waits")


@pytest.mark.parametrize("state", ["starting", "stopped", "lost"])
def test_a_worker_whose_counters_stand_still_was_seen_all_the_same(state: str) -> None:
    fleet = Fleet()
    fleet.worker(state=state, queue="mail", busy=100.0, idle=100.0)
    (worker,) = opened(fleet, passes=5).workers()
    assert worker.state == state
    said = f"it is {state}: its busy and idle seconds have not changed since a collector counted them"
    assert {qm.why(worker, name) for name in ("utilisation_ratio", "utilisation_seconds")} == {said}


@pytest.mark.parametrize("state", ["starting", "stopped"])
def test_a_worker_of_some_age_has_not_just_begun(state: str) -> None:
    fleet = Fleet()
    fleet.worker(state=state, process_started=NOW - 1000)
    (worker,) = opened(fleet).workers()
    assert qm.why(worker, "busy_ratio") == f"it is {state}, and was seen neither busy nor idle"


def test_of_a_queue_that_nobody_asks_for_beside_others_that_are_asked_for() -> None:
    fleet = Fleet()
    fleet.queue(("broker", "old"), minute(100), counts=DONE, gauges={0: [(minute(100) * 10**6, 3)]})
    fleet.queue(MAIL, minute(0), gauges={0: [(minute(0) * 10**6, 3)]})
    fleet.queue(("other", "mail"), minute(0), counts=DONE)
    metrics = opened(fleet)
    said = "nobody has asked the broker for this queue in the last hour, only for others of its connection"
    assert metrics.queue("broker", "old").depth_reason == said
    assert qm.why(metrics.queue("broker", "old").health, "age_seconds") == "no question to its broker is known in the last hour"
    assert qm.why(metrics.overview().health, "age_seconds") == "no heartbeat is kept"
    assert str(metrics.queue("other", "mail").depth_reason).endswith("no instrumented main process, agent or configured connection")


def test_a_lifetime_has_no_window_and_what_no_window_has_is_promised_of_none() -> None:
    fleet = Fleet()
    costs = {measure: [5, 7] for measure in (0, 2, 3, 4)}
    fleet.task(SEND, minute(1), counts={"started": 2, "succeeded": 2}, measures=costs)
    fleet.task((*MAIL, "bare"), minute(1), counts=DONE)
    metrics = opened(fleet)
    ever, bare = metrics.task("app.send").lifetime.cpu, metrics.task("bare").lifetime.cpu
    assert {qm.why(ever, name) for name in ("p50", "p95", "p99", "deviation", "min", "max")} == {
        "of everything ever measured only the sum is kept; a window may have it"
    }
    assert {qm.why(bare, name) for name in ("mean", "p95", "min")} == {"it was measured of no execution"}
    for minutes in (60, 1440, 30000):
        task = metrics.task("app.send", minutes=minutes)
        assert task.memory_change.max == 7
        assert {qm.why(task.memory_change, name) for name in ("p50", "p95", "deviation")} == {
            "only sums and extremes are kept of it, whatever the window: it may be below zero"
        }
        assert qm.why(metrics.task("bare", minutes=minutes).memory_change, "p50") == "nothing of it was measured in the window"


def test_the_window_of_workers_is_that_of_the_collector() -> None:
    """Somebody recorded, nobody counted; and a window that is over for longer than the time of workers is kept."""
    fleet = Fleet()
    fleet.task(SEND, minute(1), counts=DONE)
    fleet.queue(MAIL, minute(1), counts=DONE)
    fleet.worker(queue="mail")
    metrics = opened(fleet)
    nobody, none = metrics.worker_summary(), {"observed_from", "observed_until", "observed_seconds", "age_seconds"}
    assert {qm.why(nobody.window, name) for name in none} == {qm.why(nobody, "window_ratio")}
    assert str(qm.why(nobody, "window_ratio")).startswith("no collector counted time of these workers in the window; where none runs, run ")


def test_the_time_of_workers_is_kept_for_less_of_a_queue() -> None:
    fleet = Fleet()
    fleet.queue(MAIL, minute(1), counts=DONE)
    fleet.worker(queue="mail")
    driver = MemoryStorageDriver()
    fleet.store(driver)

    def counted(spent: Spent) -> Crew:
        return Crew(spent, None, None, 1, 0, 1)

    for back in range(12 * 60, -1, -1):
        crew = counted(Spent(30.0, 30.0) if back > 60 else Spent(0.0, 0.0))
        add_efficiency(driver, EfficiencyRow(NOW - 60 * back, 60.0, crew, {"web": crew}, {MAIL: crew}))
    metrics = connect(driver, now=lambda: NOW)
    hours: Asked = {"start": NOW - 10 * 3600, "end": NOW - 8 * 3600}
    days: Asked = {"start": NOW - 10 * 86400, "end": NOW - 9 * 86400}
    said = "the window ended longer ago than the time of these workers is kept, "
    of_queue = metrics.worker_summary(connection="broker", queue="mail", **hours)
    assert (of_queue.window_ratio, qm.why(of_queue, "window_ratio")) == (None, f"{said}6 h 00 min")
    assert metrics.worker_summary(**hours).window_ratio == 0.5
    for old in (metrics.worker_summary(**days), metrics.worker_summary(server="web-1", **days), metrics.servers(**days)[0].workers):
        assert qm.why(old, "window_ratio") == qm.why(old.window, "age_seconds") == f"{said}7 d 0 h"
    idle = metrics.worker_summary(minutes=30)
    assert qm.why(idle.window, "age_seconds") is None
    assert qm.why(idle, "window_ratio") == "no worker lived from one pass of the collector to the next in the window"


def test_what_a_trend_lacks_is_what_its_message_says() -> None:
    fleet = Fleet()
    for back in (1, 2, 3):
        fleet.queue(MAIL, minute(back), counts=DONE)
    trend = opened(fleet).throughput(*MAIL, period_seconds=14_400, interval_seconds=14_400)
    assert isinstance(trend, NoTrend)
    assert trend.message.startswith("Only 3 min")
    assert {qm.why(trend, name) for name in ("statistics", "trend", "age_seconds")} == {trend.message}
