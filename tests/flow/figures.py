"""What each surface tells beside counts, by name: the run times of one task, the depth of one queue, numbers of the server."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

import queue_metrics as qm
from queue_metrics import _core
from queue_metrics.storage.base import HOUR, QUEUE, TASK
from queue_metrics.storage.manager import StorageManager
from queue_metrics.storage.servers import server_reports
from tests.flow.checks import AHEAD
from tests.http.asking import ask

Figures = dict[str, float | None]
RUNTIME = READY = 0
"""Of the measures and of the gauges: docs/stored-values.md."""


@dataclass(frozen=True)
class Subject:
    """Of what the figures are."""

    task: tuple[str, str, str]
    queue: tuple[str, str]
    server: str


def by_the_store(store: str, subject: Subject) -> Figures:
    """The values themselves; empty before there is one of each."""
    driver = StorageManager().open(store)
    ids = {(series.kind, *series.labels): series.id for series in driver.known_series()}
    found = {report.hostname: report.sample for report in server_reports(driver.read_heartbeats())}
    now = int(_core.clock_us() / 1e6)

    def value(kind: int, labels: tuple[str, ...]) -> _core.Value:
        identity = ids.get((kind, *labels), 0)
        points = driver.read_series([identity], HOUR, (now - AHEAD) // HOUR * HOUR, now + AHEAD).get(identity, [])
        return reduce(_core.Value.merge, (_core.Value.decode(blob) for _, blob in points), _core.Value())

    runtime, ready = value(TASK, subject.task).measure(RUNTIME), value(QUEUE, subject.queue).gauge(READY)
    driver.close()
    sample = found.get(subject.server)
    if runtime is None or ready is None or sample is None:
        return {}
    runs, total, _, longest = runtime
    assert longest is not None
    return {
        "runs": runs,
        "runtime_sum": total / 1e6,
        "runtime_mean": total / 1e6 / runs,
        "runtime_max": longest / 1e6,
        "ready": ready[4],
        "cores": sample.cpu.host_cores,
        "memory": sample.memory.total_bytes,
    }


def by_the_api(store: str, subject: Subject) -> Figures:
    """`/v1/tasks`, `/v1/queues` and `/v1/servers`."""
    app = qm.asgi_app(store)
    tasks, queues, servers = (ask(app, f"/v1/{name}?limit=1000").json()[name] for name in ("tasks", "queues", "servers"))
    (task,) = (each for each in tasks if (each["connection"], each["queue"], each["task"]) == subject.task)
    (queue,) = (each for each in queues if (each["connection"], each["queue"]) == subject.queue)
    (server,) = (each for each in servers if each["hostname"] == subject.server)
    runtime = task["runtime_seconds"]
    assert task["lifetime"]["runtime_seconds"] == {"n": runtime["n"], "sum": runtime["sum"]}
    return {
        "runs": runtime["n"],
        "runtime_sum": runtime["sum"],
        "runtime_mean": runtime["mean"],
        "runtime_max": runtime["max"],
        "ready": queue["ready"],
        "cores": server["sample"]["cpu"]["host_cores"],
        "memory": server["sample"]["memory"]["total_bytes"],
    }


def by_the_original_endpoints(store: str, subject: Subject) -> Figures:
    """`/jobs`, `/queues` and `/server`; times are ms with two decimals."""
    app = qm.asgi_app(store)
    job = ask(app, "/jobs").json()["data"][subject.task[2]]
    connection, name = subject.queue
    queue = ask(app, f"/queues/{connection}/{name}").json()["data"]
    server = ask(app, f"/server?hostname={subject.server}").json()["server_metrics"]
    return {
        "runtime_mean": job["duration"]["avg"] / 1000,
        "runtime_max": job["duration"]["max"] / 1000,
        "ready": queue["depth"],
        "cores": server["cpu"]["count"],
        "memory": server["memory"]["total_bytes"],
    }


def by_the_original_series(store: str, subject: Subject) -> Figures:
    """`/prometheus`, read by the official parser."""
    told = _Told(store, "/prometheus")
    connection, queue, task = subject.task
    waiting = {"connection": subject.queue[0], "queue": subject.queue[1]}
    return {
        "runtime_max": told("laravel_queue_job_duration_max_seconds", connection=connection, queue=queue, job=task),
        "ready": told("laravel_queue_queue_depth_pending", **waiting),
        "memory": told("server_memory_total_bytes", hostname=subject.server),
    }


def by_prometheus(store: str, subject: Subject) -> Figures:
    """`/metrics`, read by the official parser."""
    told = _Told(store, "/metrics")
    of_task = dict(zip(("connection", "queue", "task"), subject.task, strict=True))
    runs, total = (told(f"queue_metrics_runtime_seconds_{name}", **of_task) for name in ("count", "sum"))
    return {
        "runs": runs,
        "runtime_sum": total,
        "runtime_mean": total / runs,
        "ready": told("queue_metrics_queue_jobs", connection=subject.queue[0], queue=subject.queue[1], state="ready"),
        "cores": told("queue_metrics_server_cores", server=subject.server),
    }


class _Told:
    """One text for Prometheus: the sample of a name and of exactly these labels."""

    def __init__(self, store: str, target: str) -> None:
        families = text_string_to_metric_families(ask(qm.asgi_app(store), target).text)
        self._samples = [sample for family in families for sample in family.samples]

    def __call__(self, name: str, **labels: Any) -> float:
        (found,) = (sample.value for sample in self._samples if sample.name == name and sample.labels == labels)
        return float(found)


SURFACES = (by_the_store, by_the_api, by_the_original_endpoints, by_the_original_series, by_prometheus)
