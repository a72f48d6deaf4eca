"""Samples of processes from Python, beside the same system calls in a loop of C and beside psutil."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from benches import callgrind, syscalls
from benches.measure import Case, calls, times
from benches.native import load
from benches.rows import Row

HOT, LIMIT, FLOOR, PSUTIL = "hot sample", "its 4 system calls in C", "the same as one C call", "psutil oneshot"
PLAIN = "psutil, call by call"
WATCH, WATCH_LIMIT, WATCH_PSUTIL = "watched process", "pread + decode of its stat and statm in C", "psutil oneshot of it"
WHOLE = "process_sample"
PSUTIL_GOAL = 35


@contextmanager
def cases() -> Iterator[list[Case]]:
    """This process and a child that waits."""
    import psutil

    from queue_metrics import _core

    limit = load("process")
    child = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.readline()"], stdin=subprocess.PIPE)

    def call_by_call(n: int) -> None:
        process = psutil.Process()
        for _ in itertools.repeat(None, n):
            process.cpu_times()
            process.memory_info()
            process.num_fds()
            process.num_threads()

    def psutil_of(process: psutil.Process) -> Case:
        def batch(n: int) -> None:
            for _ in itertools.repeat(None, n):
                with process.oneshot():
                    process.cpu_times()
                    process.memory_info()
                    process.num_fds()
                    process.num_threads()

        return Case(PSUTIL if process.pid != child.pid else WATCH_PSUTIL, batch)

    try:
        limit.open(child.pid)
        sampler, watch = _core.ProcessSampler(), _core.ProcessWatch(child.pid)
        if sampler.hot().rss_bytes is None or watch.hot() is None:
            raise RuntimeError("a sample is not whole: its time would be of something else")
        yield [
            Case(HOT, calls(sampler.hot)),
            Case(LIMIT, limit.own_batch),
            Case(FLOOR, calls(limit.own)),
            psutil_of(psutil.Process()),
            Case(PLAIN, call_by_call),
            Case(WATCH, calls(watch.hot)),
            Case(WATCH_LIMIT, limit.other_batch),
            psutil_of(psutil.Process(child.pid)),
            Case(WHOLE, calls(_core.process_sample)),
        ]
    finally:
        child.communicate()


def process_rows() -> list[Row]:
    """CPU time a sample."""
    found = times(cases)
    most = found.ratio(PSUTIL, LIMIT).value
    why = f"{'out of reach: ' if most < PSUTIL_GOAL else ''}our 4 system calls alone, in C, are {most:.3g}x less; psutil makes 26"
    return [
        found.at_most("hot process sample / its 4 system calls in C", HOT, LIMIT, 1.15, note="from Python"),
        found.beside("hot process sample / the same as one C call from Python, six numbers in a tuple", HOT, FLOOR),
        found.less("hot process sample / psutil oneshot", HOT, PSUTIL, PSUTIL_GOAL, note=why),
        found.beside("hot process sample / psutil, call by call", HOT, PLAIN, inverse=True, note="its four calls share no file of /proc"),
        found.at_most("another process by pid / pread + decode of stat and statm in C", WATCH, WATCH_LIMIT, 1.2, note="files kept open"),
        found.beside("another process by pid / psutil oneshot", WATCH, WATCH_PSUTIL, inverse=True, note="psutil counts descriptors, too"),
        found.beside("whole sample of this process on demand / psutil oneshot", WHOLE, PSUTIL, note="20 fields against 4 calls"),
    ]


def process_counts() -> list[Row]:
    """System calls and instructions a sample."""
    return [
        syscalls.row("hot process sample, system calls", cases, HOT, 4, note="Linux 6.2 or newer"),
        syscalls.row("another process by pid, system calls", cases, WATCH, 2),
        callgrind.row("hot process sample, instructions", cases, HOT, 1_500, note="a C call that answers a tuple of the six takes 2,211"),
    ]
