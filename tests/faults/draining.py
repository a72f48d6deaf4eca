"""The read side while calls fail: nothing is counted twice at any moment, and all of it when the trouble is over."""

from __future__ import annotations

import os
from pathlib import Path

from queue_metrics import _core
from tests.core.spools import Store
from tests.core.writing import run_once
from tests.faults.recording import SEGMENT
from tests.faults.shim import Shim

TASK = ("c", "q", "task")
OVERLAPPING, JOBS, OF_THE_DEAD = 10, 40, 3
ROUNDS = 6


def by_write(shim: Shim, kind: str, first: int, last: int, error: int, place: Path) -> int:
    return _scenario("write", shim, kind, first, last, error, place)


def by_map(shim: Shim, kind: str, first: int, last: int, error: int, place: Path) -> int:
    return _scenario("map", shim, kind, first, last, error, place)


def _scenario(way: str, shim: Shim, kind: str, first: int, last: int, error: int, place: Path) -> int:
    spool = place / "spool"
    recorder = _core.Recorder(str(spool), "host", segment_bytes=SEGMENT, journal=way)
    handle = recorder.series(*TASK, _core.CLOCK_NONE)
    # Its START keeps the first segment, while ENDs of others that began there go with later ones.
    long = recorder.started(handle, "long", 0, _core.NO_TIME)
    overlapping = [recorder.started(handle, f"overlapping {number}", 0, _core.NO_TIME) for number in range(OVERLAPPING)]
    for number in range(JOBS):
        run_once(recorder, handle, number)
    for slot in overlapping:
        recorder.finished(slot, _core.SUCCEEDED, None, 0)
    _one_that_dies(recorder, handle)
    (spool / f"{7:032x}.seg").write_bytes(b"no segment")
    assert recorder.status()["drops"] == {}
    store = Store()
    shim.arm(kind, first, last, error)
    drainer: _core.Drainer | None = None
    for number in range(ROUNDS):
        shim.clocks(monotonic=10.0 * number)
        try:
            if drainer is None or number % 2:
                drainer = store.restored(spool, grace=0.0, window=0.0)
            _step(drainer, store, recorder)
        except OSError as met:
            if f"os error {error}" not in str(met):
                raise
        _not_too_much(store)
    calls = shim.disarm(kind)
    shim.clocks(monotonic=10.0 * (ROUNDS + 1))
    recorder.finished(long, _core.SUCCEEDED, None, 0)
    drainer = store.restored(spool, grace=0.0, window=0.0)
    for _ in range(3):
        _step(drainer, store, recorder)
    whole = {"started": 1 + OVERLAPPING + JOBS + OF_THE_DEAD, "succeeded": OVERLAPPING + JOBS + OF_THE_DEAD, "lost": 1}
    assert store.total(*TASK) == whole, (store.total(*TASK), drainer.status())
    status = drainer.status()
    assert (status["open"], status["waiting"], status["damaged"], status["duplicates"], status["set_aside"]) == (0, 0, 0, 0, 1), status
    assert sum(1 for _ in spool.glob("*.seg")) <= 1, "what is counted and needed by nobody is deleted"
    return calls


def _one_that_dies(recorder: _core.Recorder, handle: int) -> None:
    """A worker that leaves an execution open."""
    child = os.fork()
    if child == 0:
        for number in range(OF_THE_DEAD - 1):
            run_once(recorder, handle, f"dead {number}")
        recorder.started(handle, "dead", 0, _core.NO_TIME)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0


def _step(drainer: _core.Drainer, store: Store, recorder: _core.Recorder) -> None:
    store.drain(drainer)
    drainer.heartbeats(_core.clock_us())
    drainer.verdicts(recorder, _core.clock_us())
    store.drain(drainer)
    drainer.tidy(_core.clock_us())
    drainer.status()


def _not_too_much(store: Store) -> None:
    total = store.total(*TASK)
    assert total.get("started", 0) <= 1 + OVERLAPPING + JOBS + OF_THE_DEAD, total
    assert total.get("succeeded", 0) <= OVERLAPPING + JOBS + OF_THE_DEAD - 1, total
    assert total.get("lost", 0) <= 1, total
