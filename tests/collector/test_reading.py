"""Reading changes nothing: every path and every method of the front door, and all that is in the store, read past our own code."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
import redis

from queue_metrics.collector import collect
from queue_metrics.http import asgi_app
from queue_metrics.insights import Metrics, connect
from queue_metrics.storage.base import StorageDriver
from queue_metrics.storage.manager import StorageManager
from tests.collector.stored import crew, mail
from tests.http.asking import HTML, ROUTES, ask
from tests.support.fleet import NOW, minute
from tests.support.servers import RedisServer

NAMES = {"connection": "broker", "queue": "mail", "name": "send", "task": "send", "class": "send", "id": "web:100:77", "hostname": "web"}
QUERIES = {"/v1/series": "?kind=queue&connection=broker&queue=mail", "/server": "?hostname=web"}
ASKED: dict[str, Callable[[Metrics], object]] = {
    "snapshot": lambda metrics: metrics.snapshot(),
    "scrape": lambda metrics: metrics.scrape(),
    "everything": lambda metrics: metrics.everything(),
    "overview": lambda metrics: metrics.overview(),
    "health": lambda metrics: metrics.health(),
    "collector": lambda metrics: metrics.collector(),
    "events": lambda metrics: metrics.events(),
    "tasks": lambda metrics: metrics.tasks(),
    "task_details": lambda metrics: metrics.task_details(),
    "task": lambda metrics: metrics.task("send"),
    "queues": lambda metrics: metrics.queues(),
    "queue": lambda metrics: metrics.queue("broker", "mail"),
    "baseline": lambda metrics: metrics.baseline("broker", "mail", "send"),
    "baselines": lambda metrics: metrics.baselines(),
    "workers": lambda metrics: metrics.workers(),
    "worker_summary": lambda metrics: metrics.worker_summary(),
    "worker": lambda metrics: metrics.worker("web:100:77"),
    "servers": lambda metrics: metrics.servers(),
    "server": lambda metrics: metrics.server("web"),
    "trend": lambda metrics: metrics.trend("broker", "mail"),
    "throughput": lambda metrics: metrics.throughput("broker", "mail"),
    "efficiency": lambda metrics: metrics.efficiency(),
    "series": lambda metrics: metrics.series("queue", "broker", "mail"),
    "footprint": lambda metrics: metrics.footprint(),
}


@pytest.fixture(params=["sqlite", "redis"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[StorageDriver, Callable[[], object]]]:
    """A store, and all that is in it."""
    if request.param == "sqlite":
        driver = StorageManager().open(f"sqlite:///{tmp_path}/m.db")

        def rows() -> list[str]:
            with closing(sqlite3.connect(tmp_path / "m.db")) as file:
                return list(file.iterdump())

        yield driver, rows
        driver.close()
    else:
        with RedisServer(tmp_path) as server, closing(redis.Redis.from_url(server.url)) as client:
            driver = StorageManager().open(server.url)
            yield driver, lambda: {key: client.dump(key) for key in client.scan_iter()}
            driver.close()


def test_reading_everything_ten_times_changes_nothing(store: tuple[StorageDriver, Callable[[], object]]) -> None:
    """L18: a health that changed was told by whoever looked, so a scrape every ten seconds changed what it told of."""
    driver, everything = store
    fleet = mail()
    fleet.task(("broker", "mail", "send"), minute(9), counts={"started": 1, "succeeded": 1})
    fleet.store(driver)
    for back in (2, 1):
        crew(driver, NOW - 60 * back, web=(60.0 / back, 0.0))
        collect(driver, "test", now=NOW - 60 * back)
    mail(ready=900, failed=200).store(driver, sequence=1)  # another health, which the next pass is to tell
    before, metrics = everything(), connect(driver, now=lambda: NOW)
    assert set(ASKED) == {name for name in dir(Metrics) if not name.startswith("_")} - {"close", "store"}
    for turn in range(10):
        for read in ASKED.values():
            read(metrics)
        app = asgi_app(driver, now=lambda: NOW)  # a new one has nothing in its cache
        for path, route in ROUTES.items():
            answer = ask(app, path.format(**NAMES) + QUERIES.get(path, ""), method=route.method)
            assert answer.status == 200 or (path, answer.status) == ("/health", 503), (path, turn)
        assert ask(app, "/", HTML).status == 200
    assert everything() == before
    assert collect(driver, "test", now=NOW).events["health_score_changed"] == 1
    assert everything() != before
