"""Forks at any moment: beside busy threads, in the middle of a batch, and behind Python's back."""

from __future__ import annotations

import contextlib
import ctypes
import itertools
import os
import signal
import sqlite3
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from queue_metrics.errors import StoreUnavailable
from queue_metrics.storage import DatabaseStorageDriver, MemoryStorageDriver, RedisStorageDriver, StorageDriver, forks
from queue_metrics.storage.forks import ForkGate, Forking
from tests.storage.batches import SPOOL, A, B, batch, content, everything, ones, opened, python, send, series, starts
from tests.support.patience import PATIENCE
from tests.support.servers import RedisServer
from tests.support.sql_servers import SQLServer

_numbers = itertools.count()

FORKS = max(15, round(30 * float(os.environ.get("QM_TEST_SCALE", "1"))))


@pytest.fixture(params=["sqlite", "postgresql", "mariadb", "redis"])
def driver(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[StorageDriver]:
    made: StorageDriver
    if request.param == "sqlite":
        made = DatabaseStorageDriver(f"sqlite:///{tmp_path}/store.db")
    elif request.param == "redis":
        made = RedisStorageDriver(request.getfixturevalue("redis_server").url)
    else:
        server = request.getfixturevalue(f"shared_{request.param}")
        made = DatabaseStorageDriver(server.url, f"forks{next(_numbers)}")
    yield made
    made.close()


def in_child(work: Callable[[], None], fork: Callable[[], int] = os.fork) -> int:
    """Run work in a forked child, which ends without any of the parent's clean-up; its pid."""
    pid = fork()
    if pid == 0:
        code = 1
        try:
            work()
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    return pid


def ends_well(pid: int, seconds: float = PATIENCE) -> bool:
    """Whether a child ends with 0 before the deadline; one that hangs is killed."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status) == 0
        time.sleep(0.002)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return False


def test_children_forked_beside_a_busy_thread_write_to_the_same_store(driver: StorageDriver) -> None:
    """The children use the very driver that another thread of the parent is in the middle of using."""
    stop = threading.Event()
    sent = 0
    failures: list[BaseException] = []

    def drain() -> None:
        nonlocal sent
        try:
            while not stop.is_set():
                with contextlib.suppress(StoreUnavailable):  # a fork may ask it to come again
                    answer = driver.apply_batch(0, batch(sent + 1, everything(A, ones())))
                    assert answer.mark.sequence == sent + 1
                    sent += 1
        except BaseException as error:
            failures.append(error)
            raise

    drainer = threading.Thread(target=drain)
    drainer.start()
    for number in range(FORKS):
        spool = f"{number:032x}"
        assert ends_well(in_child(lambda spool=spool: send(driver, everything(B, ones()), spool)))  # type: ignore[misc]
    stop.set()
    drainer.join()
    assert failures == []
    assert sent > 0
    assert driver.read_mark(SPOOL, 0).sequence == sent
    assert (starts(driver, series(A)), starts(driver, series(B))) == (sent, FORKS)


def test_parent_and_child_go_on_side_by_side(driver: StorageDriver) -> None:
    send(driver, everything(A, ones()))

    def work() -> None:
        for _ in range(20):
            send(driver, everything(A, ones()), "c" * 32)

    pid = in_child(work)
    for _ in range(20):
        send(driver, everything(A, ones()))
    assert ends_well(pid)
    assert starts(driver, series(A)) == 41


def test_a_fork_behind_pythons_back_is_noticed_by_the_pid(driver: StorageDriver) -> None:
    send(driver, everything(A, ones()))

    def work() -> None:
        send(driver, everything(A, ones(2)), "c" * 32)
        driver.close()

    pid = in_child(work, lambda: ctypes.PyDLL(None).fork())
    assert ends_well(pid)
    send(driver, everything(A, ones(4)))
    assert starts(driver, series(A)) == 7


def test_a_child_of_a_child_too(driver: StorageDriver) -> None:
    send(driver, everything(A, ones()))

    def grandchild() -> None:
        send(driver, everything(A, ones()), "d" * 32)

    def child() -> None:
        send(driver, everything(A, ones()), "c" * 32)
        assert ends_well(in_child(grandchild))

    assert ends_well(in_child(child))
    assert starts(driver, series(A)) == 3


def test_a_child_inherits_no_open_file_of_the_database(tmp_path: Path) -> None:
    driver = DatabaseStorageDriver(f"sqlite:///{tmp_path}/store.db")
    send(driver, everything(A, ones()))

    def work() -> None:
        links = [os.readlink(f"/proc/self/fd/{one}") for one in os.listdir("/proc/self/fd") if os.path.lexists(f"/proc/self/fd/{one}")]
        assert not [link for link in links if link.startswith(str(tmp_path / "store.db"))]

    assert ends_well(in_child(work))
    driver.close()


def test_the_end_of_a_child_does_not_end_the_connections_of_its_parent(redis_server: RedisServer) -> None:
    driver = RedisStorageDriver(redis_server.url)
    send(driver, everything(A, ones()))
    before = redis_server_clients(redis_server)

    def work() -> None:
        send(driver, everything(A, ones()), "c" * 32)
        driver.close()

    assert ends_well(in_child(work))
    send(driver, everything(A, ones()))
    assert redis_server_clients(redis_server) == before
    driver.close()


def redis_server_clients(server: RedisServer) -> set[bytes]:
    """The addresses of the clients connected, without this question's own."""
    import redis

    with contextlib.closing(redis.Redis(port=server.port)) as client:
        clients: list[dict[str, str]] = client.client_list()
        return {one["addr"].encode() for one in clients if one["cmd"] != "client|list"}


def test_a_fork_in_the_middle_of_a_transaction_leaves_it_to_the_parent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The fork cannot wait for its own thread; child and parent go on, and the batch counts once."""
    monkeypatch.setattr(forks, "CALLS_END_SECONDS", 0.05)
    driver = DatabaseStorageDriver(f"sqlite:///{tmp_path}/store.db")
    send(driver, everything(A, ones()))
    before = content(driver)
    merged = DatabaseStorageDriver._merged

    def work() -> None:
        other = DatabaseStorageDriver(f"sqlite:///{tmp_path}/store.db")
        assert content(other) == before

    def forking(self: DatabaseStorageDriver, *arguments: Any) -> dict[Any, bytes]:
        assert ends_well(in_child(work))
        return merged(self, *arguments)

    monkeypatch.setattr(DatabaseStorageDriver, "_merged", forking)
    assert driver.apply_batch(0, batch(2, everything(A, ones()))).applied
    monkeypatch.undo()
    assert starts(driver, series(A)) == 2
    with contextlib.closing(sqlite3.connect(tmp_path / "store.db")) as raw:
        assert raw.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    driver.close()


def test_a_mute_server_does_not_hold_a_fork_up(redis_server: RedisServer) -> None:
    """A thread waits for an answer that does not come; the fork is over while it still waits."""
    driver = RedisStorageDriver(redis_server.url)
    driver.read_mark(SPOOL, 0)
    redis_server.pause()
    waiting = threading.Event()

    def ask() -> None:
        waiting.set()
        with contextlib.suppress(StoreUnavailable):
            driver.read_mark(SPOOL, 0)

    asker = threading.Thread(target=ask)
    asker.start()
    waiting.wait()
    assert ends_well(in_child(lambda: None))
    still_waiting = asker.is_alive()
    redis_server.resume()
    asker.join()
    assert still_waiting
    driver.close()


def test_a_mute_database_does_not_hold_a_fork_up(sql_server: SQLServer, prefix: str) -> None:
    with opened(sql_server.url, prefix) as driver:
        driver.read_mark(SPOOL, 0)
        sql_server.pause()
        waiting = threading.Event()

        def ask() -> None:
            waiting.set()
            with contextlib.suppress(StoreUnavailable):
                driver.read_mark(SPOOL, 0)

        asker = threading.Thread(target=ask)
        asker.start()
        waiting.wait()
        assert ends_well(in_child(lambda: None))
        still_waiting = asker.is_alive()
        sql_server.resume()
        asker.join()
        assert still_waiting


ENDING = """
    import gc, os, sys
    from queue_metrics.storage import DatabaseStorageDriver
    from tests.storage.batches import A, everything, ones, send, series, starts
    driver = DatabaseStorageDriver(sys.argv[1], "child_ends")
    send(driver, everything(A, ones()))
    (connection,) = driver._dialect._idle
    pid = os.fork()
    if pid == 0:
        if sys.argv[2] == "used":
            send(driver, everything(A, ones()), "c" * 32)
            driver.close()
        del connection
        gc.collect()
        sys.exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    send(driver, everything(A, ones()))
    print(driver._dialect._idle == [connection], starts(driver, series(A)))
"""


def test_the_end_of_a_child_does_not_end_the_database_connections_of_its_parent(shared_sql: SQLServer) -> None:
    """It goes the long way, through the interpreter's end and all clean-up."""
    assert python(ENDING, shared_sql.url, "unused").communicate(timeout=PATIENCE) == ("True 2\n", "")
    assert python(ENDING, shared_sql.url, "used").communicate(timeout=PATIENCE) == ("True 5\n", "")


def test_a_store_in_memory_is_copied_whole() -> None:
    driver = MemoryStorageDriver()
    stop = threading.Event()
    sent = 0

    def drain() -> None:
        nonlocal sent
        while not stop.is_set():
            sent += driver.apply_batch(0, batch(sent + 1, [*everything(A, ones()), *everything(B, ones())])).applied

    drainer = threading.Thread(target=drain)
    drainer.start()

    def work() -> None:
        reached = driver.read_mark(SPOOL, 0).sequence
        assert starts(driver, series(A)) == starts(driver, series(B)) == reached
        assert driver.apply_batch(0, batch(reached + 1, everything(A, ones()))).applied

    try:
        for _ in range(20):
            assert ends_well(in_child(work))
    finally:
        stop.set()
        drainer.join()
    assert starts(driver, series(A)) == sent


# The gate


@contextlib.contextmanager
def somebody_inside(gate: ForkGate) -> Iterator[None]:
    entered, leave = threading.Event(), threading.Event()

    def stay() -> None:
        with gate:
            entered.set()
            leave.wait()

    thread = threading.Thread(target=stay)
    thread.start()
    entered.wait()
    try:
        yield
    finally:
        leave.set()
        thread.join()


def test_a_gate_waits_for_those_inside_and_holds_others_back_until_it_opens(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = ForkGate()
    with somebody_inside(gate):
        assert not gate.shut(0.01)
    assert gate.shut()
    monkeypatch.setattr(forks, "HELD_BACK_SECONDS", 0.01)
    with pytest.raises(Forking, match="forking"), gate:
        pass
    gate.open()
    with gate, gate:
        pass
    assert gate.shut()
    gate.renew()
    with gate:
        pass


def test_a_thread_that_forks_inside_of_a_gate_does_not_wait_for_itself() -> None:
    gate = ForkGate()
    with gate:
        assert not gate.shut(3600)


def test_a_child_that_was_forked_inside_of_a_gate_leaves_it_empty() -> None:
    gate = ForkGate()
    with gate:
        gate.renew()
    assert gate.shut(0)


def test_one_held_back_gets_in_when_the_fork_is_over() -> None:
    gate = ForkGate()
    entered = threading.Event()

    def enter() -> None:
        while not entered.is_set():
            with contextlib.suppress(StoreUnavailable), gate:
                entered.set()

    gate.shut()
    thread = threading.Thread(target=enter)
    thread.start()
    assert not entered.is_set()
    gate.open()
    assert entered.wait(PATIENCE)
    thread.join()
