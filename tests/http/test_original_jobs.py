"""Jobs and queues as the original tells them, against counts made by hand, over random fleets."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

import pytest

from tests.http.asking import app_of, ask
from tests.http.counted import (
    MB,
    SEEDS,
    busy_ever,
    busy_now,
    check_baseline,
    failures,
    iso,
    lately,
    live,
    mean,
    per_minute,
    quantile,
    rate,
    succeeded,
    told,
    world,
)
from tests.http.invented import OLDEST, PLACES, Invented, Job
from tests.support.fleet import NOW, Fleet, minute


@pytest.fixture(params=SEEDS, scope="module")
def seed(request: pytest.FixtureRequest) -> int:
    return int(request.param)


# Jobs


def check_job(known: Invented, entry: dict[str, Any], **names: str) -> None:
    jobs = known.of(**names)
    runtimes, cpus, peaks = [job.runtime for job in jobs], [job.cpu for job in jobs], [job.peak for job in jobs]
    failed = rate(jobs)
    places = [place for place in PLACES if place in {job.place for job in jobs}]
    assert entry["execution"] == {
        "total_processed": succeeded(jobs),
        "total_failed": failures(jobs),
        "total_debounced": sum(known.discards[place] for place in places),
        "success_rate": None if failed is None else round(100 - failed, 2),
        "failure_rate": failed,
    }
    assert entry["duration"] == {
        "avg": mean(runtimes, 1000),
        "min": mean([min(runtimes)], 1000),
        "max": mean([max(runtimes)], 1000),
        "p50": quantile(runtimes, 0.5, 1000),
        "p95": quantile(runtimes, 0.95, 1000),
        "p99": quantile(runtimes, 0.99, 1000),
        "stddev": pytest.approx(statistics.stdev(runtimes) / 1000, rel=0.1),
    }
    assert entry["memory"] == {
        "avg": mean(peaks, MB),
        "avg_incremental": mean([job.change for job in jobs], MB),
        "peak": mean([max(peaks)], MB),
        "p95": quantile(peaks, 0.95, MB),
        "p99": quantile(peaks, 0.99, MB),
    }
    assert entry["cpu"] == {
        "avg": mean(cpus, 1000),
        "peak": mean([max(cpus)], 1000),
        "p95": quantile(cpus, 0.95, 1000),
        "p99": quantile(cpus, 0.99, 1000),
    }
    assert entry["throughput"] == {
        "per_minute": per_minute(len(lately(jobs, 1)), 1),
        "per_hour": len(lately(jobs, 60)),
        "per_day": len(jobs),
    }
    newest = min((job.back for job in jobs if job.outcome in ("failed", "timed_out", "lost")), default=None)
    assert entry["failures"]["count"] == failures(jobs)
    assert entry["failures"]["rate"] == failed
    assert entry["failures"]["last_failed_at"] == (None if newest is None else iso(minute(newest)))
    hour = min(known.exceptions[place][0] for place in places)
    assert entry["failures"]["last_exception"] in {known.exceptions[place][1] for place in places if known.exceptions[place][0] == hour}
    for window, minutes in zip(entry["window_stats"], (1, 5, 15, 60), strict=False):
        inside = lately(jobs, minutes)
        assert window == {
            "window_seconds": minutes * 60,
            "jobs_processed": len(inside),
            "avg_duration": mean([job.runtime for job in inside], 1000) if inside else None,
            "throughput": per_minute(len(inside), minutes),
        }
    assert [window["window_seconds"] for window in entry["window_stats"]] == [60, 300, 900, 3600, 86400]
    day = entry["window_stats"][4]
    assert (day["jobs_processed"], day["throughput"]) == (len(jobs), per_minute(len(jobs), 1440))
    assert entry["calculated_at"] == iso(NOW)


def test_jobs_are_what_was_counted_over_all_queues_and_on_each(seed: int) -> None:
    """L8, L12, L14, L16: one class on three queues is there with each of them."""
    known = world(seed)[0]
    data = told(seed, "/jobs")["data"]
    assert set(data) == {"app.send", "app.resize"}
    for name, entry in data.items():
        check_job(known, entry, task=name)
        places = [place for place in PLACES if place[2] == name]
        assert {(each["connection"], each["queue"]) for each in entry["by_queue"]} == {place[:2] for place in places}
        for each in entry["by_queue"]:
            check_job(known, each, task=name, connection=each["connection"], queue=each["queue"])
            check_baseline(known, each["baseline"], each["connection"], each["queue"], name)
    assert (data["app.send"]["connection"], data["app.send"]["queue"], data["app.send"]["baseline"]) == (None, None, None)
    assert (data["app.resize"]["connection"], data["app.resize"]["queue"]) == ("broker", "mail")


def test_one_class_is_its_queues_together(seed: int) -> None:
    known, data = world(seed)[0], told(seed, "/jobs/{class}")["data"]

    def numbers(jobs: Sequence[Job]) -> dict[str, Any]:
        return {
            "avg_duration_ms": mean([job.runtime for job in jobs], 1000),
            "avg_memory_mb": mean([job.peak for job in jobs], MB),
            "failure_rate": rate(jobs),
            "throughput_per_minute": per_minute(len(lately(jobs, 1)), 1),
        }

    jobs, by_queue = known.of(task="app.send"), data.pop("by_queue")
    assert data == {
        "job_class": "app.send",
        "total_executions": succeeded(jobs),
        "total_failures": failures(jobs),
        "avg_cpu_time_ms": mean([job.cpu for job in jobs], 1000),
        "calculated_at": iso(NOW),
        **numbers(jobs),
    }
    assert len(by_queue) == 3
    for each in by_queue:
        those = known.of(task="app.send", connection=each["connection"], queue=each["queue"])
        assert each == {
            "connection": each["connection"],
            "queue": each["queue"],
            "executions": succeeded(those),
            "failures": failures(those),
            **numbers(those),
        }


# Queues


def test_queues_are_what_the_broker_said_and_what_was_counted(seed: int) -> None:
    """L16, L17, L19: also the one with a hostile name; the score of live inputs."""
    known = world(seed)[0]
    assert told(seed, "/queues") == {"data": ["a/b:c%", "bulk", "mail"]}
    data = told(seed, "/queues/all")["data"]
    assert set(data) == {"broker:mail", "broker:bulk", "other:a/b%3Ac%25"}
    for entry in data.values():
        connection, queue = entry["connection"], entry["queue"]
        at, ready, reserved, scheduled, age = known.gauges[connection, queue][-1]
        jobs, people = known.of(connection=connection, queue=queue), live(known, connection, queue)
        assert entry["depth"] == {
            "total": ready + reserved + scheduled,
            "pending": ready,
            "scheduled": scheduled,
            "reserved": reserved,
            "oldest_job_age_seconds": pytest.approx(age),
            "oldest_job_age_status": iso(at - age) if ready else "unknown",
        }
        inside = lately(jobs, 1)
        assert entry["performance_60s"] == {
            "throughput_per_minute": per_minute(len(inside), 1),
            "avg_duration_ms": mean([job.runtime for job in inside], 1000) if inside else None,
            "window_seconds": 60,
        }
        assert entry["lifetime"] == {"failure_rate_percent": rate(jobs)}
        assert entry["workers"] == {
            "active_count": len(people),
            "current_busy_percent": busy_now(people),
            "lifetime_busy_percent": busy_ever(people),
        }
        check_baseline(known, entry["baseline"], connection, queue)
        assert (entry["driver"], entry["timestamp"]) == (connection, iso(NOW))


def test_one_queue_and_its_depth(seed: int) -> None:
    known = world(seed)[0]
    at, ready, reserved, scheduled, age = known.gauges["broker", "mail"][-1]
    jobs, people = known.of(connection="broker", queue="mail"), live(known, "broker", "mail")
    data = told(seed, "/queues/{connection}/{queue}")["data"]
    utilisation = sum(job.runtime for job in jobs) / 1e6 / ((60 * OLDEST + 30) * len(people)) * 100 if people else None
    depth = ready + reserved + scheduled
    for key, expected in {
        "depth": depth,
        "pending": ready,
        "scheduled": scheduled,
        "reserved": reserved,
        "oldest_job_age": pytest.approx(age),
        "age_status": "old" if age > 300 else "normal",
        "throughput_per_minute": per_minute(len(lately(jobs, 1)), 1),
        "avg_duration": mean([job.runtime for job in lately(jobs, 1)], 1000) if lately(jobs, 1) else None,
        "failure_rate": rate(jobs),
        "utilization_rate": None if utilisation is None else pytest.approx(utilisation, abs=0.01),
        "active_workers": len(people),
        "driver": "broker",
        "calculated_at": iso(NOW),
    }.items():
        assert data[key] == expected, key
    health = data["health"]
    # All was recorded within the hour: here the failures of the window are those of ever.
    assert [health[key] for key in ("depth", "failure_rate", "utilization_rate")] == [depth, data["failure_rate"], data["utilization_rate"]]
    assert health["oldest_job_age"] == pytest.approx(age)
    taken = min(30, max(0, (depth - 100) / 10)) + min(30, max(0, (age - 300) / 60)) + min(20, health["failure_rate"] or 0)
    score = max(0, 100 - taken - (20 if depth and not people else 0))
    assert health["score"] == pytest.approx(score, abs=0.011)
    assert health["status"] == ("healthy" if health["score"] >= 80 else "warning" if health["score"] >= 50 else "critical")
    assert told(seed, "/queues/{connection}/{queue}/depth")["data"] == {
        "connection": "broker",
        "queue": "mail",
        "pending_jobs": ready,
        "reserved_jobs": reserved,
        "delayed_jobs": scheduled,
        "oldest_pending_job_age": iso(at - age) if ready else None,
        "oldest_delayed_job_age": iso(at + known.due["broker", "mail"]) if scheduled else None,
        "measured_at": iso(at),
    }


@pytest.mark.parametrize(("ready", "age", "since"), [(0, 0, None), (2, 40, iso(NOW - 45))])
def test_an_empty_queue_has_no_job_that_waits(ready: int, age: int, since: str | None) -> None:
    """Its age is 0, which is no moment since when."""
    fleet, asked = Fleet(), round((NOW - 5) * 1e6)
    fleet.queue(("broker", "mail"), minute(0), gauges={0: [(asked, ready)], 4: [(asked, age * 1_000_000)]})
    app = app_of(fleet)
    data = ask(app, "/queues/broker/mail/depth").json()["data"]
    assert (data["pending_jobs"], data["oldest_pending_job_age"], data["oldest_delayed_job_age"]) == (ready, since, None)
    listed = ask(app, "/queues/all").json()["data"]["broker:mail"]["depth"]
    assert (listed["pending"], listed["oldest_job_age_seconds"], listed["oldest_job_age_status"]) == (ready, age, since or "unknown")
