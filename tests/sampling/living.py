"""Real processes to be sampled: each stands still when it has run its code, until it is ended."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import psutil

from queue_metrics import _core
from tests.core.writing import until

if TYPE_CHECKING:
    from queue_metrics._core_sampling import _ProcessSample, _TreeSample

WAIT = """
import sys
print("ready", flush=True)
sys.stdin.readline()
"""


@contextmanager
def living(code: str) -> Iterator[int]:
    """The pid of a Python process that has run the code and waits; killed and reaped at the end."""
    process = subprocess.Popen([sys.executable, "-c", code + WAIT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        until(lambda: psutil.Process(process.pid).status() == psutil.STATUS_SLEEPING)
        yield process.pid
    finally:
        process.kill()
        process.communicate()


def sampled(pid: int | None = None, *, pss: bool = False) -> _ProcessSample:
    """The sample of a process that is there."""
    found = _core.process_sample(pid, pss=pss)
    assert found is not None
    return found


def whole_tree(pid: int | None = None, *, pss: bool = False) -> _TreeSample:
    """The sums over a process that is there and all that came from it."""
    found = _core.process_sample(pid, pss=pss, tree=True)
    assert found is not None
    return found["tree"]


def burn(clock: Callable[[], float], seconds: float) -> float:
    """Be busy until the clock has gone on so far; how far it went."""
    begin = clock()
    while (spent := clock() - begin) < seconds:
        sum(range(1_000))
    return spent
