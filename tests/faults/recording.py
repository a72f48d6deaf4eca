"""The write side while calls fail: jobs run on, each record is written once or counted as dropped, and all is well after the trouble."""

from __future__ import annotations

import os
import struct
from pathlib import Path

from queue_metrics import _core
from tests.core.writing import open_keys, run_once
from tests.faults.shim import Shim
from tests.support.journal_oracle import Record, read_spool

JOBS, OF_A_CHILD, AFTER = 40, 8, 25
SEGMENT = 4096 + 20 * 64
"""So small that a run changes its segment some times."""
PAUSE = 2.0
"""Seconds; a spool that refused is tried again after one."""


def by_write(shim: Shim, kind: str, first: int, last: int, error: int, place: Path) -> int:
    return _scenario("write", shim, kind, first, last, error, place)


def by_map(shim: Shim, kind: str, first: int, last: int, error: int, place: Path) -> int:
    return _scenario("map", shim, kind, first, last, error, place)


def _scenario(way: str, shim: Shim, kind: str, first: int, last: int, error: int, place: Path) -> int:
    spool = place / "spool"
    shim.arm(kind, first, last, error)
    recorder = _core.Recorder(str(spool), "host", segment_bytes=SEGMENT, journal=way)
    recorder.describe(_core.MAIN, "custom", "c", "q")
    recorder.ready()
    handle = recorder.series("c", "q", "a.task.with.a.name.of.more.than.one.record", _core.CLOCK_PROCESS)
    for number in range(JOBS):
        recorder.arrived(handle, number, 0, _core.NO_TIME)
        run_once(recorder, handle, number)
        if number % 10 == 9:
            shim.clocks(monotonic=PAUSE * number)  # the spool is tried again while the trouble lasts
        if number == JOBS // 2:
            _child(recorder, handle)
    calls = shim.disarm(kind)
    shim.clocks(monotonic=PAUSE * (JOBS + 1))
    dropped = _dropped(recorder)
    for number in range(AFTER):
        run_once(recorder, handle, f"after {number}")
    recorder.stopped()
    records = read_spool(spool)
    status = recorder.status()
    assert _dropped(recorder) == dropped, f"dropped after the trouble: {status}"
    assert status["hook_errors"] == 0, status
    written = [record for record in records if record.kind in ("ARRIVE", "START", "END")]
    offered = 3 * JOBS + 2 * OF_A_CHILD + 2 * AFTER
    assert len(written) + dropped == offered, (len(written), dropped, offered, status)
    assert open_keys(records) == set() or dropped, "an END that was not dropped is missing"
    _defined(records)
    litter = [path.name for path in spool.iterdir() if path.name.endswith(".tmp")]
    assert litter == [] or kind == "unlink", litter
    assert _core.decode_heartbeat(recorder.heartbeat())["finished"] == JOBS + AFTER
    return calls


def _dropped(recorder: _core.Recorder) -> int:
    """
    Records that this process and its children dropped, by all worker pages, and by the memory that they share while they have none.

    What a status says is in the page of its process or in that memory.
    """
    drops: dict[str, int] = recorder.status()["drops"]
    assert set(drops) <= {"disk_full", "not_writable", "io_error"}, drops
    pages: dict[str, int] = {}
    for path in Path(recorder.spool).glob("*.wrk"):
        pages[path.name] = sum(struct.unpack_from("<6Q", path.read_bytes(), 3_584))
    return sum(drops.values()) - pages.get(f"{recorder.worker_key:016x}.wrk", 0) + sum(pages.values())


def _child(recorder: _core.Recorder, handle: int) -> None:
    """A forked child that executes."""
    child = os.fork()
    if child == 0:
        try:
            for number in range(OF_A_CHILD):
                run_once(recorder, handle, f"child {number}")
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 0


def _defined(records: list[Record]) -> None:
    """Whatever was written can be read with its names."""
    defined = {record.id for record in records if record.kind == "DEF"}
    workers = {record.worker for record in records if record.kind == "WORKER"}
    for record in records:
        if record.kind in ("ARRIVE", "START"):
            assert record.task in defined
        if record.kind == "START":
            assert record.worker in workers
