"""One thing in full, servers, baselines, trends, series and footprint over HTTP, against numbers that were counted by hand."""

from __future__ import annotations

import csv
import io
import time
from pathlib import Path

import pytest

from queue_metrics.http import asgi_app
from queue_metrics.http.app import Application
from queue_metrics.model import Baseline
from queue_metrics.storage import baselines
from queue_metrics.storage.base import StorageDriver
from queue_metrics.storage.manager import StorageManager
from queue_metrics.storage.memory import MemoryStorageDriver
from tests.http.asking import app_of, ask, hostile_fleet, small_fleet
from tests.support.fleet import NOW, Fleet, minute
from tests.support.servers import RedisServer


@pytest.fixture(scope="module")
def app() -> Application:
    return app_of(small_fleet())


def test_a_task_in_full_is_its_entry_in_the_list_and_what_it_did_lately(app: Application) -> None:
    told = ask(app, "/v1/tasks/app.send").json()
    (entry,) = (each for each in ask(app, "/v1/tasks").json()["tasks"] if each["task"] == "app.send")
    assert {name: told[name] for name in entry} == entry
    assert (told["counts"]["succeeded"], told["counts"]["retried"], told["success"]["ratio"], told["healthy"]) == (3, 1, 1.0, True)
    assert {each["nominal_seconds"]: each["n"] for each in told["windows"]} == {60: 0, 300: 4, 900: 4, 3600: 4, 86400: 4}
    assert told["last_processed"] == {"at": minute(3), "resolution_seconds": 60}
    assert [(each["connection"], each["queue"]) for each in told["by_queue"]] == [("broker", "default")]


def test_a_task_is_found_on_the_queue_that_is_named_and_on_no_other(app: Application) -> None:
    assert ask(app, "/v1/tasks/app.send?queue=default&connection=broker").status == 200
    assert ask(app, "/v1/tasks/app.send?queue=mail").status == 404
    assert ask(app, "/v1/tasks/app.send?queue=").status == 422


def test_a_queue_and_a_worker_in_full_are_those_of_the_lists(app: Application) -> None:
    told = ask(app, "/v1/queues/broker/default").json()
    (entry,) = (each for each in ask(app, "/v1/queues").json()["queues"] if each["queue"] == "default")
    assert {name: told[name] for name in entry} == entry
    assert (told["ready"], told["empty"], told["backlogged"], told["busy_ratio"], told["minute"]["n"]) == (7, False, False, 0.5, 0)
    workers = {each["id"]: each for each in ask(app, "/v1/workers").json()["workers"]}
    assert ask(app, "/v1/workers/web-1:11:77").json()["worker"] == workers["web-1:11:77"]


@pytest.mark.parametrize(
    "path",
    [
        *("/v1/tasks/app.sent", "/v1/queues/broker/app.send", "/v1/queues/default/broker", "/v1/workers/web-1", "/v1/servers/web-2"),
        *(
            "/v1/baselines/broker/no",
            "/v1/baselines/broker/default?task=no",
            "/v1/trends/depth/broker/no",
            "/v1/trends/throughput/no/default",
        ),
        "/v1/series?connection=broker&queue=no",
        *("/v1/worker-summary?connection=broker&queue=no", "/v1/worker-summary?server=web-2"),
    ],
)
def test_a_name_that_was_never_recorded_is_404_and_tells_no_other(path: str, app: Application) -> None:
    answer = ask(app, path)
    assert (answer.status, answer.json()["detail"]) == (404, "nothing of this name was ever recorded here")


def test_names_may_hold_anything() -> None:
    fleet = Fleet()
    fleet.queue(("a/b", "all"), minute(1), counts={"started": 2})
    fleet.queue(("a", "b/all"), minute(1), counts={"started": 3})
    app = app_of(fleet)
    assert ask(app, "/v1/queues/a%2Fb/all").json()["counts"]["started"] == 2
    assert ask(app, "/v1/queues/a/b%2Fall").json()["counts"]["started"] == 3
    assert ask(app, "/v1/queues/a/b/all").status == 404
    hostile = app_of(hostile_fleet())
    assert ask(hostile, "/v1/tasks/two%0Alines%09and%0Dmore").json()["counts"]["failed"] == 1


def test_a_server_has_its_workers_and_its_jobs() -> None:
    fleet = small_fleet()
    fleet.server("web-1", minute(2), counts={"succeeded": 3, "failed": 1}, measures={0: [1_000_000, 3_000_000]})
    app = app_of(fleet)
    told = ask(app, "/v1/servers").json()
    (server,) = told["servers"]
    assert (told["total"], server["hostname"], server["sample"], server["workers"]["counts"]["live"]) == (1, "web-1", None, 2)
    assert (server["jobs"]["processed"], server["jobs"]["failure"]["ratio"], server["jobs"]["runtime_mean_seconds"]) == (4, 0.25, 2.0)
    alone = ask(app, "/v1/servers/web-1").json()
    assert {name: alone[name] for name in server} == server
    assert ask(app, "/v1/servers?limit=0").status == 422


def test_workers_together_are_those_that_are_named_and_a_queue_has_two_names(app: Application) -> None:
    told = ask(app, "/v1/worker-summary").json()
    assert (told["workers"]["counts"]["live"], told["workers"]["now_ratio"], told["workers"]["window_ratio"]) == (2, 0.5, None)
    assert ask(app, "/v1/worker-summary?server=web-1&minutes=5").json()["workers"] == told["workers"]
    assert ask(app, "/v1/worker-summary?connection=broker&queue=default").json()["workers"]["counts"]["live"] == 2
    for query in ("queue=default", "connection=broker", "server=web-1&connection=broker&queue=default"):
        answer = ask(app, f"/v1/worker-summary?{query}")
        assert (answer.status, answer.json()["parameter"]) == (422, "queue")


def with_baselines(driver: StorageDriver) -> StorageDriver:
    """Two tasks on one queue and the queue: baselines of one of them and of the queue."""
    fleet = small_fleet()
    fleet.store(driver)
    made = [
        Baseline("broker", "default", task, 0.25, 0.5, 1000.0, n, 0.9, NOW - 60, deviates=False)
        for task, n in ((None, 300), ("app.send", 200))
    ]
    baselines.write(driver, made)
    return driver


def test_baselines_are_those_that_are_stored() -> None:
    app = asgi_app(with_baselines(MemoryStorageDriver()), now=lambda: NOW)
    told = ask(app, "/v1/baselines").json()
    assert [(each["queue"], each["task"], each["sample_count"]) for each in told["baselines"]] == [
        ("default", None, 300),
        ("default", "app.send", 200),
    ]
    assert (told["total"], told["baselines"][1]["age_seconds"], told["baselines"][1]["reliable"]) == (2, 60.0, True)
    alone = ask(app, "/v1/baselines/broker/default?task=app.send").json()
    assert {name: alone[name] for name in told["baselines"][1]} == told["baselines"][1]
    none = ask(app, "/v1/baselines/broker/mail").json()
    assert (none["available"], none["duration_seconds"], none["sample_count"]) == (False, None, 0)
    assert "calculate-baselines" in none["message"]
    # Of how many days they are is a setting, so the text for it names none.
    (help_,) = (line for line in ask(app, "/metrics").text.splitlines() if line.startswith("# HELP queue_metrics_baseline_runtime_seconds"))
    assert not any(character.isdigit() for character in help_)


def test_a_trend_is_that_of_the_minutes_that_were_stored() -> None:
    fleet = Fleet()
    for back in range(1, 31):
        asked = int((minute(back) + 30) * 1e6)
        fleet.queue(
            ("broker", "default"),
            minute(back),
            counts={"arrivals": 20, "started": 10, "succeeded": 10},
            gauges={0: [(asked, 1000 - back * 10)]},
        )
    app = app_of(fleet)
    depth = ask(app, "/v1/trends/depth/broker/default?period=1800").json()
    assert (depth["available"], depth["trend"]["direction"], depth["statistics"]["current"]) == (True, "increasing", 990)
    assert depth["trend"]["slope"] == pytest.approx(10 / 60, abs=1e-4)  # ten jobs a minute
    flow = ask(app, "/v1/trends/throughput/broker/default?period=1800").json()
    assert (flow["available"], flow["statistics"]["total_jobs"], flow["interval_seconds"]) == (True, 300, 60)
    idle = ask(app, "/v1/trends/efficiency").json()
    assert (idle["available"], idle["queue"]) == (False, None)
    assert idle["message"]
    for query, least, most in (("period=59", 60, 604_800), ("interval=14401", 10, 14_400)):
        answer = ask(app, f"/v1/trends/depth/broker/default?{query}")
        assert (answer.status, answer.json()["minimum"], answer.json()["maximum"]) == (422, least, most)


def test_a_range_is_said_in_the_same_words_everywhere_and_has_what_lies_in_it() -> None:
    """By hand: from half an hour ago to twenty minutes ago two a minute ended, else one."""
    fleet = Fleet()
    for back in range(60):
        number = 2 if 20 < back <= 30 else 1
        asked = int((minute(back) + 30) * 1e6)
        fleet.queue(("broker", "default"), minute(back), counts={"started": number, "succeeded": number}, gauges={0: [(asked, back)]})
        fleet.task(("broker", "default", "app.send"), minute(back), counts={"started": number, "succeeded": number})
        fleet.server("web-1", minute(back), counts={"succeeded": number})
    fleet.worker(host="web-1", state="busy", connection="broker", queue="default")
    app, range_ = app_of(fleet), f"start={minute(30)}&end={minute(20)}"
    overview = ask(app, f"/v1/overview?{range_}").json()
    assert (overview["counts"]["succeeded"], overview["window"]["start"], overview["window"]["end"]) == (20, minute(30), minute(20))
    # What is of now stays of now.
    assert (overview["workers"]["live"], overview["workers"]["busy"], overview["ready"]) == (1, 1, 0)
    assert ask(app, f"/v1/tasks?{range_}").json()["tasks"][0]["counts"]["succeeded"] == 20
    assert ask(app, f"/v1/tasks/app.send?{range_}").json()["counts"]["succeeded"] == 20
    for path, pick in (("/v1/queues", lambda told: told["queues"][0]), ("/v1/queues/broker/default", lambda told: told)):
        queue = pick(ask(app, f"{path}?{range_}").json())
        assert (queue["counts"]["succeeded"], queue["ready"]) == (20, 0)
    for path, pick in (("/v1/servers", lambda told: told["servers"][0]), ("/v1/servers/web-1", lambda told: told)):
        assert pick(ask(app, f"{path}?{range_}").json())["jobs"]["window_processed"] == 20
    assert ask(app, f"/v1/series?connection=broker&queue=default&{range_}").json()["n"] == 20
    assert ask(app, f"/v1/trends/throughput/broker/default?{range_}").json()["statistics"]["total_jobs"] == 20
    depth = ask(app, f"/v1/trends/depth/broker/default?{range_}").json()
    assert (depth["values"], depth["time_window"]["window_end"]) == ([float(back) for back in range(30, 20, -1)], minute(20))


RANGED = (
    *("/v1/overview", "/v1/tasks", "/v1/tasks/app.send", "/v1/queues", "/v1/queues/broker/default", "/v1/servers", "/v1/servers/web-1"),
    *(
        "/v1/worker-summary",
        "/v1/series?connection=broker&queue=default",
        "/v1/trends/depth/broker/default",
        "/v1/trends/throughput/broker/default",
    ),
    "/v1/trends/efficiency",
)


@pytest.mark.parametrize("path", RANGED)
def test_a_range_that_cannot_be_is_422_with_its_bounds_everywhere(path: str, app: Application) -> None:
    length, oldest = "period" if "trends" in path else "minutes", int(NOW) - 34_560_000
    wrong = {
        "start=5": ("start", oldest, int(NOW)),
        f"start={int(NOW) + 1}": ("start", oldest, int(NOW)),
        f"start={int(NOW) - 600}&end={int(NOW) - 600}": ("end", int(NOW) - 599, None),
        f"end={int(NOW)}": ("start", None, None),
        f"start={int(NOW) - 600}&{length}=60": (length, None, None),
    }
    for query, bounds in wrong.items():
        answer = ask(app, f"{path}{'&' if '?' in path else '?'}{query}")
        told = answer.json()
        assert (answer.status, told["parameter"], told.get("minimum"), told.get("maximum")) == (422, *bounds), query


def test_the_range_of_a_trend_is_as_long_as_its_period_may_be(app: Application) -> None:
    start = int(NOW) - 1_000_000
    for end, status in ((59, 422), (60, 200), (604_800, 200), (604_801, 422)):
        answer = ask(app, f"/v1/trends/depth/broker/default?start={start}&end={start + end}")
        assert answer.status == status
        if status == 422:
            assert (answer.json()["minimum"], answer.json()["maximum"]) == (start + 60, start + 604_800)


def test_a_series_is_the_same_as_json_and_as_csv(app: Application) -> None:
    path = "/v1/series?kind=task&connection=broker&queue=default&task=app.send"
    told = ask(app, path).json()
    (point,) = told["points"]
    assert (told["labels"], told["n"]) == ({"connection": "broker", "queue": "default", "task": "app.send"}, 4)
    assert (point["at"], point["counts"]["succeeded"], point["runtime_seconds"]["max"]) == (minute(3), 3, 30_000.0)
    answer = ask(app, f"{path}&format=csv")
    assert answer["content-type"].startswith("text/csv")
    (row,) = csv.DictReader(io.StringIO(answer.text))
    assert (float(row["at"]), row["counts.succeeded"], float(row["runtime_seconds.max"])) == (minute(3), "3", 30_000.0)
    assert (row["counts.discarded.unknown"], row["memory_change_bytes.min"]) == ("5", "-4096.0")
    (queue,) = csv.DictReader(io.StringIO(ask(app, "/v1/series?connection=broker&queue=default&format=csv").text))
    assert (queue["gauges.ready.last"], queue["gauges.latency_seconds.max"], queue["gauges.running.max"]) == ("7.0", "1.25", "")


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("kind=task&connection=broker&queue=default", "has the names connection, queue, task"),
        ("connection=broker&queue=default&task=app.send", "has the names connection, queue"),
        ("kind=nothing", "kind must be one of"),
        ("connection=broker&queue=default&end=5", "give start too"),
        ("connection=broker&queue=default&start=5", "start must be seconds since 1970, from "),
        ("connection=broker&queue=default&start=-5", "whole seconds since 1970"),
        ("connection=broker&queue=default&step=7", "step must be one of finest, 60, 3600, 86400"),
        ("connection=broker&queue=default&step=60&minutes=20000", "steps of 60 s are not kept"),
    ],
)
def test_a_series_that_cannot_be_is_422_with_what_can(query: str, words: str, app: Application) -> None:
    answer = ask(app, f"/v1/series?{query}")
    assert (answer.status, answer["content-type"]) == (422, "application/problem+json")
    assert words in answer.json()["detail"]


def test_a_range_of_a_series_has_what_lies_in_it(app: Application) -> None:
    path = "/v1/series?kind=task&connection=broker&queue=default&task=app.send"
    assert len(ask(app, f"{path}&start={minute(4)}&end={minute(2)}").json()["points"]) == 1
    assert ask(app, f"{path}&start={minute(2)}").json()["points"] == []
    (hour,) = ask(app, f"{path}&step=3600&minutes=60").json()["points"]
    assert hour["counts"]["started"] == 4


def test_a_store_that_cannot_count_its_points_says_so(tmp_path: Path) -> None:
    with RedisServer(tmp_path) as server:
        driver = StorageManager().open(f"redis://127.0.0.1:{server.port}/0")
        small_fleet().store(driver)
        told = ask(asgi_app(driver, now=time.time), "/v1/footprint").json()["footprint"]
        assert (told["driver"], told["series"]["task"], told["points"]) == ("redis", 2, None)
        assert told["bytes"] == driver.size() > 500
        driver.close()


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_the_footprint_counts_what_was_stored(kind: str, tmp_path: Path) -> None:
    driver = StorageManager().open("memory://" if kind == "memory" else f"sqlite:///{tmp_path}/metrics.db")
    small_fleet().store(driver)
    told = ask(asgi_app(driver, now=time.time), "/v1/footprint").json()["footprint"]
    assert told["series"] == {"task": 2, "queue": 2, "exception": 0, "server": 0, "server_task": 0}
    assert told["points"] == {"task": 6, "queue": 6, "exception": 0, "server": 0, "server_task": 0}  # a minute, an hour and a day of each
    assert told["bytes"] == driver.size() > 500
    assert told["driver"] == kind
    driver.close()
