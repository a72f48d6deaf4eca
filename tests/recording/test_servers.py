"""The sample of a host that its drainer sends: real ones, those of files whose numbers are known, and what is said when there is none."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from queue_metrics import _core
from queue_metrics.model.servers import ServerSample
from queue_metrics.recording.runtime import Runtime
from queue_metrics.recording.servers import ServerSampler
from queue_metrics.storage.manager import StorageManager
from queue_metrics.storage.servers import ServerReport, server_reports
from queue_metrics.testing import HostFiles
from tests.recording.tools import ROOT, Program, environment, eventually, settings_for

GIB = 1 << 30


def reports(store: str) -> dict[str, ServerReport]:
    return {report.hostname: report for report in server_reports(StorageManager().open(store).read_heartbeats())}


def test_a_sample_has_the_numbers_of_the_kernel_in_base_units(tmp_path: Path) -> None:
    files = HostFiles(tmp_path)
    files.memory(total_bytes=8 * GIB, available_bytes=2 * GIB, swap_total_bytes=GIB, swap_free_bytes=GIB // 4)
    files.load(3.0, 2.0, 1.0)
    files.uptime(777.0)
    header = "Inter-|   Receive  |  Transmit\n face |bytes packets errs drop fifo frame compressed multicast|bytes\n"
    files.write("proc/net/dev", f"{header}  eth0: 1000 10 1 2 0 0 0 0 500 5 3 4 0 0 0 0\n")
    files.write("proc/pressure/cpu", "some avg10=12.50 avg60=6.00 avg300=1.00 total=5\nfull avg10=1.50 avg60=0.00 avg300=0.00 total=0\n")
    sampler = ServerSampler("proc", os.fspath(tmp_path))
    first = sampler.sample()
    assert (first.interval_seconds, first.cpu.usage_ratio, first.cpu.idle_ratio) == (None, None, None)
    assert (first.cpu.host_cores, first.load.over_1_minute, first.load.over_15_minutes) == (2, 3.0, 1.0)
    assert (first.memory.total_bytes, first.memory.available_bytes, first.memory.usage_ratio) == (8 * GIB, 2 * GIB, 0.75)
    assert (first.memory.swap_total_bytes, first.memory.swap_used_bytes) == (GIB, GIB - GIB // 4)
    assert (first.uptime_seconds, first.kernel, first.boot_id) == (777.0, "6.1.0", "00000000-0000-0000-0000-000000000000")
    assert first.interfaces is not None
    (eth0,) = first.interfaces
    assert (eth0.bytes_received, eth0.bytes_sent, eth0.packets_received, eth0.packets_sent) == (1000, 500, 10, 5)
    assert (eth0.errors_in, eth0.drops_in, eth0.errors_out, eth0.drops_out, eth0.bytes_sent_per_second) == (1, 2, 3, 4, None)
    assert (first.cpu_pressure.some_10_ratio, first.cpu_pressure.full_10_ratio) == (0.125, 0.015)

    def second() -> ServerSample | None:
        files.cpu({"idle": 1010, "user": 40}, {"idle": 1020, "system": 20, "iowait": 10})
        found = sampler.sample()
        return found if found.interval_seconds is not None else None

    cpu = eventually(second, "two samples are far enough apart").cpu
    shares = (cpu.usage_ratio, cpu.user_ratio, cpu.system_ratio, cpu.idle_ratio, cpu.iowait_ratio, cpu.steal_ratio)
    assert shares == pytest.approx((0.6, 0.4, 0.2, 0.3, 0.1, 0.0))


def test_where_nothing_can_be_sampled_the_reason_is_all_there_is(tmp_path: Path) -> None:
    assert ServerSampler("sysinfo", os.fspath(tmp_path)).sample().unread[""].startswith("ValueError: ")
    empty = ServerSampler("proc", os.fspath(tmp_path / "nothing")).sample()
    assert (empty.memory.total_bytes, empty.cpu.host_cores, empty.load.over_1_minute) == (None, None, None)
    assert empty.memory.unread == {"": "/proc/meminfo: no such file"}


def container(files: HostFiles, *, cores: float, limit: int, used: int) -> None:
    """A container of version 2 with a quota and a limit, in a machine of two cores and 8 GiB."""
    files.write("proc/self/cgroup", "0::/box\n")
    files.write("proc/self/mountinfo", "30 20 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n")
    files.write("sys/fs/cgroup/box/cpu.max", f"{round(cores * 100_000)} 100000\n")
    files.write("sys/fs/cgroup/box/cpu.stat", "usage_usec 0\n")
    files.write("sys/fs/cgroup/box/memory.max", f"{limit}\n")
    files.write("sys/fs/cgroup/box/memory.current", f"{used}\n")
    files.write("sys/fs/cgroup/box/memory.stat", "inactive_file 0\n")


def test_a_container_is_measured_by_its_limits_and_not_by_the_machine(tmp_path: Path) -> None:
    """Half a core and 1 GiB of a machine that is nearly idle: 0.95 GiB are a full house."""
    files = HostFiles(tmp_path)
    container(files, cores=0.5, limit=GIB, used=GIB * 95 // 100)
    sampler = ServerSampler("proc", os.fspath(tmp_path))
    first = sampler.sample()
    assert first.cpu.cores == first.cpu_room.limit == 0.5
    assert first.memory_room.limit == GIB
    assert first.memory_ratio == pytest.approx(0.95, abs=1e-6)
    assert first.memory.usage_ratio == 0.25
    assert first.cpu_ratio is None, "there is no share of the CPU yet, and the machine's is none of ours"
    begun = time.monotonic()
    turns = itertools.count(1)

    def later() -> ServerSample | None:
        spent = time.monotonic() - begun
        files.write("sys/fs/cgroup/box/cpu.stat", f"usage_usec {round(spent * 0.45 * 1e6)}\n")
        idle = 2000 * next(turns)  # a machine whose ticks stand still has no share
        files.cpu({"idle": idle}, {"idle": idle})
        found = sampler.sample()
        return found if found.interval_seconds is not None and (found.cpu_ratio or 0.0) > 0.7 else None

    assert eventually(later, "0.45 of 0.5 cores are seen").cpu.usage_ratio == 0.0


def record(runtime: Runtime) -> None:
    handle = runtime.recorder.series("c", "q", "t", _core.CLOCK_THREAD)
    runtime.recorder.finished(runtime.recorder.started(handle, 1, 0, _core.NO_TIME), _core.SUCCEEDED, None, 0)


def test_a_drainer_tells_how_its_host_is_without_a_thread_of_its_own(tmp_path: Path) -> None:
    runtime = Runtime(settings_for(tmp_path))
    try:
        assert runtime.store.read_heartbeats() == []
        before = {thread.name for thread in threading.enumerate()}
        runtime.on_main()
        record(runtime)
        found = eventually(lambda: reports(runtime.settings.store), "a server is told")
        assert list(found) == [os.uname().nodename]
        (sample,) = (report.sample for report in found.values())
        with open("/proc/meminfo") as file:
            assert sample.memory.total_bytes == int(file.readline().split()[1]) * 1024
        assert sample.boot_id == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        assert {thread.name for thread in threading.enumerate()} - before <= {"queue-metrics"}

        def shared() -> bool:
            ratio = reports(runtime.settings.store)[os.uname().nodename].sample.cpu.usage_ratio
            return ratio is not None and 0 <= ratio <= 1

        eventually(shared, "a second sample has shares")
    finally:
        runtime.stop()


def test_one_that_does_not_drain_samples_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = settings_for(tmp_path).store
    with Program(tmp_path, store, jobs=1) as program:
        program.ready()
        eventually(lambda: reports(store), "the program drains")
        runtime = Runtime(settings_for(tmp_path, store))
        turns: list[float] = []
        step = runtime.drain.step

        def counted() -> bool:
            turns.append(time.monotonic())
            return step()

        monkeypatch.setattr(runtime.drain, "step", counted)
        monkeypatch.setattr(ServerSampler, "sample", lambda _: pytest.fail("it sampled"))
        try:
            runtime.on_main()
            record(runtime)
            eventually(lambda: len(turns) > 20, "it has reported for a while")
            status = runtime.reporter.status()
            assert (status["draining"], status["last_error"]) == (False, None)
            assert runtime.recorder.status()["hook_errors"] == 0
        finally:
            runtime.stop()


BUSY = "import time; end = time.monotonic() + 2.5\nwhile time.monotonic() < end: pass"


def test_a_busy_host_reads_busy_within_a_period_and_quiet_again_afterwards(tmp_path: Path) -> None:
    """L21: busy since boot never moved. The machine may be busy by itself, so what is asked is that the reading follows /proc/stat."""
    runtime = Runtime(settings_for(tmp_path))

    def usage() -> float | None:
        found = reports(runtime.settings.store).get(os.uname().nodename)
        return None if found is None else found.sample.cpu.usage_ratio

    def moment() -> tuple[int, int]:
        with open("/proc/stat") as file:
            ticks = [int(each) for each in file.readline().split()[1:9]]
        return sum(ticks) - ticks[3] - ticks[4], sum(ticks)

    try:
        runtime.on_main()
        record(runtime)
        eventually(lambda: usage() is not None, "there is a reading")
        burning = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(os.cpu_count() or 1)]
        eventually(lambda: (usage() or 0.0) > 0.9, "the reading rises while every core is busy")
        for process in burning:
            process.wait()
        before = moment()

        def follows() -> bool:
            after, reading = moment(), usage()
            busy, every = after[0] - before[0], after[1] - before[1]
            return every > 100 and reading is not None and (reading < 0.9 or busy / every > 0.85)

        eventually(follows, "it goes back, unless the machine really stays busy")
    finally:
        runtime.stop()


def test_two_hosts_are_two_servers(tmp_path: Path) -> None:
    store = settings_for(tmp_path).store
    programs = []
    code = (
        "import socket, sys, pathlib\n"
        "from tests.recording.tools import settings_for\n"
        "from tests.recording.test_servers import record\n"
        "from queue_metrics.recording.runtime import Runtime\n"
        "socket.sethostname(sys.argv[1])\n"
        "runtime = Runtime(settings_for(pathlib.Path(sys.argv[2]), sys.argv[3]))\n"
        "runtime.on_main(); record(runtime); sys.stdin.read(); runtime.stop()\n"
    )
    try:
        for host in ("web-1", "web-10"):
            (tmp_path / host).mkdir()
            programs.append(
                subprocess.Popen(
                    ["unshare", "--uts", sys.executable, "-c", code, host, os.fspath(tmp_path / host), store],
                    stdin=subprocess.PIPE,
                    cwd=ROOT,
                    env=environment(),
                )
            )
        eventually(lambda: sorted(reports(store)) == ["web-1", "web-10"], "both hosts are told")
    finally:
        for program in programs:
            program.kill()
            program.wait()
            if program.stdin is not None:
                program.stdin.close()
