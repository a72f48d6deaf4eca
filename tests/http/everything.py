"""A store in which every series of `/metrics` and `/prometheus` has a number: what the hostile fleet lacks, from known numbers."""

from __future__ import annotations

from queue_metrics.http.app import Application
from queue_metrics.model import Baseline
from queue_metrics.model.servers import CpuUse, DiskUse, Load, MemoryUse, Room, ServerSample
from queue_metrics.storage.base import EXCEPTION, StorageDriver
from queue_metrics.storage.baselines import write
from queue_metrics.storage.collector import CollectorState, write_state
from queue_metrics.storage.efficiency import Crew, EfficiencyRow, Spent, add_efficiency
from queue_metrics.storage.memory import MemoryStorageDriver
from queue_metrics.storage.servers import server_beat
from queue_metrics.storage.spools import spool_beat
from tests.http.asking import app_of, hostile_fleet
from tests.support.fleet import NOW, Fleet, minute

MEGABYTE = 2**20
DEPTHS = (10, 12, 14, 16)
"""Ready jobs of broker/mail in the last minutes, oldest first."""

MACHINE = ServerSample(
    cpu=CpuUse(usage_ratio=0.5, host_cores=4),
    load=Load(1.5, 1.25, 0.75),
    memory=MemoryUse(total_bytes=1000, used_bytes=250, usage_ratio=0.25),
    disks=(DiskUse("/", "ext4", 200, 90, 100, 0.45), DiskUse('/srv "a"\\', "xfs", 10, 1, 9, 0.1)),
)
CONTAINER = ServerSample(
    cpu=CpuUse(usage_ratio=0.1, host_cores=4),
    load=Load(0.5, 0.25, 0.125),
    memory=MemoryUse(total_bytes=1000, used_bytes=250, usage_ratio=0.25),
    disks=(),
    cpu_room=Room("cgroup_v2", limit=2.0, usage=1.5),
    memory_room=Room("cgroup_v2", limit=400.0, usage=300.0),
)
"""Its limits are tighter than the machine."""


def everything(driver: StorageDriver) -> Fleet:
    """Fill a store."""
    fleet = hostile_fleet()
    at = {"succeeded": 6, "failed": 1, "timed_out": 1, "lost": 1, "cancelled": 1, "retried": 2, "started": 12}
    measures = {0: [2_000_000] * 11, 1: [1] * 12, 2: [500_000] * 11, 3: [30 * MEGABYTE] * 11, 4: [MEGABYTE // 2] * 11}
    fleet.task(("broker", "mail", "app.mail"), minute(1), counts=at, discarded=[1, 2, 3, 4, 5], measures=measures)
    fleet.queue(("broker", "mail"), minute(1), counts=at, measures={0: measures[0]})
    for back, depth in enumerate(reversed(DEPTHS)):
        fleet.queue(("broker", "mail"), minute(back), gauges={gauge: [(int((minute(back) + 25) * 1e6), depth)] for gauge in (0, 3)})
    fleet.server("web-1", minute(0), counts=at, measures={0: measures[0]})
    fleet.server("gone", minute(0), counts=at)
    fleet.series(EXCEPTION, ("broker", "mail", "app.mail", "ValueError"), minute(0), {"failed": 1, "retried": 2})
    fleet.beats += [
        server_beat("web-1", MACHINE),
        server_beat("web-10", CONTAINER),
        spool_beat("d" * 32, {"waiting": 4, "drops": {"full": 9}}),
    ]
    fleet.store(driver)
    write(driver, [baseline("app.mail", 2.5), baseline(None, 1.5)])
    for back, busy in ((2, 30.0), (1, 90.0)):
        crew = Crew(Spent(busy, 120.0 - busy), 64.0 * MEGABYTE, 0.75, 2, 1, 1)
        add_efficiency(driver, EfficiencyRow(float(minute(back)), 60.0, crew, {}, {}))
    write_state(driver, CollectorState(NOW - 10, NOW - 3600, "web-1", 0))
    return fleet


def baseline(task: str | None, seconds: float) -> Baseline:
    return Baseline(
        connection="broker",
        queue="mail",
        task=task,
        duration_seconds=seconds,
        cpu_ratio=0.25,
        memory_bytes=48.0 * MEGABYTE,
        sample_count=7,
        confidence=0.39,
        calculated_at=NOW - 60,
        deviates=False,
        since=NOW - 7 * 86_400,
        cpu_sample_count=6,
        memory_sample_count=5,
        duration_error_seconds=0.2,
        cpu_error=0.01,
        memory_error_bytes=4096.0,
    )


def app_of_everything(driver: StorageDriver | None = None) -> Application:
    """The app over such a store."""
    driver = MemoryStorageDriver() if driver is None else driver
    everything(driver)
    return app_of(None, driver)
