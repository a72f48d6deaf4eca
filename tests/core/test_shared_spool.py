"""
A spool that several users share by a group: each member records and drains, whoever is none can neither read nor plant.

With real users: collected only where the tests may change theirs.
"""

from __future__ import annotations

import codecs
import json
import os
import shutil
import signal
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from queue_metrics import _core
from queue_metrics.recording import spool as look
from queue_metrics.recording.lock import SpoolLock
from tests.core.spools import TASK, MapSegment, Segment, Store
from tests.core.writing import in_child, run_once, until
from tests.support.journal_oracle import read_spool
from tests.support.patience import PATIENCE

ONE, TWO, OUTSIDER = 40_001, 40_002, 40_003
GROUP = 40_010
"""No user or group of the machine has these numbers."""
KILLS = 30


@pytest.fixture
def spool() -> Iterator[Path]:
    """Where a shared spool will be: in a directory that is prepared for the group, as an administrator does."""
    root = Path(tempfile.mkdtemp(prefix="queue-metrics-shared-"))
    root.chmod(0o755)
    state = root / "state"
    state.mkdir()
    os.chown(state, 0, GROUP)
    state.chmod(0o2770)
    yield state / "queue-metrics" / "shop"
    shutil.rmtree(root)


@pytest.fixture(scope="module", autouse=True)
def everything_is_imported() -> None:
    """The interpreter may lie where other users cannot read it."""
    for encoding in ("ascii", "utf-8"):
        codecs.lookup(encoding)


def become(user: int) -> None:
    """This user for good: with a group of his own, a mask that keeps everybody else out, and the shared group unless he is the outsider."""
    os.setgroups([] if user == OUTSIDER else [GROUP])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)
    os.umask(0o077)
    signal.alarm(120)


def as_user(user: int, call: Callable[[], object]) -> None:
    """Runs a call in a child of this user."""

    def child() -> None:
        become(user)
        call()

    assert in_child(child) == 0


def has_grown(ledger: Path, size: int) -> bool:
    return ledger.stat().st_size > size


def recorder_of(spool: Path) -> _core.Recorder:
    return _core.Recorder(str(spool), "host", journal="map", shared_group=GROUP)


def recorded(spool: Path, count: int = 1) -> None:
    recorder = recorder_of(spool)
    handle = recorder.series(*TASK, _core.CLOCK_NONE)
    for _ in range(count):
        run_once(recorder, handle)
    assert recorder.status()["drops"] == {}, recorder.status()["last_error"]


def drained(spool: Path) -> dict[str, int]:
    """The totals after verdicts on the dead, and on what they left reserved."""
    recorder, store = recorder_of(spool), Store()
    drainer = _core.Drainer(str(spool), grace=0, shared_group=GROUP)
    deadline = time.monotonic() + PATIENCE
    while True:
        store.drain(drainer)
        drainer.verdicts(recorder, _core.clock_us())
        status = drainer.status()
        if (status["waiting"], status["open"]) == (0, 0):
            break
        assert time.monotonic() < deadline, status
        time.sleep(0.01)
    assert (status["set_aside"], status["damaged"], status["duplicates"], status["damaged_pages"]) == (0, 0, 0, 0), status
    return store.total(*TASK)


def test_what_two_users_record_is_drained_by_one_of_them_exactly_also_with_kill_9(spool: Path) -> None:
    """What ran is told by bytes in files that the library never touches, and by the independent reader."""
    ledgers = {user: spool.parents[2] / f"ledger-{user}" for user in (ONE, TWO)}
    for user, ledger in ledgers.items():
        ledger.touch()
        os.chown(ledger, user, user)

    def work(ledger: int) -> None:
        recorder = recorder_of(spool)
        handle = recorder.series(*TASK, _core.CLOCK_NONE)
        while True:
            slot = recorder.started(handle, "job", 0, _core.NO_TIME)
            os.write(ledger, b"b")
            recorder.finished(slot, _core.SUCCEEDED, None, 0)
            os.write(ledger, b"e")

    def worker(user: int) -> int:
        child = os.fork()
        if child:
            return child
        try:
            become(user)
            work(os.open(ledgers[user], os.O_WRONLY | os.O_APPEND))
        finally:
            os._exit(1)

    counted = dict.fromkeys(ledgers.values(), 0)
    for number in range(KILLS):
        user = (ONE, TWO)[number % 2]
        ledger = ledgers[user]
        child = worker(user)
        until(partial(has_grown, ledger, counted[ledger] + 20), 60)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        counted[ledger] = ledger.stat().st_size

    answer = spool.parents[2] / "answer"
    answer.touch()
    os.chown(answer, TWO, TWO)
    as_user(TWO, lambda: answer.write_text(json.dumps(drained(spool))))
    found = json.loads(answer.read_text())
    text = "".join(ledger.read_text() for ledger in ledgers.values())
    begun, ended = text.count("b"), text.count("e")
    lost = found.get("lost", 0)
    assert found["started"] == found["succeeded"] + lost
    assert lost <= KILLS
    assert begun <= found["started"] <= begun + KILLS
    assert ended <= found["succeeded"] <= ended + KILLS
    kinds = [record.kind for record in read_spool(spool)]
    assert kinds.count("START") == found["started"]
    users = {path.stat().st_uid for path in spool.glob("*.seg")}
    assert users == {ONE, TWO}


def test_its_modes_are_those_of_a_group_whatever_the_mask(spool: Path) -> None:
    as_user(ONE, lambda: recorded(spool))
    as_user(TWO, lambda: recorded(spool))
    as_user(TWO, lambda: look.write_report(spool, "huey", {"way": "map"}))
    as_user(ONE, lambda: SpoolLock(str(spool / "drain.lock")).acquire("me"))
    for directory in (spool.parent, spool):
        assert (directory.stat().st_mode & 0o7777, directory.stat().st_gid) == (0o2770, GROUP)
    files = sorted(spool.iterdir())
    assert {path.suffix for path in files} == {".seg", ".wrk", ".id", ".json", ".lock"}
    assert {(path.stat().st_mode & 0o7777, path.stat().st_gid) for path in files} == {(0o660, GROUP)}


def test_one_member_mends_what_another_left(spool: Path) -> None:
    """A hole of a dead writer is given up, what no one needs is deleted, what is no segment is set aside."""

    def leave() -> None:
        recorded(spool)
        segment = MapSegment(spool, 0xBAD)
        segment.start(7)
        segment.reserve()
        segment.end(7)
        segment.path.chmod(0o660)
        segment.release()
        damaged = spool / f"{1:032x}.seg"
        damaged.write_bytes(b"no segment")
        damaged.chmod(0o660)

    def mend() -> None:
        store, drainer = Store(), _core.Drainer(str(spool), window=0, shared_group=GROUP)
        until(lambda: store.drain(drainer) >= 0 and drainer.status()["waiting"] == 0)
        assert store.total(*TASK) == {"started": 2, "succeeded": 2}
        assert drainer.status()["set_aside"] == 1
        until(lambda: drainer.tidy(_core.clock_us()) >= 0 and not list(spool.glob("*.seg")))

    as_user(ONE, leave)
    as_user(TWO, mend)
    aside = spool / "damaged"
    assert (aside.stat().st_mode & 0o7777, aside.stat().st_gid) == (0o2770, GROUP)
    assert (spool / "ledger").stat().st_mode & 0o7777 == 0o660
    as_user(ONE, lambda: recorded(spool))
    as_user(ONE, lambda: _core.Drainer(str(spool), shared_group=GROUP).tidy(_core.clock_us()))


def test_members_drain_by_turns(spool: Path) -> None:
    """The lock keeps one away while the other has it, and its holder is known."""
    as_user(ONE, lambda: recorded(spool))
    told, tell = os.pipe()
    child = os.fork()
    if not child:
        become(ONE)
        os.write(tell, b"y" if SpoolLock(str(spool / "drain.lock")).acquire("one") else b"n")
        signal.pause()
        os._exit(0)
    assert os.read(told, 1) == b"y"

    def other() -> None:
        lock = SpoolLock(str(spool / "drain.lock"))
        assert not lock.acquire("two")
        assert lock.holder() == child

    as_user(TWO, other)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    as_user(TWO, lambda: taken(spool))
    for descriptor in (told, tell):
        os.close(descriptor)


def taken(spool: Path) -> None:
    assert SpoolLock(str(spool / "drain.lock")).acquire("two")


def test_reports_are_read_and_replaced_by_all_members(spool: Path) -> None:
    as_user(ONE, lambda: recorded(spool))
    as_user(ONE, lambda: look.write_report(spool, "huey", {"by": 1}))

    def other() -> None:
        assert look.read_reports(spool) == {"huey": {"by": 1}}
        look.write_report(spool, "huey", {"by": 2})

    as_user(TWO, other)

    def first() -> None:
        assert look.read_reports(spool) == {"huey": {"by": 2}}

    as_user(ONE, first)


@pytest.mark.parametrize("setting", [GROUP, None])
def test_who_is_no_member_can_neither_read_nor_plant(spool: Path, setting: int | None) -> None:
    as_user(ONE, lambda: recorded(spool))
    before = sorted(spool.iterdir())

    def outsider() -> None:
        for attempt in (
            partial(os.listdir, spool),
            (spool / "spool.id").read_bytes,
            lambda: Segment(spool, 0xBAD),
            (spool.parent / "other").mkdir,
            lambda: _core.Drainer(str(spool), shared_group=setting),
        ):
            with pytest.raises(PermissionError):
                attempt()
        assert (look.written(spool), look.spool_id(spool)) == ({}, None)
        recorder = _core.Recorder(str(spool), "host", shared_group=setting)
        run_once(recorder, recorder.series(*TASK, _core.CLOCK_NONE))
        assert recorder.status()["drops"] == {"not_writable": 2}
        assert "shared_group" in recorder.status()["last_error"]

    as_user(OUTSIDER, outsider)
    assert sorted(spool.iterdir()) == before
    assert all(path.stat().st_uid == ONE for path in before)


def test_a_file_of_neither_the_user_nor_the_group_is_set_aside(spool: Path) -> None:
    """As root could leave it there by a mistake."""
    as_user(ONE, lambda: recorded(spool))
    segment = Segment(spool, 0xBAD)
    segment.start(9)
    os.chown(segment.path, OUTSIDER, OUTSIDER)
    segment.path.chmod(0o666)

    def drain() -> None:
        store, drainer = Store(), _core.Drainer(str(spool), shared_group=GROUP)
        store.drain(drainer)
        assert store.total(*TASK) == {"started": 1, "succeeded": 1}
        assert drainer.status()["set_aside"] == 1

    as_user(TWO, drain)


@pytest.mark.parametrize("planter", [OUTSIDER, ONE])
@pytest.mark.parametrize(("mode", "group"), [(0o2770, OUTSIDER), (0o2777, GROUP), (0o770, GROUP), (0o700, GROUP)])
def test_a_directory_that_is_not_of_the_group_alone_is_refused_with_what_to_do(spool: Path, planter: int, mode: int, group: int) -> None:
    spool.parent.mkdir()
    os.chown(spool.parent, 0, GROUP)
    spool.parent.chmod(0o2770)
    spool.mkdir()
    os.chown(spool, planter, group)
    spool.chmod(mode)

    def member() -> None:
        recorder = recorder_of(spool)
        run_once(recorder, recorder.series(*TASK, _core.CLOCK_NONE))
        assert recorder.status()["drops"] == {"not_writable": 2}
        assert "shared_group" in recorder.status()["last_error"]

    as_user(TWO, member)
    as_user(ONE, member)
    assert list(spool.iterdir()) == []
    assert stat.S_IMODE(spool.stat().st_mode) == mode


@pytest.mark.parametrize("mode", [0o1777, 0o3777, 0o777])
def test_a_place_where_others_may_make_a_directory_is_refused(spool: Path, mode: int) -> None:
    """In a sticky one with the group's bit an outsider could have made a directory that bears the group."""
    parent = spool.parent
    parent.mkdir()
    os.chown(parent, 0, GROUP)
    parent.chmod(mode)

    def member() -> None:
        recorder = recorder_of(spool)
        run_once(recorder, recorder.series(*TASK, _core.CLOCK_NONE))
        assert recorder.status()["drops"] == {"not_writable": 2}
        assert f"chmod go-w {parent}" in recorder.status()["last_error"]

    as_user(ONE, member)


def test_a_shared_spool_is_not_closed_by_a_process_without_the_setting(spool: Path) -> None:
    as_user(ONE, lambda: recorded(spool))

    def private() -> None:
        recorder = _core.Recorder(str(spool), "host")
        run_once(recorder, recorder.series(*TASK, _core.CLOCK_NONE))
        assert recorder.status()["drops"] == {"not_writable": 2}
        assert f'set shared_group = "{GROUP}"' in recorder.status()["last_error"]

    as_user(ONE, private)
    assert spool.stat().st_mode & 0o7777 == 0o2770


def test_all_members_that_come_at_once_find_one_spool(spool: Path) -> None:
    """Nobody meets a directory that is not open to the group yet."""
    ready, go = os.pipe()
    children = []
    for number in range(12):
        child = os.fork()
        if not child:
            status = 1
            try:
                become((ONE, TWO)[number % 2])
                os.read(ready, 1)
                recorded(spool)
                status = 0
            finally:
                os._exit(status)
        children.append(child)
    os.write(go, b"." * 12)
    assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [0] * 12
    assert [path.name for path in spool.parent.iterdir()] == ["shop"]
    assert len(list(spool.glob("*.seg"))) == 12
    as_user(ONE, lambda: total(spool, 12))
    for descriptor in (ready, go):
        os.close(descriptor)


def total(spool: Path, count: int) -> None:
    assert drained(spool) == {"started": count, "succeeded": count}
