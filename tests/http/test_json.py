"""The JSON family, the shared reading behind it, and what is told when the store is away."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from typing import Any

import pytest

from queue_metrics.errors import SchemaMismatch, StoreRefused, StoreUnavailable
from queue_metrics.insights import connect
from queue_metrics.recording import trouble
from queue_metrics.storage.memory import MemoryStorageDriver
from queue_metrics.storage.view import View
from tests.http.asking import HOST, HTML, ROUTES, Flaky, app_of, ask, ask_async, small_fleet
from tests.support.fleet import NOW, Fleet, minute
from tests.support.patience import PATIENCE

SECRET = "redis://user:pass@db.internal:6379 /srv/app/secret.py"


def test_the_index_lists_every_route_with_its_parameters_and_needs_no_store() -> None:
    driver = Flaky()
    driver.error = StoreUnavailable(SECRET)
    answer = ask(app_of(driver=driver), "/", (b"accept", b"*/*"))
    assert answer.status == 200
    assert set(answer.json()["routes"]) == set(ROUTES) - {"/style.css", "/icon.svg"}
    assert answer.json()["routes"]["/v1/tasks"]["method"] == "GET"
    assert answer.json()["routes"]["/v1/tasks"]["parameters"]["minutes"] == {
        "type": "integer",
        "minimum": 1,
        "maximum": 576000,
        "default": 60,
        "meaning": "length of the window",
    }


def test_the_answers_over_http_are_those_of_the_front_door() -> None:
    driver = MemoryStorageDriver()
    app = app_of(small_fleet(), driver)
    metrics = connect(driver, now=lambda: NOW)
    task = metrics.task("app.send")
    told = ask(app, "/v1/tasks").json()
    assert (told["total"], told["stale"], told["window"]["step_seconds"]) == (2, False, 60)
    (entry,) = (entry for entry in told["tasks"] if entry["task"] == "app.send")
    assert entry["counts"]["started"] == task.counts.started == 4
    assert entry["counts"]["discarded"] == {"revoked": 1, "expired": 2, "rejected": 3, "skipped": 4, "unknown": 5}
    assert entry["runtime_seconds"]["p95"] == task.runtime.p95
    assert entry["runtime_seconds"]["unit"] == "seconds"
    assert entry["memory_change_bytes"]["min"] == -4096
    assert entry["lifetime"]["cpu_seconds"] == {"n": 1, "sum": 1.5}
    assert entry["failure"] == {"part": 0, "n": 3, "ratio": 0.0, "low": 0.0, "high": pytest.approx(0.5615, abs=1e-4)}
    queue = {entry["queue"]: entry for entry in ask(app, "/v1/queues").json()["queues"]}
    assert (queue["default"]["ready"], queue["default"]["running"], queue["default"]["latency_seconds"]) == (7, None, 1.25)
    assert queue["mail"]["ready"] is None
    assert "nobody has asked" in queue["mail"]["depth_reason"]
    worker = {entry["pid"]: entry for entry in ask(app, "/v1/workers").json()["workers"]}
    assert (worker[11]["state"], worker[11]["job_id"], worker[10]["role"]) == ("busy", "j-1", "supervisor")
    overview = ask(app, "/v1/overview").json()
    assert overview["workers"] == {"starting": 0, "idle": 1, "busy": 1, "stopped": 0, "stale": 0, "lost": 0, "live": 2}
    assert (overview["health"]["status"], overview["ready"], overview["latency_queue"]) == (
        "healthy",
        7,
        {"connection": "broker", "queue": "default"},
    )


def test_limit_cuts_the_list_and_says_how_many_there_are() -> None:
    told = ask(app_of(small_fleet()), "/v1/tasks?limit=1&minutes=15").json()
    assert (len(told["tasks"]), told["total"]) == (1, 2)


def test_unchanged_answers_are_not_sent_again() -> None:
    app = app_of(small_fleet())

    async def twice() -> None:
        first = await ask_async(app, "/v1/tasks")
        again = await ask_async(app, "/v1/tasks", (b"if-none-match", b'"other", W/' + first["etag"].encode()))
        assert (again.status, again.body, again["etag"]) == (304, b"", first["etag"])
        assert again["cache-control"] == "no-store"
        other = await ask_async(app, "/v1/tasks", (b"if-none-match", b'"other"'))
        assert (other.status, other["etag"]) == (200, first["etag"])

    asyncio.run(twice())


def test_all_who_ask_together_share_one_reading() -> None:
    """Thirty requests, while the store takes its time, are one reading; whoever comes within the second has it too."""
    release, entered = threading.Event(), threading.Event()

    class Slow(Flaky):
        def read_view(self, *ranges: Any, **more: Any) -> View:
            entered.set()
            release.wait(PATIENCE)
            return super().read_view(*ranges, **more)

    driver = Slow()
    app = app_of(small_fleet(), driver)

    async def together() -> list[int]:
        asked = [asyncio.create_task(ask_async(app, path)) for path in ("/v1/tasks", "/v1/queues", "/v1/overview") * 10]
        await asyncio.to_thread(entered.wait, 10)
        release.set()
        return [answer.status for answer in await asyncio.gather(*asked)]

    assert asyncio.run(together()) == [200] * 30
    assert driver.reads == 1


@pytest.mark.parametrize("error", [StoreUnavailable(SECRET), StoreRefused(SECRET), SchemaMismatch(SECRET)])
def test_a_store_that_never_answered_is_503_with_a_time_to_come_again(error: Exception) -> None:
    driver = Flaky()
    driver.error = error
    app = app_of(driver=driver)
    for path in ("/", "/metrics", "/health", "/v1/overview", "/v1/tasks", "/v1/queues", "/v1/workers"):
        for accept in ((HTML,), ()):
            answer = ask(app, path, *accept)
            if path == "/" and not accept:
                continue
            assert (path, answer.status, answer["retry-after"]) == (path, 503, "5")
            for part in ("pass", "db.internal", "secret", "Traceback", ".py", type(error).__name__):
                assert part not in answer.text
    assert ask(app, "/ready").status == 200


def test_a_store_that_went_away_leaves_the_last_numbers_marked_as_old(monkeypatch: pytest.MonkeyPatch) -> None:
    driver = Flaky()
    app = app_of(small_fleet(), driver)
    assert ask(app, "/v1/overview").json()["stale"] is False
    driver.error = StoreUnavailable(SECRET)
    monkeypatch.setattr("queue_metrics.http.shared.FRESH_SECONDS", 0.0)
    answer = ask(app, "/v1/overview")
    assert (answer.status, answer.json()["stale"], answer.json()["counts"]["started"]) == (200, True, 5)
    assert answer.json()["stale_seconds"] >= 0
    assert answer.has("queue-metrics-stale")
    page = ask(app, "/", HTML)
    assert page.status == 200
    assert "The store cannot be read" in page.text
    health = ask(app, "/health")
    assert (health.status, health.json()["reasons"][0]["code"]) == (503, "store_unavailable")
    driver.error = None
    assert ask(app, "/v1/overview").json()["stale"] is False


def test_whoever_runs_the_server_is_told_once_a_minute_that_the_store_is_away(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A page that refreshes itself asks every few seconds."""
    monkeypatch.setattr(trouble.warner, "_said", {})
    caplog.set_level(logging.INFO, "queue_metrics")
    monkeypatch.setattr("queue_metrics.http.shared.FRESH_SECONDS", 0.0)
    driver = Flaky()
    app = app_of(small_fleet(), driver)
    driver.error = StoreUnavailable(f"{driver.url}: it sleeps")
    for _ in range(4):
        for path in ("/v1/overview", "/", "/metrics"):
            ask(app, path)
    (text,) = caplog.messages
    assert text == f"queue_metrics: the store {driver.url} cannot be read (it sleeps); `queue-metrics doctor` says what to do"
    monkeypatch.setattr(trouble, "EVERY", 0.0)
    ask(app, "/v1/overview")
    assert caplog.messages == [text] * 2, "a minute later it is said again"
    driver.error = None
    ask(app, "/v1/overview")
    ask(app, "/v1/overview")
    assert caplog.messages[2:] == [f"queue_metrics: the store {driver.url} can be read again"]


def test_a_store_that_hangs_is_given_up_on_and_asked_by_one_thread_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("queue_metrics.http.shared.PATIENCE_SECONDS", 0.05)
    release = threading.Event()

    class Mute(Flaky):
        def read_view(self, *ranges: Any, **more: Any) -> View:
            found = super().read_view(*ranges, **more)
            release.wait(PATIENCE)
            return found

    driver = Mute()
    app = app_of(small_fleet(), driver)

    async def again_and_again() -> list[int]:
        statuses = [(await ask_async(app, "/v1/tasks")).status for _ in range(5)]
        release.set()
        return statuses

    assert asyncio.run(again_and_again()) == [503] * 5
    assert driver.reads == 1


def test_what_breaks_inside_is_500_without_a_word_of_it(caplog: pytest.LogCaptureFixture) -> None:
    driver = Flaky()
    driver.error = RuntimeError(SECRET)
    answer = ask(app_of(driver=driver), "/v1/tasks")
    assert (answer.status, answer["content-type"]) == (500, "application/problem+json")
    assert "pass" not in answer.text
    assert SECRET in caplog.text


@pytest.mark.parametrize(("dropped", "status"), [(False, 200), (True, 503)])
def test_health_is_503_when_something_is_critical(dropped: bool, status: int) -> None:
    fleet = small_fleet()
    if dropped:
        fleet.queue(("broker", "orphan"), minute(0), gauges={0: [(int((NOW - 5) * 1e6), 3)]})
        fleet.beats = [beat for beat in fleet.beats if ":10:" in beat[0]]
    answer = ask(app_of(fleet), "/health")
    assert answer.status == status
    if dropped:
        assert "no worker" in json.dumps(answer.json()["reasons"])


def test_nobody_who_hands_over_numbers_is_critical() -> None:
    fleet = small_fleet()
    fleet.beats = []
    answer = ask(app_of(fleet), "/health")
    assert (answer.status, answer.json()["reasons"][0]["code"]) == (503, "no_drainer")


def test_an_empty_store_is_no_fault() -> None:
    answer = ask(app_of(), "/health")
    assert (answer.status, answer.json()["status"]) == (200, "unknown")
    assert ask(app_of(), "/v1/tasks").json()["tasks"] == []


def test_it_can_be_mounted_in_another_app() -> None:
    from starlette.applications import Starlette
    from starlette.routing import Mount

    outer = Starlette(routes=[Mount("/jobs", app=app_of(small_fleet()))])
    assert ask(outer, "/jobs/v1/tasks").json()["total"] == 2
    page = ask(outer, "/jobs/", HTML)
    assert page.status == 200
    assert 'href="/jobs/style.css"' in page.text
    assert ask(outer, "/jobs/style.css")["content-type"].startswith("text/css")
    assert ask(outer, "/jobs/v1%2Ftasks").status == 404


def test_a_websocket_is_turned_away() -> None:
    sent = []

    async def receive() -> dict[str, object]:
        return {"type": "websocket.connect"}

    async def send(message: dict[str, object]) -> None:
        sent.append(message)

    asyncio.run(app_of()({"type": "websocket", "headers": [HOST]}, receive, send))  # type: ignore[arg-type]
    assert sent == [{"type": "websocket.close", "code": 1008}]


def test_the_store_is_let_go_at_shutdown() -> None:
    driver = Flaky()
    closed = threading.Event()
    driver.close = closed.set  # type: ignore[method-assign]
    messages = iter([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])
    sent = []

    async def receive() -> dict[str, str]:
        return next(messages)

    async def send(message: dict[str, str]) -> None:
        sent.append(message["type"])

    asyncio.run(app_of(driver=driver)({"type": "lifespan"}, receive, send))  # type: ignore[arg-type]
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert closed.is_set()


def test_a_large_fleet_is_answered_in_full() -> None:
    fleet = Fleet()
    for number in range(300):
        fleet.task(("broker", "default", f"task {number}"), minute(1), counts={"started": 1})
    assert len(ask(app_of(fleet), "/v1/tasks").json()["tasks"]) == 300
