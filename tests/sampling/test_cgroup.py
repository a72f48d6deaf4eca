"""The control group of this process is told as the kernel's own text tells it."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Literal

import pytest

from queue_metrics import _core
from tests.core.writing import in_child
from tests.sampling.living import burn


def text_of(directory: str, *names: str) -> str | None:
    """The first of these files that is there."""
    for name in names:
        path = Path(directory) / name
        if path.exists():
            return path.read_text()
    return None


def test_limits_and_use_of_memory_are_those_in_the_groups_files() -> None:
    memory = _core.CgroupSampler().sample()["memory"]
    texts = [text_of(level["directory"], "memory.max", "memory.limit_in_bytes") for level in memory["levels"]]
    limits = [int(text) for text in texts if text and text != "max\n" and int(text) < 9_000_000_000_000_000_000]
    assert memory["limit_bytes"] == (min(limits) if limits else None)
    used = [text_of(level["directory"], "memory.current", "memory.usage_in_bytes") for level in memory["levels"]]
    if used[0] is None:
        assert memory["usage_bytes"] is None or any(used)
    else:
        assert memory["usage_bytes"] == pytest.approx(int(used[0]), rel=0.2, abs=64 << 20)
        assert 0 < (memory["working_set_bytes"] or 0) <= (memory["usage_bytes"] or 0)


def test_allowed_cpus_are_those_of_the_scheduler() -> None:
    allowed = os.sched_getaffinity(0)
    cpu = _core.CgroupSampler().sample()["cpu"]
    assert cpu["affinity_cores"] == len(allowed)
    assert cpu["limit_cores"] is not None
    assert cpu["limit_cores"] <= len(allowed)

    def narrowed() -> None:
        os.sched_setaffinity(0, {min(allowed)})
        cpu = _core.CgroupSampler().sample()["cpu"]
        assert cpu["affinity_cores"] == 1
        assert (cpu["limit_cores"] or 0) <= 1

    assert in_child(narrowed) == 0


def test_cpu_that_is_used_here_is_in_the_use_of_the_group() -> None:
    sampler = _core.CgroupSampler()
    first = sampler.sample()
    assert first["rates"] is None, "there is no rate of one sample"
    begin = time.monotonic()
    spent = burn(time.process_time, 0.3)
    second = sampler.sample()
    wall = time.monotonic() - begin
    rates = second["rates"]
    assert rates is not None
    assert rates["seconds"] == pytest.approx(wall, abs=0.1)
    before, after = first["cpu"]["usage_ns"], second["cpu"]["usage_ns"]
    assert before is not None
    assert after is not None
    assert (after - before) / 1e9 >= spent * 0.95
    assert rates["usage_cores"] == pytest.approx((after - before) / 1e9 / rates["seconds"])


def test_a_forked_child_begins_without_rates() -> None:
    sampler = _core.CgroupSampler()
    sampler.sample()

    def child() -> None:
        assert sampler.sample()["rates"] is None
        assert sampler.sample()["rates"] is not None

    assert in_child(child) == 0


def test_a_container_is_known_by_its_marks_only() -> None:
    told = _core.CgroupSampler().sample()
    marks = [path for path in ("/.dockerenv", "/run/.containerenv") if Path(path).exists()]
    if marks:
        assert told["container"] == marks[0]
    else:
        groups = Path("/proc/self/cgroup").read_text() + Path("/proc/1/cgroup").read_text()
        named = any(word in groups for word in ("kubepods", "docker", "containerd", "crio", "lxc"))
        assert named or told["container"] is None or told["container"].startswith("container=")


def unified_group() -> Path | None:
    """The directory of this process's group of version 2, looked up apart from the core; None where there is none."""
    mounts = [line.split() for line in Path("/proc/self/mountinfo").read_text().splitlines() if " - cgroup2 " in line]
    groups = [line[3:] for line in Path("/proc/self/cgroup").read_text().splitlines() if line.startswith("0::")]
    return Path(mounts[0][4] + groups[0]) if mounts and groups else None


@pytest.mark.parametrize("resource", ["cpu", "memory", "io"])
def test_pressure_is_what_the_kernel_prints(resource: Literal["cpu", "memory", "io"]) -> None:
    def waited() -> int | None:
        path = unified_group()
        text = text_of(str(path), f"{resource}.pressure")
        return int(text.split("total=")[1].split()[0]) if text else None

    before, told, after = waited(), _core.CgroupSampler().sample(), waited()
    pressure = {"cpu": told["cpu_pressure"], "memory": told["memory_pressure"], "io": told["io_pressure"]}[resource]
    if before is None or after is None:
        assert pressure is None
        assert f"{resource}_pressure" in told["unread"]
    else:
        assert pressure is not None
        assert before <= pressure["some"]["total_us"] <= after
