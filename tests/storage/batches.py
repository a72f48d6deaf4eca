"""Batches for tests of storage, and everything a store holds as plain numbers that can be compared."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from queue_metrics import _core
from queue_metrics.storage import DatabaseStorageDriver
from queue_metrics.storage.base import DAY, EXCEPTION, HOUR, MINUTE, TASK, TOTAL, StorageDriver
from tests.support.moment import MOMENT
from tests.support.patience import PATIENCE

SPOOL = "5" * 32
ROOT = Path(__file__).parents[2]
A, B = ("conn", "queue", "task.a"), ("conn", "queue", "task.b")
STEPS = (MINUTE, HOUR, DAY)
NOW = MOMENT  # also of processes that `python` starts: an hour may begin before the tests look at what they stored

Row = tuple[int, bytes, int, int, bytes]


def bucket(step: int, back: int = 0) -> int:
    """The start of a step, some steps before the one that holds the start of the tests."""
    return NOW - NOW % step - back * step


def row(labels: Sequence[str], value: _core.Value | bytes, step: int = MINUTE, at: int | None = None, kind: int = TASK) -> Row:
    label_list = _core.label_list(kind, labels)
    packed = value if isinstance(value, bytes) else value.encode()
    start = 0 if step == TOTAL else bucket(step) if at is None else at
    return _core.hash64(label_list), label_list, step, start, packed


def series(labels: Sequence[str], kind: int = TASK) -> int:
    return _core.series_id(kind, labels)


def reached(sequence: int) -> bytes:
    """The positions that `batch` moves to, as any bytes."""
    return b"\0\xff:%d" % sequence if sequence > 0 else b""


def batch(
    sequence: int, rows: Sequence[Row] = (), spool: str = SPOOL, positions: bytes | None = None, base: bytes | None = None
) -> _core.Batch:
    """A batch that follows the one before it, unless positions or base are given."""
    return _core.Batch(
        spool, sequence, reached(sequence) if positions is None else positions, rows, reached(sequence - 1) if base is None else base
    )


def ones(count: int = 1) -> _core.Value:
    """A value that counts `count` starts."""
    return _core.Value.from_parts([count])


def plain(packed: bytes) -> dict[str, Any]:
    """Every integer in a packed value."""
    value = _core.Value.decode(packed)
    return {
        "counters": {index: value.counter(index) for index in range(128) if value.counter(index)},
        "measures": {index: value.measure(index) for index in range(8) if value.measure(index)},
        "gauges": {index: value.gauge(index) for index in range(8) if value.gauge(index)},
        "sketches": {index: value.sketch(index) for index in range(8) if value.sketch(index)},
    }


def content(driver: StorageDriver, spools: Iterable[tuple[str, int]] = ((SPOOL, 0),)) -> dict[str, Any]:
    """All that a store answers about its numbers."""
    known = sorted(driver.known_series(), key=lambda one: one.id)
    ids = [one.id for one in known]
    points = {step: driver.read_series(ids, step, -(2**40), 2**41) for step in STEPS}
    return {
        "series": known,
        "points": {(one, step, at): plain(value) for step, found in points.items() for one in ids for at, value in found[one]},
        "totals": {one: plain(value) for one, value in driver.read_totals(ids).items()},
        "marks": {place: driver.read_mark(*place) for place in spools},
    }


def starts(driver: StorageDriver, *ids: int) -> int:
    """The starts in the totals of series."""
    return sum(_core.Value.decode(total).counter(0) for total in driver.read_totals(ids).values())


def everything(labels: Sequence[str], value: _core.Value, kind: int = TASK) -> list[Row]:
    """A row for each step that the kind keeps, and for the total."""
    steps = (HOUR, DAY, TOTAL) if kind == EXCEPTION else (MINUTE, HOUR, DAY, TOTAL)
    return [row(labels, value, step, kind=kind) for step in steps]


def send(driver: StorageDriver, rows: Sequence[Row], spool: str = SPOOL, shard: int = 0) -> None:
    """Apply rows as the next batch of a spool."""
    sequence = driver.read_mark(spool, shard).sequence + 1
    assert driver.apply_batch(shard, batch(sequence, rows, spool)).applied


@contextlib.contextmanager
def opened(url: str, prefix: str = "queue_metrics") -> Iterator[DatabaseStorageDriver]:
    """A driver of its own, closed afterwards."""
    driver = DatabaseStorageDriver(url, prefix)
    yield driver
    driver.close()


def eventually(condition: Callable[[], bool], seconds: float = PATIENCE) -> None:
    """Wait until something is true."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "did not come true"
        time.sleep(0.005)


def python(code: str, *arguments: object) -> subprocess.Popen[str]:
    """A process of its own that runs code with the package and `tests` in reach; its arguments are in `sys.argv`."""
    path = os.pathsep.join([str(ROOT), str(ROOT / "python"), os.environ.get("PYTHONPATH", "")])
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


HOSTILE = (
    "a:b",
    "a/b",
    "{q00}",
    "}{",
    'it\'s "quoted" `so` \\ %s %00',
    "line\nbreak\r\ttab",
    "x" * 10_000,
    "ünïcödé 数 \U0001f4a9 \u202e rtl",
    "*?[a-z]",
    "'; DROP TABLE queue_metrics_series; --",
    "",
    " ",
    "queue_metrics",
)
