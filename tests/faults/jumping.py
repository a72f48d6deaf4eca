"""
A worker, its children and who drains while the wall clock jumps by an hour: `python -m tests.faults.jumping DIRECTORY CLOCK`.

To be run with `clock.c` preloaded, for which CLOCK is the file that moves the clock of this process and of all that it starts.
"""

from __future__ import annotations

import json
import os
import signal
import struct
import sys
import time
from pathlib import Path

from queue_metrics import _core
from queue_metrics.insights.layout import CLOCK_SKEWS, RUNTIME, WAIT
from queue_metrics.recording.runtime import Runtime
from queue_metrics.storage.base import TASK
from queue_metrics.storage.manager import StorageManager
from tests.recording.tools import Program, beats, counts, eventually, settings_for, size

HOUR = 3600
JUMPS = (HOUR, 0, -HOUR, 0)
"""How far the clock is ahead, one after the other."""
ON = 200
"""Executions after which all goes on."""


class Clock:
    """The wall clock of all processes with the library."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def jump(self, seconds: int) -> None:
        before, steady = time.time(), time.monotonic()
        was = struct.unpack("<q", self._path.read_bytes())[0]
        self._file_write(seconds)
        moved, passed = time.time() - before, time.monotonic() - steady
        assert abs(moved - passed - (seconds - was)) < 1, "the library moves the wall clock, and no other"
        assert abs(_core.clock_us() / 1e6 - time.time()) < 60, "the extension reads the clock that was moved"

    def _file_write(self, seconds: int) -> None:
        descriptor = os.open(self._path, os.O_WRONLY)  # in place: it is mapped by everybody
        os.write(descriptor, struct.pack("<q", seconds))
        os.close(descriptor)


class Spans:
    """Executions of this process that begin before a jump and end after it, timed by the monotonic clock from inside and outside."""

    def __init__(self, recorder: _core.Recorder) -> None:
        self._recorder = recorder
        self._handle = recorder.series("c", "q", "span", _core.CLOCK_PROCESS)
        self.inside = self.outside = self.number = 0

    def begin(self, ready_at: int = _core.NO_TIME) -> None:
        self.number += 1
        self._outside_from = time.monotonic_ns()
        self._slot = self._recorder.started(self._handle, self.number, 0, ready_at)
        self._inside_from = time.monotonic_ns()

    def end(self) -> None:
        self.inside += time.monotonic_ns() - self._inside_from
        self._recorder.finished(self._slot, _core.SUCCEEDED, None, 0)
        self.outside += time.monotonic_ns() - self._outside_from

    def doomed(self) -> int:
        """A child that is in the middle of an execution."""
        ready, told = os.pipe()
        pid = os.fork()
        if pid == 0:
            self._recorder.started(self._handle, "doomed", 0, _core.NO_TIME)
            os.write(told, b".")
            while True:
                signal.pause()
        os.read(ready, 1)
        return pid


def total(store: str, task: str) -> _core.Value:
    """All that the store has of a task."""
    driver = StorageManager().open(store)
    series = _core.series_id(TASK, ["c", "q", task])
    return _core.Value.decode(driver.read_totals([series])[series])


def measured(value: _core.Value, measure: int) -> tuple[int, int]:
    """How many numbers of a measure there are, and their sum."""
    found = value.measure(measure)
    assert found is not None
    return found[:2]


def sane(store: str, pids: set[int]) -> bool:
    """Heartbeats of all these processes are of now, by the clock as it is, and their own numbers fit together."""
    found = {beat["pid"]: beat for beat in beats(store).values()}
    now = _core.clock_us()
    return pids <= set(found) and all(
        found[pid]["state"] in ("busy", "idle")
        and abs(now - found[pid]["seen"]) < 60e6
        and 0 <= found[pid]["busy"] + found[pid]["idle"] < 600e6
        for pid in pids
    )


def state(store: str, pid: int) -> str | None:
    """What the store knows of a process."""
    return next((beat["state"] for beat in beats(store).values() if beat["pid"] == pid), None)


def main() -> None:
    directory, clock = Path(sys.argv[1]), Clock(Path(sys.argv[2]))
    settings = settings_for(directory, journal="map")
    recorder = _core.Recorder(os.fspath(settings.spool), "host", journal="map")
    recorder.describe(_core.MAIN, "test", "c", "q")
    spans = Spans(recorder)
    with Program(directory, settings.store, children=2, settings={"journal": "map"}) as program:
        program.ready()
        eventually(lambda: program.ask("draining", "draining"), "the worker drains")
        workers = {os.getpid(), *program.children}
        for ahead in JUMPS:
            spans.begin()
            ready_at = _core.clock_us()
            clock.jump(ahead)
            done = counts(settings.store)["succeeded"]
            eventually(lambda done=done: counts(settings.store)["succeeded"] >= done + ON, "executions are counted after a jump")  # type: ignore[misc]
            eventually(lambda: sane(settings.store, workers), "heartbeats are those of now")
            assert program.ask("draining", "draining"), "who drains goes on"
            assert counts(settings.store)["lost"] == 0, "nobody is dead"
            spans.end()
            spans.begin(ready_at)
            spans.end()
        # One dies before a jump back: its verdict does not wait for an hour.
        clock.jump(HOUR)
        doomed = spans.doomed()
        os.kill(doomed, signal.SIGKILL)
        os.waitpid(doomed, 0)
        eventually(lambda: state(settings.store, doomed) == "lost", "its death is seen")
        clock.jump(0)
        eventually(lambda: counts(settings.store)["lost"] == 1, "its execution is lost")
        for pid in program.children:
            os.kill(pid, signal.SIGKILL)
        program.kill()
    runtime = Runtime(settings, grace=0.2)
    runtime.on_main()
    eventually(lambda: runtime.flush(2.0) and runtime.drain.status().get("open") == 0, "all is counted and judged")
    runtime.stop()
    value = total(settings.store, "span")
    seen = {
        **counts(settings.store),
        "begun": size(directory / "begun"),
        "ended": size(directory / "ended"),
        "spans": spans.number,
        "inside": spans.inside // 1000,
        "outside": -(-spans.outside // 1000),
        "runtimes": measured(value, RUNTIME),
        "short_runtimes": measured(total(settings.store, "t"), RUNTIME),
        "waits": measured(value, WAIT),
        "skews": value.counter(CLOCK_SKEWS),
        "drops": recorder.status()["drops"],
    }
    print(json.dumps(seen))


if __name__ == "__main__":
    main()
