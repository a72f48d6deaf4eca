"""The Prometheus text, read back by the official parser and by promtool, against the API's numbers."""

from __future__ import annotations

import random
import shutil
import subprocess
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from queue_metrics import _core
from queue_metrics.http.prometheus import Exporter
from queue_metrics.insights import connect
from queue_metrics.model import Discard, Outcome
from queue_metrics.storage.memory import MemoryStorageDriver
from queue_metrics.storage.spools import spool_beat
from tests.http.asking import app_of, ask, small_fleet
from tests.http.everything import app_of_everything
from tests.support.fleet import HOSTILE, NOW, Fleet, minute


def samples(text: str) -> dict[str, list[Sample]]:
    """Samples by name."""
    found: dict[str, list[Sample]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, []).append(sample)
    return found


def of(found: dict[str, list[Sample]], name: str, labels: dict[str, str]) -> list[Sample]:
    """The samples of a name with these labels among their own."""
    return [sample for sample in found[name] if labels.items() <= sample.labels.items()]


def value(found: dict[str, list[Sample]], name: str, **labels: str) -> float:
    """The one sample of a name with these labels among its own."""
    (sample,) = of(found, name, labels)
    return float(sample.value)


def hostile_fleet() -> Fleet:
    fleet = small_fleet()
    for number, name in enumerate(HOSTILE, start=1):
        fleet.task((name, name, name), minute(1), counts={"started": number, "succeeded": number}, measures={0: [number * 1000], 1: [1]})
        fleet.queue((name, name), minute(0), gauges={0: [(int((NOW - 5) * 1e6), number)]})
    fleet.beats.append(spool_beat("b" * 32, {"waiting": 4, "drops": {"spool_full": 9}}))
    return fleet


@pytest.fixture(scope="module")
def scraped() -> tuple[str, dict[str, Any]]:
    """The text of a scrape and the API's answers, of one store."""
    driver = MemoryStorageDriver()
    app = app_of(hostile_fleet(), driver)
    answer = ask(app, "/metrics")
    assert answer["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    return answer.text, {name: ask(app, f"/v1/{name}").json() for name in ("overview", "tasks", "queues")}


@pytest.fixture(scope="module")
def whole() -> dict[str, list[Sample]]:
    """A scrape of a store in which everything has a number."""
    return samples(ask(app_of_everything(), "/metrics").text)


def test_promtool_has_nothing_to_say(scraped: tuple[str, dict[str, Any]]) -> None:
    promtool = shutil.which("promtool")
    assert promtool is not None
    for text in (scraped[0], ask(app_of(), "/metrics").text, ask(app_of_everything(), "/metrics").text):
        done = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_every_task_has_the_numbers_of_the_api_under_its_very_name(scraped: tuple[str, dict[str, Any]]) -> None:
    found, told = samples(scraped[0]), scraped[1]
    assert len(told["tasks"]["tasks"]) == 2 + len(HOSTILE)
    for task in told["tasks"]["tasks"]:
        labels = {key: task[key] for key in ("connection", "queue", "task")}
        ever = task["lifetime"]
        assert value(found, "queue_metrics_started_total", **labels) == ever["started"]
        assert value(found, "queue_metrics_arrivals_total", **labels) == ever["arrivals"]
        for outcome in Outcome:
            assert value(found, "queue_metrics_executions_total", **labels, outcome=outcome.value) == ever[outcome.value]
        for reason in Discard:
            assert value(found, "queue_metrics_discarded_total", **labels, reason=reason.value) == ever["discarded"][reason.value]
        for measure in ("runtime_seconds", "wait_seconds", "memory_peak_bytes", "memory_change_bytes"):
            assert value(found, f"queue_metrics_{measure}_count", **labels) == ever[measure]["n"]
            assert value(found, f"queue_metrics_{measure}_sum", **labels) == ever[measure]["sum"]
        assert value(found, "queue_metrics_cpu_seconds_total", **labels) == ever["cpu_seconds"]["sum"]


def test_every_queue_has_the_depth_of_the_api_and_none_where_it_is_not_known(scraped: tuple[str, dict[str, Any]]) -> None:
    found, told = samples(scraped[0]), scraped[1]
    for queue in told["queues"]["queues"]:
        labels = {key: queue[key] for key in ("connection", "queue")}
        states = {sample.labels["state"]: sample.value for sample in of(found, "queue_metrics_queue_jobs", labels)}
        assert states == {state: queue[state] for state in ("ready", "reserved", "scheduled", "running") if queue[state] is not None}
        ages = [sample.value for sample in of(found, "queue_metrics_queue_latency_seconds", labels)]
        assert ages == [queue["latency_seconds"]] * (queue["latency_seconds"] is not None)


def test_buckets_are_cumulative_by_hand(scraped: tuple[str, dict[str, Any]]) -> None:
    found = samples(scraped[0])
    buckets = {
        sample.labels["le"]: sample.value for sample in found["queue_metrics_runtime_seconds_bucket"] if sample.labels["task"] == "app.send"
    }
    assert len(buckets) == 23
    # 1 ms, 20 ms, 0.3 s, 30,000 s
    expected = {"0.001": 1, "0.01": 1, "0.025": 2, "0.25": 2, "0.5": 3, "21600": 3, "+Inf": 4}
    assert {bound: buckets[bound] for bound in expected} == expected
    assert list(buckets.values()) == sorted(buckets.values())


def test_the_fleet_and_what_was_dropped(scraped: tuple[str, dict[str, Any]]) -> None:
    found = samples(scraped[0])
    assert {sample.labels["state"]: sample.value for sample in found["queue_metrics_workers"]} == {
        "starting": 0,
        "idle": 1,
        "busy": 1,
        "stopped": 0,
        "stale": 0,
        "lost": 0,
    }
    assert value(found, "queue_metrics_dropped_records", reason="spool_full") == 9
    assert value(found, "queue_metrics_waiting_records") == 4
    assert (value(found, "queue_metrics_store_up"), value(found, "queue_metrics_stale_seconds")) == (1, 0)
    assert value(found, "queue_metrics_build_info") == 1


def test_no_worker_and_no_job_is_a_label(whole: dict[str, list[Sample]]) -> None:
    """Of the rest there are as many as there are names of tasks, queues and servers."""
    names = {name for those in whole.values() for sample in those for name in sample.labels}
    of_servers = {"server", "mountpoint", "minutes"}
    assert names == {"connection", "queue", "task", "type", "outcome", "reason", "state", "le", "version", *of_servers}


def test_servers_by_hand(whole: dict[str, list[Sample]]) -> None:
    expected = {
        "cpu_ratio": (0.5, 0.75),
        "cores": (4, 4),
        "memory_used_bytes": (250, 300),
        "memory_limit_bytes": (1000, 400),
        "health_score": (100, 80),
    }
    for name, numbers in expected.items():
        told = {sample.labels["server"]: sample.value for sample in whole[f"queue_metrics_server_{name}"]}
        assert told == dict(zip(("web-1", "web-10"), numbers, strict=True)), name
    loads = {sample.labels["minutes"]: sample.value for sample in of(whole, "queue_metrics_server_load", {"server": "web-1"})}
    assert loads == {"1": 1.5, "5": 1.25, "15": 0.75}
    assert value(whole, "queue_metrics_server_disk_used_bytes", server="web-1", mountpoint="/") == 90
    assert value(whole, "queue_metrics_server_disk_available_bytes", server="web-1", mountpoint='/srv "a"\\') == 9
    assert value(whole, "queue_metrics_server_workers", server="web-1", state="busy") == 1
    ended = {sample.labels["outcome"]: sample.value for sample in whole["queue_metrics_server_executions_total"]}
    assert ended == {"succeeded": 6, "failed": 1, "retried": 2, "timed_out": 1, "cancelled": 1, "lost": 1}


def test_a_server_that_is_gone_has_no_series(whole: dict[str, list[Sample]]) -> None:
    """Its totals are kept; nobody there tells of itself or works any more."""
    servers = {sample.labels["server"] for those in whole.values() for sample in those if "server" in sample.labels}
    assert "gone" not in servers
    assert servers >= {"web-1", "web-10"}


def test_exceptions_baselines_and_efficiency_by_hand(whole: dict[str, list[Sample]]) -> None:
    labels = {"connection": "broker", "queue": "mail", "task": "app.mail"}
    assert value(whole, "queue_metrics_exceptions_total", **labels, type="ValueError") == 3
    for name, number in {"runtime_seconds": 2.5, "cpu_ratio": 0.25, "memory_bytes": 48 * 2**20, "confidence_ratio": 0.39}.items():
        (sample,) = whole[f"queue_metrics_baseline_{name}"]
        assert (sample.labels, sample.value) == (labels, number)
    assert value(whole, "queue_metrics_workers_busy_ratio") == 0.75


def test_counters_of_a_task_are_there_at_zero_from_first_sight() -> None:
    fleet = Fleet()
    fleet.task(("b", "q", "new"), minute(0), counts={"started": 1})
    found = samples(ask(app_of(fleet), "/metrics").text)
    assert [sample.value for sample in found["queue_metrics_executions_total"]] == [0] * 6
    assert [sample.value for sample in found["queue_metrics_discarded_total"]] == [0] * 5


def test_what_is_kept_from_scrape_to_scrape_changes_nothing_of_the_text() -> None:
    """Tasks come and go, their numbers grow by digits or not at all; each text is that of an exporter that knows nothing yet."""
    chance = random.Random(11)
    exporter = Exporter()
    tasks: list[str] = []
    texts: list[bytes] = []
    for scrape in range(12):
        fleet = Fleet()
        tasks = chance.sample(HOSTILE, 3) if scrape % 3 == 0 else tasks
        for number, name in enumerate(tasks):
            runs = [chance.choice([0, 1, 999, 1_000, 10**7 - 1, 10**7]) for _ in range(chance.randrange(4))]
            counts = {"started": chance.choice([9, 10, 99, 100]), "succeeded": len(runs), "lost": scrape // 2}
            fleet.task(("broker", f"queue {number}", name), minute(1), counts=counts, measures={0: runs, 2: runs, 3: runs})
        driver = MemoryStorageDriver()
        fleet.store(driver)
        found = connect(driver, now=lambda: NOW).scrape()
        texts.append(exporter.text(found, None))
        assert texts[-1] == Exporter().text(found, None)
    assert len(set(texts)) == len(texts)


def test_totals_without_a_place_are_refused() -> None:
    exposition = _core.Exposition([("n_total", "Help.", "counter", [("", "", "counter", 0)])])
    with pytest.raises(ValueError, match="1 places have 2 totals"):
        exposition.text(('a="1"',), _core.Totals([_core.Value().encode()] * 2))
    assert exposition.text(('a="1"',), _core.Totals([_core.Value().encode()])).endswith(b'n_total{a="1"} 0\n')
