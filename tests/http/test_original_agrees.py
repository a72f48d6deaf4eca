"""L26: each series of `/prometheus` is the field of the endpoint that has its name, in fleets with idle, busy, stopped and lost workers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import reduce
from typing import Any
from urllib.parse import quote

import pytest

from tests.http.asking import ask
from tests.http.counted import SEEDS, world
from tests.http.test_prometheus import samples

Found = dict[tuple[str, frozenset[tuple[str, str]]], float]

QUEUE = {
    "queue_depth_pending": "pending",
    "queue_depth_delayed": "scheduled",
    "queue_depth_reserved": "reserved",
    "queue_depth_total": "depth",
    "queue_oldest_job_seconds": "oldest_job_age",
    "queue_throughput_per_minute": "throughput_per_minute",
    "queue_failure_rate_percent": "failure_rate",
    "queue_utilization_rate_percent": "utilization_rate",
}
JOB = {
    "job_memory_peak_megabytes": "memory.peak",
    "job_memory_p95_megabytes": "memory.p95",
    "job_memory_p99_megabytes": "memory.p99",
    "job_memory_avg_incremental_megabytes": "memory.avg_incremental",
    "job_processed_total": "execution.total_processed",
    "job_failed_total": "execution.total_failed",
    "job_debounced_total": "execution.total_debounced",
    "job_success_rate_percent": "execution.success_rate",
    "job_failure_rate_percent": "execution.failure_rate",
    "job_throughput_per_minute": "throughput.per_minute",
    "job_throughput_per_hour": "throughput.per_hour",
}
DURATIONS = ("p50", "p95", "p99", "max")
WORKERS = {
    "worker_count_total": "count.total",
    "worker_count_active": "count.active",
    "worker_count_idle": "count.idle",
    "worker_utilization_percent": "utilization.current_busy_percent",
    "worker_jobs_processed_total": "performance.total_jobs_processed",
}
BASELINE = {
    "baseline_cpu_percent_per_job": "cpu_percent_per_job",
    "baseline_memory_mb_per_job": "memory_mb_per_job",
    "baseline_duration_ms": "avg_duration_ms",
    "baseline_confidence_score": "confidence_score",
    "baseline_sample_count": "sample_count",
}
DEPTH_TREND = {
    "current": "statistics.current",
    "average": "statistics.average",
    "min": "statistics.min",
    "max": "statistics.max",
    "stddev": "statistics.std_dev",
    "slope": "trend.slope",
    "confidence": "trend.confidence",
    "forecast": "forecast.next_value",
    "data_points": "data_points",
}
EFFICIENCY_TREND = {
    **{name: f"statistics.{name}" for name in ("current", "average", "min", "max")},
    "memory_mb": "statistics.avg_memory_mb",
    "cpu_percent": "statistics.avg_cpu_percent",
    "data_points": "data_points",
}
SERVER = {
    "server_cpu_usage_percent": "cpu.usage_percent",
    "server_cpu_load_1min": "cpu.load_average.1min",
    "server_cpu_load_5min": "cpu.load_average.5min",
    "server_cpu_load_15min": "cpu.load_average.15min",
    "server_memory_usage_percent": "memory.usage_percent",
    "server_memory_used_bytes": "memory.used_bytes",
    "server_memory_total_bytes": "memory.total_bytes",
}

Told = tuple[str, Mapping[str, str], float | None]


def at(entry: Any, path: str) -> Any:
    return reduce(lambda inner, name: inner[name], path.split("."), entry)


def get(app: Any, path: str) -> Any:
    answer = ask(app, path)
    assert answer.status == 200, (path, answer.text)
    return answer.json()


def queues(app: Any) -> Iterator[Told]:
    listed = get(app, "/queues/all")["data"]
    yield "queues_total", {}, len(listed)
    for each in listed.values():
        where = {"connection": each["connection"], "queue": each["queue"]}
        entry = get(app, f"/queues/{each['connection']}/{quote(each['queue'], safe='')}")["data"]
        for name, path in QUEUE.items():
            yield name, where, at(entry, path)
        for name, path in BASELINE.items():
            yield name, where, at(each["baseline"], path)
        for name, path in DEPTH_TREND.items():
            yield f"queue_depth_trend_{name}", where, at(entry["trends"]["depth"], path)


def jobs(app: Any) -> Iterator[Told]:
    listed = get(app, "/jobs")["data"]
    for name in ("processed", "failed"):
        yield f"jobs_{name}_total", {}, sum(each["execution"][f"total_{name}"] for each in listed.values())
    for each in (one for job in listed.values() for one in job["by_queue"]):
        where = {"job": each["job_class"], "connection": each["connection"], "queue": each["queue"]}
        for name, path in JOB.items():
            yield name, where, at(each, path)
        for name in DURATIONS:
            yield f"job_duration_{name}_seconds", where, each["duration"][name] / 1000
        for name, path in BASELINE.items():
            yield name, where, at(each["baseline"], path)


def workers(app: Any) -> Iterator[Told]:
    summary, slim = get(app, "/workers/all")["data"]["summary"], get(app, "/overview")["data"]["workers"]
    assert slim == {**summary["count"], **summary["utilization"], "total_jobs_processed": summary["performance"]["total_jobs_processed"]}
    for name, path in WORKERS.items():
        yield name, {}, at(summary, path)
    busy = summary["utilization"]["current_busy_percent"]
    yield "worker_idle_percent", {}, None if busy is None else 100 - busy
    trend = get(app, "/trends/worker-efficiency")
    for name, path in EFFICIENCY_TREND.items():
        yield f"worker_efficiency_trend_{name}", {}, at(trend, path)


def servers(app: Any) -> Iterator[Told]:
    for hostname in ("web-1", "web-10"):
        entry, where = get(app, f"/server?hostname={hostname}")["server_metrics"], {"hostname": hostname}
        for name, path in SERVER.items():
            yield name, where, at(entry, path)
        for disk in entry["disk"]:
            place = {**where, "mountpoint": disk["mountpoint"]}
            yield "server_disk_usage_percent", place, disk["usage_percent"]
            yield "server_disk_used_bytes", place, disk["used_bytes"]


@pytest.mark.parametrize("seed", SEEDS)
def test_every_series_is_the_field_of_the_endpoint_and_none_is_left_over(seed: int) -> None:
    app = world(seed)[2]
    scraped = samples(ask(app, "/prometheus").text)
    found: Found = {
        (name.removeprefix("laravel_queue_"), frozenset((key, text) for key, text in sample.labels.items() if text)): sample.value
        for name, those in scraped.items()
        for sample in those
    }
    told = {
        (name, frozenset(labels.items())): number
        for part in (queues, jobs, workers, servers)
        for name, labels, number in part(app)
        if number is not None
    }
    # Ours, which no endpoint's body has room for: they are headers there.
    ours = get(app, "/v1/workers")
    assert found.pop(("collector_up", frozenset())) == ours["collector"]["running"]
    assert found.pop(("store_up", frozenset())) == (not ours["stale"])
    assert found.pop(("stale_seconds", frozenset())) == (ours["stale_seconds"] or 0)
    assert set(found) == set(told)
    for series, number in told.items():
        # Endpoints round to two decimals, those of seconds to five.
        assert found[series] == pytest.approx(number, abs=0.006), series


def test_the_fleets_have_workers_of_each_kind() -> None:
    """Else the counts could agree by chance."""
    states = {each["state"] for seed in SEEDS for each in get(world(seed)[2], "/workers/all")["data"]["workers"]}
    assert states == {"idle", "busy", "stopped", "crashed"}
