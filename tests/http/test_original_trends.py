"""Trends and the overview as the original tells them, against what was recorded, over random fleets."""

from __future__ import annotations

import statistics

import pytest

from queue_metrics import _core
from tests.http.asking import ask
from tests.http.counted import (
    MB,
    SEEDS,
    iso,
    mean,
    told,
    world,
)
from tests.http.invented import OLDEST
from tests.support.fleet import NOW


@pytest.fixture(params=SEEDS, scope="module")
def seed(request: pytest.FixtureRequest) -> int:
    return int(request.param)


# Trends


def test_trends_are_those_of_what_was_recorded(seed: int) -> None:
    """L24, L25: each is available; the efficiency is of minutes, not of lives."""
    known = world(seed)[0]
    depth = told(seed, "/trends/queue-depth/{connection}/{queue}")
    asked = known.gauges["broker", "mail"]
    depths = [ready for _, ready, *_ in asked]
    times = [at - asked[0][0] for at, *_ in asked]
    slope, intercept = statistics.linear_regression(times, depths)
    assert depth["available"] is True
    assert depth["statistics"] == {
        "current": depths[-1],
        "average": mean(depths, 1),
        "min": min(depths),
        "max": max(depths),
        "std_dev": pytest.approx(statistics.pstdev(depths), abs=0.006),
    }
    assert depth["trend"] == {
        "slope": pytest.approx(slope, abs=0.0001),
        "direction": "increasing" if slope > 0.1 else "decreasing" if slope < -0.1 else "stable",
        "confidence": pytest.approx(statistics.correlation(times, depths) ** 2 if len(set(depths)) > 1 else 0.0, abs=0.001),
    }
    assert depth["forecast"] == {
        "next_value": pytest.approx(max(0.0, intercept + slope * (times[-1] + 60)), abs=0.01),
        "next_timestamp": asked[-1][0] + 60,
    }
    assert (depth["period_seconds"], depth["data_points"]) == (3600, len(asked))
    assert depth["time_window"] == {
        "window_seconds": 3600,
        "window_start": iso(NOW - 3600),
        "window_end": iso(NOW),
        "analyzed_at": iso(NOW),
        "sample_count": len(asked),
        "sample_interval_seconds": 60,
    }
    flow = told(seed, "/trends/throughput/{connection}/{queue}")
    whole = [job for job in known.of(connection="broker", queue="mail") if job.back >= 1]
    assert flow["statistics"] == {
        "total_jobs": len(whole),
        "average_per_interval": pytest.approx(len(whole) / OLDEST, abs=0.006),
        "jobs_per_minute": round(len(whole) / 60, 2),
        "jobs_per_hour": len(whole),
    }
    spent = [row.all.spent for row in known.rows]
    shares = [100 * each.busy_seconds / each.seconds for each in spent]
    efficiency = told(seed, "/trends/worker-efficiency")
    expected = {
        "current": pytest.approx(shares[-1], abs=0.01),
        "average": pytest.approx(100 * sum(each.busy_seconds for each in spent) / sum(each.seconds for each in spent), abs=0.01),
        "min": pytest.approx(min(shares), abs=0.01),
        "max": pytest.approx(max(shares), abs=0.01),
    }
    use = {
        "avg_memory_mb": mean([row.all.rss_mean_bytes or 0 for row in known.rows], MB),
        "avg_cpu_percent": pytest.approx(100 * statistics.fmean(row.all.cpu_mean_ratio or 0 for row in known.rows), abs=0.01),
    }
    assert (efficiency["efficiency"], efficiency["resource_usage"], efficiency["statistics"]) == (expected, use, {**expected, **use})


def test_the_trends_of_an_hour_are_those_that_are_asked_for_by_themselves(seed: int) -> None:
    """Shared by all who ask for the last hour, and read alone for another time: two ways, one answer."""
    for path in ("/trends/queue-depth/broker/mail", "/trends/throughput/broker/mail", "/trends/worker-efficiency"):
        app = world(seed)[2]
        hour, nearly = ask(app, path).json(), ask(app, path + "?period=3599").json()
        for answer in (hour, nearly):
            del answer["time_window"], answer["period_seconds"], answer["verdict"]["margin_per_second"]
            answer.get("statistics", {}).pop("jobs_per_minute", None)
            answer.get("statistics", {}).pop("jobs_per_hour", None)
        assert nearly == hour


# The overview


def test_the_overview_is_all_of_it(seed: int) -> None:
    full, slim = told(seed, "/overview?full=1")["data"], told(seed, "/overview")["data"]
    assert full["queues"] == told(seed, "/queues/all")["data"]
    assert full["jobs"] == told(seed, "/jobs")["data"]
    assert full["servers"] == told(seed, "/servers")["data"]
    assert full["workers"] == told(seed, "/workers/all")["data"]["summary"]
    assert full["baselines"] == {key: queue["baseline"] for key, queue in full["queues"].items()}
    assert full["trends"] == {
        "queue_depth": {key: queue["trends"]["depth"] for key, queue in full["queues"].items()},
        "worker_efficiency": told(seed, "/trends/worker-efficiency"),
    }
    for key, queue in slim["queues"].items():
        whole = full["queues"][key]
        assert queue == {
            "connection": whole["connection"],
            "queue": whole["queue"],
            "depth": whole["depth"]["total"],
            "pending": whole["depth"]["pending"],
            "active_workers": whole["workers"]["active_count"],
            "throughput_per_minute": whole["performance_60s"]["throughput_per_minute"],
            "failure_rate": whole["lifetime"]["failure_rate_percent"],
            "current_busy_percent": whole["workers"]["current_busy_percent"],
            "lifetime_busy_percent": whole["workers"]["lifetime_busy_percent"],
        }
    for name, job in slim["jobs"].items():
        by_queue = job.pop("by_queue")
        for one, whole in ((job, full["jobs"][name]), *zip(by_queue, full["jobs"][name]["by_queue"], strict=True)):
            assert one == {
                "job_class": name,
                "connection": whole["connection"],
                "queue": whole["queue"],
                "total_processed": whole["execution"]["total_processed"],
                "success_rate": whole["execution"]["success_rate"],
                "failure_rate": whole["execution"]["failure_rate"],
                "avg_duration_ms": whole["duration"]["avg"],
                "throughput_per_minute": whole["throughput"]["per_minute"],
            }
    for host, server in slim["servers"].items():
        whole = full["servers"][host]
        assert server == {
            "hostname": host,
            "workers": {**whole["queue_workers"]["count"], **whole["queue_workers"]["utilization"]},
            "jobs": whole["job_processing"]["lifetime"],
            "server_resources": whole["server_resources"],
        }
    together = full["workers"]
    total = together["performance"]["total_jobs_processed"]
    assert slim["workers"] == {**together["count"], **together["utilization"], "total_jobs_processed": total}
    assert (slim["metadata"]["timestamp"], slim["metadata"]["package_version"]) == (iso(NOW), _core.__version__)
    assert slim["metadata"]["storage_driver"] == "memory"
    assert full["metadata"] == slim["metadata"]
