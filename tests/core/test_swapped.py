"""
Whoever puts something else in the place of a spool, or of a part of its path, moves no reader and no writer elsewhere.

Unlike `test_planted.py`, which is about what is in the directory, this is about the directory: it is checked and then used by its
descriptor, so what happens between the check and the use is not met.
"""

from __future__ import annotations

import ctypes
import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from queue_metrics import _core
from queue_metrics.recording import spool as look
from queue_metrics.recording.lock import SpoolLock
from tests.core.spools import TASK, Segment, Store
from tests.core.writing import run_once

SECOND = ("broker", "other", "app.other")
AT_FDCWD, RENAME_EXCHANGE = -100, 2
Tree = dict[str, tuple[int, bytes]]


def recorded(spool: Path, count: int = 1, task: tuple[str, str, str] = TASK) -> None:
    recorder = _core.Recorder(str(spool), "host", journal="map")
    handle = recorder.series(*task, _core.CLOCK_NONE)
    for _ in range(count):
        run_once(recorder, handle)


@pytest.fixture
def trap(tmp_path: Path) -> Path:
    """A spool of the same user, open to others, in which a drainer would have much to mend, and a recorder much to leave."""
    path = tmp_path / "trap" / "spool"
    recorded(path, 3, SECOND)
    Segment(path, 1).path.write_bytes(b"no segment")
    old = path / ".left.tmp"
    old.touch()
    os.utime(old, (1, 1))
    (path / f"{1:016x}.wrk").write_bytes(b"no page")
    path.chmod(0o755)
    return path


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    path = tmp_path / "state" / "spool"
    recorded(path, 5)
    return path


def tree(directory: Path) -> Tree:
    """Everything in a directory: names, modes and bytes."""
    found: Tree = {".": (directory.stat().st_mode, b"")}
    for path in sorted(directory.rglob("*")):
        found[str(path.relative_to(directory))] = (path.lstat().st_mode, path.read_bytes() if path.is_file() else b"")
    return found


def put_link(spool: Path, trap: Path) -> Callable[[], None]:
    """A link in the place of the spool; answers what undoes it."""
    away = spool.with_name("away")
    spool.rename(away)
    spool.symlink_to(trap)

    def undo() -> None:
        spool.unlink()
        away.rename(spool)

    return undo


def put_file(spool: Path, _trap: Path) -> Callable[[], None]:
    away = spool.with_name("away")
    spool.rename(away)
    spool.touch()

    def undo() -> None:
        spool.unlink()
        away.rename(spool)

    return undo


def put_nothing(spool: Path, _trap: Path) -> Callable[[], None]:
    away = spool.with_name("away")
    spool.rename(away)

    def undo() -> None:
        away.rename(spool)

    return undo


OPERATIONS: dict[str, Callable[[_core.Drainer], object]] = {
    "poll": lambda drainer: drainer.poll(),
    "batch": lambda drainer: drainer.next_batch(),
    "tidy": lambda drainer: drainer.tidy(_core.clock_us()),
    "heartbeats": lambda drainer: drainer.heartbeats(_core.clock_us()),
    "status": lambda drainer: drainer.status(),
    "restore": lambda drainer: drainer.restore(0, b""),
}


@pytest.mark.parametrize("swap", [put_link, put_file, put_nothing])
@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_drainer_does_not_follow_what_is_put_in_the_place_of_its_spool(
    spool: Path, trap: Path, swap: Callable[[Path, Path], Callable[[], None]], operation: str
) -> None:
    """It refuses, and goes on when the spool is back: everything is counted once."""
    store, drainer = Store(), _core.Drainer(str(spool))
    before = tree(trap)
    undo = swap(spool, trap)
    with pytest.raises(OSError):
        OPERATIONS[operation](drainer)
    assert (look.written(spool), look.spool_id(spool), look.way(spool), look.read_reports(spool)) == ({}, None, None, {})
    assert not look.pages(spool).drops
    assert not SpoolLock(str(spool / "drain.lock")).acquire("me")
    look.write_report(spool, "huey", {"way": "map"})
    assert tree(trap) == before
    undo()
    store.drain(drainer)
    assert store.total(*TASK) == {"started": 5, "succeeded": 5}
    assert store.total(*SECOND) == {}


def test_a_recorder_makes_its_segments_where_the_spool_was_checked(spool: Path, trap: Path) -> None:
    before = tree(trap)
    put_link(spool, trap)
    recorder = _core.Recorder(str(spool), "host", journal="map")
    run_once(recorder, recorder.series(*TASK, _core.CLOCK_NONE))
    assert sum(recorder.status()["drops"].values()) == 2
    assert tree(trap) == before


def test_a_drainer_goes_on_in_a_spool_that_was_made_anew(spool: Path) -> None:
    """As after somebody has removed the state directory: what is there now is checked and read."""
    store, drainer = Store(), _core.Drainer(str(spool))
    store.drain(drainer)
    spool.rename(spool.with_name("away"))
    recorded(spool, 2)
    store.drain(drainer)
    assert store.total(*TASK) == {"started": 7, "succeeded": 7}


@pytest.fixture
def swapper(spool: Path, trap: Path) -> Iterator[Callable[[], int]]:
    """Another process that exchanges the spool with a link to the trap, and back, as fast as it can; answers how often when it is ended."""
    link = spool.with_name("link")
    link.symlink_to(trap)
    told, tell = os.pipe()
    stop, stopped = os.pipe()
    exchange = partial(
        ctypes.CDLL(None, use_errno=True).renameat2, AT_FDCWD, os.fsencode(spool), AT_FDCWD, os.fsencode(link), RENAME_EXCHANGE
    )
    child = os.fork()
    if not child:
        os.set_blocking(stop, False)
        swaps, until = 0, time.monotonic() + 60
        while time.monotonic() < until:
            swaps += exchange() == 0 and exchange() == 0
            with suppress(BlockingIOError):
                os.read(stop, 1)
                break
        os.write(tell, str(swaps).encode())
        os._exit(0)

    def end() -> int:
        os.write(stopped, b".")
        os.waitpid(child, 0)
        return int(os.read(told, 100))

    yield end
    for descriptor in (told, tell, stop, stopped):
        os.close(descriptor)


def test_a_link_that_comes_and_goes_between_any_two_calls_moves_nobody(spool: Path, trap: Path, swapper: Callable[[], int]) -> None:
    """Whatever the moment: the spool is read or refused, and nothing else is read, mended, closed or written to."""
    before, others, refused, whole = tree(trap), {bytes.fromhex(path.stem) for path in trap.glob("*.seg")}, 0, 0
    until = time.monotonic() + 60
    while (min(refused, whole) < 50) and time.monotonic() < until:
        store = Store()
        try:
            drainer = _core.Drainer(str(spool))
            store.drain(drainer)
            drainer.tidy(_core.clock_us())
            drainer.heartbeats(_core.clock_us())
            whole += 1
        except OSError:
            refused += 1
        assert store.total(*SECOND) == {}
        assert store.total(*TASK) in ({}, {"started": 5, "succeeded": 5})
        assert look.written(spool).keys().isdisjoint(others)
        look.write_report(spool, "huey", {"way": "map"})
        SpoolLock(str(spool / "drain.lock")).acquire("me")
        recorder = _core.Recorder(str(spool), "host", journal="map")
        run_once(recorder, recorder.series("broker", "other", "app.third", _core.CLOCK_NONE))
    assert swapper() > 50
    assert min(refused, whole) >= 50
    assert tree(trap) == before
