"""The at-fork rule: children never inherit what is in use, and no fork waits for a server."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import pytest

from queue_metrics import _core
from queue_metrics.recording.fork import Gate, in_child
from queue_metrics.recording.runtime import Runtime
from queue_metrics.storage.manager import StorageManager
from tests.recording.tools import counts, eventually, settings_for
from tests.support.patience import PATIENCE
from tests.support.servers import RedisServer

pytestmark = pytest.mark.long

FORKS = 50


def fork(call: Callable[[], None]) -> int:
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            signal.alarm(30)  # a child that hangs dies by itself, and its status tells
            call()
            code = 0
        finally:
            os._exit(code)
    return pid


def ended_well(pid: int) -> bool:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


@contextmanager
def busy(runtime: Runtime) -> Iterator[None]:
    """Records without a pause, so that the drain always has something to do."""
    handle = runtime.recorder.series("c", "q", "t", _core.CLOCK_THREAD)
    stop = threading.Event()

    def work() -> None:
        number = 0
        while not stop.is_set():
            runtime.recorder.finished(runtime.recorder.started(handle, number, 0, _core.NO_TIME), _core.SUCCEEDED, None, 0)
            number += 1
            stop.wait(0.0005)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def test_a_gate_is_held_at_the_fork_closed_before_and_abandoned_in_the_child() -> None:
    events: list[str] = []
    gate = Gate(close=lambda: events.append("close"), abandon=lambda: events.append("abandon"))
    try:
        pid = os.fork()
        if pid == 0:
            with gate:
                os._exit(0 if events == ["close", "abandon"] else 1)
        assert ended_well(pid)
        assert events == ["close"]
        with gate:  # released in the parent
            pass
    finally:
        gate.remove()


def test_a_fork_waits_for_local_work_in_another_thread_and_its_child_has_a_free_gate() -> None:
    gate = Gate()
    inside, leave, left = threading.Event(), threading.Event(), threading.Event()

    def work() -> None:
        with gate:
            inside.set()
            leave.wait(PATIENCE)
            left.set()

    def enter() -> None:
        with gate:
            assert left.is_set(), "forked in the middle of the work"

    thread = threading.Thread(target=work)
    thread.start()
    inside.wait(PATIENCE)
    threading.Timer(0.2, leave.set).start()
    try:
        assert ended_well(fork(enter))
    finally:
        gate.remove()
        thread.join()


def test_a_fork_does_not_wait_for_work_that_may_be_slow() -> None:
    gate = Gate(waits=False)
    inside, leave = threading.Event(), threading.Event()

    def work() -> None:
        with gate:
            inside.set()
            leave.wait(PATIENCE)

    def enter() -> None:
        with gate:
            pass

    thread = threading.Thread(target=work)
    thread.start()
    inside.wait(PATIENCE)
    try:
        assert ended_well(fork(enter))
        assert not leave.is_set(), "the work still runs"
    finally:
        leave.set()
        gate.remove()
        thread.join()


def test_a_thread_that_forks_inside_of_its_own_gate_does_not_hang() -> None:
    """As the handler of a signal may do that arrives there."""
    gate = Gate()
    try:
        with gate:
            assert ended_well(fork(gate.__enter__))
    finally:
        gate.remove()


def test_an_error_in_what_is_called_at_a_fork_reaches_nobody() -> None:
    def broken() -> None:
        raise RuntimeError("ours")

    gate = Gate(close=broken, abandon=broken)
    done: list[int] = []
    in_child(lambda: done.append(1))
    try:
        assert ended_well(fork(lambda: done.remove(1)))  # fails unless it is there
    finally:
        gate.remove()


def test_children_forked_beside_a_busy_drain_into_sqlite_live_and_use_the_store(tmp_path: Path) -> None:
    """Without the rule a few of thousands hang in SQLite's inherited mutex, or find the database locked."""
    settings = settings_for(tmp_path, flush_seconds=0.01)
    runtime = Runtime(settings)
    runtime.on_main()
    forks = FORKS * int(os.environ.get("QM_TEST_SCALE", "1"))

    def use() -> None:
        StorageManager().open(settings.store).known_series()
        handle = runtime.recorder.series("c", "q", "child", _core.CLOCK_PROCESS)
        runtime.recorder.finished(runtime.recorder.started(handle, os.getpid(), 0, _core.NO_TIME), _core.FAILED, None, 0)

    try:
        with busy(runtime):
            eventually(lambda: runtime.drain.batches > 2, "the drain is busy")
            hanging = [pid for pid in [fork(use) for _ in range(forks)] if not ended_well(pid)]
        assert hanging == []
        assert runtime.flush(30)
        assert counts(settings.store)["failed"] == forks
    finally:
        runtime.stop()


def test_forks_do_not_wait_while_a_flush_hangs_at_a_mute_server(tmp_path: Path) -> None:
    with RedisServer(tmp_path) as server:
        settings = settings_for(tmp_path, server.url)
        runtime = Runtime(settings)
        runtime.on_main()
        try:
            with busy(runtime):
                eventually(lambda: runtime.drain.batches > 2, "the drain is busy")
                server.pause()
                assert any(forks_during_one_call() for _ in range(10)), "each time the call was over before the forks were"
                server.resume()
                assert runtime.flush(30)
        finally:
            runtime.stop()
        assert counts(server.url)["started"] == counts(server.url)["succeeded"] > 0


def forks_during_one_call() -> bool:
    """Whether many forks are done, and their children gone, while one and the same call to the store still hangs."""
    call = eventually(call_to_the_store, "a flush hangs")
    children = [fork(lambda: None) for _ in range(FORKS)]
    assert all(ended_well(pid) for pid in children)
    return call_to_the_store() is call


def call_to_the_store() -> FrameType | None:
    """The call in which the reporting thread is inside of the driver; None while it is not."""
    threads = {thread.ident: thread.name for thread in threading.enumerate()}
    for ident, top in sys._current_frames().items():
        frame: FrameType | None = top if threads.get(ident) == "queue-metrics" else None
        while frame is not None:
            if frame.f_code.co_name == "apply_batch":
                return frame
            frame = frame.f_back
    return None


@pytest.mark.parametrize("kind", ["sqlite", "redis"])
def test_a_child_runs_no_thread_of_ours_and_its_parent_goes_on(kind: str, tmp_path: Path) -> None:
    with RedisServer(tmp_path) as server:
        settings = settings_for(tmp_path, server.url if kind == "redis" else None)
        runtime = Runtime(settings)
        runtime.on_main()
        try:

            def alone() -> None:
                assert [thread.name for thread in threading.enumerate()] == ["MainThread"]
                assert not runtime.reporter.running
                assert not runtime.drain.elected

            assert ended_well(fork(alone))
            assert runtime.reporter.running
        finally:
            runtime.stop()
