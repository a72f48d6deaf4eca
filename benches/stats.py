"""
Statistics: lines, a sliding window, percentiles, sketches and the fold, beside the plain loops of C and beside numpy.

The C sums are neither centred nor summed again, and its buckets are linear between powers of two: it is what the work costs at least,
not what it costs to be right.
"""

from __future__ import annotations

import itertools
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from benches import callgrind
from benches.measure import ROOT, Case, calls, times
from benches.native import load
from benches.rows import Row, at_most, median_interval

N = 10_000
SERIES = 32
"""Series that percentiles are taken of in turn: the branch predictor of the machine must not know one by heart."""
WINDOW = 100
POINTS = 1000
"""Points that are pushed one by one in turn: few enough to be in the cache, as numbers are that were just made."""
QS = (0.5, 0.95, 0.99)
PUSH_BOUND = 4.0
"""Instructions of a push, in those of an empty call: a little more than is reached."""
RECORDS = 1_000_000
FOLD_GOAL = 5e6


class Data:
    """Numbers that all cases work on, and the C that works on them."""

    def __init__(self) -> None:
        import numpy as np

        random = np.random.default_rng(7)
        self.x = 1.76e9 + np.arange(float(N))
        self.y = 3.0 * np.arange(float(N)) + random.normal(0, 20_000, N)
        self.values = random.lognormal(0, 1, (SERIES, N))
        self.integers = random.lognormal(10, 2, N).astype(np.int64)
        self.native = load("stats")
        self.native.configure(self.x, self.y, self.values, self.integers)


@contextmanager
def lines() -> Iterator[list[Case]]:
    """A line through 10,000 points, from buffers."""
    import numpy as np

    from queue_metrics import _core

    data = Data()
    x, y = data.x, data.y

    def closed_form() -> float:
        dx = x - x.mean()
        return float(dx @ (y - y.mean()) / (dx @ dx))

    columns = np.column_stack([x - x[0], np.ones(N)])

    def least_squares() -> object:
        return np.linalg.lstsq(columns, y, rcond=None)

    yield [
        Case("ours", calls(_core.fit, x, y)),
        Case("ours, x counted", calls(_core.fit_counted, y)),
        Case("C loop", data.native.fit_loop),
        Case("C loop by hand", data.native.fit_by_hand_loop),
        Case("C from Python", calls(data.native.fit, x, y)),
        Case("numpy closed form", calls(closed_form)),
        Case("numpy.linalg.lstsq", calls(least_squares)),
        Case("numpy.polyfit", calls(np.polyfit, x - x[0], y, 1)),
        Case("moments", calls(_core.Moments, y)),
        Case("numpy var", calls(y.var)),
    ]


def _pushed(push: Callable[[float, float], object], data: Data) -> Callable[[int], None]:
    """A batch that gives each point of a series, Python numbers that were made before, again and again."""
    points = list(zip([float(at) for at in range(POINTS)], [float(value) for value in data.values[0][:POINTS]], strict=True))

    def batch(n: int) -> None:
        for x, y in itertools.islice(itertools.cycle(points), n):
            push(x, y)

    return batch


def _all_at_once(window: Any, data: Data) -> Callable[[int], None]:
    x, y = data.x, data.values[0]

    def batch(n: int) -> None:
        for first in range(0, n, N):
            window.push_all(x[: n - first], y[: n - first])

    return batch


@contextmanager
def windows() -> Iterator[list[Case]]:
    """One point into a full window of 100, the slope ready."""
    from queue_metrics import _core

    data = Data()
    native = data.native
    yield [
        Case("push", _pushed(_core.SlidingFit(WINDOW).push, data)),
        Case("push_all", _all_at_once(_core.SlidingFit(WINDOW), data)),
        Case("C call with two numbers that does nothing", _pushed(native.empty, data)),
        Case("C call with two numbers that answers one", _pushed(native.number, data)),
        Case("empty C call", calls(native.nothing)),
        Case("C loop", native.slide_loop),
    ]


@contextmanager
def percentiles() -> Iterator[list[Case]]:
    """p50, p95 and p99 of 10,000 numbers, of other ones each time."""
    import numpy as np

    from queue_metrics import _core

    data = Data()
    series = list(data.values)

    def of_each(function: Callable[..., object], *arguments: object) -> Callable[[int], None]:
        def batch(n: int) -> None:
            for values in itertools.islice(itertools.cycle(series), n):
                function(values, *arguments)

        return batch

    yield [
        Case("linear rule", of_each(_core.quantiles_linear, QS)),
        Case("nearest rank", of_each(_core.quantiles_nearest_rank, QS)),
        Case("C quickselect", data.native.select_loop),
        Case("numpy.percentile", of_each(np.percentile, [100 * q for q in QS])),
    ]


@contextmanager
def sketches() -> Iterator[list[Case]]:
    """A number into a sketch, and three quantiles out of a filled one."""
    from queue_metrics import _core

    data = Data()
    integers = data.integers
    filled = _core.Sketch(integers)
    value = _core.Value.from_parts(measures={0: data.integers[:2000].tolist()})

    def insert(n: int) -> None:
        for first in range(0, n, N):
            _core.Sketch(integers[: n - first])

    yield [
        Case("insert", insert),
        Case("C insert", data.native.insert_loop),
        Case("three quantiles", calls(filled.quantiles, QS)),
        Case("three quantiles of a stored value", calls(value.quantiles, 0, QS)),
        Case("C scan", data.native.query_loop, before=partial(data.native.insert_loop, N)),
    ]


def rows() -> list[Row]:
    """Everything against its limit."""
    fits, slides, selects, counts = times(lines), times(windows), times(percentiles), times(sketches)
    numbers = f"n = {N:,}"
    number = slides.ratio("C call with two numbers that answers one", "empty C call").value
    return [
        fits.at_most(
            f"line from a Python buffer, {numbers} / C one-pass loop", "ours", "C loop", 1.1, note="ours is centred; the C is not"
        ),
        fits.beside("the same / C loop with four sums by hand", "ours", "C loop by hand", note="SSE2 as ours, not centred"),
        fits.beside("the same / the C loop called from Python", "ours", "C from Python"),
        fits.beside("the same with x counted / C one-pass loop", "ours, x counted", "C loop"),
        fits.beside("numpy, closed form / ours", "ours", "numpy closed form", inverse=True),
        fits.beside("numpy.linalg.lstsq / ours", "ours", "numpy.linalg.lstsq", inverse=True, note="its matrix made before"),
        fits.beside("numpy.polyfit / ours", "ours", "numpy.polyfit", inverse=True),
        fits.beside("numpy var / our first four moments", "moments", "numpy var", inverse=True, note=numbers),
        slides.at_most(
            "sliding window, one point in, slope out / empty C call",
            "push",
            "empty C call",
            1.5,
            note=f"out of reach: C that takes two numbers and answers one is {number:.3g}x already",
        ),
        slides.beside("the same / empty C call with two numbers", "push", "C call with two numbers that does nothing"),
        slides.beside(
            "a C call with two numbers that answers one / empty C call", "C call with two numbers that answers one", "empty C call"
        ),
        slides.beside("sliding window, points of a buffer / C loop", "push_all", "C loop", note="a point; the C drifts"),
        selects.at_most(f"p50+p95+p99, linear rule, {numbers} / C quickselect", "linear rule", "C quickselect", 1.1),
        selects.at_most(f"p50+p95+p99, nearest rank, {numbers} / C quickselect", "nearest rank", "C quickselect", 1.1),
        selects.beside("numpy.percentile / ours", "linear rule", "numpy.percentile", inverse=True),
        counts.at_most("a number into a sketch, as the fold does it / C, bit log2", "insert", "C insert", 3),
        counts.at_most("p50+p95+p99 of a filled sketch, from Python / C scan", "three quantiles", "C scan", 2),
        counts.beside("p50+p95+p99 of a stored value, from Python / C scan", "three quantiles of a stored value", "C scan"),
        *fold(),
    ]


def counts() -> list[Row]:
    """The same by user instructions, which no neighbour disturbs."""

    def row(what: str, ours: float, limit: float, goal: float, *, bound: float | None = None) -> Row:
        return at_most(what, ours, limit, "instructions", goal, exact=True, bound=bound)

    called, looped = callgrind.instructions, partial(callgrind.instructions, loop=False)
    return [
        row(
            "line from a Python buffer, instructions / C one-pass loop",
            called(lines, "ours", 20),
            looped(lines, "C loop", 20),
            1.1,
        ),
        row(
            "sliding window, one point in, slope out, instructions / empty C call",
            called(windows, "push", 5_000),
            called(windows, "empty C call", 5_000),
            1.5,
            bound=PUSH_BOUND,
        ),
        row(
            "p50+p95+p99, linear rule, instructions / C quickselect",
            called(percentiles, "linear rule", 2 * SERIES),
            looped(percentiles, "C quickselect", 2 * SERIES),
            1.1,
        ),
        row(
            "a number into a sketch, instructions / C, bit log2",
            looped(sketches, "insert", 2 * N),
            looped(sketches, "C insert", 2 * N),
            3,
        ),
        row(
            "p50+p95+p99 of a filled sketch, instructions / C scan",
            called(sketches, "three quantiles"),
            looped(sketches, "C scan"),
            2,
        ),
    ]


def fold() -> list[Row]:
    """10^6 records into the rows of batches: from memory, and by the drainer from the files of a spool."""
    tool = [sys.executable, "tools/toolchain.py"]
    options = ["--quiet", "--locked", "--release", "--package", "queue-metrics-core", "--example", "fold"]
    done = subprocess.run([*tool, "run", *options, "21"], cwd=ROOT, capture_output=True, text=True, timeout=900, check=False)
    if done.returncode:
        raise RuntimeError(f"the fold failed: {done.stderr[-2000:]}")
    rates = [1e9 / float(line.split()[0]) for line in done.stdout.splitlines()]
    rate, low, high = median_interval(rates)
    met = None if low < FOLD_GOAL <= high else rate >= FOLD_GOAL
    note = f"90 % interval {low:,.0f}-{high:,.0f}; {RECORDS:,} START and END records of 20 tasks, to packed rows; CPU time"
    drained, count = _drained()
    return [
        Row("fold of records into deltas", rate, FOLD_GOAL, "records/s a core", rate / FOLD_GOAL, ">= 5e6", met, note),
        Row(
            "the same by the drainer, from the spool",
            drained,
            None,
            "records/s a core",
            note=f"{count:,} records, with reading and checking",
        ),
    ]


def _drained() -> tuple[float, int]:
    """Records a second of CPU time of a drainer that is given a full spool; and how many that were."""
    from queue_metrics import _core

    with tempfile.TemporaryDirectory(prefix="qm-bench-") as folder:
        spool = str(Path(folder) / "spool")
        recorder = _core.Recorder(spool, "bench", spool_bytes=1 << 30)
        handles = [recorder.series("bench", "default", f"task{number}", _core.CLOCK_NONE) for number in range(20)]
        ready_at = _core.clock_us()
        for number in range(RECORDS // 2):
            recorder.finished(recorder.started(handles[number % 20], number, 0, ready_at), 1, None, 0)
        if recorder.status()["drops"]:
            raise RuntimeError(f"records were dropped: {recorder.status()['drops']}")
        drainer = _core.Drainer(spool, spool_bytes=1 << 30)
        drainer.restore(0, b"")
        begin = time.process_time()
        folded = 0
        while drainer.poll():
            while (batch := drainer.next_batch()) is not None:
                folded += batch.records
                drainer.committed()
        taken = time.process_time() - begin
    if folded < RECORDS:
        raise RuntimeError(f"{folded} of {RECORDS} records were folded")
    return folded / taken, folded
