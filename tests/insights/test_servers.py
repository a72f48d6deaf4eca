"""Servers through a store: samples and workers of each host, rolled up; names that look alike are never mixed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from queue_metrics.collector import collect
from queue_metrics.insights import Metrics, UnknownName, connect
from queue_metrics.insights.efficiency import efficiency
from queue_metrics.insights.workers import summary
from queue_metrics.model import Advice, CountedWindow, Gauge, ServerSample, ServerStatus
from queue_metrics.model.servers import CpuUse, DiskUse, Load, MemoryUse
from queue_metrics.storage.base import DAY, StorageDriver
from queue_metrics.storage.efficiency import Spent, add_counters, add_efficiency
from queue_metrics.storage.memory import MemoryStorageDriver
from queue_metrics.storage.servers import add_server_minute, server_beat, server_minute
from queue_metrics.storage.spools import worker_beats
from tests.support.fleet import NOW, Fleet, heartbeat, minute

SAMPLE = ServerSample(
    taken_at_seconds=NOW - 2,
    interval_seconds=10.0,
    cpu=CpuUse(usage_ratio=0.95, host_cores=2),
    load=Load(1.0, 1.0, 1.0),
    memory=MemoryUse(total_bytes=8, used_bytes=2, usage_ratio=0.25),
)


def two_hosts() -> Fleet:
    """web-1 has a busy and an idle worker and a supervisor, web-10 a worker that has been lost; web-2 tells nothing of itself."""
    fleet = Fleet()
    fleet.worker(host="web-1", pid=1, role="main", state="idle")
    busy = {"state": "busy", "job_started": NOW - 10, "written": NOW - 10, "seen": NOW, "busy": 90.0, "idle": 0.0}
    fleet.worker(host="web-1", pid=2, parent_pid=1, finished=30, failed=3, rss=100, rss_peak=900, cpu=9.0, cpu_share=(1.0, 2.0), **busy)
    fleet.worker(host="web-1", pid=3, parent_pid=1, finished=10, rss=300, rss_peak=400, written=NOW, seen=NOW, idle=100.0)
    fleet.worker(host="web-10", pid=4, state="lost", finished=7)
    fleet.worker(host="web-2", pid=5, written=NOW, seen=NOW)
    fleet.beats.append(server_beat("web-1", SAMPLE))
    fleet.beats.append(server_beat("web-10", replace(SAMPLE, cpu=CpuUse(usage_ratio=0.1, host_cores=2))))
    return fleet


def reading(driver: StorageDriver, fleet: Fleet) -> Metrics:
    fleet.store(driver)
    return connect(driver, now=lambda: NOW)


def test_every_host_is_shown_with_its_own_sample_and_workers(driver: StorageDriver) -> None:
    """L20: web-1 took the workers of web-10, whose name begins like its own."""
    answers = reading(driver, two_hosts()).servers()
    assert [(each.hostname, each.health.status.value, each.health.score) for each in answers] == [
        ("web-2", "unknown", 0),
        ("web-1", "degraded", 60),
        ("web-10", "healthy", 100),
    ]
    silent, first, tenth = answers
    assert first.sample == SAMPLE
    assert first.age_seconds is not None
    assert first.age_seconds < 30
    assert (first.workers.counts.busy, first.workers.counts.idle, first.workers.counts.live) == (1, 1, 2)
    assert (first.workers.now_ratio, first.workers.lifetime_ratio, first.workers.window_ratio) == (0.5, 0.5, None)
    assert (first.workers.jobs, first.workers.jobs_per_worker) == (40, 20.0)
    processes = first.processes
    assert (processes.rss_mean_bytes, processes.rss_total_bytes, processes.rss_peak_bytes, processes.read) == (200.0, 400, 900, 2)
    assert (processes.cpu_mean_ratio, processes.cpu_read) == (0.5, 1), "of the other the CPU time was never read"
    assert first.capacity is not None
    assert (first.capacity.advice, first.capacity.busy_ratio) == (Advice.KEEP, 0.5)
    assert (tenth.workers.counts.lost, tenth.workers.counts.live, tenth.capacity) == (1, 0, None)
    assert (silent.sample, silent.age_seconds, silent.health.status) == (None, None, ServerStatus.UNKNOWN)
    assert (silent.jobs, silent.workers.counts.idle) == (None, 1)


def test_the_window_counts_what_the_collector_saw_and_overrules_the_moment(driver: StorageDriver) -> None:
    """A worker that idles at this very moment, after an hour of work."""
    counters = None
    for back in (180, 120, 60):
        now = NOW - back
        page = heartbeat(host="web-1", pid=2, written=now, seen=now, busy=5000.0 - back, idle=100.0)
        driver.heartbeat_many([("web-1:2:77", page)], 600.0)
        row, counters = efficiency(counters, worker_beats(driver.read_heartbeats()), now)
        with driver.transaction() as change:
            add_counters(change, counters)
            if row is not None:
                add_efficiency(change, row)
    fleet = Fleet()
    fleet.worker(host="web-1", pid=2, written=NOW, seen=NOW, busy=4940.0, idle=160.0)
    metrics = reading(driver, fleet)
    (server,) = metrics.servers()
    assert (server.workers.now_ratio, server.workers.window_ratio, server.workers.window_seconds) == (0.0, 1.0, 120.0)
    assert server.capacity is not None
    assert server.capacity.advice == Advice.ADD
    (worker,) = metrics.workers()
    assert (worker.utilisation_ratio, worker.utilisation_seconds) == (0.5, 120.0), "since the pass before the last: 60 s of 120"
    assert metrics.worker("web-1:2:77").utilisation_ratio == 0.5


def test_jobs_of_a_server_are_its_own_ever_and_in_the_window(driver: StorageDriver) -> None:
    fleet = two_hosts()
    fleet.queue(("broker", "default"), minute(19), gauges={0: [(int(NOW * 1e6), 0)]})
    lately = {"started": 12, "succeeded": 9, "failed": 1, "retried": 2}
    fleet.server("web-1", minute(2), counts=lately, measures={0: [500_000] * 12})
    fleet.server("web-1", minute(300), counts={"succeeded": 90}, measures={0: [1_000_000] * 90})
    fleet.server("web-10", minute(1), counts={"succeeded": 1000})
    metrics = reading(driver, fleet)
    jobs = metrics.server("web-1").jobs
    assert jobs is not None
    assert (jobs.processed, jobs.failure.part, jobs.failure.n, jobs.failure.ratio) == (102, 1, 100, 0.01)
    assert (jobs.window_processed, jobs.runtime_mean_seconds) == (12, 0.5)
    assert jobs.per_second == 12 / (19 * 60 + 30), "of the time in which anybody recorded"
    tenth, silent = metrics.server("web-10").jobs, metrics.server("web-2").jobs
    assert tenth is not None
    assert (tenth.processed, tenth.runtime_mean_seconds, silent) == (1000, None, None)


def test_a_series_of_a_server_has_the_samples_that_a_collector_kept(driver: StorageDriver) -> None:
    """Of every step: what was kept by minute is a gauge of an hour. A server that executes nothing has samples only."""
    for number in range(3):
        disks = (DiskUse("/", "ext4", usage_ratio=0.5), DiskUse("/data", "ext4", usage_ratio=0.9))
        sample = replace(
            SAMPLE, disks=disks, cpu=CpuUse(usage_ratio=0.25 * (number + 1), host_cores=4), load=Load(None if number == 1 else 2.0 + number)
        )
        driver.heartbeat_many([server_beat(host, sample) for host in ("web-1", "db-1")], 600.0)
        assert collect(driver, "test", now=minute(2 - number) + 30.0).servers == 2
    fleet = Fleet()
    fleet.server("web-1", minute(1), counts={"succeeded": 7})
    fleet.store(driver)
    metrics = connect(driver, now=lambda: NOW)
    points = metrics.series("server", "web-1", minutes=2).points
    assert [(point.at, point.counts.ended, point.gauges["cpu_ratio"].last) for point in points] == [
        (minute(1), 7, 0.5),
        (minute(0), 0, 0.75),
    ]
    assert ["load" in point.gauges for point in points] == [False, True], "not known is no 0"
    assert points[1].gauges == {
        name: Gauge(1, number, number, number, number, minute(0))
        for name, number in (("cpu_ratio", 0.75), ("memory_ratio", 0.25), ("disk_ratio", 0.9), ("load", 4.0), ("cores", 4))
    } | {name: Gauge(1, size, size, size, size, minute(0)) for name, size in (("memory_used_bytes", 2), ("memory_total_bytes", 8))}
    days = metrics.series("server", "db-1", step=DAY, minutes=2000).points
    cpu = [point.gauges["cpu_ratio"] for point in days]
    assert (sum(each.n for each in cpu), cpu[-1].last, max(each.max for each in cpu), days[-1].counts.ended) == (3, 0.75, 0.75, 0)
    assert metrics.series("server", "db-1", start=minute(30), end=minute(20)).points == ()
    with pytest.raises(UnknownName, match="web-2"):
        metrics.series("server", "web-2")


def test_of_a_server_with_samples_alone_the_name_is_near(driver: StorageDriver) -> None:
    """Nothing is ever executed on any; of what was kept for too long nobody is told any more."""
    for host, back in (("gone-1", 9 * 24 * 60), ("web-1", 1), ("web-1", 0)):
        add_server_minute(driver, host, server_minute(minute(back), SAMPLE))
    with pytest.raises(UnknownName, match=r"no series of kind 'server' 'web-2' was recorded; did you mean 'web-1'\?"):
        connect(driver, now=lambda: NOW).series("server", "web-2")
    with pytest.raises(UnknownName, match=r"known are 1, among them 'web-1'"):
        connect(driver, now=lambda: NOW).series("server", "gone")


def test_one_server_is_asked_for_by_its_exact_name(driver: StorageDriver) -> None:
    metrics = reading(driver, two_hosts())
    assert metrics.server("web-10").workers.counts.lost == 1
    with pytest.raises(UnknownName, match=r"no server 'web-11' was recorded; did you mean 'web-1"):
        metrics.server("web-11")
    with pytest.raises(UnknownName, match="no worker 'web-1:9:77' was recorded; did you mean"):
        metrics.worker("web-1:9:77")


def test_without_a_name_it_is_the_machine_that_asks_or_the_only_one(driver: StorageDriver, monkeypatch: pytest.MonkeyPatch) -> None:
    metrics = reading(driver, two_hosts())
    monkeypatch.setattr("socket.gethostname", lambda: "web-10")
    assert metrics.server().hostname == "web-10"
    monkeypatch.setattr("socket.gethostname", lambda: "laptop")
    with pytest.raises(UnknownName, match="no server 'laptop'"):
        metrics.server()
    alone = MemoryStorageDriver()
    assert connect(alone, now=lambda: NOW).servers() == ()
    assert reading(alone, Fleet(beats=[server_beat("web-7", SAMPLE)])).server().hostname == "web-7"


def test_nobody_together_is_nobody() -> None:
    nobody = summary([], CountedWindow(0.0, 1.0, 60, None, None, "nobody counted"), Spent(0.0, 0.0))
    assert (nobody.now_ratio, nobody.lifetime_ratio, nobody.window_ratio, nobody.jobs_per_worker) == (None,) * 4
    assert (nobody.counts.live, nobody.jobs) == (0, 0)
