"""How often a store is asked for one answer: counted where redis-py writes and reads, and where SQLite is told to begin."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from queue_metrics.http import asgi_app
from queue_metrics.http.kept import Kept
from queue_metrics.insights import Metrics, connect
from queue_metrics.storage.base import EXCEPTION, StorageDriver
from queue_metrics.storage.manager import StorageManager
from tests.http.asking import ask
from tests.support.fleet import NOW, Fleet, minute
from tests.support.servers import RedisServer
from tests.support.turns import Turns

QUEUES, TASKS, WORKERS = 200, 500, 1000


@pytest.fixture(scope="module")
def large() -> Fleet:
    """200 queues, 500 tasks, 1,000 workers; two minutes of each, and a broker that has been asked for longer than a day."""
    fleet = Fleet()
    for back in range(26):
        fleet.queue(("broker", "queue 0"), minute(60 * back), gauges={0: [(minute(60 * back) * 1_000_000, 7)]})
    for number in range(TASKS):
        for back in (1, 40):
            counts = {"started": 3, "succeeded": 2, "failed": 1}
            fleet.task(("broker", f"queue {number % QUEUES}", f"task {number}"), minute(back), counts=counts, measures={0: [1_000, 50_000]})
    for number in range(QUEUES):
        fleet.queue(("broker", f"queue {number}"), minute(1), counts={"arrivals": 3, "started": 3}, gauges={0: [(int(NOW * 1e6), 7)]})
    for number in range(WORKERS):
        fleet.worker(pid=number, connection="broker", queue=f"queue {number % QUEUES}")
    return fleet


@pytest.fixture(scope="module")
def on_redis(large: Fleet, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Metrics]:
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        driver = StorageManager().open(server.url)
        large.store(driver)
        # However slow this machine is: ages are by the store's clock, and the heartbeats are of the beginning.
        yield connect(driver, now=lambda: NOW, stale_seconds=3600, lost_seconds=3600)
        driver.close()


ANSWERS: list[tuple[str, Callable[[Metrics], object], int]] = [
    ("snapshot", lambda metrics: metrics.snapshot(), 2),
    ("overview", lambda metrics: metrics.overview(), 2),
    ("everything", lambda metrics: metrics.everything(), 2),
    ("scrape", lambda metrics: metrics.scrape(), 2),
    ("tasks", lambda metrics: metrics.tasks(), 2),
    ("task", lambda metrics: metrics.task("task 7"), 2),
    ("task details", lambda metrics: metrics.task_details(), 2),
    ("queue", lambda metrics: metrics.queue("broker", "queue 7", minutes=1000), 2),
    ("health", lambda metrics: metrics.health(), 2),
    ("queues", lambda metrics: metrics.queues(), 2),
    ("workers", lambda metrics: metrics.workers(), 2),
    ("servers", lambda metrics: metrics.servers(), 2),
    ("trend", lambda metrics: metrics.trend("broker", "queue 7"), 2),
    ("throughput", lambda metrics: metrics.throughput("broker", "queue 7"), 2),
    ("efficiency", lambda metrics: metrics.efficiency(), 1),
]


@pytest.mark.parametrize(("name", "ask", "most"), ANSWERS, ids=[name for name, _, _ in ANSWERS])
def test_an_answer_about_a_large_fleet_takes_two_pipelines_at_most(
    on_redis: Metrics, monkeypatch: pytest.MonkeyPatch, name: str, ask: Callable[[Metrics], object], most: int
) -> None:
    turns = Turns(monkeypatch)
    ask(on_redis)
    assert turns.number == most


@pytest.fixture
def long_ago(tmp_path: Path) -> Iterator[StorageDriver]:
    """A large fleet that was quiet for a while: of each task a failure two days ago, 40 days ago or 390, each with its exception."""
    fleet = Fleet()
    for number in range(TASKS):
        place, back = ("broker", f"queue {number % QUEUES}", f"task {number}"), minute((2, 40, 390)[number % 3] * 1440)
        fleet.task(place, back, counts={"started": 1, "failed": 1})
        fleet.series(EXCEPTION, (*place, "ValueError"), back, {"failed": 1})
    with RedisServer(tmp_path) as server:
        driver = StorageManager().open(server.url)
        fleet.store(driver)
        yield driver
        driver.close()


def test_an_overview_takes_three_pipelines_at_most_while_it_is_found_out_what_failed_long_ago(
    long_ago: StorageDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    app, turns = asgi_app(long_ago, now=lambda: NOW), Turns(monkeypatch)
    taken: list[int] = []
    while not taken or taken[-1] > 2:
        before = turns.number
        app._reading._kept = Kept()
        told = ask(app, "/overview?full=1").json()["data"]["jobs"]
        taken.append(turns.number - before)
    assert set(taken[:-1]) == {3}
    assert len(taken) < 50
    assert {job["failures"]["last_failed_at"] is None for job in told.values()} == {False}
    before = turns.number
    assert all(each.last_failed and each.last_exception for each in connect(long_ago, now=lambda: NOW).task_details())
    assert turns.number - before == len(taken) + 1, "whoever wants it at once has it, by as many requests"


def test_what_two_pipelines_bring_is_the_whole_fleet(on_redis: Metrics) -> None:
    snapshot = on_redis.snapshot()
    assert (len(snapshot.tasks), len(snapshot.queues), len(snapshot.workers)) == (TASKS, QUEUES, WORKERS)
    assert (snapshot.overview.counts.started, snapshot.overview.ready, snapshot.overview.workers.idle) == (3000, 1400, WORKERS)
    assert all(task.lifetime.counts.started == 6 for task in snapshot.tasks)


def test_a_snapshot_of_sqlite_is_one_transaction(large: Fleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[str] = []
    opened = sqlite3.connect

    def traced(*arguments: Any, **more: Any) -> sqlite3.Connection:
        connection: sqlite3.Connection = opened(*arguments, **more)
        connection.set_trace_callback(lambda statement: begun.append(statement) if statement.upper().startswith("BEGIN") else None)
        return connection

    url = f"sqlite:///{tmp_path}/metrics.db"
    driver = StorageManager().open(url)
    large.store(driver)
    driver.close()
    monkeypatch.setattr(sqlite3, "connect", traced)
    metrics = connect(url, now=lambda: NOW)
    assert len(metrics.snapshot().workers) == WORKERS
    assert len(begun) == 1
    metrics.snapshot()
    assert len(begun) == 2
    metrics.close()
