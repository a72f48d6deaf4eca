"""
What another user puts into a spool, or under its name, is neither followed nor waited for nor believed: it is set aside and reported.

With real users: collected only where the tests may change theirs.
"""

from __future__ import annotations

import codecs
import fcntl
import json
import os
import shutil
import signal
import socket
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from queue_metrics import _core
from queue_metrics.recording import spool as look
from queue_metrics.recording.lock import SpoolLock
from tests.core.spools import TASK, MapSegment, Segment, Store
from tests.core.writing import in_child, run_once

OWNER, OTHER = 40_001, 40_002
"""No user of the machine has these numbers."""
PLANTED = f"{0xBAD:032x}.seg"
ENDED = {"started": 1, "succeeded": 1}


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory that every user may look into, and the owner write to."""
    path = Path(tempfile.mkdtemp(prefix="queue-metrics-users-"))
    path.chmod(0o755)
    os.chown(path, OWNER, OWNER)
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="module", autouse=True)
def everything_is_imported() -> None:
    """The interpreter may lie where other users cannot read it."""
    for encoding in ("ascii", "utf-8"):
        codecs.lookup(encoding)


def as_user(user: int, call: Callable[[], object]) -> None:
    """Runs a call in a child of this user; one that waits for ever is killed."""

    def child() -> None:
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)
        signal.alarm(60)
        call()

    assert in_child(child) == 0


def recorded(spool: Path) -> None:
    """One execution, and a spool that has become open to everybody by a mistake."""
    recorder = _core.Recorder(str(spool), "host", journal="map")
    run_once(recorder, recorder.series(*TASK, _core.CLOCK_NONE))
    spool.chmod(0o777)


def segment_of_another(spool: Path) -> None:
    segment = Segment(spool, 0xBAD)
    segment.start(7)
    segment.end(7)


def map_of_another(spool: Path) -> None:
    segment = MapSegment(spool, 0xBAD)
    segment.start(7)
    segment.reserve()
    segment.end(7)
    segment.path.chmod(0o666)


def unreadable(spool: Path) -> None:
    segment_of_another(spool)
    (spool / PLANTED).chmod(0)


def link_to_nothing(spool: Path) -> None:
    (spool / PLANTED).symlink_to(spool / "nothing")


def link_to_a_segment(spool: Path) -> None:
    elsewhere = spool / "elsewhere"
    elsewhere.mkdir()
    segment_of_another(elsewhere)
    (spool / PLANTED).symlink_to(elsewhere / PLANTED)


def link_to_a_device(spool: Path) -> None:
    (spool / PLANTED).symlink_to("/dev/zero")


def fifo(spool: Path) -> None:
    os.mkfifo(spool / PLANTED, 0o666)


def open_socket(spool: Path) -> None:
    with socket.socket(socket.AF_UNIX) as bound:
        os.chdir(spool)
        bound.bind(PLANTED)


def directory(spool: Path) -> None:
    (spool / PLANTED).mkdir(0o700)


SEGMENTS = [
    segment_of_another,
    map_of_another,
    unreadable,
    link_to_nothing,
    link_to_a_segment,
    link_to_a_device,
    fifo,
    open_socket,
    directory,
]


def drained(spool: Path, *, left: int) -> None:
    """What was recorded is counted, nothing else, and what is no segment of ours is reported, with nothing of it changed."""
    segments = look.written(spool)
    assert look.way(spool) in ("map", None)
    store, drainer = Store(), _core.Drainer(str(spool))
    for _ in range(3):
        store.drain(drainer)
    status = drainer.status()
    assert store.total(*TASK) == ENDED
    assert (status["set_aside"], status["segments"], status["waiting"], status["open"]) == (left, 1, 0, 0), status
    assert look.waiting(segments, store.positions) == 0
    assert spool.stat().st_mode & 0o777 == 0o700
    drainer.tidy(_core.clock_us())
    drainer.heartbeats(_core.clock_us())


@pytest.mark.parametrize("owner", [OWNER, 0])
@pytest.mark.parametrize("plant", SEGMENTS)
def test_what_another_user_puts_under_the_name_of_a_segment_is_set_aside(place: Path, plant: Callable[[Path], None], owner: int) -> None:
    """Root could read and write all of it; others cannot move a directory that is not theirs."""
    spool = place / "spool"
    as_user(owner, lambda: recorded(spool))
    as_user(OTHER, lambda: plant(spool))
    before = (spool / PLANTED).read_bytes() if (spool / PLANTED).is_file() else b""
    as_user(owner, lambda: drained(spool, left=1))
    moved = spool / "damaged" / PLANTED
    assert os.path.lexists(spool / PLANTED) == (plant is directory and owner != 0)
    assert os.path.lexists(moved) != os.path.lexists(spool / PLANTED)
    if before:
        assert (moved.read_bytes(), moved.lstat().st_uid) == (before, OTHER) or moved.is_symlink()


@pytest.mark.parametrize("owner", [OWNER, 0])
def test_a_segment_that_is_given_away_is_not_written_to_any_more(place: Path, owner: int) -> None:
    """Its hole is not filled, its tail not sealed: those are for files of our own."""
    spool = place / "spool"
    as_user(owner, lambda: recorded(spool))
    spool.chmod(0o700)
    segment = MapSegment(spool, 0xBAD)
    segment.start(9)
    segment.reserve()
    segment.end(9)
    segment.release()
    os.chown(segment.path, OTHER, OTHER)
    segment.path.chmod(0o666)
    before = segment.path.read_bytes()
    as_user(owner, lambda: drained(spool, left=1))
    assert (spool / "damaged" / PLANTED).read_bytes() == before


@pytest.mark.parametrize("aside", ["link", "file", "foreign"])
def test_without_a_directory_to_set_it_aside_it_stays_and_is_passed_over(place: Path, aside: str) -> None:
    spool, trap = place / "spool", place / "trap"
    trap.mkdir(0o777)
    trap.chmod(0o777)
    as_user(OWNER, lambda: recorded(spool))

    def plant() -> None:
        segment_of_another(spool)
        if aside == "link":
            (spool / "damaged").symlink_to(trap)
        elif aside == "file":
            (spool / "damaged").touch()
        else:
            (spool / "damaged").mkdir(0o777)

    as_user(OTHER, plant)
    as_user(OWNER, lambda: drained(spool, left=1))
    assert (spool / PLANTED).exists()
    assert list(trap.iterdir()) == []


def test_pages_reports_and_locks_of_another_user_are_no_ones_of_ours(place: Path) -> None:
    """A page would show a worker that is none, a lock keep everybody from draining, and a FIFO stop who reads it."""
    spool = place / "spool"
    as_user(OWNER, lambda: recorded(spool))
    (page,) = spool.glob("*.wrk")
    content = page.read_bytes()

    def plant() -> None:
        (spool / f"{1:016x}.wrk").write_bytes(content)
        os.mkfifo(spool / f"{2:016x}.wrk", 0o666)
        os.mkfifo(spool / "report-huey.json", 0o666)
        (spool / "report-celery.json").write_text(json.dumps({"way": "map"}))
        (spool / "drain.lock").touch()
        os.mkfifo(spool / "agent.lock", 0o666)
        os.mkfifo(spool / "ledger", 0o666)

    as_user(OTHER, plant)
    held = os.open(spool / "drain.lock", os.O_RDWR)
    fcntl.lockf(held, fcntl.LOCK_EX)

    def own() -> None:
        drainer = _core.Drainer(str(spool))
        assert len(drainer.heartbeats(_core.clock_us())) == 1
        assert drainer.status()["damaged_pages"] == 2
        assert look.read_reports(spool) == {}
        for name in ("drain.lock", "agent.lock"):
            assert SpoolLock(str(spool / name)).acquire("me")
        look.write_report(spool, "huey", {"way": "map"})
        assert look.read_reports(spool) == {"huey": {"way": "map"}}
        assert (spool / "damaged" / "ledger").is_fifo()

    as_user(OWNER, own)
    os.close(held)


def test_a_file_of_ours_under_a_second_name_is_not_written_to(place: Path) -> None:
    """As another user may plant it where the kernel does not protect hard links."""
    spool, precious = place / "spool", place / "precious"
    as_user(OWNER, lambda: recorded(spool))
    precious.write_bytes(b"mine")
    os.chown(precious, OWNER, OWNER)
    for name in ("ledger", PLANTED, f"{1:016x}.wrk", "drain.lock", "report-huey.json"):
        os.link(precious, spool / name)

    def own() -> None:
        drained(spool, left=2)
        look.write_report(spool, "huey", {"way": "map"})
        assert SpoolLock(str(spool / "drain.lock")).acquire("me")

    as_user(OWNER, own)
    assert precious.read_bytes() == b"mine"


def test_an_id_of_another_user_is_not_taken_for_that_of_the_spool(place: Path) -> None:
    spool = place / "spool"
    spool.mkdir()
    os.chown(spool, OWNER, OWNER)
    spool.chmod(0o777)
    as_user(OTHER, lambda: (spool / "spool.id").write_text("ab" * 16))

    def own() -> None:
        recorder = _core.Recorder(str(spool), "host")
        run_once(recorder, recorder.series(*TASK, _core.CLOCK_NONE))
        assert recorder.status()["drops"] == {"not_writable": 2}
        assert "spool.id is no file of this user: remove it" in recorder.status()["last_error"]

    as_user(OWNER, own)


@pytest.mark.parametrize("mode", [0o700, 0o777])
def test_the_spool_of_another_user_is_refused_with_what_to_do(place: Path, mode: int) -> None:
    """Of several users each has a spool of his own; they may share a store."""
    spool = place / "state" / "spool"
    as_user(OWNER, lambda: recorded(spool))
    spool.parent.chmod(mode)
    before = sorted(spool.iterdir())

    def other() -> None:
        recorder = _core.Recorder(str(spool), "host")
        run_once(recorder, recorder.series(*TASK, _core.CLOCK_NONE))
        status = recorder.status()
        assert status["drops"] == {"not_writable": 2}
        assert f"belongs to user {OWNER} and this process to user {OTHER}: give each user a state_dir" in status["last_error"]

    as_user(OTHER, other)
    assert sorted(spool.iterdir()) == before


@pytest.mark.parametrize(
    ("mode", "group", "refused"),
    [(0o777, OWNER, True), (0o1777, OWNER, False), (0o775, OTHER, True), (0o1775, OTHER, False), (0o775, OWNER, False), (0o775, 0, False)],
)
def test_a_spool_that_others_could_replace_is_refused(place: Path, mode: int, group: int, refused: bool) -> None:
    parent = place / "parent"
    parent.mkdir()
    os.chown(parent, OWNER, group)
    parent.chmod(mode)

    def own() -> None:
        recorder = _core.Recorder(str(parent / "spool"), "host")
        run_once(recorder, recorder.series(*TASK, _core.CLOCK_NONE))
        assert recorder.status()["drops"] == ({"not_writable": 2} if refused else {})
        assert (f"chmod go-w {parent}" in str(recorder.status()["last_error"])) == refused

    as_user(OWNER, own)
