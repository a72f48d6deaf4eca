"""
Times operations side by side: every case in every round, in three runs, each a process of its own. Knows no subject.

A subject is a context manager without arguments that yields its cases; `benches.syscalls` and `benches.callgrind` count the same
cases:

    @contextmanager
    def cases() -> Iterator[list[Case]]:
        limit = load("floor")
        yield [Case("ours", calls(ours, 1)), Case("limit", limit.batch)]

    found = times(cases)
    rows = [found.at_most("what a row says", "ours", "limit", 1.1), found.less("ours / peer", "ours", "peer", 25)]

`python -m benches.measure SUBJECT ...` is one run of a subject, in the process that the functions here start.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import itertools
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from benches.effort import EFFORT
from benches.native import load
from benches.rows import Row, at_most, less, median_interval

ROOT = Path(__file__).resolve().parent.parent
VISIT_NS = 20_000_000
"""What a visit should take: 16 to 25 ms, long enough for the clock and short enough that a round sees one state of the machine."""
ROUNDS = 9
EMPTY = "empty loop"
"""A case that every subject has: the loop of `calls` around nothing."""
MARK = "/qm-bench-mark"
"""A file that is not there: asking for it is the mark that strace shows."""


@dataclass(frozen=True, slots=True)
class Case:
    """One operation, done `n` times by `run(n)`: a Python function with a loop, or a batch call of C."""

    name: str
    run: Callable[[int], object]
    most: int = 1 << 40
    """Operations a visit may take at most, where more would meet another state (a full segment, a full disk)."""
    before: Callable[[], object] = int
    """Called before each visit, not timed: what a visit left behind is cleared away."""


Subject = Callable[[], AbstractContextManager[Sequence[Case]]]


@dataclass(frozen=True, slots=True)
class Ratio:
    """Median of the per-round ratios, median of the runs, and the 90 % interval over all their rounds."""

    value: float
    low: float
    high: float


class Times:
    """Nanoseconds an operation: for each run a list of rounds for each case."""

    def __init__(self, runs: Sequence[dict[str, list[float]]], clock: str) -> None:
        self.runs, self.clock = runs, clock

    def of(self, name: str) -> float:
        """Nanoseconds an operation: the median of the runs' medians."""
        return statistics.median(statistics.median(run[name]) for run in self.runs)

    def ratio(self, name: str, reference: str) -> Ratio:
        """Of two cases that stand beside each other in each round."""
        rounds = [[a / b for a, b in zip(run[name], run[reference], strict=True)] for run in self.runs]
        _, low, high = median_interval([*itertools.chain.from_iterable(rounds)])
        return Ratio(statistics.median(statistics.median(values) for values in rounds), low, high)

    def at_most(self, what: str, ours: str, limit: str, goal: float, *, note: str = "") -> Row:
        """A row: ours must take at most `goal` times what the limit takes."""
        ratio = self.ratio(ours, limit)
        return at_most(
            what,
            self.of(ours),
            self.of(limit),
            self._unit,
            goal,
            ratio=ratio.value,
            interval=(ratio.low, ratio.high),
            note=self._note(ratio, note),
        )

    def less(self, what: str, ours: str, peer: str, goal: float, *, note: str = "") -> Row:
        """A row: ours must take at least `goal` times less than the peer. The ratio is the peer's by ours."""
        ratio = self.ratio(peer, ours)
        return less(
            what,
            self.of(ours),
            self.of(peer),
            self._unit,
            goal,
            ratio=ratio.value,
            interval=(ratio.low, ratio.high),
            note=self._note(ratio, note),
        )

    def beside(self, what: str, ours: str, reference: str, *, inverse: bool = False, note: str = "") -> Row:
        """A row without a goal; `inverse` for how many times less ours is, as `less` tells it."""
        ratio = self.ratio(reference, ours) if inverse else self.ratio(ours, reference)
        return Row(what, self.of(ours), self.of(reference), self._unit, ratio.value, note=self._note(ratio, note))

    @property
    def _unit(self) -> str:
        return "ns CPU" if self.clock == "cpu" else "ns"

    @staticmethod
    def _note(ratio: Ratio, note: str) -> str:
        return "; ".join(part for part in (f"90 % interval {ratio.low:.3g}-{ratio.high:.3g}", note) if part)


def times(cases: Subject, *, clock: str = "cpu", rounds: int = ROUNDS, visit_ns: int = VISIT_NS) -> Times:
    """Run a subject; `clock` is "cpu" for the CPU time of the process, "wall" where the operation waits."""
    found = []
    rounds = EFFORT.rounds(rounds)
    for _ in range(EFFORT.runs):
        with tempfile.TemporaryDirectory(prefix="qm-bench-") as folder:
            options = ["--clock", clock, "--rounds", str(rounds), "--visit-ns", str(visit_ns)]
            run_child([*command(cases), *options], Path(folder))
            found.append(json.loads((Path(folder) / "results.json").read_text()))
    return Times(found, clock)


def command(cases: Subject) -> list[str]:
    """The command line of one run of a subject, without the options that say what to do."""
    return [sys.executable, "-m", "benches.measure", f"{cases.__module__}:{cases.__qualname__}"]


def run_child(words: Sequence[str], folder: Path, *, limit: float = 900.0) -> subprocess.CompletedProcess[str]:
    """
    Start a child in the repository with little around it; `results.json` and its other files are in `folder`.

    Raises:
        RuntimeError: it failed; with what it said.
    """
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "PYTHONHASHSEED": "0",
        "C_FORCE_ROOT": "1",
    }
    environment["QM_BENCH_OUT"] = str(folder / "results.json")
    done = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=limit, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(words)} failed ({done.returncode}): {done.stderr[-2000:]}")
    return done


def calls(function: Callable[..., object], *arguments: object) -> Callable[[int], None]:
    """A batch that calls a function from Python with up to three positional arguments, at the least cost of a loop."""
    match arguments:
        case ():

            def batch(n: int) -> None:
                for _ in itertools.repeat(None, n):
                    function()
        case (a,):

            def batch(n: int) -> None:
                for _ in itertools.repeat(None, n):
                    function(a)
        case (a, b):

            def batch(n: int) -> None:
                for _ in itertools.repeat(None, n):
                    function(a, b)
        case (a, b, c):

            def batch(n: int) -> None:
                for _ in itertools.repeat(None, n):
                    function(a, b, c)
        case _:
            raise TypeError(f"calls takes up to 3 arguments, not {len(arguments)}: write the loop")
    return batch


def _empty(n: int) -> None:
    for _ in itertools.repeat(None, n):
        pass


def _fitting(case: Case, clock: Callable[[], int], visit_ns: int) -> int:
    """How many operations fill a visit."""
    n = 1
    while True:
        case.before()
        begin = clock()
        case.run(n)
        taken = max(clock() - begin, 1)
        if taken >= visit_ns // 4 or n >= case.most:
            return max(min(round(n * visit_ns / taken), case.most), 1)
        n = min(n * 4, case.most)


def _time(cases: Sequence[Case], clock: Callable[[], int], rounds: int, visit_ns: int) -> dict[str, list[float]]:
    counts = [_fitting(case, clock, visit_ns) for case in cases]
    gc.collect()
    gc.freeze()
    results: dict[str, list[float]] = {case.name: [] for case in cases}
    order = list(range(len(cases)))
    source = random.Random()
    for _ in range(rounds):
        source.shuffle(order)
        for index in order:
            case, n = cases[index], counts[index]
            case.before()
            begin = clock()
            case.run(n)
            results[case.name].append((clock() - begin) / n)
    return results


def _named(cases: Iterable[Case], name: str) -> Case:
    known = {case.name: case for case in cases}
    if name not in known:
        raise SystemExit(f"no case {name!r}; there are {', '.join(known)}")
    return known[name]


def _count(case: Case, operations: int, kind: str, windows: int) -> None:
    """The operations between two marks, for each window, after as many without: allocators and caches have then what they need."""
    case.before()
    case.run(operations)
    gc.collect()
    gc.freeze()
    if kind == "syscalls":
        for _ in range(windows):
            os.access(MARK, os.F_OK)
            case.run(operations)
            os.access(MARK, os.F_OK)
        return
    floor = load()
    floor.collect(True)
    case.run(operations)
    floor.collect(False)


def main() -> None:
    """One run of a subject."""
    parser = argparse.ArgumentParser(prog="python -m benches.measure", description="one run of a subject")
    parser.add_argument("subject", help="module:function")
    parser.add_argument("--clock", choices=("cpu", "wall"), default="cpu")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--visit-ns", type=int, default=VISIT_NS)
    parser.add_argument("--case", help="only this case, for a counter around us")
    parser.add_argument("--operations", type=int, default=1000)
    parser.add_argument("--windows", type=int, default=1, help="how often --operations are done between marks of system calls")
    parser.add_argument("--marks", choices=("syscalls", "callgrind"), default="syscalls")
    arguments = parser.parse_args()
    module, _, function = arguments.subject.partition(":")
    subject: Subject = getattr(importlib.import_module(module), function)
    with subject() as given:
        cases = [Case(EMPTY, _empty), *given]
        if arguments.case is not None:
            _count(_named(cases, arguments.case), arguments.operations, arguments.marks, arguments.windows)
            return
        clock = time.process_time_ns if arguments.clock == "cpu" else time.monotonic_ns
        results = _time(cases, clock, arguments.rounds, arguments.visit_ns)
    text = json.dumps(results)
    if out := os.environ.get("QM_BENCH_OUT"):
        Path(out).write_text(text)
    else:
        print(text)


if __name__ == "__main__":
    main()
