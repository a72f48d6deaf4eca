"""What only a file can do wrong: be written by many, deleted, damaged, locked, closed to us, or on a full disk."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import stat
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from queue_metrics import _core
from queue_metrics.errors import StoreRefused, StoreUnavailable
from queue_metrics.storage import DatabaseStorageDriver, Mark
from queue_metrics.storage.base import HOUR, MINUTE
from queue_metrics.storage.places import NETWORK_FILE_SYSTEMS
from queue_metrics.storage.sql import transactions
from tests.storage.batches import NOW, SPOOL, A, B, batch, bucket, content, everything, ones, python, send, series, starts


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deeper" / "store.db"


@pytest.fixture
def driver(path: Path) -> Iterator[DatabaseStorageDriver]:
    made = DatabaseStorageDriver(f"sqlite:///{path}")
    yield made
    made.close()


WRITER = """
    import sys
    from queue_metrics.storage import DatabaseStorageDriver
    from tests.storage.batches import batch, everything, ones
    driver = DatabaseStorageDriver(sys.argv[1])
    spool, rounds = sys.argv[2] * 32, int(sys.argv[3])
    sequence = driver.read_mark(spool, 0).sequence
    while sequence < rounds:
        sequence += 1
        sent = batch(sequence, [*everything(("conn", "queue", "task.a"), ones()), *everything(("conn", "queue", "task.b"), ones(2))], spool)
        assert driver.apply_batch(0, sent).applied
        print(sequence, flush=True)
"""


# Many writers, and writers that die


def test_four_processes_that_write_at_once_from_the_first_moment_lose_and_double_nothing(driver: DatabaseStorageDriver, path: Path) -> None:
    rounds = 60
    writers = [python(WRITER, driver.url, digit, rounds) for digit in "abcd"]
    for writer in writers:
        writer.communicate()
    assert [writer.returncode for writer in writers] == [0] * 4
    assert (starts(driver, series(A)), starts(driver, series(B))) == (rounds * 4, rounds * 8)
    assert {driver.read_mark(digit * 32, 0).sequence for digit in "abcd"} == {rounds}
    with contextlib.closing(sqlite3.connect(path)) as raw:
        assert raw.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_writer_killed_at_any_moment_leaves_whole_batches(driver: DatabaseStorageDriver) -> None:
    """Numbers and mark agree after every kill, and the next process goes on from the mark."""
    for round_ in range(6):
        writer = python(WRITER, driver.url, "a", 10**9)
        assert writer.stdout is not None
        for _ in range(5 + 7 * round_):
            writer.stdout.readline()
        writer.kill()
        writer.communicate()
        reached = driver.read_mark("a" * 32, 0).sequence
        assert reached >= 5 + 7 * round_
        assert (starts(driver, series(A)), starts(driver, series(B))) == (reached, 2 * reached)
        points = content(driver)["points"]
        assert points[series(B), HOUR, bucket(HOUR)]["counters"] == {0: 2 * reached}


def test_a_reader_does_not_wait_for_a_writer(driver: DatabaseStorageDriver, path: Path) -> None:
    send(driver, everything(A, ones()))
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        other.execute("DELETE FROM queue_metrics_series")
        assert starts(driver, series(A)) == 1
        other.execute("ROLLBACK")


def test_a_file_that_others_keep_locked_is_unavailable_and_unchanged(
    driver: DatabaseStorageDriver, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transactions, "PATIENCE_SECONDS", 0.1)
    send(driver, everything(A, ones()))
    before = content(driver)
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailable, match="locked"):
            driver.apply_batch(0, batch(2, everything(A, ones())))
        assert content(driver) == before
        other.execute("ROLLBACK")
    assert driver.apply_batch(0, batch(2, everything(A, ones()))).applied


def test_a_call_waits_for_its_turn(driver: DatabaseStorageDriver, path: Path) -> None:
    send(driver, everything(A, ones()))
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    release = threading.Timer(0.3, lambda: other.execute("ROLLBACK"))
    release.start()
    assert driver.apply_batch(0, batch(2, everything(A, ones()))).applied
    release.join()
    other.close()


def test_an_exception_in_the_middle_rolls_back(driver: DatabaseStorageDriver, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever it is: a soft time limit of the job library arrives between any two lines."""

    class SoftLimitError(BaseException):
        pass

    send(driver, everything(A, ones()))
    before = content(driver)
    merge = _core.merge_values
    for after in range(6):
        calls = iter(range(after))

        def interrupted(first: bytes, second: bytes, calls: Iterator[int] = calls) -> bytes:
            if next(calls, None) is None:
                raise SoftLimitError
            return merge(first, second)

        with monkeypatch.context() as patch:
            patch.setattr(_core, "merge_values", interrupted)
            with pytest.raises(SoftLimitError):
                driver.apply_batch(0, batch(2, [*everything(A, ones()), *everything(B, ones())]))
        assert content(driver) == before
    assert driver.apply_batch(0, batch(2, everything(A, ones()))).applied


# The file


def test_reading_makes_no_file(driver: DatabaseStorageDriver, path: Path) -> None:
    content(driver)
    driver.read_heartbeats()
    driver.size()
    assert not path.parent.exists()


def test_the_file_and_its_log_are_for_their_owner_only(driver: DatabaseStorageDriver, path: Path) -> None:
    send(driver, everything(A, ones()))
    modes = {one.name: stat.S_IMODE(one.stat().st_mode) for one in path.parent.iterdir()}
    assert modes == dict.fromkeys(("store.db", "store.db-wal", "store.db-shm"), 0o600)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize("name", ["a b.db", "50%.db", "what?mode=ro.db", "#1.db", "ünï.db", "it's.db"])
def test_a_file_may_have_any_name(tmp_path: Path, name: str) -> None:
    driver = DatabaseStorageDriver(f"sqlite:///{tmp_path / name}")
    send(driver, everything(A, ones()))
    assert (tmp_path / name).is_file()
    assert starts(driver, series(A)) == 1
    driver.close()


def test_a_deleted_file_is_noticed_and_a_new_one_made(driver: DatabaseStorageDriver, path: Path) -> None:
    """Else a drainer would go on writing into a file that nobody can read."""
    send(driver, everything(A, ones()))
    send(driver, everything(A, ones()))
    path.unlink()
    answer = driver.apply_batch(0, batch(3, everything(A, ones())))
    assert (answer.applied, answer.mark) == (False, Mark(0, b""))
    send(driver, everything(B, ones(7)))
    other = DatabaseStorageDriver(driver.url)
    assert starts(other, series(A), series(B)) == 7
    other.close()


def test_a_file_replaced_by_a_backup_goes_back_with_its_mark(driver: DatabaseStorageDriver, path: Path) -> None:
    send(driver, everything(A, ones()))
    backup = path.with_name("backup.db")
    with contextlib.closing(sqlite3.connect(path)) as raw:
        raw.execute("VACUUM INTO ?", (str(backup),))
    send(driver, everything(A, ones()))
    for leftover in ("-wal", "-shm"):
        Path(f"{path}{leftover}").unlink()
    backup.rename(path)
    assert driver.read_mark(SPOOL, 0).sequence == 1
    assert driver.apply_batch(0, batch(2, everything(A, ones()))).applied
    assert starts(driver, series(A)) == 2


def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    text = b"These are the notes of somebody." * 200
    (tmp_path / "notes.db").write_bytes(text)
    driver = DatabaseStorageDriver(f"sqlite:///{tmp_path}/notes.db")
    for call in (lambda: driver.read_mark(SPOOL, 0), lambda: driver.apply_batch(0, batch(1))):
        with pytest.raises(StoreRefused, match="not a database"):
            call()
    assert (tmp_path / "notes.db").read_bytes() == text


def test_a_damaged_file_is_refused(driver: DatabaseStorageDriver, path: Path) -> None:
    for n in range(20):
        send(driver, everything(("c", "q", f"t{n}"), ones()))
    driver.close()
    data = bytearray(path.read_bytes())
    data[4096:] = os.urandom(len(data) - 4096)
    path.write_bytes(data)
    with pytest.raises(StoreRefused):
        driver.apply_batch(0, batch(21, everything(A, ones())))


def test_a_directory_in_place_of_the_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "store.db").mkdir()
    driver = DatabaseStorageDriver(f"sqlite:///{tmp_path}/store.db")
    with pytest.raises(StoreRefused):
        driver.apply_batch(0, batch(1))
    beyond = DatabaseStorageDriver(f"sqlite:///{tmp_path}/store.db/deeper/x.db")
    (tmp_path / "store.db").rmdir()
    (tmp_path / "store.db").write_text("a file")
    with pytest.raises(StoreRefused):
        beyond.apply_batch(0, batch(1))


AS_NOBODY = """
    import os, sys
    from queue_metrics.errors import StoreError
    from queue_metrics.storage import DatabaseStorageDriver
    from tests.storage.batches import batch, everything, ones, series, starts
    driver = DatabaseStorageDriver(sys.argv[1])
    if os.getuid() == 0:
        os.setgroups([]); os.setgid(65534); os.setuid(65534)
    try:
        print("read", starts(driver, series(("conn", "queue", "task.a"))))
    except StoreError as error:
        print("read", type(error).__name__)
    try:
        print("wrote", driver.apply_batch(0, batch(2, everything(("conn", "queue", "task.a"), ones()))).applied)
    except StoreError as error:
        print("wrote", type(error).__name__)
"""


@pytest.mark.parametrize(
    ("file_mode", "directory_mode", "read"),
    [(0o444, 0o555, "1"), (0o000, 0o555, "StoreRefused"), (0o444, 0o000, "StoreRefused")],
    ids=["read-only", "closed file", "closed directory"],
)
def test_a_file_without_rights_is_refused_for_writing(
    tmp_path_factory: pytest.TempPathFactory, file_mode: int, directory_mode: int, read: str
) -> None:
    # Below a directory that others may enter, as the one of tmp_path is not.
    base = Path(tmp_path_factory.getbasetemp()).parent / f"qm-rights-{os.getpid()}-{file_mode:o}{directory_mode:o}"
    for parent in (base.parent, base.parent.parent):
        if not parent.stat().st_mode & stat.S_IXOTH and os.getuid() == 0:
            base = Path("/var/tmp") / base.name
    base.mkdir(mode=0o755)
    try:
        directory = base / "d"
        directory.mkdir()
        driver = DatabaseStorageDriver(f"sqlite:///{directory}/store.db")
        send(driver, everything(A, ones()))
        driver.close()
        with contextlib.closing(sqlite3.connect(directory / "store.db")) as raw:
            raw.execute("PRAGMA journal_mode=DELETE")  # else a reader must write the log's index
        (directory / "store.db").chmod(file_mode)
        directory.chmod(directory_mode)
        output, _ = python(AS_NOBODY, driver.url).communicate()
        assert output.splitlines() == [f"read {read}", "wrote StoreRefused"]
        directory.chmod(0o755)
        (directory / "store.db").chmod(0o644)
        assert starts(driver, series(A)) == 1
        driver.close()
    finally:
        subprocess.run(["chmod", "-R", "u+rwX", str(base)], check=True)
        subprocess.run(["rm", "-r", str(base)], check=True)


@pytest.mark.parametrize("kind", sorted(NETWORK_FILE_SYSTEMS))
def test_a_file_on_a_network_disk_is_not_called_exact(
    driver: DatabaseStorageDriver, path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    send(driver, everything(A, ones()))
    assert driver.capabilities()["exact"] is True
    monkeypatch.setattr(_core, "file_system", {str(path): kind}.__getitem__)
    told = driver.capabilities()
    assert told["exact"] is False
    assert f"is on {kind}" in str(told["reason"])


ON_A_FULL_DISK = """
    import resource, signal, sys
    from queue_metrics.errors import StoreUnavailable
    from queue_metrics.storage import DatabaseStorageDriver
    from tests.storage.batches import SPOOL, batch, everything, ones, series, starts
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    driver = DatabaseStorageDriver(sys.argv[1])
    sequence, refused = 0, 0
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, resource.RLIM_INFINITY))
    while refused < 3:
        sent = batch(sequence + 1, [one for n in range(10) for one in everything(("c", "q", f"{sequence}.{n}"), ones())])
        try:
            assert driver.apply_batch(0, sent).applied
            sequence += 1
        except StoreUnavailable:
            refused += 1
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert driver.read_mark(SPOOL, 0).sequence == sequence
    assert driver.apply_batch(0, sent).applied
    names = [("c", "q", f"{done}.{n}") for done in range(sequence + 1) for n in range(10)]
    print(starts(driver, *map(series, names)) == len(names), len(driver.known_series()) == len(names))
"""


def test_a_full_disk_is_unavailable_and_goes_on_when_there_is_room(driver: DatabaseStorageDriver) -> None:
    process = python(ON_A_FULL_DISK, driver.url)
    assert process.communicate() == ("True True\n", "")


# Connections


def open_files(path: Path) -> int:
    return sum(os.path.realpath(f"/proc/self/fd/{one}") == str(path.resolve()) for one in os.listdir("/proc/self/fd"))


def test_threads_that_come_and_go_leave_no_open_files(driver: DatabaseStorageDriver, path: Path) -> None:
    send(driver, everything(A, ones()))
    for _ in range(10):
        threads = [threading.Thread(target=driver.known_series) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert 1 <= open_files(path) <= 8
    driver.close()
    assert open_files(path) == 0


def test_a_signal_that_interrupts_a_batch_leaves_it_whole_or_undone(driver: DatabaseStorageDriver) -> None:
    """Raised by the alarm inside whatever line runs just then, as a soft limit is."""

    class SoftLimitError(Exception):
        pass

    def raise_limit(*_: object) -> None:
        raise SoftLimitError

    before = signal.signal(signal.SIGALRM, raise_limit)
    done = 0
    try:
        for attempt in range(60):
            sent = batch(done + 1, [*everything(A, ones()), *everything(B, ones(2))])
            try:
                signal.setitimer(signal.ITIMER_REAL, 0.0002 + 0.00002 * (attempt % 40))
                driver.apply_batch(0, sent)
                signal.setitimer(signal.ITIMER_REAL, 0)
            except SoftLimitError:
                pass
            done = driver.read_mark(SPOOL, 0).sequence
            assert (starts(driver, series(A)), starts(driver, series(B))) == (done, 2 * done)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert driver.read_series([series(A)], MINUTE, 0, NOW + MINUTE)
