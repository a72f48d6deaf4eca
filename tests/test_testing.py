"""What others test with does what it says."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

import queue_metrics
from queue_metrics import _core
from queue_metrics.errors import StoreRefused, StoreUnavailable
from queue_metrics.storage.base import StorageDriver
from queue_metrics.testing import Clock, FailingDriver, HostFiles, MemoryStorageDriver
from tests.storage.batches import A, batch, everything, ones, send, series, starts

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
    own = {name for name in vars(StorageDriver) if not name.startswith("_")} - kept - {"requests", "schema_version"}
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
