"""Workers and servers as the original tells them, against what they were made of, over random fleets."""

from __future__ import annotations

from typing import Any

import pytest

from tests.http.counted import (
    MB,
    SEEDS,
    about,
    busy_ever,
    busy_now,
    failures,
    iso,
    live,
    mean,
    observed_per_minute,
    rate,
    state_of,
    succeeded,
    told,
    world,
)
from tests.http.invented import QUEUES
from tests.support.fleet import NOW


@pytest.fixture(params=SEEDS, scope="module")
def seed(request: pytest.FixtureRequest) -> int:
    return int(request.param)


# Workers


def test_workers_are_what_they_say_and_silent_ones_are_crashed(seed: int) -> None:
    """L9, L20: a worker that is gone stays in the list, and is none of the live ones."""
    known = world(seed)[0]
    data = told(seed, "/workers/all")["data"]
    assert {each["worker_id"] for each in data["workers"]} == set(known.workers)
    for each in data["workers"]:
        worker = known.workers[each["worker_id"]]
        state, silent = state_of(worker), worker["state"] in ("idle", "busy") and worker["age"] > 60
        running = worker["state"] == "busy"
        gone = worker["state"] in ("stopped", "lost")
        changed = NOW - (worker["age"] - 60) if silent else worker["state_changed"] - worker["age"]
        assert each.pop("last_heartbeat") in about(NOW - worker["age"])
        assert each.pop("last_state_change") in about(changed)
        spent, over = worker["cpu_share"]
        assert each == {
            "worker_id": each["worker_id"],
            "connection": worker["connection"],
            "queue": worker["queue"],
            "state": state,
            "current_job_id": worker["job_id"] if running else None,
            "current_job_class": worker["task"] if running else None,
            "idle_time_seconds": pytest.approx(worker["idle"]),
            "busy_time_seconds": pytest.approx(worker["busy"]),
            "jobs_processed": worker["finished"],
            "pid": worker["pid"],
            "hostname": worker["host"],
            "is_stale": worker["age"] > 60,
            "seconds_since_last_heartbeat": pytest.approx(worker["age"]),
            "memory_usage_mb": round(worker["rss"] / MB, 2),
            "peak_memory_usage_mb": round(worker["rss_peak"] / MB, 2),
            "cpu_usage_percent": None if gone else pytest.approx(100 * spent / over),
        }
    alive = [each for each in known.workers.values() if state_of(each) in ("idle", "busy")]
    active = sum(each["state"] == "busy" for each in alive)
    jobs = sum(each["finished"] for each in known.workers.values())
    ended = sum(job.outcome != "lost" for job in known.jobs)
    assert data["summary"] == {
        "count": {"total": len(alive), "active": active, "idle": len(alive) - active},
        "utilization": {"current_busy_percent": busy_now(alive), "lifetime_busy_percent": busy_ever(alive)},
        "performance": {"avg_jobs_per_worker": round(jobs / len(known.workers), 2), "total_jobs_processed": ended},
    }


def test_live_workers_and_heartbeats_by_connection_and_queue(seed: int) -> None:
    known = world(seed)[0]
    for connection, queue in QUEUES:
        words = f"?connection={connection}&queue={queue.replace('%', '%25')}"
        listed = told(seed, "/workers" + words)["data"]["workers"]
        assert sorted(each["pid"] for each in listed) == sorted(each["pid"] for each in live(known, connection, queue))
        beats = told(seed, "/workers/status" + words)
        mine = [id for id, each in known.workers.items() if (each["connection"], each["queue"]) == (connection, queue)]
        assert sorted(each["worker_id"] for each in beats["data"]) == sorted(mine)
        assert beats["meta"] == {"total": len(mine)}
        for each in listed:
            (worker,) = (one for one in known.workers.values() if one["pid"] == each["pid"])
            child = worker["role"] == "child"
            assert each.pop("last_heartbeat") in about(NOW - worker["age"])
            assert each.pop("spawned_at") in about(worker["process_started"] - worker["age"])
            assert each == {
                "pid": worker["pid"],
                "hostname": worker["host"],
                "connection": connection,
                "queue": queue,
                "status": worker["state"],
                "jobs_processed": worker["finished"],
                "current_job": worker["task"] or None,
                "idle_percentage": pytest.approx(100 * worker["idle"] / (worker["busy"] + worker["idle"]), abs=0.006),
                "is_horizon_worker": child,
                "supervisor_name": f"{worker['host']}:{worker['parent_pid']}" if child else None,
                "parent_supervisor_pid": worker["parent_pid"] if child else None,
                "workers_pool_name": worker["library"],
            }
    one = told(seed, "/workers/status/{id}")["data"]
    assert one in told(seed, "/workers/status")["data"]
    assert one["worker_id"] == next(iter(known.workers))


@pytest.mark.parametrize("threshold", [30, 60, 200])
def test_who_went_silent_or_was_seen_to_be_gone_is_counted_and_nothing_is_written(seed: int, threshold: int) -> None:
    known, driver, _ = world(seed)
    before = driver.read_view((), heartbeats=True)
    data = told(seed, f"/workers/detect-stale?threshold={threshold}")["data"]
    old = [each for each in known.workers.values() if each["state"] in ("idle", "busy") and each["age"] > threshold]
    gone = [each for each in known.workers.values() if each["state"] == "lost"]
    assert data == {"threshold_seconds": threshold, "workers_marked_crashed": len(old) + len(gone)}
    if threshold == 60:
        crashed = [each for each in told(seed, "/workers/status")["data"] if each["state"] == "crashed"]
        assert len(crashed) == len(old) + len(gone), "as their heartbeats say"
    assert driver.read_view((), heartbeats=True) == before


# Servers


def percent(ratio: float | None) -> float:
    assert ratio is not None
    return round(100 * ratio, 2)


def test_servers_are_rolled_up_by_their_exact_names(seed: int) -> None:
    """L20, L22: web-1 has no part in web-10; every server has its resources."""
    known = world(seed)[0]
    data = told(seed, "/servers")["data"]
    assert set(data) == {"web-1", "web-10"}
    for host, entry in data.items():
        mine = [each for each in known.workers.values() if each["host"] == host]
        alive, jobs, sample = [each for each in mine if state_of(each) in ("idle", "busy")], known.server_jobs[host], known.samples[host]
        active = sum(each["state"] == "busy" for each in alive)
        assert entry["queue_workers"] == {
            "count": {"total": len(alive), "active": active, "idle": len(alive) - active},
            "utilization": {"current_busy_percent": busy_now(alive), "lifetime_busy_percent": busy_ever(alive)},
        }
        assert entry["job_processing"] == {
            "lifetime": {"total_processed": succeeded(jobs), "total_failed": failures(jobs), "failure_rate_percent": rate(jobs)},
            "current": {
                "jobs_per_minute": observed_per_minute(len(jobs)),
                "avg_duration_ms": mean([job.runtime for job in jobs], 1000),
            },
        }
        sizes = [each["rss"] for each in alive]
        assert entry["worker_processes"] == {
            "avg_memory_per_worker_mb": mean(sizes, MB) if alive else None,
            "avg_cpu_per_worker_percent": mean([each["cpu_share"][0] / 2 for each in alive], 0.01) if alive else None,
            "peak_memory_mb": round(max(each["rss_peak"] for each in alive) / MB, 2) if alive else None,
            "total_memory_mb": round(sum(sizes) / MB, 2) if alive else None,
        }
        share = busy_now(alive)
        advice = entry["capacity"]["recommendation"]
        assert (advice is not None) == (share is not None and not 30 <= share <= 90)
        if advice is not None:
            assert ("add workers" in advice) == (share is not None and share > 90)
        load, memory = sample.load, sample.memory
        assert entry["server_resources"] == {
            "available": True,
            "cpu": {
                "cores": sample.cpu.cores,
                "usage_percent": percent(sample.cpu.usage_ratio),
                "load_average": {"1min": load.over_1_minute, "5min": load.over_5_minutes, "15min": load.over_15_minutes},
            },
            "memory": {
                "total_mb": mean([memory.total_bytes or 0], MB),
                "used_mb": mean([memory.used_bytes or 0], MB),
                "available_mb": mean([memory.available_bytes or 0], MB),
                "usage_percent": percent(memory.usage_ratio),
            },
        }
        assert (entry["hostname"], entry["timestamp"]) == (host, iso(NOW))


def sized(name: str, size: int | None, *units: str) -> dict[str, Any]:
    scales = {"mb": MB, "gb": 1 << 30}
    assert size is not None
    return {f"{name}_bytes": size, **{f"{name}_{unit}": mean([size], scales[unit]) for unit in units}}


def test_one_server_is_its_sample(seed: int) -> None:
    """L21: CPU between two samples, loads and disks as they are."""
    sample = world(seed)[0].samples["web-10"]
    cpu, memory, load = sample.cpu, sample.memory, sample.load
    found = told(seed, "/server?hostname=web-10")["server_metrics"]
    assert found.pop("available") is True
    assert found.pop("cpu") == {
        "usage_percent": percent(cpu.usage_ratio),
        "user_percent": percent(cpu.user_ratio),
        "system_percent": percent(cpu.system_ratio),
        "idle_percent": percent(cpu.idle_ratio),
        "count": cpu.host_cores,
        "cores": cpu.cores,
        "load_average": {"1min": load.over_1_minute, "5min": load.over_5_minutes, "15min": load.over_15_minutes},
    }
    assert found.pop("memory") == {
        **sized("total", memory.total_bytes, "mb", "gb"),
        **sized("available", memory.available_bytes, "mb", "gb"),
        **sized("used", memory.used_bytes, "mb", "gb"),
        **sized("cached", memory.cached_bytes, "mb"),
        **sized("buffers", memory.buffers_bytes, "mb"),
        "usage_percent": percent(memory.usage_ratio),
    }
    disks = sorted(sample.disks or (), key=lambda disk: -(disk.usage_ratio or 0))
    assert found.pop("disk") == [
        {
            "mountpoint": disk.mountpoint,
            "filesystem": disk.filesystem,
            **sized("total", disk.total_bytes, "gb"),
            **sized("used", disk.used_bytes, "gb"),
            **sized("available", disk.available_bytes, "gb"),
            "usage_percent": percent(disk.usage_ratio),
        }
        for disk in disks
    ]
    (interface,) = sample.interfaces or ()
    fields = ("bytes_sent", "bytes_received", "packets_sent", "packets_received", "errors_in", "errors_out", "drops_in", "drops_out")
    assert found.pop("network") == [{"name": interface.name, **{field: getattr(interface, field) for field in fields}}]
    assert found == {}
    health = told(seed, "/server/health?hostname=web-10")
    assert health["metrics"] == {
        "cpu_usage_percent": percent(cpu.usage_ratio),
        "memory_usage_percent": percent(memory.usage_ratio),
        "load_average_1min": load.over_1_minute,
        "disk_usage": [{"mountpoint": disk.mountpoint, "usage_percent": percent(disk.usage_ratio)} for disk in disks],
    }
    lost = points(cpu.usage_ratio, (0.9, 40), (0.7, 20)) + points(memory.usage_ratio, (0.9, 40), (0.8, 20))
    lost += sum(points(disk.usage_ratio, (0.95, 30), (0.85, 10)) for disk in disks)
    lost += points((load.over_1_minute or 0) / (cpu.host_cores or 1), (2.0, 30), (1.5, 15))
    score = max(0, 100 - lost)
    status = "healthy" if score >= 80 else "degraded" if score >= 60 else "warning" if score >= 40 else "critical"
    assert (health["health"]["score"], health["health"]["status"], health["health"]["timestamp"]) == (score, status, int(NOW))
    assert bool(health["health"]["issues"]) == (lost > 0)


def points(reading: float | None, *limits: tuple[float, int]) -> int:
    assert reading is not None
    return next((taken for limit, taken in limits if reading > limit), 0)
