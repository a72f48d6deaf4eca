"""
For tests of what rests on this package: a store in memory, a store that fails on command, a clock, and a host of files.

Whatever reads takes its store and its clock as arguments, whatever samples the root of the files it samples:

    driver = FailingDriver(MemoryStorageDriver())
    metrics = queue_metrics.connect(driver, now=Clock(1_700_000_000))
    driver.fail(StoreUnavailable("gone"))
    files = HostFiles(tmp_path)
    files.container(limit_cores=0.5)
    files.sampler().sample()["capacity"]["cpu"]["limit_cores"]
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from queue_metrics import _core
from queue_metrics.config import BaselineRules, TimeToLive
from queue_metrics.recording.servers import ServerSampler
from queue_metrics.storage.base import Applied, Beat, Commit, Mark, Retention, Series, StorageDriver
from queue_metrics.storage.general import Call
from queue_metrics.storage.memory import MemoryStorageDriver
from queue_metrics.storage.view import Range, Totals, View, view_in_parts

__all__ = ["Clock", "FailingDriver", "HostFiles", "MemoryStorageDriver"]

T = TypeVar("T")


class Clock:
    """A clock that stands still until it is moved; to be given as `now=`."""

    def __init__(self, seconds: float = 1_700_000_000.0) -> None:
        """
        Args:
            seconds: what it shows, since 1970.
        """
        self.seconds = seconds

    def __call__(self) -> float:
        return self.seconds

    def advance(self, seconds: float) -> None:
        """Move it; back, too, as real ones do."""
        self.seconds += seconds


class FailingDriver(StorageDriver):
    """Another driver, until it is told to fail."""

    def __init__(self, driver: StorageDriver) -> None:
        self.driver = driver
        self.failed = 0
        """How many calls failed so far."""
        self._error: Exception | None = None
        self._left: float = 0
        self._done = False
        self._operations: frozenset[str] = frozenset()

    @property
    def retention(self) -> Retention:
        """How long the other driver keeps points."""
        return self.driver.retention

    @retention.setter
    def retention(self, retention: Retention) -> None:
        self.driver.retention = retention

    @property
    def lifetimes(self) -> TimeToLive:
        """How long is kept what the collector writes into the other driver."""
        return self.driver.lifetimes

    @lifetimes.setter
    def lifetimes(self, lifetimes: TimeToLive) -> None:
        self.driver.lifetimes = lifetimes

    @property
    def baselines(self) -> BaselineRules:
        """What baselines of the other driver are made of."""
        return self.driver.baselines

    @baselines.setter
    def baselines(self, baselines: BaselineRules) -> None:
        self.driver.baselines = baselines

    def fail(self, error: Exception, *operations: str, calls: float = float("inf"), done: bool = False) -> None:
        """
        Raise an error from now on.

        Args:
            error: what is raised: StoreUnavailable, StoreRefused, anything else.
            operations: names of the methods that fail, `execute` for the general operations; none given: all that ask the store.
            calls: how many calls fail before it works again.
            done: whether what was asked is done all the same, as when only the answer is lost.
        """
        self._error, self._left, self._done, self._operations = error, calls, done, frozenset(operations)

    def work(self) -> None:
        """Fail no more."""
        self._error = None

    def _call(self, operation: str, work: Callable[[], T]) -> T:
        error = self._error
        if error is None or self._left <= 0 or (self._operations and operation not in self._operations):
            return work()
        self._left -= 1
        self.failed += 1
        if self._done:
            work()
        raise error

    @property
    def url(self) -> str:
        return self.driver.url

    @property
    def shards(self) -> int:
        return self.driver.shards

    def execute(self, calls: Sequence[Call]) -> list[Any]:
        return self._call("execute", lambda: self.driver.execute(calls))

    @contextlib.contextmanager
    def watching(self, names: Sequence[str]) -> Iterator[Commit]:
        with self._call("watching", lambda: self.driver.watching(names)) as commit:
            yield lambda calls: self._call("execute", lambda: commit(calls))

    def apply_batch(self, shard: int, batch: _core.Batch) -> Applied:
        return self._call("apply_batch", lambda: self.driver.apply_batch(shard, batch))

    def read_mark(self, spool_id: str, shard: int) -> Mark:
        return self._call("read_mark", lambda: self.driver.read_mark(spool_id, shard))

    def read_marks(self, spool_id: str) -> list[Mark]:
        return self._call("read_marks", lambda: self.driver.read_marks(spool_id))

    def known_series(self) -> list[Series]:
        return self._call("known_series", self.driver.known_series)

    def read_series(self, series: Sequence[int], step: int, start: int, end: int) -> dict[int, list[tuple[int, bytes]]]:
        return self._call("read_series", lambda: self.driver.read_series(series, step, start, end))

    def read_totals(self, series: Sequence[int]) -> dict[int, bytes]:
        return self._call("read_totals", lambda: self.driver.read_totals(series))

    def heartbeat_many(self, beats: Iterable[tuple[str, bytes]], ttl: float) -> None:
        return self._call("heartbeat_many", lambda: self.driver.heartbeat_many(beats, ttl))

    def read_heartbeats(self) -> list[Beat]:
        return self._call("read_heartbeats", self.driver.read_heartbeats)

    def read_view(self, ranges: Sequence[Range] = (), *, totals: Totals = (), heartbeats: bool = True, calls: Sequence[Call] = ()) -> View:
        """Made of the operations above, each of which may fail, too: a look that breaks off in the middle."""
        return self._call("read_view", lambda: view_in_parts(self, ranges, totals, heartbeats, calls))

    def lease(self, name: str, owner: str, seconds: float) -> bool:
        return self._call("lease", lambda: self.driver.lease(name, owner, seconds))

    def sweep(self, limit: int = 1000) -> int:
        return self._call("sweep", lambda: self.driver.sweep(limit))

    def capabilities(self) -> dict[str, object]:
        return self._call("capabilities", self.driver.capabilities)

    def size(self) -> int:
        return self._call("size", self.driver.size)

    def count_points(self) -> dict[int, int] | None:
        return self._call("count_points", self.driver.count_points)

    def close(self) -> None:
        self.driver.close()


class HostFiles:
    """
    The files that the samplers read, under a directory of a test: of a host, of processes and of a control group.

    It begins as a quiet machine of two cores and 8 GiB without disks, network and container; each method writes its files anew. The real
    samplers read them (`sampler`, `server`), so a fake cannot answer what no kernel would. `remove` a file, or `write` nonsense into it,
    and what comes from it is unknown. Room on disks is not in files: it is that of the disk below the directory.
    """

    INTERFACE = ("bytes", "packets", "errors", "drops")
    DISK = ("reads", "read_bytes", "writes", "written_bytes")
    CPU = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal", "guest", "guest_nice")

    def __init__(self, directory: Path) -> None:
        """
        Args:
            directory: an empty one, such as pytest's `tmp_path`.
        """
        self.root = directory
        self.cpu({"idle": 1000}, {"idle": 1000})
        self.memory(total_bytes=8 << 30, available_bytes=6 << 30)
        self.load(0.0, 0.0, 0.0)
        self.uptime(3600.0)
        self.write("proc/sys/kernel/hostname", "test\n")
        self.write("proc/sys/kernel/osrelease", "6.1.0\n")
        self.write("proc/sys/kernel/random/boot_id", "00000000-0000-0000-0000-000000000000\n")
        self.write("proc/net/dev", "Inter-|   Receive  |  Transmit\n face |bytes packets errs drop fifo frame compressed multicast|bytes\n")
        self.write("proc/diskstats", "")
        self.write("proc/self/mountinfo", "")

    def sampler(self) -> _core.HostSampler:
        """A sampler of these files: `sample()` of the host and its group, `process(pid)`; as `HostWatch(root=str(files.root))` has one."""
        return _core.HostSampler("proc", root=str(self.root))

    def server(self) -> ServerSampler:
        """The same in the units of everything new, for what reports the server: `Runtime(settings, server=files.server())`."""
        return ServerSampler("proc", root=str(self.root))

    def write(self, path: str, text: str) -> None:
        """Write any other file, such as `proc/pressure/cpu`."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def remove(self, path: str) -> None:
        """Take a file away: what comes from it is unknown, and the sample says why."""
        (self.root / path).unlink()

    def cpu(self, *cores: Mapping[str, int]) -> None:
        """
        `/proc/stat`: ticks since boot of each core by the names of `CPU`; what is not named is 0.

        Raises:
            ValueError: an unknown name.
        """
        rows = [_row(core, self.CPU) for core in cores]
        total = [sum(column) for column in zip(*rows, strict=True)]
        lines = [("cpu ", total), *((f"cpu{number}", row) for number, row in enumerate(rows))]
        text = "".join(f"{name} {' '.join(map(str, ticks))}\n" for name, ticks in lines)
        self.write("proc/stat", f"{text}intr 0\nctxt 0\nbtime 1700000000\nprocesses 1\nprocs_running 1\nprocs_blocked 0\n")

    def memory(self, *, total_bytes: int, available_bytes: int, swap_total_bytes: int = 0, swap_free_bytes: int = 0) -> None:
        """`/proc/meminfo`; what is available counts as free."""
        sizes = {
            "MemTotal": total_bytes,
            "MemFree": available_bytes,
            "MemAvailable": available_bytes,
            "Buffers": 0,
            "Cached": 0,
            "SwapTotal": swap_total_bytes,
            "SwapFree": swap_free_bytes,
            "Shmem": 0,
            "SReclaimable": 0,
        }
        self.write("proc/meminfo", "".join(f"{name}: {size // 1024} kB\n" for name, size in sizes.items()))

    def load(self, one: float, five: float, fifteen: float) -> None:
        """`/proc/loadavg`."""
        self.write("proc/loadavg", f"{one:.2f} {five:.2f} {fifteen:.2f} 1/100 1000\n")

    def uptime(self, seconds: float) -> None:
        """`/proc/uptime`."""
        self.write("proc/uptime", f"{seconds:.2f} {seconds:.2f}\n")

    def network(self, **interfaces: Mapping[str, int]) -> None:
        """
        `/proc/net/dev`: counters since boot of each interface: the names of `INTERFACE` with `received_` or `sent_` in front.

        Raises:
            ValueError: an unknown name.
        """
        names = [f"{way}_{name}" for way in ("received", "sent") for name in self.INTERFACE]
        rows = {interface: _row(counters, names) for interface, counters in interfaces.items()}
        lines = [f"{name}: {' '.join(map(str, [*row[:4], 0, 0, 0, 0, *row[4:], 0, 0, 0, 0]))}\n" for name, row in rows.items()]
        self.write("proc/net/dev", "Inter-|   Receive  |  Transmit\n face |bytes packets|bytes packets\n" + "".join(lines))

    def disks(self, **disks: Mapping[str, int]) -> None:
        """
        `/proc/diskstats`: counters since boot of each disk by the names of `DISK`; bytes in whole sectors of 512.

        Raises:
            ValueError: an unknown name.
        """
        lines = []
        for number, (name, counters) in enumerate(disks.items()):
            reads, read, writes, written = _row(counters, self.DISK)
            lines.append(f"8 {16 * number} {name} {reads} 0 {read // 512} 0 {writes} 0 {written // 512} 0 0 0 0\n")
        self.write("proc/diskstats", "".join(lines))

    def pressure(self, resource: str, *, some: float = 0.0, full: float = 0.0) -> None:
        """`/proc/pressure/` of `cpu`, `memory` or `io`: shares of the time (0 to 1) in which some or all waited."""
        lines = [f"{kind} avg10={share:.2f} avg60={share:.2f} avg300={share:.2f} total=0\n" for kind, share in _percent(some, full)]
        self.write(f"proc/pressure/{resource}", "".join(lines))

    def process(
        self,
        pid: int,
        *,
        name: str = "worker",
        parent_pid: int = 1,
        state: str = "S",
        user_seconds: float = 0.0,
        system_seconds: float = 0.0,
        rss_bytes: int = 0,
        peak_rss_bytes: int | None = None,
        virtual_bytes: int = 0,
        threads: int = 1,
        descriptors: int = 0,
    ) -> None:
        """`/proc/<pid>`, for `sampler().process(pid)`; the peak is what is resident now unless it is given. `end` takes it away."""
        ticks, page = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")
        resident = rss_bytes // page
        times = f"{round(user_seconds * ticks)} {round(system_seconds * ticks)} 0 0"
        self.end(pid)
        self.write(
            f"proc/{pid}/stat",
            f"{pid} ({name}) {state} {parent_pid} {pid} {pid} 0 -1 0 0 0 0 0 {times} 20 0 {threads} 0 0 {virtual_bytes} {resident}\n",
        )
        self.write(f"proc/{pid}/statm", f"{virtual_bytes // page} {resident} 0 0 0 0 0\n")
        peak = rss_bytes if peak_rss_bytes is None else peak_rss_bytes
        self.write(f"proc/{pid}/status", f"Name:\t{name}\nVmHWM:\t{peak // 1024} kB\nVmRSS:\t{rss_bytes // 1024} kB\nThreads:\t{threads}\n")
        (self.root / f"proc/{pid}/fd").mkdir()
        for number in range(descriptors):
            self.write(f"proc/{pid}/fd/{number}", "")

    def end(self, pid: int) -> None:
        """Let a process be gone, if it was there."""
        shutil.rmtree(self.root / f"proc/{pid}", ignore_errors=True)

    def container(
        self,
        *,
        limit_cores: float | None = None,
        limit_bytes: int | None = None,
        used_bytes: int = 0,
        cpu_seconds: float = 0.0,
        throttled_seconds: float = 0.0,
        oom_kills: int = 0,
    ) -> None:
        """
        Put all that is sampled into a container: a control group of version 2 with its limits (None: no limit) and what it used so far.

        The cores that are counted are also bounded by those that this process may run on, which no file tells.
        """
        self.write(".dockerenv", "")
        self.write("proc/self/cgroup", "0::/pod\n")
        self.write("proc/self/mountinfo", "30 1 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup rw\n")
        period, used, throttled = 100_000, round(cpu_seconds * 1e6), round(throttled_seconds * 1e6)
        group = {
            "cpu.max": f"{'max' if limit_cores is None else round(limit_cores * period)} {period}",
            "cpu.stat": f"usage_usec {used}\nuser_usec {used}\nsystem_usec 0\n"
            f"nr_periods 1\nnr_throttled {int(throttled > 0)}\nthrottled_usec {throttled}",
            "memory.max": "max" if limit_bytes is None else str(limit_bytes),
            "memory.current": str(used_bytes),
            "memory.stat": "inactive_file 0",
            "memory.events": f"oom_kill {oom_kills}",
        }
        for name, text in group.items():
            self.write(f"sys/fs/cgroup/pod/{name}", f"{text}\n")


def _row(counters: Mapping[str, int], names: Sequence[str]) -> list[int]:
    """The counters in the order of the names, 0 where one is not given. Raises ValueError for a name that is not among them."""
    unknown = sorted(counters.keys() - set(names))
    if unknown:
        raise ValueError(f"the kernel knows no {', '.join(unknown)}; it has {', '.join(names)}")
    return [counters.get(name, 0) for name in names]


def _percent(some: float, full: float) -> tuple[tuple[str, float], ...]:
    return ("some", some * 100), ("full", full * 100)
