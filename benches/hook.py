"""
The hook: started + finished from Python, beside a C extension that makes the same readings, and beside prometheus_client.

Three depths: wall time only; CPU time too; CPU time and resident memory, read at each end. At each depth the peer measures what our
two records tell: that a job runs, its wait, its run time, its outcome, then its CPU time, then its memory. It stands in its fastest
use (the child of each metric kept, as we keep a handle; the kernel's file kept open) and in its usual one (`labels()` at each job,
memory by psutil), in one process and in its multiprocess mode, whose numbers other processes see as they see ours.
"""

from __future__ import annotations

import itertools
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benches import callgrind, syscalls
from benches.measure import Case, calls, times
from benches.native import load
from benches.rows import Row

JOB = "6f1a7c1e-0000-4000-8000-000000000000"
DEPTHS = ("wall only", "+ CPU", "+ CPU and RSS")
CALLS = (0, 2, 3)
FLOOR_GOALS = (1.5, 1.1, 1.1)
PEER_GOALS = (250, 25, 13)
INSTRUCTIONS = 1500
INSTRUCTIONS_BOUND = 2550
SEGMENT_JOBS = 8191  # records of 64 bytes, two a job, in a segment of 1 MiB
ANEW, INSIDE = "new segments", "one segment"
ASIDES = ("arrived", "heartbeat")
WAYS = ("fastest use", "usual use")


def _pairs(started: Callable[..., int], finished: Callable[..., Any], handle: int, ready_at: int) -> Callable[[int], None]:
    def run(n: int) -> None:
        for _ in itertools.repeat(None, n):
            finished(started(handle, JOB, 0, ready_at), 1, None, 0)

    return run


def _ours(folder: Path) -> list[Case]:
    """
    A recorder for each depth as a worker has it, and one that stays in a segment while it is timed. Drained segments are gone, as a drainer
    lets them go.
    """
    from queue_metrics import _core

    found = []
    settings: list[tuple[int, float | None]] = [(_core.CLOCK_NONE, None), (_core.CLOCK_PROCESS, None), (_core.CLOCK_PROCESS, 0.0)]
    for depth, (clock, memory) in zip(DEPTHS, settings, strict=True):
        for state, segment_bytes, most in ((ANEW, 1 << 20, 1 << 20), (INSIDE, 1 << 24, 120_000)):
            spool = folder / f"{depth} {state}"
            recorder = _core.Recorder(str(spool), "bench", memory_every=memory, segment_bytes=segment_bytes)
            run = _pairs(recorder.started, recorder.finished, recorder.series("bench", "default", "nothing", clock), _core.clock_us())
            run(2000)
            before = _prepared(recorder, spool, run if state == INSIDE else None)
            found.append(Case(f"ours, {depth}, {state}", run, most=most, before=before))
    return found


def _prepared(recorder: Any, spool: Path, fill: Callable[[int], None] | None) -> Callable[[], None]:
    """
    Goes on to a new segment if the case is to stay in one, and takes the full ones away; fails when a record was dropped, for then less
    was done than measured.
    """

    def before() -> None:
        status = recorder.status()
        if status["drops"] or status["hook_errors"] or status["way"] != "map":
            raise RuntimeError(f"records were lost in the measurement, or not mapped: {status}")
        segment = status["segment"]
        while fill is not None and segment == status["segment"]:
            fill(500)
            segment = recorder.status()["segment"]
        for path in spool.glob("*.seg"):
            if path.stem != segment:
                path.unlink()

    return before


def _floor(folder: Path) -> list[Case]:
    floor = load()
    run = _pairs(floor.started, floor.finished, 0, 0)

    def configured(cpu: bool, rss: bool, place: str) -> Callable[[], None]:
        def before() -> None:
            for path in folder.glob("*.seg"):
                path.unlink()
            if floor.failures():
                raise RuntimeError(f"the C pair could not write in {folder}")
            floor.configure(None, cpu, rss, 0, place)

        return before

    found = []
    for depth, (cpu, rss) in zip(DEPTHS, ((False, False), (True, False), (True, True)), strict=True):
        for state, place in ((ANEW, str(folder)), (INSIDE, "")):
            found.append(Case(f"C pair, {depth}, {state}", run, before=configured(cpu, rss, place)))
    return found


def _peers() -> list[Case]:
    """A hook of prometheus_client at each depth, in its fastest use and in its usual one."""
    import psutil
    from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

    registry = CollectorRegistry()
    labels = ("connection", "queue", "task")
    running = Gauge("jobs_running", "jobs that run", labels, registry=registry, multiprocess_mode="livesum")
    wait = Histogram("job_wait_seconds", "wait", labels, registry=registry)
    runtime = Histogram("job_runtime_seconds", "run time", labels, registry=registry)
    cpu = Histogram("job_cpu_seconds", "CPU time", labels, registry=registry)
    memory = Histogram("job_memory_bytes", "resident memory at the end", labels, registry=registry)
    ended = Counter("jobs", "ended", (*labels, "outcome"), registry=registry)
    names = ("bench", "default", "nothing")
    statm = os.open("/proc/self/statm", os.O_RDONLY)
    page = os.sysconf("SC_PAGE_SIZE")
    process = psutil.Process()
    date, wall_clock, cpu_clock, read = time.time, time.perf_counter, time.process_time, os.pread
    ready_at = date()

    def fastest(with_cpu: bool, with_rss: bool) -> Callable[[int], None]:
        begin, end = running.labels(*names).inc, running.labels(*names).dec
        succeeded, observe_memory = ended.labels(*names, "succeeded").inc, memory.labels(*names).observe
        observe_wait, observe_runtime, observe_cpu = (metric.labels(*names).observe for metric in (wait, runtime, cpu))

        def start() -> tuple[float, float]:
            begin()
            observe_wait(date() - ready_at)
            return wall_clock(), cpu_clock() if with_cpu else 0.0

        def finish(began: tuple[float, float]) -> None:
            if with_cpu:
                observe_cpu(cpu_clock() - began[1])
            observe_runtime(wall_clock() - began[0])
            if with_rss:
                observe_memory(int(read(statm, 128, 0).split(None, 2)[1]) * page)
            succeeded()
            end()

        return _hooked(start, finish)

    def usual(with_cpu: bool, with_rss: bool) -> Callable[[int], None]:
        def start() -> tuple[float, float]:
            running.labels(*names).inc()
            wait.labels(*names).observe(date() - ready_at)
            return wall_clock(), cpu_clock() if with_cpu else 0.0

        def finish(began: tuple[float, float]) -> None:
            if with_cpu:
                cpu.labels(*names).observe(cpu_clock() - began[1])
            runtime.labels(*names).observe(wall_clock() - began[0])
            if with_rss:
                memory.labels(*names).observe(process.memory_info().rss)
            ended.labels(*names, "succeeded").inc()
            running.labels(*names).dec()

        return _hooked(start, finish)

    switches = ((False, False), (True, False), (True, True))
    ways = zip(WAYS, (fastest, usual), strict=True)
    return [Case(f"{way}, {depth}", make(*switch)) for way, make in ways for depth, switch in zip(DEPTHS, switches, strict=True)]


def _hooked(start: Callable[[], Any], finish: Callable[[Any], None]) -> Callable[[int], None]:
    def run(n: int) -> None:
        for _ in itertools.repeat(None, n):
            finish(start())

    return run


@contextmanager
def alone() -> Iterator[list[Case]]:
    """Ours, the C extension, and the peer in one process."""
    with tempfile.TemporaryDirectory(prefix="qm-bench-") as folder:
        yield [*_ours(Path(folder)), *_floor(Path(folder)), *_peers()]


@contextmanager
def shared() -> Iterator[list[Case]]:
    """The same with the peer in its multiprocess mode, with its files where they are cheapest."""
    place = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="qm-bench-", dir=place) as files:
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = files  # read when prometheus_client is imported
        with alone() as cases:
            yield cases


@contextmanager
def lasting() -> Iterator[list[Case]]:
    """Executions of 2 ms, 2 ms apart: in either time a child of a job can have ended."""
    from queue_metrics import _core

    with tempfile.TemporaryDirectory(prefix="qm-bench-") as folder:
        recorder = _core.Recorder(folder, "bench", memory_every=0.0)
        handle = recorder.series("bench", "default", "nothing", _core.CLOCK_PROCESS)

        def spin() -> None:
            end = time.monotonic_ns() + 2_000_000
            while time.monotonic_ns() < end:
                pass

        def run(n: int) -> None:
            for _ in itertools.repeat(None, n):
                ticket = recorder.started(handle, JOB, 0, _core.NO_TIME)
                spin()
                recorder.finished(ticket, 1, None, 0)
                spin()

        run(1)
        yield [Case(f"ours, {DEPTHS[2]}", run)]


@contextmanager
def around() -> Iterator[list[Case]]:
    """What a hook calls beside a job."""
    from queue_metrics import _core

    with tempfile.TemporaryDirectory(prefix="qm-bench-") as folder:
        recorder = _core.Recorder(folder, "bench", segment_bytes=1 << 24)
        handle = recorder.series("bench", "default", "nothing", _core.CLOCK_NONE)
        arrived, ready_at = recorder.arrived, _core.clock_us()

        def enqueue(n: int) -> None:
            for _ in itertools.repeat(None, n):
                arrived(handle, JOB, 0, ready_at)

        enqueue(2000)
        yield [Case("arrived", enqueue), Case("heartbeat", calls(recorder.heartbeat))]


def rows() -> list[Row]:
    """CPU time of the process a job."""
    found = times(alone)
    result = []
    for state, words in ((INSIDE, "inside a segment"), (ANEW, "with new segments")):
        for depth, goal in zip(DEPTHS, FLOOR_GOALS, strict=True):
            what = f"hook, {depth}, {words} / C pair of the same"
            result.append(found.at_most(what, f"ours, {depth}, {state}", f"C pair, {depth}, {state}", goal))
    for mode, figures in (("prometheus_client", found), ("prometheus_client multiprocess", times(shared))):
        for way in WAYS:
            for depth, goal in zip(DEPTHS, PEER_GOALS, strict=True):
                best = figures.ratio(f"{way}, {depth}", f"C pair, {depth}, {ANEW}").value
                note = f"the C pair of the same is {best:.3g}x less"
                result.append(figures.less(f"hook, {depth} / {mode}, {way}", f"ours, {depth}, {ANEW}", f"{way}, {depth}", goal, note=note))
        for depth in DEPTHS[:2]:
            what = f"hook, {depth} / {mode}, usual use with CPU and RSS"
            note = "measures more than ours here; the goals of 250 and 25 were derived from this comparison"
            result.append(figures.beside(what, f"ours, {depth}, {ANEW}", f"usual use, {DEPTHS[2]}", note=note, inverse=True))
    return result


def counts() -> list[Row]:
    """System calls and user-space instructions a job."""
    result = [
        syscalls.row(f"hook, {depth}: system calls", alone, f"ours, {depth}, {ANEW}", goal, note="two more once a second")
        for depth, goal in zip(DEPTHS, CALLS, strict=True)
    ]
    note = "two more, for the CPU time of children, of a job that lasted 1 ms and of one that came 1 ms after another"
    result.append(syscalls.row(f"hook, {DEPTHS[2]}, of 2 ms: system calls", lasting, f"ours, {DEPTHS[2]}", CALLS[2] + 2, note=note))
    anew = syscalls.counts(alone, f"ours, {DEPTHS[0]}, {ANEW}", SEGMENT_JOBS)
    told = ", ".join(f"{call} {count}" for call, count in anew.most_common())
    note = f"one new segment in {SEGMENT_JOBS:,} jobs: {told}"
    result.append(Row(f"hook, {DEPTHS[0]}: system calls of new segments", anew.total() / SEGMENT_JOBS, None, "system calls", note=note))
    beside = callgrind.instructions(alone, f"C pair, {DEPTHS[2]}, {INSIDE}")
    what, case = f"hook, {DEPTHS[2]}: user instructions", f"ours, {DEPTHS[2]}, {INSIDE}"
    note = f"the C pair of the same readings {beside:,.0f}; clocks are system calls under valgrind"
    result.append(callgrind.row(what, alone, case, INSTRUCTIONS, bound=INSTRUCTIONS_BOUND, note=note))
    mine = callgrind.instructions(alone, case)
    for way in WAYS:
        peer = callgrind.instructions(alone, f"{way}, {DEPTHS[2]}")
        what = f"hook, {DEPTHS[2]}: user instructions / prometheus_client, {way}"
        result.append(Row(what, mine, peer, "instructions", peer / mine, note="times less"))
    asides = [Row(f"hook, {call}: user instructions", callgrind.instructions(around, call), None, "instructions") for call in ASIDES]
    return result + asides
