"""The lock of a spool: one holder among processes and threads, gone with its process, never lost unnoticed."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from queue_metrics.recording.lock import SpoolLock, spool_lock
from tests.recording.tools import eventually


def in_child(call: Callable[[], bool]) -> bool:
    """The answer of `call` in a forked child."""
    pid = os.fork()
    if pid == 0:
        code = 2
        try:
            code = 0 if call() else 1
        finally:
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert code in (0, 1), "the child failed"
    return code == 0


def holder(path: Path) -> int:
    """A process that holds a lock until it is killed."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.write(write, b"1" if spool_lock(path).acquire("child") else b"0")
            signal.pause()
        finally:
            os._exit(0)
    os.close(write)
    assert os.read(read, 1) == b"1"
    os.close(read)
    return pid


def test_one_process_has_it_and_the_next_gets_it_when_that_is_killed(tmp_path: Path) -> None:
    lock = spool_lock(tmp_path / "lock")
    pid = holder(tmp_path / "lock")
    assert not lock.acquire("me")
    assert lock.holder() == pid
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    assert lock.holder() is None
    assert lock.acquire("me")
    assert lock.holder() == os.getpid()


def test_a_forked_child_has_not_what_its_parent_has(tmp_path: Path) -> None:
    lock = spool_lock(tmp_path / "lock")
    assert lock.acquire("me")
    assert not in_child(lambda: lock.held_by("me"))
    assert not in_child(lambda: lock.acquire("me"))
    assert lock.held_by("me"), "what the child did has not cost the parent its lock"
    assert not in_child(lambda: spool_lock(tmp_path / "lock").acquire("other"))


def test_two_owners_in_one_process_exclude_each_other(tmp_path: Path) -> None:
    lock = spool_lock(tmp_path / "lock")
    assert spool_lock(tmp_path / "." / "lock") is lock
    assert lock.acquire("one")
    assert lock.acquire("one")
    assert not lock.acquire("two")
    lock.release("two")
    assert lock.held_by("one")
    lock.release("one")
    assert lock.acquire("two")


def test_a_released_lock_is_free_for_others(tmp_path: Path) -> None:
    lock = spool_lock(tmp_path / "lock")
    assert lock.acquire("me")
    assert in_child(lambda: lock.holder() == os.getppid())
    lock.release("me")
    assert in_child(lambda: lock.acquire("me"))


def test_a_job_that_closes_all_descriptors_costs_the_lock_which_is_noticed(tmp_path: Path) -> None:
    lock = spool_lock(tmp_path / "lock")

    def closing() -> bool:
        os.closerange(3, 65_536)  # whatever other tests left open: the next one has the number 3
        had = lock.acquire("me")
        os.closerange(3, 256)
        stranger = os.open(os.devnull, os.O_RDONLY)  # takes the number that was ours
        lost = not lock.held_by("me")
        again = lock.acquire("me") and lock.held_by("me")
        os.fstat(stranger)  # and is still open: a descriptor of somebody else is not closed
        return had and lost and again

    assert in_child(closing)


def test_a_spool_that_was_removed_and_made_again_has_a_new_lock(tmp_path: Path) -> None:
    lock = spool_lock(tmp_path / "lock")
    assert lock.acquire("me")
    (tmp_path / "lock").unlink()
    assert not lock.held_by("me")
    pid = holder(tmp_path / "lock")
    assert not lock.acquire("me")
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    assert eventually(lambda: lock.acquire("me"), "the lock is free")


def test_without_a_spool_there_is_no_lock_and_nothing_is_made(tmp_path: Path) -> None:
    lock = spool_lock(tmp_path / "none" / "lock")
    assert not lock.acquire("me")
    assert lock.holder() is None
    assert not (tmp_path / "none").exists()


def test_looking_for_the_holder_makes_no_file(tmp_path: Path) -> None:
    assert spool_lock(tmp_path / "lock").holder() is None
    assert list(tmp_path.iterdir()) == []


def test_a_lock_file_that_is_a_link_is_not_followed_but_gives_way(tmp_path: Path) -> None:
    (tmp_path / "lock").symlink_to(tmp_path / "elsewhere")
    assert spool_lock(tmp_path / "lock").holder() is None
    assert spool_lock(tmp_path / "lock").acquire("me")
    assert not (tmp_path / "elsewhere").exists()
    assert not (tmp_path / "lock").is_symlink()


def test_a_lock_that_is_being_opened_by_another_thread_was_not_robbed(tmp_path: Path) -> None:
    """A worker's main once believed so, and never drained again: it found the descriptor, but not yet the file it belongs to."""
    found: list[int] = []
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for number in range(400):
            lock = SpoolLock(str(tmp_path / f"{number}.lock"))
            begun = threading.Event()

            def look(lock: SpoolLock = lock, begun: threading.Event = begun, number: int = number) -> None:
                begun.set()
                found.extend(number for _ in range(20) if lock.robbed())

            looking = threading.Thread(target=look)
            looking.start()
            begun.wait()
            assert lock.acquire(lock)
            looking.join()
    finally:
        sys.setswitchinterval(interval)
    assert found == []
