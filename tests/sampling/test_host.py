"""A host's sample agrees with psutil and with the kernel's text while the machine is busy, each field within a stated tolerance."""

from __future__ import annotations

import os
import platform
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from queue_metrics import _core
from queue_metrics.recording.host import HostWatch
from tests.core.writing import until
from tests.recording.tools import eventually

if TYPE_CHECKING:
    from queue_metrics._core_host import _HostSample

MIB = 1 << 20
TRIES = 5
STATES = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")


@contextmanager
def busy(seconds: float) -> Iterator[None]:
    """One process for each core that calculates for so long, or until the end."""
    code = f"import time\nend = time.monotonic() + {seconds}\nwhile time.monotonic() < end: sum(range(1000))"
    processes = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(psutil.cpu_count() or 1)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def meminfo(key: str) -> int:
    """Bytes of a line of `/proc/meminfo`."""
    line = next(line for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith(f"{key}:"))
    return int(line.split()[1]) * 1024


def pressure(resource: str, kind: str, key: str) -> float:
    """A number of `/proc/pressure`: a ratio, or seconds."""
    line = next(line for line in Path(f"/proc/pressure/{resource}").read_text().splitlines() if line.startswith(kind))
    value = float(dict(word.split("=") for word in line.split()[1:])[key])
    return value / (1e6 if key == "total" else 100)


Claim = tuple[str, Callable[[], float], float]


def attribute(call: Callable[[], Any], name: str, scale: float = 1) -> float:
    """A field of what psutil answers."""
    return float(getattr(call(), name)) * scale


def field(sample: Any, path: str) -> float:
    """A number by its path, as `unread` writes paths: `disks[/].total_bytes`. A sum where a `+` is."""
    if "+" in path:
        return sum(field(sample, part) for part in path.split("+"))
    found = sample
    for name, _, key in re.findall(r"([^.\[]+)(\[([^\]]+)\])?\.?", path):
        found = found[name]
        if key:
            found = next(each for each in found if key in (each.get("mountpoint"), each.get("name")))
    return float(found)


def claims() -> list[Claim]:
    """Our field, another's answer, tolerance. The other is asked before and after ours, which lies between."""
    cores = psutil.cpu_count() or 1
    found: list[Claim] = [
        ("cpu.count", lambda: cores, 0),
        ("host.booted_at_seconds", psutil.boot_time, 0),
        ("host.uptime_seconds", lambda: time.clock_gettime(time.CLOCK_BOOTTIME), 0.02),
        ("processes.total", lambda: len(psutil.pids()), 5),
        ("memory.total_bytes", partial(attribute, psutil.virtual_memory, "total"), 0),
        ("memory.usage_percent", partial(attribute, psutil.virtual_memory, "percent"), 0.5),
        ("memory.slab_bytes", partial(meminfo, "Slab"), 16 * MIB),
        ("memory.dirty_bytes", partial(meminfo, "Dirty"), 64 * MIB),
        ("memory.committed_bytes", partial(meminfo, "Committed_AS"), 256 * MIB),
        # psutil's cached is both
        ("memory.cached_bytes+memory.reclaimable_bytes", partial(attribute, psutil.virtual_memory, "cached"), 64 * MIB),
        ("disks[/].inodes_total", lambda: os.statvfs("/").f_files, 0),
        ("disks[/].inodes_free", lambda: os.statvfs("/").f_ffree, 2_000),
    ]
    memory, swap = ("available", "used", "free", "buffers", "shared", "active", "inactive"), ("total", "used", "free")
    found += [(f"memory.{name}_bytes", partial(attribute, psutil.virtual_memory, name), 64 * MIB) for name in memory]
    found += [(f"swap.{name}_bytes", partial(attribute, psutil.swap_memory, name), MIB) for name in swap]
    room = partial(psutil.disk_usage, "/")
    for ours, name, tolerance in (("total_bytes", "total", 0), ("used_bytes", "used", 64 * MIB), ("available_bytes", "free", 64 * MIB)):
        found.append((f"disks[/].{ours}", partial(attribute, room, name), tolerance))
    found.append(("disks[/].usage_percent", partial(attribute, room, "percent"), 0.2))
    for at, name in enumerate(("1min", "5min", "15min")):
        found.append((f"load_average.{name}", partial(load, at, 1), 0.011))
        found.append((f"load_average_per_core.{name}", partial(load, at, cores), 0.011))
    for resource in ("cpu", "memory", "io"):
        for ours, name, slack in (
            ("average_10_ratio", "avg10", 1e-4),
            ("average_60_ratio", "avg60", 1e-4),
            ("total_seconds", "total", 0.0),
        ):
            found.append((f"pressure.{resource}.some.{ours}", partial(pressure, resource, "some", name), slack))
    return found + disk_claims() + interface_claims()


def load(at: int, cores: int) -> float:
    return os.getloadavg()[at] / cores


def of_one(call: Callable[[], dict[str, Any]], key: str) -> Any:
    """What psutil answers about one disk or interface."""
    return call()[key]


def disk_claims() -> list[Claim]:
    """Counters of the disk that did most."""
    call = partial(psutil.disk_io_counters, perdisk=True)
    counted = call()
    name = max((one for one in counted if (Path("/sys/block") / one).exists()), key=lambda one: counted[one].read_count)
    pairs = (
        ("reads", "read_count", 1),
        ("writes", "write_count", 1),
        ("read_bytes", "read_bytes", 1),
        ("written_bytes", "write_bytes", 1),
        ("read_seconds", "read_time", 1e-3),
        ("write_seconds", "write_time", 1e-3),
        ("busy_seconds", "busy_time", 1e-3),
    )
    return [
        (f"disk_io.devices[{name}].{ours}", partial(attribute, partial(of_one, call, name), theirs, scale), 1e-9)
        for ours, theirs, scale in pairs
    ]


def interface_claims() -> list[Claim]:
    """Counters of every interface."""
    call = partial(psutil.net_io_counters, pernic=True)
    pairs = (
        ("bytes_sent", "bytes_sent"),
        ("bytes_received", "bytes_recv"),
        ("packets_sent", "packets_sent"),
        ("packets_received", "packets_recv"),
        ("errors_in", "errin"),
        ("errors_out", "errout"),
        ("drops_in", "dropin"),
        ("drops_out", "dropout"),
    )
    return [
        (f"network[{name}].{ours}", partial(attribute, partial(of_one, call, name), theirs), 0) for name in call() for ours, theirs in pairs
    ]


def disagreement(sampler: _core.HostSampler, path: str, theirs: Callable[[], float], tolerance: float) -> str:
    """What is wrong with a field; nothing if it lies between what another says just before and just after."""
    before = theirs()
    found = field(sampler.sample(), path)
    after = theirs()
    low, high = min(before, after) - tolerance, max(before, after) + tolerance
    return "" if low <= found <= high else f"{path}: {found} is not between {low} and {high}"


def test_at_least_40_fields_agree_with_psutil_or_the_kernels_text_under_load() -> None:
    """Each within its tolerance; memory that somebody took and gave back between two readings is read again."""
    sampler = _core.HostSampler()
    checked = set()
    with busy(60):
        for path, theirs, tolerance in claims():
            wrong = [disagreement(sampler, path, theirs, tolerance)]
            while wrong[-1] and len(wrong) < TRIES:
                wrong.append(disagreement(sampler, path, theirs, tolerance))
            assert wrong[-1] == "", wrong
            checked.add(path)
    assert len(checked) >= 40


def test_names_agree_with_pythons() -> None:
    sample = _core.HostSampler().sample()
    host = sample["host"]
    assert (host["name"], host["kernel"], host["architecture"]) == (socket.gethostname(), platform.release(), platform.machine())
    assert host["boot_id"] == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert host["os"] == platform.freedesktop_os_release()["PRETTY_NAME"]
    loopbacks = {one["name"] for one in sample["network"] or [] if one["loopback"]}
    assert loopbacks == {name for name, stats in psutil.net_if_stats().items() if "loopback" in stats.flags}
    states = {one["name"]: one["state"] for one in sample["network"] or []}
    assert states == {name: Path(f"/sys/class/net/{name}/operstate").read_text().strip() for name in states}


def test_shares_of_the_cpu_and_rates_agree_with_psutils_over_the_same_seconds() -> None:
    """Every state and every core within 10 points, as both readings are up to 0.3 s apart; context switches within a fifth."""
    sampler = _core.HostSampler()

    def both() -> tuple[Any, Any, Any, int, float] | None:
        """Ours and psutil's of one moment; none when the machine let too much time pass in between."""
        begin = time.monotonic()
        found = (
            sampler.sample()["cpu"],
            psutil.cpu_times(),
            psutil.cpu_times(percpu=True),
            psutil.cpu_stats().ctx_switches,
            time.monotonic(),
        )
        return found if found[-1] - begin < 0.3 else None

    def over_two_seconds() -> tuple[Any, Any] | None:
        first = both()
        time.sleep(2)
        second = both()
        return (first, second) if first and second else None

    with busy(20):
        (_, before, cores_before, switches, begin), (cpu, after, cores_after, later, end) = eventually(over_two_seconds, "quick readings")
    rate = (later - switches) / (end - begin)

    def percent(before: Any, after: Any) -> dict[str, float]:
        spent = {state: getattr(after, state) - getattr(before, state) for state in STATES}
        return {state: 100 * value / sum(spent.values()) for state, value in spent.items()}

    for ours, theirs in [(cpu, percent(before, after)), *zip(cpu["cores"], map(percent, cores_before, cores_after), strict=True)]:
        for state in STATES:
            assert abs(ours[f"{state}_percent"] - theirs[state]) <= 10, (state, ours, theirs)
        assert abs((ours["usage_percent"] or 0) - (100 - theirs["idle"] - theirs["iowait"])) <= 10
    assert cpu["context_switches_per_second"] == pytest.approx(rate, rel=0.2)
    assert cpu["busiest_core_usage_percent"] == max(core["usage_percent"] or 0 for core in cpu["cores"])


def test_l21_a_host_saturated_for_two_seconds_reads_busy_within_one_period() -> None:
    """L21: the usage was the average since boot. Here the cadence keeps two samples a period apart."""
    watch = HostWatch(1.0)
    watch.start()
    try:
        with busy(60):
            begun = time.time()
            # The first sample whose interval lies within the load whole: the second one since then, so at most a period after the first.
            until(lambda: _began(watch.latest) > begun + 0.2)
            sample = watch.latest
    finally:
        watch.stop()
    assert sample is not None
    assert (sample["cpu"]["usage_percent"] or 0) > 90
    assert (sample["capacity"]["cpu"]["usage_cores"] or 0) > 0.9 * (psutil.cpu_count() or 1)


def _began(sample: _HostSample | None) -> float:
    interval = sample and sample["interval_seconds"]
    return sample["taken_at_seconds"] - interval if sample and interval else 0.0


def test_the_first_sample_has_no_percentage_of_the_cpu() -> None:
    sample = _core.HostSampler().sample()
    assert sample["interval_seconds"] is None
    assert "two" in sample["unread"]["interval_seconds"]
    assert sample["cpu"]["usage_percent"] is None
    assert sample["cpu"]["cores"][0]["usage_percent"] is None


def test_l33_demand_limit_usage_and_headroom_are_four_numbers() -> None:
    """L33: headroom was taken for the limit and usage applied again; here limit - usage is not what is left."""
    sampler = _core.HostSampler()
    sampler.sample()
    time.sleep(0.3)
    sample = sampler.sample()
    memory, cpu = sample["capacity"]["memory"], sample["capacity"]["cpu"]
    assert None not in (*memory.values(), *cpu.values())
    assert memory["limit_bytes"] == psutil.virtual_memory().total or memory["source"] != "host"
    assert (cpu["demand_cores"] or 0) >= (cpu["usage_cores"] or 0)
    assert (cpu["limit_cores"] or 0) <= (psutil.cpu_count() or 0)
    group = sample["cgroup"]
    assert group is not None
    limited = group["cpu"]["quota_cores"] is not None
    assert (cpu["source"] == "host") == (not limited and group["container"] is None)
    assert cpu["utilization_percent"] == pytest.approx(100 * (1 - (cpu["headroom_cores"] or 0) / (cpu["limit_cores"] or 0)))
    assert cpu["can_scale"] == ((cpu["utilization_percent"] or 0) < 80)


def test_l33_a_pod_that_is_fuller_than_its_container_leaves_what_the_pod_leaves(tmp_path: Path) -> None:
    """L33: limit - usage of the container is 1,400,000 here, and 100,000 bytes are left."""
    pod = "sys/fs/cgroup/kubepods/pod1"
    for path, content in {
        "proc/self/cgroup": "0::/kubepods/pod1/app\n",
        "proc/self/mountinfo": "30 1 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
        "proc/meminfo": "MemTotal: 8000000 kB\nMemFree: 4000000 kB\nMemAvailable: 6000000 kB\n",
        f"{pod}/memory.max": "3000000\n",
        f"{pod}/memory.current": "2900000\n",
        f"{pod}/memory.stat": "inactive_file 0\n",
        f"{pod}/app/memory.max": "2000000\n",
        f"{pod}/app/memory.current": "900000\n",
        f"{pod}/app/memory.stat": "inactive_file 300000\n",
        f"{pod}/app/memory.swap.current": "50000\n",
    }.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(content)
    sample = _core.HostSampler(root=str(tmp_path)).sample()
    assert sample["capacity"]["memory"] == {
        "source": "cgroup_v2",
        "demand_bytes": 650_000,
        "limit_bytes": 2_000_000,
        "usage_bytes": 600_000,
        "headroom_bytes": 100_000,
        "utilization_percent": 95,
        "can_scale": False,
    }
    assert sample["cgroup"] is not None
    assert sample["cgroup"]["container"] == "control group of kubepods"


def test_l34_a_host_whose_only_mark_is_control_groups_of_version_2_is_no_container(tmp_path: Path) -> None:
    for path, content in {
        "proc/self/cgroup": "0::/user.slice/session-1.scope\n",
        "proc/1/environ": "HOME=/\0",
        "proc/self/mountinfo": "30 1 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
        "sys/fs/cgroup/cgroup.controllers": "cpu memory\n",
    }.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(content)
    group = _core.HostSampler(root=str(tmp_path)).sample()["cgroup"]
    assert group is not None
    assert (group["version"], group["container"]) == (2, None)


def test_hot_tables_are_those_of_psutil() -> None:
    _, total, cores, memory, swap, load, disks, interfaces, room = _core.HostSampler().hot()
    assert total is not None
    assert sum(total) == pytest.approx(sum(getattr(psutil.cpu_times(), state) for state in STATES), abs=1.0)
    assert [number for number, _ in cores or []] == list(range(psutil.cpu_count() or 0))
    assert memory is not None
    assert memory[0] == psutil.virtual_memory().total
    assert swap == pytest.approx((psutil.swap_memory().total, psutil.swap_memory().used, psutil.swap_memory().free), abs=MIB)
    assert load == pytest.approx(os.getloadavg(), abs=0.6)
    assert {one[0] for one in disks or []} == {one for one in psutil.disk_io_counters(perdisk=True) if (Path("/sys/block") / one).exists()}
    assert {one[0] for one in interfaces or []} == set(psutil.net_io_counters(pernic=True))
    assert room is not None
    assert room[0] == psutil.disk_usage("/").total


def test_both_sources_agree_and_sysinfo_names_what_it_does_not_tell() -> None:
    proc, sysinfo = _core.HostSampler("proc"), _core.HostSampler("sysinfo")
    assert (proc.source_name, sysinfo.source_name) == ("proc", "sysinfo")
    one, other = proc.sample(), sysinfo.sample()
    assert one["memory"]["total_bytes"] == other["memory"]["total_bytes"]
    assert one["host"]["name"] == other["host"]["name"]
    assert other["host"]["boot_id"] is None
    assert other["unread"]["host.boot_id"] == "sysinfo does not tell"
    mine, its = proc.process(), sysinfo.process()
    assert mine is not None
    assert its is not None
    assert (mine["pid"], mine["parent_pid"], mine["name"]) == (its["pid"], its["parent_pid"], its["name"])
    assert set(sysinfo.hot()[1:]) == {None}
    assert proc.process(1 << 22) is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(("best",), 'auto, proc or sysinfo, not "best"'), (("sysinfo", "/srv"), "no other root than /")],
)
def test_a_wrong_source_is_refused_with_what_is_right(arguments: tuple[str, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        _core.HostSampler(*arguments)


def test_a_child_begins_anew_and_the_parent_goes_on() -> None:
    sampler = _core.HostSampler()
    sampler.sample()
    time.sleep(0.15)
    child = os.fork()
    if child == 0:
        alone = sampler.sample()["interval_seconds"] is None and None not in sampler.hot()
        os._exit(0 if alone else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert sampler.sample()["interval_seconds"] is not None
