"""The original's score of a server: each threshold on both sides, the levels, the lines; and the advice with its units mended."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from queue_metrics.insights.server_health import capacity, server_health, status_of
from queue_metrics.model import Advice, ServerSample, ServerStatus
from queue_metrics.model.servers import CpuUse, DiskUse, Load, MemoryUse, Room

QUIET = ServerSample(cpu=CpuUse(usage_ratio=0.1, host_cores=4), load=Load(0.5, 0.5, 0.5), memory=MemoryUse(total_bytes=8, usage_ratio=0.1))


def sample(*, cpu: float = 0.1, memory: float = 0.1, load: float = 0.5, disks: tuple[float, ...] = ()) -> ServerSample:
    return replace(
        QUIET,
        cpu=CpuUse(usage_ratio=cpu, host_cores=4),
        load=Load(load),
        memory=MemoryUse(total_bytes=8, usage_ratio=memory),
        disks=tuple(DiskUse(f"/{number}", "ext4", usage_ratio=ratio) for number, ratio in enumerate(disks)),
    )


def scored(found: ServerSample) -> int:
    return server_health(found, 1.0, stale_seconds=60.0).score


@pytest.mark.parametrize(
    ("at", "above", "points"),
    [
        (sample(cpu=0.70), sample(cpu=0.701), (0, 20)),
        (sample(cpu=0.90), sample(cpu=0.901), (20, 40)),
        (sample(memory=0.80), sample(memory=0.801), (0, 20)),
        (sample(memory=0.90), sample(memory=0.901), (20, 40)),
        (sample(disks=(0.85,)), sample(disks=(0.851,)), (0, 10)),
        (sample(disks=(0.95,)), sample(disks=(0.951,)), (10, 30)),
        (sample(load=6.0), sample(load=6.01), (0, 15)),
        (sample(load=8.0), sample(load=8.01), (15, 30)),
    ],
)
def test_each_threshold_takes_its_points_above_it_and_not_at_it(at: ServerSample, above: ServerSample, points: tuple[int, int]) -> None:
    assert (100 - scored(at), 100 - scored(above)) == points


def test_the_points_add_up_each_disk_counts_and_the_score_ends_at_0() -> None:
    assert scored(sample(cpu=0.95, memory=0.85)) == 40
    assert scored(sample(disks=(0.96, 0.9, 0.2, 0.9))) == 50
    assert scored(sample(cpu=1.0, memory=1.0, load=40.0, disks=(1.0, 1.0))) == 0


@pytest.mark.parametrize(
    ("score", "status"),
    [
        (100, "healthy"),
        (80, "healthy"),
        (79, "degraded"),
        (60, "degraded"),
        (59, "warning"),
        (40, "warning"),
        (39, "critical"),
        (0, "critical"),
    ],
)
def test_the_score_makes_the_status(score: int, status: str) -> None:
    assert status_of(score) == status


def test_a_line_names_level_resource_and_value() -> None:
    found = server_health(sample(cpu=0.923, memory=0.8123, load=8.2, disks=(0.871, 0.99)), 1.0, stale_seconds=60.0)
    assert [issue.text for issue in found.issues] == [
        "Critical: CPU usage 92.3%",
        "Critical: disk usage on /1 99.0%",
        "Critical: load average 8.20 on 4 cores",
        "Warning: memory usage 81.2%",
        "Warning: disk usage on /0 87.1%",
    ]
    assert [(issue.code, issue.points) for issue in found.issues] == [("cpu", 40), ("disk", 30), ("load", 30), ("memory", 20), ("disk", 10)]
    assert (found.score, found.status) == (0, ServerStatus.CRITICAL)


def test_without_a_fresh_sample_that_tells_something_it_is_unknown_with_0() -> None:
    for found, age, why in (
        (None, None, "Nobody on this server reports"),
        (QUIET, 61.0, "is 61 s old"),
        (ServerSample(unread={"": "no /proc here"}), 1.0, "no /proc here"),
        (ServerSample(), 1.0, "Nothing of this server could be read."),
    ):
        health = server_health(found, age, stale_seconds=60.0)
        assert (health.status, health.score) == (ServerStatus.UNKNOWN, 0)
        assert why in health.issues[0].text
    assert server_health(QUIET, 60.0, stale_seconds=60.0).status == ServerStatus.HEALTHY


def test_what_is_not_known_takes_no_points() -> None:
    first = replace(QUIET, cpu=CpuUse(host_cores=4))
    assert server_health(first, 1.0, stale_seconds=60.0).score == 100


def test_a_container_is_scored_by_its_limits_and_its_machine_by_none_of_them() -> None:
    """Half a core of four, all in use, on a machine that is 12 % busy; a load of 8 is that of the machine and its four cores."""
    box = replace(
        sample(cpu=0.12, memory=0.95, load=5.9),
        cpu_room=Room("cgroup_v2", limit=0.5, usage=0.475),
        memory_room=Room("cgroup_v2", limit=4, usage=3),
    )
    assert (box.cpu_ratio, box.memory_ratio, box.load_per_core) == (0.95, 0.75, 1.475)
    assert [issue.text for issue in server_health(box, 1.0, stale_seconds=60.0).issues] == ["Critical: CPU usage 95.0%"]
    free = replace(box, cpu_room=Room("cgroup_v2", limit=4.0, usage=0.475), memory_room=Room("cgroup_v2", limit=8, usage=3))
    assert (free.cpu_ratio, free.memory_ratio) == (0.12, 0.95), "a group without a limit of its own shares the machine's fate"
    first = replace(box, cpu_room=Room("cgroup_v2", limit=0.5))
    assert first.cpu_ratio is None


def test_the_advice_is_add_only_above_nine_tenths_and_reduce_only_below_three() -> None:
    """L22: percent divided by 100 was compared with 90 and 30, so it always advised to reduce."""
    chance = random.Random(22)
    ratios = [0.0, 0.2999, 0.3, 0.3001, 0.8999, 0.9, 0.9001, 1.0, *(chance.random() for _ in range(2000))]
    for ratio in ratios:
        found = capacity(ratio)
        assert found is not None
        expected = Advice.ADD if ratio > 0.9 else Advice.REDUCE if ratio < 0.3 else Advice.KEEP
        assert (found.advice, found.busy_ratio) == (expected, ratio)
        assert ("add workers" in found.text, "fewer" in found.text) == (ratio > 0.9, ratio < 0.3)
    assert {capacity(ratio).advice for ratio in ratios} == set(Advice)  # type: ignore[union-attr]
    assert capacity(None) is None
