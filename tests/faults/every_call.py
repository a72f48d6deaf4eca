"""
Runs a scenario once for each system call of a kind that it makes, with that call failing; a process with the shim before it.

Each run is a forked child: what one breaks is not there in the next. `python -m tests.faults.every_call SCENARIO DIRECTORY ERRORS TURN`
tries each call with so many of the errors, `... SCENARIO DIRECTORY CASE` one case some times, as a failure tells it. Prints one JSON
object: how many runs there were, how many calls failed, and what went wrong in which run.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from tests.faults import draining, recording, running
from tests.faults.shim import KINDS, NEVER, Shim

ERRORS = (errno.ENOSPC, errno.EIO, errno.EMFILE, errno.EROFS, errno.EACCES)
SCENARIOS = {
    "recorder, write": recording.by_write,
    "recorder, map": recording.by_map,
    "drainer, write": draining.by_write,
    "drainer, map": draining.by_map,
    "worker": running.by_runtime,
}
SIDE_BY_SIDE = 6
REPEATED = 30
"""Runs of a case that is asked for by itself: ids, and so the order of files, are other ones each time."""
LONGEST = 60.0  # seconds of one run before it counts as hanging


class Case(NamedTuple):
    """Which calls fail, and with what."""

    kind: str
    first: int
    last: int
    error: int

    def __str__(self) -> str:
        if not self.error:
            return f"{self.kind}: no call fails"
        return f"{self.kind} {self.first} {'alone' if self.first == self.last else 'on'} {errno.errorcode[self.error]}"

    @classmethod
    def parse(cls, text: str) -> Case:
        """The inverse of `str`."""
        kind, first, which, error = text.split()
        assert kind in KINDS
        assert which in {"alone", "on"}
        return cls(kind, int(first), int(first) if which == "alone" else NEVER - 1, getattr(errno, error))


def cases(kind: str, calls: int, errors: int, turn: int) -> Iterator[Case]:
    """Each call alone, and each with all that follow it; with so many of the errors, other ones for the next call and turn."""
    for number in range(1, calls + 1):
        for place in range(errors):
            error = ERRORS[(turn + number * errors + place) % len(ERRORS)]
            yield Case(kind, number, number, error)
            yield Case(kind, number, NEVER - 1, error)


class Runs:
    """Children that run the scenario, a few at a time."""

    def __init__(self, scenario: str, directory: Path) -> None:
        self._scenario, self._directory = SCENARIOS[scenario], directory
        self._running: dict[int, tuple[Case, Path, float]] = {}
        self.runs = self.failed = 0
        self.wrong: list[str] = []

    def calls(self, kind: str) -> int:
        """How many calls of a kind the scenario makes when none fails."""
        self.start(Case(kind, NEVER, NEVER, 0))
        place = next(iter(self._running.values()))[1]
        self.wait(0)
        assert not self.wrong, self.wrong
        answer: dict[str, Any] = json.loads((place / "answer").read_text())
        return int(answer["calls"])

    def start(self, case: Case) -> None:
        place = self._directory / str(self.runs)
        place.mkdir()
        self.runs += 1
        child = os.fork()
        if child == 0:
            self._run(case, place)
        self._running[child] = (case, place, time.monotonic() + LONGEST)

    def wait(self, most: int) -> None:
        """Until no more than so many run."""
        while len(self._running) > most:
            child, status = os.waitpid(-1, os.WNOHANG)
            if child == 0:
                late = [pid for pid, (_, _, until) in self._running.items() if time.monotonic() > until]
                for pid in late:
                    os.kill(pid, 9)
                time.sleep(0.002)
                continue
            case, place, _ = self._running.pop(child)
            if status:
                said = (place / "error").read_text() if (place / "error").exists() else "killed: it hung"
                self.wrong.append(f"{case}\n{said}")
            else:
                self.failed += int(json.loads((place / "answer").read_text())["failed"])
            if case.error:
                shutil.rmtree(place)

    def _run(self, case: Case, place: Path) -> None:
        status = 1
        shim = Shim([place / "spool"])
        try:
            answer = {"calls": self._scenario(shim, case.kind, case.first, case.last, case.error, place), "failed": shim.failed}
            (place / "answer").write_text(json.dumps(answer))
            status = 0
        except BaseException:
            shim.disarm(case.kind)
            (place / "error").write_text(
                f"{shim.failed} calls failed, the first about {shim.met or 'no file by name'}\n{traceback.format_exc()}"
            )
        finally:
            os._exit(status)


def one(scenario: str, directory: str, case: str) -> None:
    runs = Runs(scenario, Path(directory))
    for _ in range(REPEATED):
        runs.wait(SIDE_BY_SIDE - 1)
        runs.start(Case.parse(case))
    runs.wait(0)
    print(json.dumps({"runs": runs.runs, "failed": runs.failed, "calls": {}, "wrong": runs.wrong}))


def main(scenario: str, directory: str, errors: int, turn: int) -> None:
    runs = Runs(scenario, Path(directory))
    counted = {}
    for kind in KINDS:
        counted[kind] = runs.calls(kind)
        for case in cases(kind, counted[kind], errors, turn):
            runs.wait(SIDE_BY_SIDE - 1)
            runs.start(case)
        runs.wait(0)
    print(json.dumps({"runs": runs.runs, "failed": runs.failed, "calls": counted, "wrong": runs.wrong}))


if __name__ == "__main__":
    if len(sys.argv) == 4:
        one(*sys.argv[1:])
    else:
        main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
