"""Children that share one segment and are killed while they write, for as long as there is time; what they ran is counted by a pipe."""

from __future__ import annotations

import fcntl
import os
import random
import shutil
import signal
import struct
import termios
import time
from pathlib import Path
from typing import NamedTuple

from queue_metrics import _core
from tests.support.journal_oracle import HEADER, RECORD, read_segment

CHILDREN = 20
JOBS = 2_000
"""More than a child gets to before its kill."""


class Storm(NamedTuple):
    """What a storm left; `torn` slots are no record, `outside` is how far STARTs and ENDs lie beyond what the pipes allow."""

    kills: int
    ran: int
    started: int
    ended: int
    torn: int
    outside: int


def storm(directory: Path, seconds: float, seed: int) -> Storm:
    """Round after round until the time is over; each counted through the independent reader of the format."""
    until = time.monotonic() + seconds
    source = random.Random(seed)
    total = Storm(0, 0, 0, 0, 0, 0)
    number = 0
    while number == 0 or time.monotonic() < until:
        spool = directory / str(number)
        total = Storm(*(sum(pair) for pair in zip(total, _round(spool, source), strict=True)))
        shutil.rmtree(spool)
        number += 1
    return total


def _round(spool: Path, source: random.Random) -> Storm:
    recorder = _core.Recorder(str(spool), "host")
    handle = recorder.series("c", "q", "task", _core.CLOCK_PROCESS)
    _run(recorder, handle)  # the children share the segment that this makes
    children = [_child(recorder, handle) for _ in range(CHILDREN)]
    for pid, reader in children:
        os.read(reader, 1)
        time.sleep(source.uniform(0, 0.002))
        os.kill(pid, signal.SIGKILL)
    ran, started, ended, torn = 1, 0, 0, 0
    for pid, reader in children:
        os.waitpid(pid, 0)
        ran += 1 + struct.unpack("i", fcntl.ioctl(reader, termios.FIONREAD, b"\0" * 4))[0]
        os.close(reader)
    for path in spool.glob("*.seg"):
        size = path.stat().st_size - HEADER
        records = list(read_segment(path))
        torn += size % RECORD + size // RECORD - len(records)
        started += sum(record.kind == "START" for record in records)
        ended += sum(record.kind == "END" for record in records)
    outside = max(0, ran - ended) + max(0, ended - started) + max(0, started - ran - len(children))
    return Storm(len(children), ran, started, ended, torn, outside)


def _child(recorder: _core.Recorder, handle: int) -> tuple[int, int]:
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            for _ in range(JOBS):
                _run(recorder, handle)
                os.write(writer, b".")
            signal.pause()
        finally:
            os._exit(1)
    os.close(writer)
    return pid, reader


def _run(recorder: _core.Recorder, handle: int) -> None:
    recorder.finished(recorder.started(handle, "job", 0, _core.NO_TIME), _core.SUCCEEDED, None, 0)
