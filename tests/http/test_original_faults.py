"""The original's endpoints when names are hostile, the store is empty, or it goes away while they are asked."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import jsonschema
import pytest

from queue_metrics.errors import StoreUnavailable
from queue_metrics.http.routes import Text
from tests.http.asking import ROUTES, Flaky, app_of, ask, path_of, small_fleet
from tests.http.test_openapi import schema_of
from tests.support.fleet import HOSTILE, NOW, Fleet, minute

FAMILY = [route for route in ROUTES.values() if route.family == "original" and not isinstance(route.reply, Text)]
NAMES = ("all", "a/b", ":", "%3A", "a:b", "a", "b:c", ".", "..", *(name for name in HOSTILE if len(name) < 500))


@pytest.fixture(scope="module")
def interface() -> dict[str, Any]:
    return dict(ask(app_of(), "/openapi.json").json())


def named_so() -> Fleet:
    """Every pair of a few hostile names as connection and queue, and each as a task and host."""
    fleet = Fleet()
    for number, name in enumerate(NAMES):
        for other in ("all", "b:c", "c", name):
            fleet.queue((name, other), minute(1), counts={"started": 1, "succeeded": 1}, gauges={0: [(int((NOW - 5) * 1e6), 2)]})
            fleet.task((name, other, name), minute(1), counts={"started": 1, "succeeded": 1}, measures={0: [1000]})
        fleet.worker(host=name[:80], pid=500 + number, connection=name[:80], queue=name[:80])
    return fleet


def test_every_name_is_reached_by_its_own_path_and_is_in_the_listings(interface: dict[str, Any]) -> None:
    app = app_of(named_so())
    pairs = {(name, other) for name in NAMES for other in ("all", "b:c", "c", name)}
    listed = ask(app, "/queues/all").json()["data"]
    assert {(each["connection"], each["queue"]) for each in listed.values()} == pairs, "no key stands for two queues"
    assert set(ask(app, "/jobs").json()["data"]) == set(NAMES)
    for name in NAMES:
        asked = quote(name, safe="")
        found = ask(app, f"/jobs/{asked}")
        assert (found.status, found.json()["data"]["total_executions"]) == (200, 4)
        for path in (f"/queues/{asked}/all", f"/queues/all/{asked}/depth", f"/trends/queue-depth/{asked}/b%3Ac"):
            answer = ask(app, path)
            assert answer.status == (200 if "/all/" not in path or ("all", name) in pairs else 404), path
    for answer, path in ((ask(app, "/queues/all"), "/queues/all"), (ask(app, "/overview?full=1"), "/overview")):
        jsonschema.validate(answer.json(), schema_of(interface, path, "200", "application/json"))


@pytest.mark.parametrize("path", ["/jobs/x", "/queues/x/y", "/queues/x/y/depth", "/workers/status/x", "/trends/queue-depth/x/y"])
def test_nobody_is_404_with_the_original_s_error_and_without_the_name(path: str) -> None:
    answer = ask(app_of(small_fleet()), path.replace("x", "very-secret"))
    assert answer.status == 404
    assert answer.json()["error"] in ("Job not found", "Queue not found", "Worker not found")
    assert "secret" not in answer.text


@pytest.mark.parametrize(
    ("query", "minimum", "maximum"),
    [("period=59", 60, 604_800), ("period=604801", 60, 604_800), ("interval=9", 10, 14_400), ("interval=14401", 10, 14_400)],
)
def test_a_period_or_interval_out_of_bounds_is_422_with_the_bounds(query: str, minimum: int, maximum: int) -> None:
    answer = ask(app_of(small_fleet()), f"/trends/queue-depth/broker/default?{query}")
    assert (answer.status, answer.json()["minimum"], answer.json()["maximum"]) == (422, minimum, maximum)


def test_an_empty_store_answers_everything_that_needs_no_name() -> None:
    app = app_of()
    for route in FAMILY:
        answer = ask(app, path_of(route.path), method=route.method)
        assert answer.status == (404 if route.names else 200), route.path
    assert ask(app, "/server").json()["server_metrics"] == {"available": False, "error": "No server reports how it is."}
    assert ask(app, "/trends/worker-efficiency").json()["available"] is False
    assert "record-trends" in ask(app, "/trends/worker-efficiency").json()["message"]


@pytest.mark.parametrize("query", ["", "?period=120"])
def test_a_store_that_goes_away_leaves_the_last_answers_marked_and_without_one_503(query: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("queue_metrics.http.shared.FRESH_SECONDS", 0.0)
    away = StoreUnavailable("away")
    for route in FAMILY:
        if query and not any(each.name == "period" for each in route.parameters):
            continue
        driver = Unreadable()
        app, path = app_of(small_fleet(), driver), path_of(route.path) + query
        driver.error = away
        refused = ask(app, path, method=route.method)
        assert (refused.status, refused["retry-after"], refused["content-type"]) == (503, "5", "application/problem+json"), path
        driver.error = None
        fresh = ask(app, path, method=route.method)
        assert (fresh.status, fresh.has("queue-metrics-stale")) == (200, False), path
        driver.error = away
        stale = ask(app, path, method=route.method)
        assert (stale.status, stale["queue-metrics-stale"].isdigit(), stale.json()) == (200, True, fresh.json()), path


class Unreadable(Flaky):
    """A store whose series and general operations cannot be read either, when told so."""

    def read_series(self, *args: Any, **more: Any) -> Any:
        if self.error is not None:
            raise self.error
        return super().read_series(*args, **more)

    def execute(self, *args: Any, **more: Any) -> Any:
        if self.error is not None:
            raise self.error
        return super().execute(*args, **more)


def test_all_endpoints_of_a_second_share_one_look_at_the_store() -> None:
    driver = Flaky()
    app = app_of(small_fleet(), driver)
    for route in FAMILY:
        assert ask(app, path_of(route.path), method=route.method).status == 200
    assert driver.reads == 1
