"""A worker that becomes a daemon: another process, session and directory, and no descriptor that it had."""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
from pathlib import Path

import pytest

from queue_metrics import _core
from tests.core.spools import SECOND, Store
from tests.core.writing import in_child, open_keys, outcomes, run_once, until, whole

JOBS = 250
"""Of each process; together more than the first segment takes, so that another one must be made from the new directory."""
GRACE = 10 * SECOND


def close_each() -> None:
    for number in range(min(resource.getrlimit(resource.RLIMIT_NOFILE)[1], 65_536)):
        with contextlib.suppress(OSError):
            os.close(number)


def close_range() -> None:
    assert ctypes.CDLL(None).close_range(0, ctypes.c_uint(2**32 - 1), 0) == 0


def become_a_daemon(closing: str) -> None:
    """What PEP 3143 and daemon(7) ask for."""
    if os.fork():
        os._exit(0)
    os.setsid()
    if os.fork():
        os._exit(0)
    os.chdir("/")
    os.umask(0)
    {"one by one": close_each, "close_range": close_range}[closing]()
    for number in range(3):
        assert os.open(os.devnull, os.O_RDWR) == number


@pytest.mark.parametrize("closing", ["one by one", "close_range"])
def test_a_worker_that_becomes_a_daemon_goes_on_exactly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str, closing: str) -> None:
    """Its spool is given by a path relative to the directory that it leaves; a job is under way while the descriptors go."""
    monkeypatch.chdir(tmp_path)
    recorder = _core.Recorder("spool", "host", journal=way)
    handle = recorder.series("broker", "default", "task", _core.CLOCK_PROCESS)
    run_once(recorder, handle, "before")
    pids = tmp_path / "pids"

    def worker() -> None:
        run_once(recorder, handle, "launcher")
        become_a_daemon(closing)
        files = [os.open(tmp_path / f"job-{number}", os.O_WRONLY | os.O_CREAT | os.O_APPEND) for number in range(20)]
        for number in range(JOBS):
            run_once(recorder, handle, number)
        child = os.fork()
        for number in range(JOBS):
            run_once(recorder, handle, f"{child} {number}")
        recorder.started(handle, "under way", 0, _core.NO_TIME)
        for file in files:
            os.close(file)
        told = "" if recorder.status()["drops"] == {} else f"drops {recorder.status()}"
        with pids.open("a") as out:
            out.write(f"{told}{os.getpid()}\n")
        while True:
            signal.pause()

    assert in_child(worker) == 0
    until(lambda: pids.exists() and pids.read_text().count("\n") == 2)
    daemons = [int(line) for line in pids.read_text().split()]
    spool, store = tmp_path / "spool", Store()
    drainer, now = _core.Drainer(str(spool)), _core.clock_us()
    try:
        assert [path.stat().st_size for path in tmp_path.glob("job-*")] == [0] * 20, "no file of a job was written"
        records = whole(spool)
        assert outcomes(records) == {_core.SUCCEEDED: 2 + 3 * JOBS}
        assert len(open_keys(records)) == 2
        store.drain(drainer)
        assert [drainer.verdicts(recorder, now + turn * GRACE) for turn in range(3)] == [0, 0, 0], "both live"
    finally:
        for pid in daemons:
            os.kill(pid, signal.SIGKILL)
    until(lambda: not any(alive(pid) for pid in daemons))
    now += 3 * GRACE
    given = 0
    for turn in range(3):
        store.drain(drainer)
        given += drainer.verdicts(recorder, now + turn * GRACE)
    store.drain(drainer)
    assert given == 2
    assert store.total("broker", "default", "task") == {"started": 4 + 3 * JOBS, "succeeded": 2 + 3 * JOBS, "lost": 2}


def alive(pid: int) -> bool:
    """False also for a zombie that nobody waits for."""
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0] not in (b"Z", b"X")
    except OSError:
        return False
