"""The table "original -> ours" against the interface: each endpoint and each field of each object stands in it, and nothing else."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from queue_metrics.http.original.index import ENDPOINTS
from queue_metrics.http.routes import Text
from queue_metrics.insights import connect
from queue_metrics.storage.memory import MemoryStorageDriver
from tests.http.asking import ROUTES, app_of, ask
from tests.http.everything import everything
from tests.support.fleet import NOW
from tests.test_docs import named

PAGE = (Path(__file__).parents[2] / "docs" / "original.md").read_text()
ENVELOPES = ("Reply", "OfQueue", "OriginalAllWorkers", "OriginalWorkersAndTrend", "OriginalEndpoint", "OriginalTotal")
"""Objects that hold others and nothing of their own, or are part of one that stands in the table."""
PARTS = {"OriginalServerWorkers", "OriginalJobProcessing"}
ELSEWHERE = {
    "a class, stored": "total_queued total_processed total_failed total_debounced total_retries total_timeouts total_exceptions "
    "total_duration_ms total_memory_mb total_memory_incremental_mb total_cpu_time_ms last_processed_at last_failed_at "
    "last_debounced_at last_timeout_at last_exception",
    "a class on a server": "total_processed total_failed total_duration_ms last_updated_at failure_rate avg_duration_ms",
    "a job": "job_id job_class connection queue hostname duration_ms memory_mb memory_incremental_mb cpu_time_ms worker_memory_limit_mb "
    "exception_message",
    "a queue's depth": "has_backlog is_empty",
    "a queue's minute": "throughput_per_minute avg_duration failure_rate total_processed total_failed last_processed_at",
    "a queue's history": "timestamp depth jobs_processed",
    "the workers' history": "timestamp efficiency avg_memory_mb avg_cpu_percent",
    "a worker": "idle busy paused stopped crashed unknown worker_horizon_...",
    "the facade": "get_overview get_job_metrics get_all_jobs_with_metrics get_queue_metrics get_queue_depth get_all_queues_with_metrics "
    "get_baseline get_job_class_baseline get_active_workers get_worker_heartbeat get_worker_heartbeats get_workers_summary "
    "get_all_servers_with_metrics detect_staled_workers health_check",
    "its guard": "middleware auth(callback) allowed_ips /prometheus retry_after X-RateLimit-*",
    "its code": "MetricsRecorded has_jobs",
    "a promise": "rate POST /baselines/calculate GET /baselines/{c}/{q}?job_class= queue_health_score",
}
"""What the original's code stored, reckoned or offered beside its endpoints, or its documents promised, under the names of there."""
UNNAMED = {"its guard": 2, "its code": 4, "a promise": 7}
"""How many of these have no name there."""


@pytest.fixture(scope="module")
def schemas() -> dict[str, Any]:
    return dict(ask(app_of(), "/openapi.json").json()["components"]["schemas"])


def rows(width: int) -> list[list[str]]:
    found = [[cell.strip() for cell in line.strip("|").split("|")] for line in PAGE.splitlines() if line.startswith("| `")]
    return [row for row in found if row[0].startswith("`/") == (width == 2)]


def test_every_endpoint_of_the_original_is_in_the_table_and_in_the_index() -> None:
    paths = [path for each in ENDPOINTS.values() for path, *_ in ([each] if isinstance(each, tuple) else each.values())]
    family = {path for path, route in ROUTES.items() if route.family == "original"} | {"/", "/health"}
    assert set(paths) == family
    assert {named(row[0])[0] for row in rows(2)} == family
    assert len(family) == 21


def test_the_table_names_the_reply_of_each_endpoint() -> None:
    for row in rows(2):
        (path,) = named(row[0])
        if isinstance(ROUTES[path].reply, Text):
            continue
        reply = ROUTES[path].reply
        kinds = getattr(reply, "__args__", (reply,))
        expected = reply.media_type.partition(";")[0] if isinstance(reply, Text) else kinds[0].__name__
        assert next(word.strip(",") for word in named(row[1])) == expected, path


def test_every_field_of_every_object_is_in_the_table(schemas: dict[str, Any]) -> None:
    told: dict[str, list[str]] = {}
    for row in rows(3):
        told.setdefault(named(row[0])[0], []).extend(named(row[1]))
    ours = {name: shape for name, shape in schemas.items() if name.startswith("Original")}
    inherited = set(told.get("OriginalHeartbeat", ()))
    for name, shape in ours.items():
        if name in PARTS or (name.endswith(ENVELOPES) and name != "OriginalClassOfQueue"):
            continue
        fields = set(shape["properties"]) - (inherited if name == "OriginalHeartbeatWithResources" else set())
        assert sorted(told.get(name, ())) == sorted(fields), name
    assert set(told) <= set(ours), "the table has an object that is none"


def test_every_endpoint_of_the_index_answers() -> None:
    index = ask(app_of(), "/", root="/jobs-of-mine").json()
    assert index["endpoints"]["queues"]["all"] == {
        "url": "/jobs-of-mine/queues/all",
        "method": "GET",
        "description": "every known queue in full",
    }


def elsewhere() -> list[list[str]]:
    """The rows of what no endpoint told, without their head."""
    section = PAGE.partition("\n## What no endpoint told\n")[2]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if line.startswith("|")]
    assert all(len(row) == 3 for row in rows)
    return rows[2:]


def test_what_no_endpoint_told_stands_in_the_table_under_its_name() -> None:
    told: dict[str, list[str]] = {}
    for of, field, here in elsewhere():
        assert here, f"{of}: {field} has neither a counterpart nor a reason"
        told.setdefault(of, []).extend(named(field))
    assert {of: sorted(fields) for of, fields in told.items() if fields} == {of: sorted(names.split()) for of, names in ELSEWHERE.items()}
    unnamed = Counter(of for of, field, _ in elsewhere() if not named(field))
    assert {of: unnamed[of] for of in UNNAMED} == UNNAMED


def test_every_counterpart_that_the_table_names_is_there() -> None:
    driver = MemoryStorageDriver()
    everything(driver)
    metrics = connect(driver, now=lambda: NOW)
    baseline = metrics.baseline("broker", "mail", cpu_available_percent=100.0, memory_available_bytes=1e9)
    space = {
        "metrics": metrics,
        "task": metrics.task("app.mail"),
        "queue": metrics.queue("broker", "mail"),
        "worker": next(worker for worker in metrics.workers() if worker.supervisor_pid),
        "server": metrics.server("web-1"),
        "baseline": baseline,
    }
    ran = [
        (of, expression, eval(expression, dict(space)))
        for of, _, here in elsewhere()
        for expression in re.findall(r"`([^`]+)`", here)
        if expression.startswith("[") or expression.partition(".")[0] in space
    ]
    assert len(ran) > 50
    assert len([of for of, *_ in ran if of == "the facade"]) == 16
    unknown = [expression for _, expression, value in ran if value is None]
    assert unknown == ["queue.latency_seconds"]  # the broker of this store does not tell it
