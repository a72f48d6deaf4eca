"""`/prometheus`: each of the original's series, by numbers made by hand, and by what the front door answers of the same store."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.samples import Sample

import queue_metrics as qm
from queue_metrics.errors import ConfigurationError
from queue_metrics.http import application, asgi_app
from queue_metrics.insights import connect
from queue_metrics.insights.metrics import Metrics
from queue_metrics.model import Outcome
from queue_metrics.storage.base import StorageDriver
from queue_metrics.storage.manager import StorageManager
from queue_metrics.storage.memory import MemoryStorageDriver
from tests.http.asking import app_of, ask
from tests.http.everything import DEPTHS, app_of_everything, everything
from tests.http.test_prometheus import samples, value
from tests.support.fleet import NOW, Fleet, minute

TASK = {"job": "app.mail", "queue": "mail", "connection": "broker"}
QUEUE = {"queue": "mail", "connection": "broker"}
LINT = [
    "job_memory_avg_incremental_megabytes",
    "job_memory_p95_megabytes",
    "job_memory_p99_megabytes",
    "job_memory_peak_megabytes",
    "queue_depth_total",
    "queues_total",
    "worker_count_total",
    "baseline_sample_count",
    "baseline_duration_ms",
    "baseline_memory_mb_per_job",
    "worker_efficiency_trend_memory_mb",
]
"""Names of the original that the habits of Prometheus would not have."""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StorageDriver]:
    driver = StorageManager().open(f"sqlite:///{tmp_path_factory.mktemp('store')}/metrics.db")
    everything(driver)
    yield driver
    driver.close()


@pytest.fixture(scope="module")
def found(store: StorageDriver) -> dict[str, list[Sample]]:
    answer = ask(app_of(None, store), "/prometheus")
    assert answer["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    return samples(answer.text)


def original(found: dict[str, list[Sample]], name: str, **labels: str) -> float:
    """The one sample of a name with exactly these labels; an empty one is none, as Prometheus takes it."""
    (sample,) = (
        sample for sample in found[f"laravel_queue_{name}"] if {key: text for key, text in sample.labels.items() if text} == labels
    )
    return float(sample.value)


def test_a_task_by_hand(found: dict[str, list[Sample]]) -> None:
    """12 began: 6 succeeded, 3 failed, timed out or were lost, 2 were retried, 1 cancelled; 15 jobs had no execution."""
    expected = {
        "job_processed_total": 6,
        "job_failed_total": 3,
        "job_debounced_total": 1 + 2 + 3 + 4 + 5,
        "job_success_rate_percent": 6 / 9 * 100,
        "job_failure_rate_percent": 3 / 9 * 100,
        "job_duration_p50_seconds": 2,
        "job_duration_p95_seconds": 2,
        "job_duration_p99_seconds": 2,
        "job_duration_max_seconds": 2,
        "job_memory_peak_megabytes": 30,
        "job_memory_p95_megabytes": 30,
        "job_memory_p99_megabytes": 30,
        "job_memory_avg_incremental_megabytes": 0.5,
        # As many as ended in the time, whenever recording began.
        "job_throughput_per_minute": 12,
        "job_throughput_per_hour": 12,
    }
    for name, number in expected.items():
        assert original(found, name, **TASK) == pytest.approx(number), name


def test_a_queue_and_its_trend_by_hand(found: dict[str, list[Sample]]) -> None:
    expected = {
        "queue_depth_pending": DEPTHS[-1],
        "queue_depth_total": DEPTHS[-1],
        "queue_throughput_per_minute": 12,
        "queue_failure_rate_percent": 3 / 9 * 100,
        "queue_depth_trend_current": 16,
        "queue_depth_trend_average": 13,
        "queue_depth_trend_min": 10,
        "queue_depth_trend_max": 16,
        "queue_depth_trend_stddev": 2.24,
        "queue_depth_trend_slope": 0.0333,
        "queue_depth_trend_confidence": 1,
        "queue_depth_trend_forecast": 18,
        "queue_depth_trend_data_points": 4,
    }
    for name, number in expected.items():
        assert original(found, name, **QUEUE) == pytest.approx(number), name
    assert not [sample for sample in found["laravel_queue_queue_depth_reserved"] if sample.labels == QUEUE], "nobody told it"


def test_servers_by_hand_each_under_its_name(found: dict[str, list[Sample]]) -> None:
    expected = {
        "cpu_usage_percent": (50, 75),
        "cpu_load_1min": (1.5, 0.5),
        "cpu_load_5min": (1.25, 0.25),
        "cpu_load_15min": (0.75, 0.125),
        "memory_usage_percent": (25, 75),
        "memory_used_bytes": (250, 250),
        "memory_total_bytes": (1000, 1000),
    }
    for name, numbers in expected.items():
        told = {sample.labels["hostname"]: sample.value for sample in found[f"server_{name}"]}
        assert told == dict(zip(("web-1", "web-10"), numbers, strict=True)), name
    assert value(found, "server_disk_usage_percent", hostname="web-1", mountpoint="/") == 45
    assert value(found, "server_disk_used_bytes", hostname="web-1", mountpoint='/srv "a"\\') == 1


def test_baselines_and_efficiency_by_hand(found: dict[str, list[Sample]]) -> None:
    for labels, seconds in ((TASK, 2.5), (QUEUE, 1.5)):
        assert original(found, "baseline_duration_ms", **labels) == seconds * 1000
        assert original(found, "baseline_cpu_percent_per_job", **labels) == 25
        assert original(found, "baseline_memory_mb_per_job", **labels) == 48
        assert original(found, "baseline_confidence_score", **labels) == 0.39
        assert original(found, "baseline_sample_count", **labels) == 7
    expected = {"current": 75, "average": 50, "min": 25, "max": 75, "memory_mb": 64, "cpu_percent": 75, "data_points": 2}
    for name, number in expected.items():
        assert original(found, f"worker_efficiency_trend_{name}") == number


def test_workers_and_sums_are_those_of_the_front_door(found: dict[str, list[Sample]], store: StorageDriver) -> None:
    metrics = connect(store, now=lambda: NOW)
    tasks, workers = metrics.tasks(), [worker for worker in metrics.workers() if worker.role == "worker"]
    busy = sum(worker.state == "busy" for worker in workers)
    assert busy > 0
    assert original(found, "worker_count_total") == len(workers)
    assert original(found, "worker_count_active") == busy
    assert original(found, "worker_count_idle") == len(workers) - busy
    assert original(found, "worker_utilization_percent") == pytest.approx(busy / len(workers) * 100)
    assert original(found, "worker_idle_percent") == pytest.approx(100 - busy / len(workers) * 100)
    outcomes = [task.lifetime.counts.outcomes for task in tasks]
    assert original(found, "jobs_processed_total") == sum(each[Outcome.SUCCEEDED] for each in outcomes)
    assert original(found, "jobs_failed_total") == sum(
        each[Outcome.FAILED] + each[Outcome.TIMED_OUT] + each[Outcome.LOST] for each in outcomes
    )
    ended = sum(sum(each.values()) - each[Outcome.LOST] for each in outcomes)
    assert original(found, "worker_jobs_processed_total") == ended
    assert original(found, "queues_total") == len(metrics.queues())


def test_each_number_of_a_task_and_queue_is_that_of_the_front_door(found: dict[str, list[Sample]], store: StorageDriver) -> None:
    metrics = connect(store, now=lambda: NOW)
    for task in metrics.tasks():
        labels = {"job": task.task, "queue": str(task.queue), "connection": str(task.connection)}
        assert original(found, "job_processed_total", **labels) == task.lifetime.counts.outcomes[Outcome.SUCCEEDED]
        for name in ("p50", "p95", "p99", "max") if task.runtime.n else ():
            assert original(found, f"job_duration_{name}_seconds", **labels) == getattr(task.runtime, name)
    _detail_agrees(found, metrics)
    for queue in metrics.queues():
        labels = {"queue": queue.queue, "connection": queue.connection}
        if queue.minute.throughput_per_second is not None:
            assert original(found, "queue_throughput_per_minute", **labels) == queue.minute.n


def _detail_agrees(found: dict[str, list[Sample]], metrics: Metrics) -> None:
    detail = metrics.task("app.mail")
    by_length = {each.nominal_seconds: each.n for each in detail.windows}
    assert original(found, "job_throughput_per_minute", **TASK) == by_length[60]
    assert original(found, "job_throughput_per_hour", **TASK) == by_length[3600]
    assert detail.lifetime_success.ratio is not None
    assert original(found, "job_success_rate_percent", **TASK) == pytest.approx(detail.lifetime_success.ratio * 100)


def test_promtool_minds_names_of_the_original_and_nothing_else() -> None:
    """It reads the text; what it would call otherwise is called so by the original."""
    promtool = shutil.which("promtool")
    assert promtool is not None
    text = ask(app_of_everything(), "/prometheus").text
    done = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, text=True, check=False)
    minded = {line.split()[0] for line in done.stderr.splitlines()}
    assert done.returncode == 3, done.stderr
    assert minded == {f"laravel_queue_{name}" for name in LINT}, done.stderr


def test_each_name_has_one_set_of_labels_and_each_series_one_number() -> None:
    text = ask(app_of_everything(), "/prometheus").text
    for name, those in samples(text).items():
        assert len({tuple(sample.labels) for sample in those}) == 1, name
        assert len({tuple(sample.labels.items()) for sample in those}) == len(those), name


def test_of_an_empty_store_nothing_is_told_but_counts_of_nothing() -> None:
    text = ask(app_of(), "/prometheus").text
    told = {name: [sample.value for sample in those] for name, those in samples(text).items()}
    zeros = ("queues_total", "jobs_processed_total", "jobs_failed_total", "worker_count_total", "worker_count_active", "worker_count_idle")
    nothing = (*zeros, "worker_jobs_processed_total", "worker_efficiency_trend_data_points", "collector_up")
    assert told == {**{f"laravel_queue_{name}": [0] for name in (*nothing, "stale_seconds")}, "laravel_queue_store_up": [1]}


def test_counters_outlive_the_points_that_they_were_made_of() -> None:
    """L13: an idle hour began them anew."""
    fleet, driver = Fleet(), MemoryStorageDriver()
    fleet.task(("broker", "mail", "app.mail"), minute(100), counts={"started": 5, "succeeded": 4, "failed": 1}, measures={0: [1000]})
    found = samples(ask(app_of(fleet, driver), "/prometheus").text)
    assert original(found, "job_processed_total", **TASK) == 4
    assert original(found, "job_failed_total", **TASK) == 1
    assert original(found, "worker_jobs_processed_total") == 5
    assert "laravel_queue_job_duration_p50_seconds" not in found, "nothing ran in the last hour"


def test_a_sample_that_is_stale_is_not_told() -> None:
    driver = MemoryStorageDriver()
    everything(driver)
    settings = replace(qm.load_settings(), stale_seconds=0.0)
    told = samples(ask(application(driver, settings, now=lambda: NOW), "/prometheus").text)
    assert not [name for name in told if name.startswith("server_")]


def test_names_begin_as_configured_and_those_of_servers_with_nothing() -> None:
    driver = MemoryStorageDriver()
    everything(driver)
    names = set(samples(ask(asgi_app(driver, prometheus_namespace="shop", now=lambda: NOW), "/prometheus").text))
    assert all(re.match("shop_(queue|job|worker|baseline|collector|st(ore|ale))|server_", name) for name in names), names
    with pytest.raises(ConfigurationError, match="a letter and up to 63"):
        asgi_app(driver, prometheus_namespace="shop-1")


def test_serve_takes_the_namespace_of_the_configuration(tmp_path: Path) -> None:
    found: Any = qm.load_settings(environ={"QUEUE_METRICS_PROMETHEUS_NAMESPACE": "shop"}, state_dir=tmp_path)
    assert found.prometheus.namespace == "shop"
