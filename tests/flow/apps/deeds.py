"""What tasks do that no library expects; each notes first, without anything of ours, that it began."""

from __future__ import annotations

import os
import random
import signal
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


def begun(name: str) -> None:
    """One byte in a file that the package does not know."""
    path = Path(os.environ["FLOW_DIRECTORY"]) / f"begun-{name}"
    descriptor = os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)
    os.write(descriptor, b".")
    os.close(descriptor)


def quiet() -> None:
    begun("quiet")


def forks() -> None:
    begun("forks")
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)


def forks_and_returns() -> None:
    """The child leaves through everything that is around the task."""
    begun("forks_and_returns")
    pid = os.fork()
    if pid == 0:
        raise SystemExit(0)
    os.waitpid(pid, 0)


def closes() -> None:
    begun("closes")
    os.closerange(3, 65_536)


def moves() -> None:
    """The working directory is gone afterwards."""
    begun("moves")
    directory = tempfile.mkdtemp()
    os.chdir(directory)
    os.rmdir(directory)


def vanishes() -> None:
    begun("vanishes")
    os._exit(0)


def waits() -> None:
    """Until a file says that it may end."""
    begun(f"waits-{os.getpid()}")
    while not (Path(os.environ["FLOW_DIRECTORY"]) / "go").exists():
        time.sleep(0.02)
    begun("waited")


def interrupted(error: Callable[[], BaseException]) -> None:
    """A signal raises, as a soft limit does, a little later: here, in our code around the task, or in that around the next one."""

    def strike(*_: Any) -> None:
        raise error()

    begun("interrupted")
    signal.signal(signal.SIGALRM, strike)
    signal.setitimer(signal.ITIMER_REAL, random.expovariate(1 / 0.0003))


PLAIN: tuple[Callable[[], None], ...] = (quiet, forks, moves, vanishes, waits)
