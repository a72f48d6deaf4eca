"""Executions that cannot say their own end: real processes that die, HINTs, provisional ends, locks."""

from __future__ import annotations

import fcntl
import os
import signal
from collections.abc import Callable
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

from queue_metrics import _core
from tests.core.spools import SECOND, TASK, MapSegment, Segment, Store, T, boot_id, start_ticks, this_process
from tests.core.writing import of_kind, run_once
from tests.support.journal_oracle import read_segment

GRACE = 10 * SECOND
HEADER_OF_THE_MAKER = (("boot", 32, 40), ("start_ticks", 64, 72), ("pid", 72, 76), ("pid_namespace", 96, 104))


class World:
    """A spool with the recorder of this process, a drainer and a store."""

    def __init__(self, spool: Path) -> None:
        self.spool = spool
        self.recorder = _core.Recorder(str(spool), "host")
        self.handle = self.recorder.series(*TASK, _core.CLOCK_PROCESS)
        self.drainer = _core.Drainer(str(spool))
        self.store = Store()
        self.now = _core.clock_us()

    def child(self, work: Callable[[], object]) -> int:
        """Forks a process that works and then waits to be killed."""
        ready, said = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                work()
            finally:
                os.write(said, b".")
                signal.pause()
                os._exit(1)
        assert os.read(ready, 1) == b"."
        os.close(ready)
        os.close(said)
        return pid

    def start(self, job: str = "job") -> int:
        return self.recorder.started(self.handle, job, 0, _core.NO_TIME)

    def pass_time(self, microseconds: int) -> int:
        """Drains, judges at a later time, drains again; returns how many verdicts were given."""
        self.now += microseconds
        self.store.drain(self.drainer)
        given = self.drainer.verdicts(self.recorder, self.now)
        self.store.drain(self.drainer)
        return given


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def is_free(segment: Path) -> bool:
    """Nobody holds its lock."""
    with segment.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def test_only_the_execution_of_the_killed_process_is_lost(world: World) -> None:
    """Beside a living sibling, after the grace and not before, once."""
    victim, sibling = world.child(lambda: world.start("one")), world.child(lambda: world.start("two"))
    assert world.pass_time(GRACE * 2) == 0
    kill(victim)
    assert world.pass_time(0) == 0, "the death is seen now"
    assert world.pass_time(GRACE - 1) == 0
    assert world.pass_time(1) == 1
    assert world.pass_time(GRACE) == 0
    assert world.store.total(*TASK) == {"started": 2, "lost": 1}
    kill(sibling)
    assert [world.pass_time(GRACE) for _ in range(3)] == [0, 1, 0]
    assert world.store.total(*TASK) == {"started": 2, "lost": 2}
    ends = of_kind(world.spool, "END")
    assert [(end.small, end.flags) for end in ends] == [(_core.LOST, 4)] * 2


def test_a_verdict_is_not_given_twice_before_it_is_read(world: World) -> None:
    kill(world.child(world.start))
    world.store.drain(world.drainer)
    given = [world.drainer.verdicts(world.recorder, world.now + GRACE * turn) for turn in range(4)]
    assert given == [0, 1, 0, 0]


def test_the_next_drainer_knows_the_verdicts_of_the_last(world: World) -> None:
    """The first dies after its verdict was appended and before it was counted."""
    kill(world.child(world.start))
    world.store.drain(world.drainer)
    assert [world.drainer.verdicts(world.recorder, world.now + turn * GRACE) for turn in range(2)] == [0, 1]
    world.drainer = world.store.restored(world.spool)
    assert [world.pass_time(GRACE) for _ in range(3)] == [0, 0, 0]
    assert world.store.total(*TASK) == {"started": 1, "lost": 1}


def test_an_end_that_lies_unread_is_no_death(world: World) -> None:
    """After an outage the drainer reads everything before it judges."""
    world.store.drain(world.drainer)
    kill(world.child(lambda: world.recorder.finished(world.start(), _core.SUCCEEDED, None, 0)))
    kill(world.child(world.start))
    for turn in range(3):
        assert world.drainer.verdicts(world.recorder, world.now + turn * GRACE) == 0
    assert [world.pass_time(GRACE) for _ in range(5)][-1] == 0
    assert world.store.total(*TASK) == {"started": 2, "succeeded": 1, "lost": 1}


@pytest.mark.parametrize("order", list(permutations(["start", "provisional", "hint"])))
def test_a_provisional_end_and_its_hint_meet_in_any_order(tmp_path: Path, order: tuple[str, ...]) -> None:
    """The values are those of the provisional END, the outcome is the stronger one."""
    segments = {name: Segment(tmp_path, number) for number, name in enumerate(order, 1)}
    recorder, store = _core.Recorder(str(tmp_path), "host"), Store()
    segments["start"].start(1, T)
    segments["provisional"].end(1, T + 5, outcome=_core.FAILED, flags=_core.PROVISIONAL, runtime=3_000, exception="SystemExit")
    segments["hint"].hint(T + 9, _core.TIMED_OUT, exception="TimeLimitExceeded")
    drainer = _core.Drainer(str(tmp_path))
    store.drain(drainer)
    assert store.total(*TASK) == {"started": 1}
    assert drainer.status()["provisional"] == 1
    assert drainer.verdicts(recorder, T + 4 + GRACE) == 0
    assert drainer.verdicts(recorder, T + 5 + GRACE) == 1
    store.drain(drainer)
    assert store.total(*TASK) == {"started": 1, "timed_out": 1}
    assert store.total(*TASK, "TimeLimitExceeded", kind=3) == {"timed_out": 1}
    assert store.values[1, TASK, 0, 0].measure(0) == (1, 3, None, None)


def test_a_provisional_end_that_nobody_hears_of_keeps_its_own_word(tmp_path: Path) -> None:
    """Also when the process is dead: what it said itself is better than lost."""
    segment, store = Segment(tmp_path, 1), Store()
    segment.worker(1, 2**22 + 5, 7, namespace=this_process()[0], boot=this_process()[1])
    segment.start(1)
    segment.end(1, outcome=_core.RETRIED, flags=_core.PROVISIONAL | _core.RETRY_FOLLOWS)
    recorder, drainer = _core.Recorder(str(tmp_path), "host"), _core.Drainer(str(tmp_path))
    store.drain(drainer)
    assert drainer.verdicts(recorder, T + GRACE) == 1
    store.drain(drainer)
    assert store.total(*TASK) == {"started": 1, "retried": 1}
    assert store.values[1, TASK, 0, 0].counter(8) == 1


def test_a_verdict_that_cannot_be_written_is_tried_again_and_no_drop(world: World, tmp_path: Path) -> None:
    kill(world.child(world.start))
    (tmp_path / "file").write_bytes(b"")
    without_a_spool = _core.Recorder(str(tmp_path / "file"), "host")
    world.pass_time(0)
    assert [world.drainer.verdicts(without_a_spool, world.now + turn * GRACE) for turn in range(1, 4)] == [0, 0, 0]
    assert without_a_spool.status()["drops"] == {}
    assert world.pass_time(4 * GRACE) == 1
    assert world.store.total(*TASK) == {"started": 1, "lost": 1}


def test_a_clock_that_is_set_back_holds_no_verdict_up(world: World) -> None:
    """Neither on a provisional END, nor on the dead, whose page goes as well."""
    victim = world.child(lambda: world.start("one"))
    idle = world.child(lambda: world.recorder.finished(world.start("two"), _core.SUCCEEDED, None, 0))
    slot = world.start("three")
    world.recorder.finished(slot, _core.RETRIED, None, _core.PROVISIONAL)
    for pid in (victim, idle):
        kill(pid)
    assert world.pass_time(GRACE // 2) == 0
    assert len(world.drainer.heartbeats(world.now)) == 3
    assert world.pass_time(-3600 * SECOND) == 0
    assert len(world.drainer.heartbeats(world.now)) == 3
    assert world.pass_time(GRACE) == 2
    assert world.pass_time(GRACE) == 0
    world.drainer.heartbeats(world.now)
    assert len(world.drainer.heartbeats(world.now)) == 1
    assert world.store.total(*TASK) == {"started": 3, "succeeded": 1, "retried": 1, "lost": 1}


def test_a_hint_alone_changes_nothing(world: World) -> None:
    """Nor one about an earlier execution of the same job; a living process says its own end."""
    world.recorder.hinted("job", _core.TIMED_OUT, None)
    slot = world.start()
    world.recorder.hinted("job", _core.CANCELLED, None)
    assert [world.pass_time(GRACE) for _ in range(3)] == [0, 0, 0]
    world.recorder.finished(slot, _core.SUCCEEDED, None, 0)
    assert world.pass_time(GRACE) == 0
    assert world.store.total(*TASK) == {"started": 1, "succeeded": 1}


def test_the_dead_get_the_hinted_outcome(world: World) -> None:
    kill(world.child(world.start))
    world.recorder.hinted("job", _core.CANCELLED, "Terminated")
    world.recorder.hinted("job", _core.TIMED_OUT, "TimeLimitExceeded")
    world.recorder.hinted("other", _core.LOST, None)
    assert [world.pass_time(GRACE) for _ in range(3)] == [0, 1, 0]
    assert world.store.total(*TASK) == {"started": 1, "timed_out": 1}
    assert world.store.total(*TASK, "TimeLimitExceeded", kind=3) == {"timed_out": 1}


@pytest.mark.parametrize(
    ("namespace", "boot", "pid", "ticks", "locked", "fate"),
    [
        ("here", "now", "self", 0, False, "alive"),
        ("here", "now", "self", 1, False, "dead"),
        ("here", "now", "gone", 0, True, "dead"),
        ("here", "earlier", "self", 0, False, "dead"),
        ("here", "earlier", "self", 0, True, "uncertain"),
        ("elsewhere", "now", "gone", 0, True, "uncertain"),
        ("elsewhere", "now", "self", 0, False, "dead"),
        ("unknown", "now", "gone", 0, True, "uncertain"),
    ],
)
def test_who_is_dead(tmp_path: Path, namespace: str, boot: str, pid: str, ticks: int, locked: bool, fate: str) -> None:
    """Of the same boot and namespace the pid with its start time tells, of others only the lock."""
    here, now = this_process()
    number = os.getpid() if pid == "self" else 2**22 + 5
    started = start_ticks(os.getpid()) + ticks
    segment, store = Segment(tmp_path, 1), Store()
    segment.worker(
        7, number, started, namespace={"here": here, "elsewhere": here + 1, "unknown": 0}[namespace], boot=now if boot == "now" else now ^ 1
    )
    segment.start(1, worker=7)
    if not locked:
        segment.release()
    recorder, drainer = _core.Recorder(str(tmp_path), "host"), _core.Drainer(str(tmp_path))
    store.drain(drainer)
    given = [drainer.verdicts(recorder, T + turn * GRACE) for turn in range(3)]
    assert sum(given) == (fate == "dead")
    assert drainer.status()["uncertain"] == (fate == "uncertain")


@pytest.mark.parametrize("way", ["write", "map"])
def test_the_lock_of_a_segment_that_a_worker_made_shows_its_life(tmp_path: Path, way: str) -> None:
    """A process that forks goes on in a segment in which it has written nothing yet, and holds the lock of no other."""
    here, now = this_process()
    pid, started = 2**22 + 5, 77
    first = Segment(tmp_path, 1)
    first.worker(7, pid, started, namespace=here + 1, boot=now)
    first.start(1, worker=7)
    first.release()
    maker: dict[str, Any] = {"pid": pid, "start_ticks": started, "pid_namespace": here + 1}
    made = MapSegment(tmp_path, 2, **maker) if way == "map" else Segment(tmp_path, 2, boot_id=boot_id(), **maker)
    of_another = Segment(tmp_path, 3, pid=pid, start_ticks=started + 1, pid_namespace=here + 1, boot_id=boot_id())
    recorder, drainer, store = _core.Recorder(str(tmp_path), "host"), _core.Drainer(str(tmp_path), window=0.0), Store()
    for turn in range(3):
        store.drain(drainer)
        assert drainer.verdicts(recorder, T + turn * GRACE) == 0
        drainer.tidy(_core.clock_us())
    assert made.path.exists(), "its lock is all that is seen of the worker"
    assert drainer.status()["uncertain"] == 1
    made.release()
    assert [drainer.verdicts(recorder, T + turn * GRACE) for turn in range(3, 6)] == [0, 1, 0]
    of_another.release()


def test_a_fork_in_a_long_job_leaves_the_lock_of_its_process_to_be_seen(tmp_path: Path) -> None:
    """Real segments: the one made before the fork names its maker as WORKER does, and is locked while the older one is free."""
    recorder = _core.Recorder(str(tmp_path), "host", segment_bytes=8_192, journal="map")
    handle = recorder.series(*TASK, _core.CLOCK_NONE)
    recorder.started(handle, "long", 0, _core.NO_TIME)
    for number in range(20):
        run_once(recorder, handle, number)
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    (known,) = of_kind(tmp_path, "WORKER")
    (old,), (new,) = ([path for path in tmp_path.glob("*.seg") if is_free(path) == free] for free in (True, False))
    assert (list(read_segment(new)), known in read_segment(old)) == ([], True), "nothing of this process is in the new one"
    header = new.read_bytes()[:128]
    made = {name: int.from_bytes(header[first:last], "little") for name, first, last in HEADER_OF_THE_MAKER}
    assert made == {name: getattr(known, name) for name in made}
    assert (known.pid, known.start_ticks) == (os.getpid(), start_ticks(os.getpid()))


def test_a_worker_that_never_said_who_it_is_is_uncertain(tmp_path: Path) -> None:
    segment, store = Segment(tmp_path, 1), Store()
    segment.start(1, worker=7)
    recorder, drainer = _core.Recorder(str(tmp_path), "host"), _core.Drainer(str(tmp_path))
    store.drain(drainer)
    assert [drainer.verdicts(recorder, T + turn * GRACE) for turn in range(3)] == [0, 0, 0]
    assert drainer.status()["uncertain"] == 1


def test_heartbeats_of_the_living_and_the_dead(world: World) -> None:
    """A busy process stays busy with its job; the dead show as lost until their page goes, when nothing of them is open."""
    busy = world.child(lambda: world.start("a long job"))
    gone = world.child(lambda: world.recorder.finished(world.start(), _core.SUCCEEDED, None, 0))
    stopped = world.child(world.recorder.stopped)
    world.store.drain(world.drainer)

    def states(now: int) -> dict[int, str]:
        beats = [(worker, _core.decode_heartbeat(beat)) for worker, beat in world.drainer.heartbeats(now)]
        assert all(worker == f"host:{beat['pid']}:{beat['start_ticks']}" for worker, beat in beats)
        return {beat["pid"]: beat["state"] for _, beat in beats}

    assert states(world.now)[busy] == "busy"
    (beat,) = [_core.decode_heartbeat(beat) for worker, beat in world.drainer.heartbeats(world.now) if f":{busy}:" in worker]
    assert (beat["job_id"], beat["running"]) == ("a long job", 1)
    assert beat["rss"] > 1_000_000
    for pid in (gone, stopped):
        kill(pid)
    now = states(world.now)
    assert [now[pid] for pid in (busy, gone, stopped)] == ["busy", "lost", "stopped"]
    kill(busy)
    assert states(world.now + 2 * GRACE)[busy] == "lost"
    later = states(world.now + 4 * GRACE)
    assert gone not in later
    assert stopped not in later
    assert later[busy] == "lost", "its execution is still open"
    assert [world.pass_time(GRACE) for _ in range(3)].count(1) == 1
    assert busy in states(world.now + 9 * GRACE), "once more before its page goes"
    assert busy not in states(world.now + 9 * GRACE)
    assert len(list(world.spool.glob("*.wrk"))) <= 1


def test_a_damaged_page_is_counted_and_hides_no_other(world: World) -> None:
    world.start()
    (world.spool / "0123456789abcdef.wrk").write_bytes(b"QMWORKER" + bytes(99))
    (world.spool / "0123456789abcdee.wrk").symlink_to(world.spool / "spool.id")
    assert len(world.drainer.heartbeats(world.now)) == 1
    assert world.drainer.status()["damaged_pages"] == 2
