"""Heartbeats of real processes: CPU in percent, peak memory, the moment of a change, and pages that a newer version writes."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import struct
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from queue_metrics import _core
from tests.core.writing import until

NO_TIME = _core.NO_TIME


class Child:
    """A forked worker of a spool in the middle of a job: it does `before`, says so, and goes on with `work`."""

    def __init__(self, recorder: _core.Recorder, before: Callable[[], object], work: Callable[[], object]) -> None:
        ready, said = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                handle = recorder.series("c", "q", "t", _core.CLOCK_PROCESS)
                recorder.started(handle, "job", 0, NO_TIME)
                before()
                os.write(said, b".")
                work()
                signal.pause()
            finally:
                os._exit(1)
        assert os.read(ready, 1) == b"."
        os.close(ready)
        os.close(said)

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)


def hold_memory_for_a_moment() -> None:
    block = bytearray(64 << 20)
    block[::4096] = b"x" * len(block[::4096])


def burn_in_two_threads() -> None:
    """The interpreter lock is released while large inputs are hashed."""
    block = bytes(1 << 22)

    def work() -> None:
        while True:
            hashlib.blake2b(block)

    threading.Thread(target=work, daemon=True).start()
    work()


def burn_a_while() -> None:
    until = time.process_time() + 0.3
    while time.process_time() < until:
        pass


class Fleet:
    """Some children of one spool and its drainer."""

    def __init__(self, spool: Path) -> None:
        self.recorder, self.drainer = _core.Recorder(str(spool), "host"), _core.Drainer(str(spool))
        self.spool = spool
        self.children: list[Child] = []

    def child(self, before: Callable[[], object] = int, work: Callable[[], object] = int) -> Child:
        self.children.append(Child(self.recorder, before, work))
        return self.children[-1]

    def view(self, child: Child, now: int | None = None) -> dict[str, Any]:
        view = json.loads(_core.heartbeat_json(self.beat(child, _core.clock_us() if now is None else now)))
        assert isinstance(view, dict)
        return view

    def numbers(self, child: Child, now: int) -> dict[str, Any]:
        return _core.decode_heartbeat(self.beat(child, now))

    def beat(self, child: Child, now: int) -> bytes:
        (beat,) = [beat for name, beat in self.drainer.heartbeats(now) if name.split(":")[1] == str(child.pid)]
        return beat


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    fleet = Fleet(tmp_path / "spool")
    fleet.recorder.started(fleet.recorder.series("c", "q", "t", _core.CLOCK_PROCESS), "own", 0, NO_TIME)
    yield fleet
    for child in fleet.children:
        with contextlib.suppress(ProcessLookupError):
            child.kill()


def test_what_was_used_before_the_first_beat_is_in_no_percentage(fleet: Fleet) -> None:
    """Lesson L2: CPU time since the start is no percentage; the first beat has none, and one who sleeps uses none."""
    sleeper = fleet.child(before=burn_a_while)
    assert fleet.view(sleeper)["cpu_usage_percent"] is None
    time.sleep(0.2)
    assert fleet.view(sleeper)["cpu_usage_percent"] < 5


def test_cpu_percent_is_what_the_kernel_counted_between_two_beats(fleet: Fleet) -> None:
    """Lessons L2 and L3, with two busy threads: each beat stands between two readings of `/proc`, so the bounds hold on any machine."""
    child = fleet.child(work=burn_in_two_threads)
    tick = 1 / os.sysconf("SC_CLK_TCK")

    def ticks(path: str) -> float:
        fields = Path(path).read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) * tick

    def beat() -> tuple[dict[str, Any], list[float], list[float]]:
        times, cpu = [time.monotonic()], [ticks(f"/proc/{child.pid}/stat")]
        view = fleet.view(child)
        return view, [*times, time.monotonic()], [*cpu, ticks(f"/proc/{child.pid}/stat")]

    for _ in range(3):
        _, times, cpu = beat()
        enough = cpu[1] + 20 * tick
        until(lambda: ticks(f"/proc/{child.pid}/stat") >= enough)  # noqa: B023  # it is over before the next round
        view, later_times, later_cpu = beat()
        least = (later_cpu[0] - cpu[1] - 2 * tick) / (later_times[1] - times[0])
        most = (later_cpu[1] - cpu[0] + 2 * tick) / (later_times[0] - times[1])
        assert 0 < 100 * least <= view["cpu_usage_percent"] <= 100 * most
    assert all(ticks(os.fspath(path / "stat")) > 0 for path in Path(f"/proc/{child.pid}/task").iterdir())


def test_the_peak_stays_when_memory_was_given_back(fleet: Fleet) -> None:
    child = fleet.child(before=hold_memory_for_a_moment)
    view = fleet.view(child)
    assert view["peak_memory_usage_mb"] > view["memory_usage_mb"] + 50


def test_the_state_has_the_moment_of_its_change(fleet: Fleet) -> None:
    """Busy since its job began, whatever the drainer does meanwhile; crashed since the drainer noticed."""
    child = fleet.child()
    now = _core.clock_us()
    busy = [fleet.view(child, now + turn * 10**6) for turn in range(3)]
    assert len({view["last_state_change"] for view in busy}) == 1
    assert len({view["last_heartbeat"] for view in busy}) == 3
    assert datetime.fromisoformat(busy[0]["last_state_change"]) <= datetime.fromtimestamp(now / 1e6, UTC)
    assert busy[2]["busy_time_seconds"] == pytest.approx(busy[0]["busy_time_seconds"] + 2, abs=1e-6)
    assert busy[2]["elapsed_seconds"] == pytest.approx(busy[0]["elapsed_seconds"] + 2, abs=1e-6)
    child.kill()
    crashed = [fleet.view(child, now + turn * 10**6) for turn in (5, 6)]
    assert [view["state"] for view in crashed] == ["crashed", "crashed"]
    moment = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=now + 5 * 10**6)).isoformat("T", "seconds")
    assert [view["last_state_change"] for view in crashed] == [moment, moment]
    assert crashed[0]["cpu_usage_percent"] is None


def test_what_was_told_of_a_worker_stays_when_it_is_killed(fleet: Fleet) -> None:
    """Busy until it was seen last, with the highest peak; it holds no memory any more. The heartbeat went back to what its page said."""
    child = fleet.child(before=hold_memory_for_a_moment)
    now = _core.clock_us()
    busy, numbers = [(fleet.view(child, when), fleet.numbers(child, when)) for when in (now, now + 2 * 10**6)][-1]
    assert busy["busy_time_seconds"] > 1.9
    child.kill()
    for when in (now + 3 * 10**6, now + 4 * 10**6):
        crashed = fleet.view(child, when)
        kept = ("busy_time_seconds", "idle_time_seconds", "peak_memory_usage_mb", "jobs_processed")
        assert {name: crashed[name] for name in kept} == {name: busy[name] for name in kept}
        assert (crashed["state"], crashed["memory_usage_mb"], crashed["elapsed_seconds"]) == ("crashed", None, None)
        assert fleet.numbers(child, when)["cpu"] == numbers["cpu"]


def test_states_of_one_process_follow_each_other(tmp_path: Path) -> None:
    recorder = _core.Recorder(str(tmp_path / "spool"), "host")
    handle = recorder.series("c", "q", "t", _core.CLOCK_NONE)

    def beat() -> dict[str, Any]:
        return _core.decode_heartbeat(recorder.heartbeat())

    starting = beat()
    assert beat()["state_changed"] == starting["state_changed"] <= starting["written"]
    first = recorder.started(handle, "a", 0, NO_TIME)
    busy = beat()
    second = recorder.started(handle, "b", 0, NO_TIME)
    recorder.finished(first, _core.SUCCEEDED, None, 0)
    still = beat()
    assert (still["state"], still["state_changed"]) == ("busy", busy["state_changed"]), "one of two ended"
    recorder.finished(second, _core.SUCCEEDED, None, 0)
    idle = beat()
    assert idle["state_changed"] > busy["state_changed"] >= starting["state_changed"]
    assert beat()["state_changed"] == idle["state_changed"]
    assert busy["cpu_spent"] <= busy["cpu_over"] * 2
    assert starting["cpu_spent"] is None


@pytest.mark.parametrize("what", ["page", "heartbeat"])
def test_a_page_of_a_newer_version_is_left_alone_and_counted(fleet: Fleet, what: str) -> None:
    child = fleet.child()
    (path,) = [path for path in fleet.spool.glob("*.wrk") if struct.unpack_from("<I", path.read_bytes(), 64 + 4) == (child.pid,)]
    with path.open("r+b") as file:
        file.seek(8 if what == "page" else 64)
        file.write(b"\x02\0")
        file.seek(3_584)
        file.write(struct.pack("<Q", 5))
    content = path.read_bytes()
    assert len(fleet.drainer.heartbeats(_core.clock_us())) == 1
    status = fleet.drainer.status()
    assert (status["newer_pages"], status["damaged_pages"]) == (1, 0)
    assert sum(status["drops"].values()) == (0 if what == "page" else 5), "the counters of a page are of the page"
    child.kill()
    later = _core.clock_us()
    for turn in range(1, 4):
        fleet.drainer.heartbeats(later + turn * 3_600 * 10**6)
    assert path.read_bytes() == content
