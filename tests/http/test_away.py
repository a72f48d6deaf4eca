"""A store that is away while it is served: the last answers stay, are marked, and age; who asks nothing of it waits for nobody."""

from __future__ import annotations

import asyncio
import http.client
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from starlette.concurrency import run_in_threadpool

import queue_metrics as qm
from queue_metrics.errors import StoreUnavailable
from queue_metrics.http.app import Application
from queue_metrics.http.kept import KEPT_BYTES, WEIGHED_SECONDS, Entry, Kept, Weight, weigh, weighed
from queue_metrics.http.shared import READERS, Held, Question
from queue_metrics.insights import Metrics, connect
from queue_metrics.storage.base import StorageDriver
from queue_metrics.storage.collector import CollectorState, write_state
from queue_metrics.storage.manager import StorageManager
from queue_metrics.storage.memory import MemoryStorageDriver
from queue_metrics.storage.view import View
from tests.http.asking import HTML, Flaky, app_of, ask, ask_async, small_fleet
from tests.http.everything import everything
from tests.http.test_prometheus import samples
from tests.support.fleet import NOW
from tests.support.patience import PATIENCE
from tests.support.servers import RedisServer


@pytest.fixture(params=["sqlite", "redis"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[StorageDriver]:
    with RedisServer(tmp_path) as server:
        driver = StorageManager().open(server.url if request.param == "redis" else f"sqlite:///{tmp_path}/metrics.db")
        yield driver
        driver.close()


def at(app: Application, seconds: float) -> None:
    """Set the clock by which answers are kept."""
    app._reading._clock = lambda: seconds


def test_every_answer_given_stays_whatever_else_was_asked_since() -> None:
    """A board has a trend for each queue, and a hundred tasks are looked at one after the other."""
    driver = Flaky()
    app = app_of(small_fleet(), driver)
    at(app, 0.0)
    asked = ["/v1/tasks/app.send", "/trends/queue-depth/broker/default?period=7200"]
    asked += [f"/v1/tasks?minutes={minutes}" for minutes in range(1, 100)]
    for path in asked:
        assert ask(app, path).status == 200
    driver.error = StoreUnavailable("away")
    at(app, 60.0)
    assert {path: ask(app, path)["queue-metrics-stale"] for path in asked} == dict.fromkeys(asked, "60")
    refused = ask(app, "/v1/tasks?minutes=100")
    assert (refused.status, refused["retry-after"]) == (503, "5")


def test_what_is_kept_is_bounded_by_its_bytes_and_those_that_nobody_asked_for_longest_go_first() -> None:
    kept: Kept[str, str] = Kept(100)
    for name in "abcd":
        kept.keep(name, name, 0.0, Weight(25, 0.0))
    assert kept.asked("a") is not None
    kept.keep("e", "e", 1.0, Weight(25, 0.0))
    assert [name for name in "abcde" if kept.asked(name)] == ["a", "c", "d", "e"]
    kept.keep("a", "again", 2.0, Weight(50, 0.0))
    assert [name for name in "acde" if kept.asked(name)] == ["a", "d", "e"], "it has become heavier"
    kept.keep("all", "of it", 3.0, Weight(101, 0.0))
    assert [name for name in ("a", "d", "e", "all") if kept.asked(name)] == ["all"], "the newest is kept however heavy it is"


def test_an_answer_is_weighed_now_and_then_with_all_that_was_asked_of_it_and_the_next_ones_are_taken_to_be_as_heavy() -> None:
    def kept(size: int, weight: Weight) -> Entry[str]:
        return Entry("x" * size, 0.0, weight)

    first = weighed((), "", None, 0.0)
    second = weighed((), "", kept(1000, first), 1.0)
    assert first.size + 1000 == second.size, "parts that are worked out when somebody asks for them are there by then"
    assert weighed((), "", kept(5000, second), WEIGHED_SECONDS) == second
    assert weighed((), "", kept(5000, second), WEIGHED_SECONDS + 1).size == first.size + 5000


def test_an_answer_that_is_let_go_while_the_next_one_is_read_is_as_heavy_when_it_is_back() -> None:
    app, crowd = app_of(small_fleet()), Question("a crowd", (), Metrics.snapshot)
    reading, kept = app._reading, app._reading._kept
    crowded = False

    def asked_meanwhile(metrics: Metrics) -> object:
        if crowded:
            kept.keep(crowd, Held(None, metrics.collector()), 0.0, Weight(KEPT_BYTES, 0.0))
            assert len(kept) == 1
        return metrics.tasks()

    question: Question[object] = Question("tasks", (), asked_meanwhile)
    sizes = []
    for seconds, crowded in ((0.0, False), (5.0, False), (10.0, True)):  # noqa: B007 - read by `asked_meanwhile`
        at(app, seconds)
        asyncio.run(reading.get(question))
        entry = kept.asked(question)
        assert entry is not None
        sizes.append(entry.weight.size)
    assert sizes[1:] == [sizes[0]] * 2
    assert sizes[0] > 1000


def test_an_answer_is_as_heavy_as_all_that_it_holds(store: StorageDriver) -> None:
    everything(store)
    metrics = connect(store, now=lambda: NOW)
    trend, task, snapshot = metrics.trend("broker", "mail"), metrics.task("app.mail"), metrics.snapshot()
    assert 500 < weigh(trend) < weigh(task) < weigh(snapshot) < KEPT_BYTES / 10
    assert weigh(snapshot) == weigh((snapshot, snapshot)) - weigh((0, 0)) + weigh(0), "each object once"
    assert weigh(metrics.everything()) > 10_000
    assert weigh("x" * 1000) > 1000


@pytest.mark.parametrize(("seconds", "up"), [(100.0, 1), (111.0, 0), (219.0, 0)])
def test_what_is_told_of_a_store_that_is_away_ages(seconds: float, up: int) -> None:
    """The last pass was 10 s before the last reading; two minutes later nobody knows of a collector that runs."""
    driver = Flaky()
    everything(driver)
    app = app_of(driver=driver)
    at(app, 0.0)
    routes = {path: samples(ask(app, path).text) for path in ("/metrics", "/prometheus")}
    ours, theirs = "queue_metrics_", "laravel_queue_"
    assert [numbers(routes[path], prefix) for path, prefix in (("/metrics", ours), ("/prometheus", theirs))] == [(1, 1, 0)] * 2
    age, heartbeat = (routes["/metrics"][ours + name][0].value for name in ("collector_age_seconds", "drainer_age_seconds"))
    for path, accept in (("/v1/overview", ()), ("/jobs", ()), ("/", (HTML,))):
        assert not ask(app, path, *accept).has("queue-metrics-collector")
    driver.error = StoreUnavailable("away")
    at(app, seconds)
    found = samples(ask(app, "/metrics").text)
    assert numbers(found, ours) == (up, 0, seconds)
    assert found[ours + "collector_age_seconds"][0].value == age + seconds
    assert found[ours + "drainer_age_seconds"][0].value == heartbeat + seconds
    assert numbers(samples(ask(app, "/prometheus").text), theirs) == (up, 0, seconds)
    overview = ask(app, "/v1/overview").json()
    assert (overview["collector"]["running"], overview["collector"]["last_pass_seconds"]) == (bool(up), age + seconds)
    for path, accept in (("/v1/overview", ()), ("/jobs", ()), ("/", (HTML,))):
        answer = ask(app, path, *accept)
        assert answer.has("queue-metrics-collector") == (not up), path
        if not up:
            assert "whether one runs shows once the store can be read again" in answer["queue-metrics-collector"]


def numbers(found: dict[str, list[Any]], prefix: str) -> tuple[float, float, float]:
    """Whether a collector runs, whether the store was read, and the age of all."""
    return tuple(found[prefix + name][0].value for name in ("collector_up", "store_up", "stale_seconds"))


def test_a_collector_that_had_stopped_before_goes_on_being_missed() -> None:
    driver = Flaky()
    everything(driver)
    write_state(driver, CollectorState(NOW - 3600, NOW - 7200, "web-1", 0))
    app = app_of(driver=driver)
    at(app, 0.0)
    assert "for 1 h" in ask(app, "/jobs")["queue-metrics-collector"]
    driver.error = StoreUnavailable("away")
    at(app, 3600.0)
    answer = ask(app, "/jobs")
    assert "for 2 h" in answer["queue-metrics-collector"]
    assert "record-trends" in answer["queue-metrics-collector"]


def test_whether_a_collector_runs_is_read_once_for_all_that_is_asked_in_a_second() -> None:
    driver = Flaky()
    everything(driver)
    app = app_of(driver=driver)

    def reads(seconds: float, path: str) -> int:
        before = driver.reads
        at(app, seconds)
        assert ask(app, path).status == 200
        return driver.reads - before

    assert [reads(0.0, path) for path in ("/v1/servers", "/v1/baselines", "/v1/tasks/app.mail")] == [2, 1, 1]
    assert reads(1.0, "/v1/baselines") == 2
    assert [reads(2.0, path) for path in ("/v1/overview", "/v1/baselines")] == [1, 1], "an answer may have it already"


def test_an_answer_is_not_thrown_away_where_it_cannot_be_read_any_more_whether_a_collector_runs() -> None:
    driver = Flaky()
    everything(driver)
    app = app_of(driver=driver)
    at(app, 0.0)
    last = ask(app, "/v1/overview").json()["collector"]["last_pass_seconds"]
    at(app, 60.0)

    def away_after(metrics: Metrics) -> str:
        assert metrics.tasks()
        driver.error = StoreUnavailable("away")
        return "read"

    held = asyncio.run(app._reading.get(Question("tasks", (), away_after)))
    assert (held.answer, held.stale_seconds, held.collector.last_pass_seconds) == ("read", None, last + 60)


def test_who_asks_nothing_of_the_store_waits_for_nobody_who_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor do answers that are kept, nor the functions of an app around, which run in the same threads."""
    full, release = threading.Event(), threading.Event()

    class Mute(MemoryStorageDriver):
        hangs, reads = False, 0

        def read_view(self, *ranges: Any, **more: Any) -> View:
            if self.hangs:
                self.reads += 1
                if self.reads == READERS:
                    full.set()
                release.wait(2 * PATIENCE)
            return super().read_view(*ranges, **more)

    driver = Mute()
    app = app_of(small_fleet(), driver)
    at(app, 0.0)

    async def asked_together() -> None:
        assert (await ask_async(app, "/v1/tasks")).status == 200
        driver.hangs = True
        monkeypatch.setattr("queue_metrics.http.shared.PATIENCE_SECONDS", 0.2)
        at(app, 60.0)
        many = [asyncio.create_task(ask_async(app, f"/v1/tasks?minutes={minutes}")) for minutes in range(1, 2 * READERS + 1)]
        assert await asyncio.to_thread(full.wait, PATIENCE)
        async with asyncio.timeout(PATIENCE):
            for path in ("/ready", "/openapi.json", "/docs", "/style.css", "/"):
                assert (await ask_async(app, path)).status == 200
            assert (await ask_async(app, "/v1/tasks"))["queue-metrics-stale"] == "60"
            assert await run_in_threadpool(lambda: "of an app around") == "of an app around"
        assert {answer.status for answer in await asyncio.gather(*many)} <= {200, 503}

    try:
        asyncio.run(asked_together())
    finally:
        release.set()


def test_a_304_of_a_store_that_is_away_says_so_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Redis that stands still, over a real socket; no collector runs either."""
    paths = ("/jobs", "/queues/all", "/workers/all", "/trends/queue-depth/broker/default", "/overview")
    with RedisServer(tmp_path) as redis:
        driver = StorageManager().open(redis.url)
        small_fleet().store(driver)
        with qm.serve_in_thread(redis.url, port=0) as server, closing(connection_to(server.url)) as connection:
            tags = {path: got(connection, path)[1]["etag"] for path in paths}
            monkeypatch.setattr("queue_metrics.http.shared.PATIENCE_SECONDS", 0.3)
            redis.pause()
            try:
                for path in paths:
                    status, headers = got(connection, path, tags[path])
                    while "queue-metrics-stale" not in headers:  # it was read less than a second ago
                        status, headers = got(connection, path, tags[path])
                    assert (status, headers["etag"]) == (304, tags[path]), path
                    assert "record-trends" in headers["queue-metrics-collector"], path
            finally:
                redis.resume()
        driver.close()


def connection_to(url: str) -> http.client.HTTPConnection:
    return http.client.HTTPConnection(urlsplit(url).netloc, timeout=PATIENCE)


def got(connection: http.client.HTTPConnection, path: str, tag: str = "") -> tuple[int, dict[str, str]]:
    """Status and headers."""
    connection.request("GET", path, headers={"If-None-Match": tag} if tag else {})
    response = connection.getresponse()
    response.read()
    return response.status, {name.lower(): value for name, value in response.getheaders()}
