"""
A sample of the host with psutil's content: CPU by core, memory, swap, load, disks, interfaces, room on `/`.

The limit is C that reads the same files through kept descriptors and decodes every number in one pass; psutil is asked for the same by
its calls that tell it by core, disk and interface. Ours ends in Python objects as psutil does, the limit in memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from benches import callgrind, syscalls
from benches.measure import Case, calls, times
from benches.native import load
from benches.rows import Row, at_most

CALLS = 6
PSUTIL_GOAL = 12
LIMIT = "limit: whole sample, read + decode"


@contextmanager
def cases() -> Iterator[Sequence[Case]]:
    """Ours, the limit, the peer."""
    import psutil

    from queue_metrics import _core

    limit = load("host")
    sampler = _core.HostSampler("proc")
    if None in sampler.hot():
        raise RuntimeError(f"a table could not be read, so less is done than is measured: {sampler.hot()}")

    def peer() -> None:
        psutil.cpu_times(percpu=True)
        psutil.virtual_memory()
        psutil.swap_memory()
        psutil.getloadavg()
        psutil.disk_usage("/")
        psutil.disk_io_counters(perdisk=True)
        psutil.net_io_counters(pernic=True)

    yield [
        Case("ours", calls(sampler.hot)),
        Case("ours, everything", calls(sampler.sample)),
        Case(LIMIT, limit.read_and_decode),
        Case("limit: read only", limit.read_only),
        Case("floor: one C call from Python", calls(limit.one)),
        Case("psutil", calls(peer)),
    ]


def rows() -> list[Row]:
    """CPU time a sample."""
    found = times(cases)
    most = found.ratio("psutil", LIMIT).value
    why = f"{'out of reach: ' if most < PSUTIL_GOAL else ''}the limit itself is {most:.3g}x less; psutil makes 38 system calls"
    return [
        found.at_most(f"system sample / {LIMIT}", "ours", LIMIT, 1.10, note="ours with a Python object for each number"),
        found.less("system sample / psutil", "ours", "psutil", PSUTIL_GOAL, note=why),
        found.beside("one C call from Python / the same limit", "floor: one C call from Python", LIMIT),
        found.beside("read only / the same limit", "limit: read only", LIMIT),
        found.beside("whole snapshot of a host / the same limit", "ours, everything", LIMIT, note="with mounts, pressure, cgroup, shares"),
    ]


def counts() -> list[Row]:
    """System calls, and instructions of the decoding."""
    return [
        syscalls.row("system sample, system calls", cases, "ours", CALLS),
        at_most(
            "system sample, instructions / the C's",
            callgrind.instructions(cases, "ours", 100),
            callgrind.instructions(cases, LIMIT, 100, loop=False),
            "instructions",
            1.10,
            exact=True,
            note="half of ours make Python objects",
        ),
    ]
