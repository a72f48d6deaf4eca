"""What others test with does what it says."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

import queue_metrics
from queue_metrics import _core
from queue_metrics.config import load_settings
from queue_metrics.errors import StoreRefused, StoreUnavailable
from queue_metrics.recording.runtime import Runtime
from queue_metrics.storage.base import StorageDriver
from queue_metrics.storage.servers import server_reports
from queue_metrics.testing import Clock, FailingDriver, HostFiles, MemoryStorageDriver
from tests.storage.batches import A, batch, eventually, everything, ones, send, series, starts

GONE = StoreUnavailable("gone")


@pytest.fixture
def driver() -> FailingDriver:
    return FailingDriver(MemoryStorageDriver())


def test_it_is_the_other_driver_until_it_is_told_to_fail(driver: FailingDriver) -> None:
    send(driver, everything(A, ones()))
    driver.set_key("k", "v")
    driver.fail(GONE)
    for ask in (lambda: driver.get_key("k"), driver.known_series, driver.size, lambda: driver.lease("a", "b", 1)):
        with pytest.raises(StoreUnavailable, match="gone"):
            ask()
    assert driver.failed == 4
    driver.work()
    assert (starts(driver, series(A)), driver.get_key("k"), driver.failed) == (1, "v", 4)


def test_every_operation_of_a_driver_can_fail(driver: FailingDriver) -> None:
    driver.fail(GONE)
    kept = {"url", "close", "pipeline", "transaction", "before_fork", "after_fork_parent", "after_fork_child"}
    own = {name for name in vars(StorageDriver) if not name.startswith("_")} - kept - {"requests", "schema_version", "recording"}
    assert own <= vars(FailingDriver).keys()
    with pytest.raises(StoreUnavailable), driver.transaction(["k"]):
        pass


def test_only_some_operations_fail_and_only_so_often(driver: FailingDriver) -> None:
    driver.fail(StoreRefused("full"), "apply_batch", calls=2)
    first = batch(1, everything(A, ones()))
    for _ in range(2):
        assert driver.read_mark(first.spool_id, 0).sequence == 0
        with pytest.raises(StoreRefused, match="full"):
            driver.apply_batch(0, first)
    assert driver.apply_batch(0, first).applied


def test_an_answer_can_be_lost_after_the_work_was_done(driver: FailingDriver) -> None:
    driver.fail(GONE, calls=1, done=True)
    first = batch(1, everything(A, ones()))
    with pytest.raises(StoreUnavailable):
        driver.apply_batch(0, first)
    assert not driver.apply_batch(0, first).applied
    assert starts(driver, series(A)) == 1


def test_a_clock_can_be_handed_to_who_reads(driver: FailingDriver) -> None:
    clock = Clock(time.time())
    metrics = queue_metrics.connect(driver, now=clock)
    send(driver, everything(A, ones()))
    assert metrics.tasks()[0].counts.started == 1
    clock.advance(3 * 3600)
    assert metrics.tasks()[0].counts.started == 0, "the window has moved on"


def test_a_host_can_be_made_of_files(tmp_path: Path) -> None:
    files = HostFiles(tmp_path)
    sampler = _core.HostSampler("proc", root=str(files.root))
    first = sampler.sample()
    assert (first["cpu"]["count"], first["cpu"]["usage_percent"], first["host"]["name"]) == (2, None, "test")
    files.cpu({"user": 100, "idle": 1000}, {"idle": 1100})
    files.memory(total_bytes=1000 << 20, available_bytes=100 << 20)
    files.load(3.0, 2.0, 1.0)
    files.remove("proc/uptime")
    time.sleep(0.11)  # closer samples share their interval
    second = sampler.sample()
    assert second["cpu"]["usage_percent"] == 50.0
    assert second["memory"]["usage_percent"] == 90.0
    assert second["load_average_per_core"]["1min"] == 1.5
    assert second["host"]["uptime_seconds"] is None
    assert any("uptime" in name for name in second["unread"])
    with pytest.raises(ValueError, match="knows no usr"):
        files.cpu({"usr": 1})


def test_the_disks_the_network_and_the_pressure_of_a_host_can_be_set(tmp_path: Path) -> None:
    files = HostFiles(tmp_path)
    files.network(eth0={"received_bytes": 5, "sent_bytes": 7, "sent_drops": 1})
    files.disks(sda={"reads": 1, "read_bytes": 512})
    files.pressure("cpu", some=0.25)
    sampler = files.sampler()
    first = sampler.sample()
    assert first["network"] is not None
    (interface,) = first["network"]
    assert (interface["name"], interface["bytes_received"], interface["bytes_sent"], interface["drops_out"]) == ("eth0", 5, 7, 1)
    assert first["pressure"]["cpu"]["some"]["average_10_ratio"] == 0.25
    assert first["pressure"]["io"]["some"]["average_10_ratio"] is None
    files.disks(sda={"reads": 1, "read_bytes": 512 * 100})
    time.sleep(0.11)  # closer samples share their interval
    second = sampler.sample()
    assert second["interval_seconds"] is not None
    assert second["disk_io"] is not None
    assert second["disk_io"]["total"]["read_bytes_per_second"] == pytest.approx(512 * 99 / second["interval_seconds"])
    files.write("proc/diskstats", "nonsense\n")
    assert sampler.sample()["disk_io"] is None or any("diskstats" in why for why in sampler.sample()["unread"].values())
    with pytest.raises(ValueError, match="knows no bytes"):
        files.network(eth0={"bytes": 1})


def test_a_process_can_be_made_of_files_and_end(tmp_path: Path) -> None:
    files = HostFiles(tmp_path)
    sampler = files.sampler()
    assert sampler.process(7) is None
    peak = 4 << 20
    files.process(
        7, name="celery (x)", user_seconds=1.5, system_seconds=0.5, rss_bytes=2 << 20, peak_rss_bytes=peak, threads=3, descriptors=5
    )
    found = sampler.process(7)
    assert found is not None
    assert (found["name"], found["parent_pid"], found["state"], found["threads"]) == ("celery (x)", 1, "S", 3)
    assert (found["cpu_ns"], found["cpu_user_ns"]) == (2_000_000_000, 1_500_000_000)
    assert (found["rss_bytes"], found["peak_rss_bytes"], found["open_descriptors"]) == (2 << 20, peak, 5)
    files.remove("proc/7/status")
    spoilt = sampler.process(7)
    assert spoilt is not None
    assert spoilt["peak_rss_bytes"] is None
    assert any("/proc/7/status" in why for why in spoilt["unread"].values())
    files.end(7)
    assert sampler.process(7) is None


def test_a_host_can_be_put_into_a_container(tmp_path: Path) -> None:
    files = HostFiles(tmp_path)
    bare = files.sampler().sample()["capacity"]
    assert (bare["memory"]["source"], bare["memory"]["limit_bytes"]) == ("host", 8 << 30)
    files.container(limit_cores=0.5, limit_bytes=512 << 20, used_bytes=128 << 20, oom_kills=2)
    sample = files.sampler().sample()
    group, room = sample["cgroup"], sample["capacity"]
    assert group is not None
    assert (group["version"], group["container"], group["memory"]["oom_kills"]) == (2, "/.dockerenv", 2)
    assert (room["cpu"]["limit_cores"], room["memory"]["limit_bytes"], room["memory"]["headroom_bytes"]) == (0.5, 512 << 20, 384 << 20)
    files.container()
    assert files.sampler().sample()["capacity"]["memory"]["limit_bytes"] == 8 << 30


def test_a_worker_reports_the_store_and_the_host_that_are_handed_in(tmp_path: Path) -> None:
    files = HostFiles(tmp_path / "host")
    files.load(1.5, 1.0, 0.5)
    files.container(limit_cores=0.5)
    store = MemoryStorageDriver()
    settings = load_settings(store="memory://another", state_dir=tmp_path, namespace="test")
    runtime = Runtime(settings, store=store, server=files.server())
    runtime.on_main()
    handle = runtime.recorder.series(*A, _core.CLOCK_THREAD)  # nobody drains a spool in which nothing is
    runtime.recorder.finished(runtime.recorder.started(handle, 1, 0, _core.NO_TIME), _core.SUCCEEDED, None, 0)
    try:
        eventually(lambda: bool(server_reports(store.read_heartbeats())))
    finally:
        runtime.stop()
    (report,) = server_reports(store.read_heartbeats())
    assert report.sample.load.over_1_minute == 1.5
    assert report.sample.cpu.cores == 0.5
    assert (report.sample.kernel, report.sample.uptime_seconds) == ("6.1.0", 3600.0)
