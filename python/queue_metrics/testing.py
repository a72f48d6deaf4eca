"""
For tests of what rests on this package: a store in memory, a store that fails on command, a clock, and a host of files.

Everything that reads takes its store, its clock and its sampler as an argument, so each of these can be handed in:

    driver = FailingDriver(MemoryStorageDriver())
    metrics = queue_metrics.connect(driver, now=Clock(1_700_000_000))
    driver.fail(StoreUnavailable("gone"))
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from queue_metrics import _core
from queue_metrics.storage.base import Applied, Beat, Commit, Mark, Retention, Series, StorageDriver
from queue_metrics.storage.general import Call
from queue_metrics.storage.memory import MemoryStorageDriver
from queue_metrics.storage.view import Range, View, view_in_parts

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

    def read_view(
        self, ranges: Sequence[Range] = (), *, totals: Sequence[int] = (), heartbeats: bool = True, calls: Sequence[Call] = ()
    ) -> View:
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

    def close(self) -> None:
        self.driver.close()


class HostFiles:
    """
    The files that a sampler reads, under a directory of a test: `HostSampler("proc", root=str(files.root))`.

    It begins as a quiet machine of two cores and 8 GiB; each method writes one file anew.
    """

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
        unknown = {name for core in cores for name in core} - set(self.CPU)
        if unknown:
            raise ValueError(f"the kernel knows no {', '.join(sorted(unknown))}; it has {', '.join(self.CPU)}")
        rows = [[core.get(name, 0) for name in self.CPU] for core in cores]
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
