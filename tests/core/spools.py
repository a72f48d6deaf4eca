"""Spools written by hand through the independent writer, and a store of a few lines: shared by the tests of draining."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Any

from queue_metrics import _core
from tests.support.journal_oracle import (
    HEADER,
    NO_TIME,
    NO_U64,
    RECORD,
    encode,
    encode_definition,
    encode_header,
    hash64,
    job_hash,
    label_list,
)

T = 1_700_000_040_000_000  # µs, the start of a minute
SECOND = 1_000_000
TASK = ("broker", "default", "app.send")


class Segment:
    """One segment; its lock is held until `release`, as by a living writer."""

    def __init__(self, spool: Path, number: int, **header: Any) -> None:
        self.id = number.to_bytes(16, "big")
        self.path = spool / f"{self.id.hex()}.seg"
        self.path.write_bytes(encode_header(self.id, created=number, **header))
        self._lock = os.open(self.path, os.O_RDONLY)
        fcntl.flock(self._lock, fcntl.LOCK_SH)
        self._defined: set[bytes] = set()

    def release(self) -> None:
        """The last process that could append is gone."""
        os.close(self._lock)

    def raw(self, data: bytes) -> None:
        with self.path.open("ab") as file:
            file.write(data)

    def write(self, kind: str, *, small: int = 0, flags: int = 0, **fields: Any) -> None:
        self.raw(encode(self.id, kind, small=small, flags=flags, **fields))

    def define(self, kind: int, *labels: str) -> int:
        labels_ = label_list(kind, *labels)
        if labels_ not in self._defined:
            self._defined.add(labels_)
            for part in encode_definition(self.id, labels_):
                self.raw(part)
        return hash64(labels_)

    def start(
        self, key: int, at: int = T, *, task: tuple[str, ...] = TASK, job: str = "job", ready_at: int = NO_TIME, worker: int = 1
    ) -> None:
        task_id = self.define(1, *task)
        self.write("START", at=at, key=key, task=task_id, job=job_hash(job), ready_at=ready_at, worker=worker)

    def end(
        self,
        key: int,
        at: int = T,
        *,
        outcome: int = _core.SUCCEEDED,
        flags: int = 0,
        runtime: int = NO_U64,
        cpu: int = NO_U64,
        exception: str | None = None,
    ) -> None:
        name = 0 if exception is None else self.define(7, exception)
        self.write(
            "END",
            small=outcome,
            flags=flags,
            at=at,
            key=key,
            runtime=runtime,
            cpu=cpu,
            rss_peak=2**32 - 1,
            rss_change=-(2**31),
            exception=name,
            worker=0,
        )

    def hint(self, at: int, outcome: int, *, job: str = "job", exception: str | None = None) -> None:
        name = 0 if exception is None else self.define(7, exception)
        self.write("HINT", small=outcome, at=at, job=job_hash(job), worker=2, exception=name)

    def worker(self, key: int, pid: int, start_ticks: int, *, namespace: int, boot: int) -> None:
        self.write(
            "WORKER", flags=2, at=T, worker=key, pid=pid, parent=1, start_ticks=start_ticks, pid_namespace=namespace, boot=boot, identity=0
        )


def boot_id() -> bytes:
    """The boot id of the kernel."""
    return bytes.fromhex(Path("/proc/sys/kernel/random/boot_id").read_text().strip().replace("-", ""))


class MapSegment(Segment):
    """A segment of the map way: as long as it will ever be, with a tail. `at` is the slot of the next record; its tail follows."""

    def __init__(self, spool: Path, number: int, *, slots: int = 60, boot: bytes | None = None, **header: Any) -> None:
        super().__init__(spool, number, way=1, capacity=slots, boot_id=boot_id() if boot is None else boot, **header)
        self.slots = slots
        self.at = 0
        os.truncate(self.path, HEADER + RECORD * slots)

    def put(self, offset: int, data: bytes) -> None:
        """Change bytes of the file."""
        with self.path.open("r+b") as file:
            file.seek(offset)
            file.write(data)

    def set_tail(self, tail: int) -> None:
        self.put(128, tail.to_bytes(8, "little"))

    @property
    def tail(self) -> int:
        return int.from_bytes(self.path.read_bytes()[128:136], "little")

    def reserve(self) -> int:
        """A slot that its writer has not filled yet."""
        self.at += 1
        self.set_tail(self.at)
        return self.at - 1

    def fill(self, slot: int, data: bytes) -> None:
        self.put(HEADER + RECORD * slot, data)

    def word(self, slot: int) -> int:
        """The commit word of a slot."""
        data = self.path.read_bytes()
        return int.from_bytes(data[HEADER + RECORD * slot :][:8], "little")

    def raw(self, data: bytes) -> None:
        for first in range(0, len(data), RECORD):
            self.fill(self.reserve(), data[first : first + RECORD])


class Store:
    """Numbers and a mark, changed together."""

    def __init__(self) -> None:
        self.sequence = 0
        self.positions = b""
        self.values: dict[tuple[int, tuple[str, ...], int, int], _core.Value] = {}

    def copy(self) -> Store:
        other = Store()
        other.sequence, other.positions, other.values = self.sequence, self.positions, dict(self.values)
        return other

    def apply(self, batch: _core.Batch) -> bool:
        if (batch.sequence, batch.base) != (self.sequence + 1, self.positions):
            return False
        for row in batch.rows:
            kind, labels = _core.parse_label_list(row.labels)
            assert kind == row.kind
            assert row.series == hash64(row.labels)
            key = (kind, labels, row.step, row.bucket)
            self.values[key] = self.values.get(key, _core.Value()).merge(_core.Value.decode(row.value))
        self.sequence, self.positions = batch.sequence, batch.positions
        return True

    def drain(self, drainer: _core.Drainer) -> int:
        """Takes all that is there; returns how many batches."""
        drainer.poll()
        batches = 0
        while (batch := drainer.next_batch()) is not None:
            assert self.apply(batch)
            drainer.committed()
            batches += 1
        return batches

    def restored(self, spool: Path, **options: Any) -> _core.Drainer:
        """A drainer that takes over."""
        drainer = _core.Drainer(str(spool), **options)
        drainer.restore(self.sequence, self.positions)
        return drainer

    def total(self, *labels: str, kind: int = 1) -> dict[str, int]:
        """Counters of a total, by name of the outcome or `started`, those above 0."""
        value = self.values.get((kind, labels, 0, 0), _core.Value())
        names = ("started", "succeeded", "failed", "retried", "timed_out", "cancelled", "lost")
        return {name: value.counter(index) for index, name in enumerate(names) if value.counter(index)}


def this_process() -> tuple[int, int]:
    """Pid namespace and the first 8 bytes of the boot id, as in WORKER."""
    namespace = int(os.readlink("/proc/self/ns/pid").removeprefix("pid:[").removesuffix("]"))
    return namespace, int.from_bytes(boot_id()[:8], "little")


def start_ticks(pid: int) -> int:
    """When a process was started, clock ticks since boot."""
    return int(Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[19])
