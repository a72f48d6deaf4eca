"""Whether a collector runs, as every surface says it."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import queue_metrics as qm
from queue_metrics.collector import TURN_SECONDS, Collector, collect
from queue_metrics.http import asgi_app
from queue_metrics.http.headers import COLLECTOR
from queue_metrics.http.routes import Route
from queue_metrics.http.table import routes
from queue_metrics.insights import connect
from queue_metrics.storage.base import StorageDriver
from queue_metrics.storage.collector import GAP_SECONDS, CollectorState, pass_beat, write_state
from queue_metrics.storage.manager import StorageManager
from tests.collector.stored import crew, mail
from tests.http.asking import HTML, ask
from tests.support.fleet import NOW, minute
from tests.support.patience import PATIENCE

COMMAND = "queue-metrics record-trends"


def used(driver: StorageDriver) -> None:
    """A store in which something was recorded for some minutes, and a worker lives."""
    fleet = mail()
    fleet.task(("broker", "mail", "send"), minute(9), counts={"started": 1, "succeeded": 1})
    fleet.store(driver)
    crew(driver, NOW, web=(0.0, 0.0))


def test_a_store_without_a_collector_says_so_on_every_surface_and_is_healthy_all_the_same(driver: StorageDriver) -> None:
    used(driver)
    overview = connect(driver, now=lambda: NOW).overview()
    assert (overview.collector.running, overview.collector.last_pass_seconds) == (False, None)
    assert COMMAND in overview.collector.message
    assert overview.lacks_collector
    assert overview.health.reasons == ()
    app = asgi_app(driver, now=lambda: NOW)
    assert ask(app, "/v1/overview").json()["collector"]["running"] is False
    assert COMMAND in ask(app, "/", HTML).text
    health = ask(app, "/health").json()
    assert (health["status"], [(reason["code"], reason["points"]) for reason in health["reasons"]]) == ("healthy", [("no_collector", 0)])
    assert COMMAND in health["reasons"][0]["text"]
    for path in ("/v1/baselines", "/v1/trends/efficiency"):
        assert COMMAND in ask(app, path).json()["message"]
    for path in ("/trends/worker-efficiency", "/workers", "/overview?full=1"):
        assert COMMAND in ask(app, path).text
    lines = ask(app, "/metrics").text.splitlines()
    assert "queue_metrics_collector_up 0" in lines
    assert not [line for line in lines if line.startswith("queue_metrics_collector_age_seconds ")]


SILENT = {
    "/health": "everybody may read it; who may read more finds it among its reasons",
    "/ready": "asks no store",
    "/openapi.json": "the same",
    "/docs": "the same",
    "/style.css": "the same",
    "/icon.svg": "the same",
}
"""Routes whose answers do not have the header, and why."""


def asked(route: Route) -> str:
    """A path of the route that has an answer in a store that is `used`."""
    names = {"connection": "broker", "queue": "mail", "task": "send", "class": "send", "id": "web:100:77", "hostname": "web"}
    path = "/".join(names.get(segment[1:-1], segment) if segment.startswith("{") else segment for segment in route.segments)
    return f"/{path}" + ("?kind=queue&connection=broker&queue=mail" if route.path == "/v1/series" else "")


def told_to(route: Route) -> tuple[tuple[bytes, bytes], ...]:
    """The index for programs asks no store; the page does."""
    return (HTML,) if route.path == "/" else ()


def test_every_route_says_that_no_collector_runs_and_stops_when_one_does(driver: StorageDriver) -> None:
    used(driver)
    app = asgi_app(driver, now=lambda: NOW)
    table = routes(scrape_minutes=5, prometheus_namespace="x").routes
    assert set(SILENT) <= set(table)
    told = [route for path, route in table.items() if path not in SILENT]
    ours = [route for route in told if route.path.startswith("/v1/")]
    assert len(told) > 35
    for route in told:
        found = ask(app, asked(route), *told_to(route), method=route.method)
        assert found.status == 200, asked(route)
        assert COMMAND in found[COLLECTOR], asked(route)
    for route in ours:
        collector = ask(app, asked(route)).json()["collector"]
        assert (collector["running"], COMMAND in collector["message"]) == (False, True), asked(route)
    assert COMMAND in ask(app, "/v1/series?kind=queue&connection=broker&queue=mail&format=csv")[COLLECTOR]
    assert COMMAND in ask(app, "/v1/baselines/broker/mail").json()["message"]
    assert "laravel_queue_collector_up 0" in ask(app, "/prometheus").text.splitlines()
    collect(driver, "test", now=NOW - 30)
    app = asgi_app(driver, now=lambda: NOW)
    for route in told:
        found = ask(app, asked(route), *told_to(route), method=route.method)
        assert not found.has(COLLECTOR), asked(route)
        assert route.path == "/prometheus" or COMMAND not in found.text, asked(route)  # its HELP always names it
    for route in ours:
        assert ask(app, asked(route)).json()["collector"]["running"], asked(route)
    assert "laravel_queue_collector_up 1" in ask(app, "/prometheus").text.splitlines()


def test_what_is_unknown_for_want_of_a_collector_names_the_command(driver: StorageDriver) -> None:
    used(driver)
    metrics = connect(driver, now=lambda: NOW)
    for answer, field in ((metrics.workers()[0], "utilisation_ratio"), (metrics.servers()[0].workers, "window_ratio")):
        assert COMMAND in (qm.why(answer, field) or "")
    assert COMMAND in (metrics.baseline("broker", "mail").message or "")


def test_a_word_for_everybody_tells_nothing_of_the_collector(driver: StorageDriver) -> None:
    used(driver)
    found = ask(asgi_app(driver, now=lambda: NOW, token="secret" * 6), "/health")
    assert not found.has(COLLECTOR)


def test_who_asks_again_for_what_has_not_changed_hears_that_no_collector_runs(driver: StorageDriver) -> None:
    used(driver)
    app = asgi_app(driver, now=lambda: NOW)
    found = ask(app, "/queues")
    again = ask(app, "/queues", (b"if-none-match", found["etag"].encode()))
    assert again.status == 304
    assert COMMAND in again[COLLECTOR]
    assert not again.has("content-type")


def test_a_collector_that_runs_is_missed_by_nobody(driver: StorageDriver) -> None:
    used(driver)
    collect(driver, "test", now=NOW - 30)
    undated(driver)
    app = asgi_app(driver, now=lambda: NOW)
    assert ask(app, "/health").json()["reasons"] == []
    assert ask(app, "/v1/baselines").json()["message"] is None
    for path in ("/v1/trends/efficiency", "/workers", "/overview?full=1", "/"):
        assert COMMAND not in ask(app, path).text
    lines = ask(app, "/metrics").text.splitlines()
    assert {"queue_metrics_collector_up 1", "queue_metrics_collector_age_seconds 30"} <= set(lines)


def test_a_store_that_was_just_made_misses_nobody(driver: StorageDriver) -> None:
    mail().store(driver)
    assert not connect(driver, now=lambda: NOW).overview().lacks_collector
    assert COMMAND not in ask(asgi_app(driver, now=lambda: NOW), "/", HTML).text


def undated(driver: StorageDriver) -> None:
    """As if the pass were by a version that leaves no heartbeat: its moment alone says how long ago it was, so a test may choose it."""
    driver.heartbeat_many([pass_beat(0.0)], 600.0)


def passed_by_an_older_version(driver: StorageDriver) -> None:
    """At NOW by its clock: nothing in the store tells how long ago that was."""
    write_state(driver, CollectorState(NOW, NOW - 3600, "test", 0))


@pytest.mark.parametrize(
    ("later", "running", "text"),
    [
        (0.0, True, "A collector runs; it passed 0 s ago."),
        (GAP_SECONDS, True, "A collector runs; it passed 2 min 00 s ago."),
        (GAP_SECONDS + 1, False, "No collector has run for 2 min 01 s, so baselines, events and the history of workers stand still: "),
        (-GAP_SECONDS, True, "A collector runs; it passed 0 s ago."),
        (
            -GAP_SECONDS - 1,
            False,
            "The collector that passed last has a clock 2 min 01 s ahead of the one here, so whether one still runs ",
        ),
    ],
)
def test_a_collector_runs_while_its_last_pass_is_two_minutes_old_at_most(
    driver: StorageDriver, later: float, running: bool, text: str
) -> None:
    used(driver)
    passed_by_an_older_version(driver)
    metrics = connect(driver, now=lambda: NOW + later)
    answer = metrics.collector()
    assert (answer.running, answer.last_pass_seconds) == (running, max(later, 0.0))
    assert answer.message.startswith(text)
    assert (COMMAND in answer.message) is not running
    assert [reason.text for reason in metrics.health().reasons if reason.code == "no_collector"] == [answer.message] * (not running)


@pytest.mark.parametrize("off", [-3600.0, -180.0, 0.0, 180.0, 3600.0])
def test_a_collector_whose_clock_differs_runs_all_the_same(driver: StorageDriver, off: float) -> None:
    used(driver)
    assert collect(driver, "test", now=NOW).done
    metrics = connect(driver, now=lambda: NOW + off)
    overview = metrics.overview()
    assert "no_collector" not in {reason.code for reason in overview.health.reasons}
    for answer in (metrics.collector(), overview.collector):
        assert answer.running
        assert answer.last_pass_seconds == pytest.approx(0.0, abs=60.0)
        assert answer.message.startswith("A collector runs; it passed ")


def test_an_old_heartbeat_of_a_pass_says_nothing_of_a_newer_one(driver: StorageDriver) -> None:
    used(driver)
    assert collect(driver, "test", now=NOW - 600).done
    passed_by_an_older_version(driver)
    assert connect(driver, now=lambda: NOW + 30).collector().last_pass_seconds == 30.0


def test_a_collector_in_a_thread_passes_and_lets_go_of_its_lease(driver: StorageDriver) -> None:
    used(driver)
    with Collector(driver, turn_seconds=0.05) as running:
        until(lambda: running.passes == 1)
        assert running.last_error is None
    assert connect(driver).collector().running
    with Collector(driver, turn_seconds=0.05) as following:
        until(lambda: following._leading)


def test_a_collector_of_a_store_that_nobody_uses_makes_nothing(tmp_path: Path) -> None:
    running = qm.collector(f"sqlite:///{tmp_path}/never.db")
    assert isinstance(running, qm.Collector)
    until(lambda: running._turns > 0)
    running.stop()
    assert os.listdir(tmp_path) == []
    assert TURN_SECONDS > 1


def test_a_store_that_is_away_ends_no_collector(tmp_path: Path) -> None:
    place = tmp_path / "later"
    place.write_text("no directory yet")
    driver = StorageManager().open(f"sqlite:///{place}/m.db")
    with Collector(driver, turn_seconds=0.05) as running:
        until(lambda: running.errors > 2)
        assert running.last_error
        place.unlink()
        place.mkdir()
        used(driver)
        until(lambda: running.passes == 1)
        until(lambda: running.last_error is None)
    assert "queue-metrics-collector" not in {thread.name for thread in threading.enumerate()}


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, "in vain"
        time.sleep(0.02)
