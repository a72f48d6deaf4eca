"""Everything that the general operations keep in a store, and a fleet to collect of."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from queue_metrics.model import ServerSample
from queue_metrics.model.servers import CpuUse, DiskUse, Load, MemoryUse
from queue_metrics.storage.base import StorageDriver
from queue_metrics.storage.servers import server_beat
from tests.support.fleet import NOW, Fleet, minute

SAMPLE = ServerSample(
    taken_at_seconds=NOW - 2,
    interval_seconds=10.0,
    cpu=CpuUse(usage_ratio=0.5, host_cores=4),
    load=Load(1.5, 1.0, 0.5),
    memory=MemoryUse(total_bytes=8000, used_bytes=2000, usage_ratio=0.25),
    disks=(DiskUse("/", "ext4", 100, 30, 70, 0.3), DiskUse("/var", "ext4", 100, 80, 20, 0.8)),
)


def general(driver: StorageDriver) -> dict[str, Any]:
    """All names, and what is under each in any type."""
    return {
        name: (driver.get_key(name), driver.get_hash(name), driver.get_set_members(name), driver.get_sorted_set_by_rank(name))
        for name in driver.scan_keys("*")
        if not name.startswith("queue-metrics/")
    }


def crew(driver: StorageDriver, now: float, **pages: tuple[float, float]) -> None:
    """Heartbeats of workers as seen at `now`, by host: busy and idle seconds."""
    fleet = Fleet()
    for host, (busy, idle) in pages.items():
        fleet.worker(host=host, queue="mail", busy=busy, idle=idle, written=now, seen=now, rss=1000, cpu=9.0, cpu_share=(1.0, 4.0))
        fleet.beats.append(server_beat(host, replace(SAMPLE, taken_at_seconds=now)))
    driver.heartbeat_many(fleet.beats, 600.0)


def mail(ready: int = 7, *, ended: int = 300, runtime: int = 100_000, failed: int = 0) -> Fleet:
    """One queue with one task, as of a minute ago."""
    fleet = Fleet()
    counts = {"started": ended, "succeeded": ended - failed, "failed": failed}
    measures = {0: [runtime] * ended, 2: [runtime // 2] * ended, 3: [2**20] * ended}
    fleet.task(("broker", "mail", "send"), minute(1), counts=counts, measures=measures)
    gauges = {0: [(round(NOW * 1e6), ready)], 2: [(round(NOW * 1e6), 3)]}
    fleet.queue(("broker", "mail"), minute(1), counts={"arrivals": ended, **counts}, gauges=gauges)
    return fleet
