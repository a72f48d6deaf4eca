"""What the tests of the write side share: spools, children, and what was written by the independent reader."""

from __future__ import annotations

import os
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

from queue_metrics import _core
from tests.support.journal_oracle import HEADER, RECORD, Record, read_spool, reserved
from tests.support.patience import PATIENCE


def of_kind(spool: Path, kind: str) -> list[Record]:
    """The records of one kind."""
    return [record for record in read_spool(spool) if record.kind == kind]


def open_keys(records: Iterable[Record]) -> set[int]:
    """Execution keys with a START and no END; asserts that no END is without START and none is there twice."""
    records = list(records)
    started = [record.key for record in records if record.kind == "START"]
    ended = [record.key for record in records if record.kind == "END"]
    assert len(set(started)) == len(started)
    assert len(set(ended)) == len(ended)
    assert set(ended) <= set(started)
    return set(started) - set(ended)


def outcomes(records: Iterable[Record]) -> Counter[int]:
    """How often each outcome was written."""
    return Counter(record.small for record in records if record.kind == "END")


def whole(spool: Path, *, holes: int = 0) -> list[Record]:
    """The records of a spool; asserts that its segments hold nothing else but so many slots at most that killed writers left empty."""
    records = read_spool(spool)
    segments = list(spool.glob("*.seg"))
    assert [(segment.stat().st_size - HEADER) % RECORD for segment in segments] == [0] * len(segments)
    assert 0 <= sum(map(reserved, segments)) - len(records) <= holes
    assert records
    return records


def in_child(call: Callable[[], object]) -> int:
    """Runs a call in a forked child and waits for it; its exit status, 1 after an exception."""
    child = os.fork()
    if not child:
        status = 1
        try:
            call()
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:  # also when stderr cannot be written to: a child must never go on with the tests of its parent
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def until(condition: Callable[[], bool], seconds: float = PATIENCE) -> None:
    """Polls until something holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.01)


def run_once(recorder: _core.Recorder, handle: int, job_id: object = "job") -> None:
    """One execution that succeeds."""
    recorder.finished(recorder.started(handle, job_id, 0, _core.NO_TIME), _core.SUCCEEDED, None, 0)
