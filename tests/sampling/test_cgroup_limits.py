"""A process that the kernel really limits, throttles and kills in control groups of version 1."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from tests.core.writing import until
from tests.sampling.conftest import HIERARCHIES
from tests.support.patience import PATIENCE

LIMIT = 64 << 20

PROGRAM = """
import json, os, sys, time
from queue_metrics import _core
for folder in sys.argv[1:]:
    with open(folder + "/cgroup.procs", "w") as procs:
        procs.write("0")
sampler = _core.CgroupSampler()
samples = [sampler.sample()]
held = bytearray(b"x") * (16 << 20)
end = time.monotonic() + 1.5
while time.monotonic() < end:
    pass
samples.append(sampler.sample())
if not (child := os.fork()):
    held = bytearray(128 << 20)
    os._exit(0)
killed = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
samples.append(sampler.sample())
print(json.dumps([samples, killed]))
"""


@pytest.fixture(scope="module")
def told() -> Iterator[tuple[list[dict[str, Any]], int]]:
    """
    Three samples of a process: at first, after being busy, after a child took too much memory.

    It has 64 MiB and a twentieth of a core, which a busy machine has to give, too.
    """
    groups = [folder / f"queue-metrics-test-{os.getpid()}" for folder in HIERARCHIES]
    for group in groups:
        group.mkdir()
    try:
        (groups[0] / "memory.limit_in_bytes").write_text(str(LIMIT))
        (groups[1] / "cpu.cfs_quota_us").write_text("5000")
        arguments = [sys.executable, "-c", PROGRAM, *(str(group) for group in groups)]
        done = subprocess.run(arguments, capture_output=True, text=True, check=True, timeout=PATIENCE)
        samples, killed = json.loads(done.stdout)
        yield samples, killed
    finally:
        until(lambda: all(not (group / "tasks").read_text() for group in groups))
        for group in groups:
            group.rmdir()


def test_the_limits_are_told_and_memory_left_is_what_the_limit_leaves(told: tuple[list[dict[str, Any]], int]) -> None:
    for sample in told[0]:
        cpu, memory = sample["cpu"], sample["memory"]
        assert sample["version"] == 1
        assert (cpu["quota_cores"], cpu["limit_cores"], memory["limit_bytes"]) == (0.05, 0.05, LIMIT)
        assert memory["working_set_bytes"] <= memory["usage_bytes"] <= LIMIT
        assert memory["headroom_bytes"] == LIMIT - memory["working_set_bytes"]
    assert told[0][1]["memory"]["working_set_bytes"] > 15 << 20, "what it has taken since it came; what it had before counts elsewhere"


def test_a_busy_group_uses_its_quota_and_is_throttled(told: tuple[list[dict[str, Any]], int]) -> None:
    first, busy, _ = told[0]
    rates = busy["rates"]
    assert rates["usage_cores"] == pytest.approx((busy["cpu"]["usage_ns"] - first["cpu"]["usage_ns"]) / 1e9 / rates["seconds"])
    assert 0 < rates["usage_cores"] < 0.1
    assert rates["headroom_cores"] == pytest.approx(max(0.0, 0.05 - rates["usage_cores"]))
    assert 0 < busy["cpu"]["throttled_periods"] <= busy["cpu"]["periods"]
    assert 0 < rates["throttled_ratio"] <= 1
    assert rates["throttled_cores"] > 0
    assert rates["throttled_seconds_per_period"] > 0


def test_a_kill_for_want_of_memory_is_counted(told: tuple[list[dict[str, Any]], int]) -> None:
    (_, before, after), killed = told
    assert killed == -9
    assert (before["memory"]["oom_kills"], after["memory"]["oom_kills"]) == (0, 1)
    assert after["rates"]["oom_kills"] == 1
