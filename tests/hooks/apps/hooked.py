"""What both test apps share: a recorder in the test's directory, and a note of whom the hook told what this process is."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from queue_metrics import _core
from queue_metrics.hooks.base import HookContext

DIRECTORY = Path(os.environ["HOOK_TEST_DIR"])
EXACT_PEAK = "peak" in os.environ.get("HOOK_TEST_WITH", "").split(",")
recorder = _core.Recorder(os.fspath(DIRECTORY / "spool"), "testhost", exact_peak=EXACT_PEAK)


def _note(word: str) -> Callable[[], None]:
    def note() -> None:
        with (DIRECTORY / "said").open("a") as file:
            file.write(f"{word} {os.getpid()}\n")

    return note


def context(connection: str | None = None) -> HookContext:
    return HookContext(recorder, on_main=_note("main"), on_child=_note("child"), on_producer=_note("producer"), connection=connection)


def once(name: str) -> bool:
    """True the first time it is asked for a name in this test, in whatever process."""
    try:
        os.close(os.open(DIRECTORY / f"once-{name}", os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return False
    return True


def have_a_child_burn() -> None:
    """Wait for a process that uses a second of CPU time, and for one that uses nothing."""
    for code in ("import time\nwhile time.process_time() < 1: sum(range(1000))", ""):
        subprocess.run([sys.executable, "-c", code], check=True)


def begun(name: str) -> None:
    """One byte for each time a body began, written without the library under test."""
    descriptor = os.open(DIRECTORY / f"begun-{name}", os.O_CREAT | os.O_APPEND | os.O_WRONLY)
    os.write(descriptor, b".")
    os.close(descriptor)


def moment() -> None:
    """Write the monotonic clock down, ns: a file for each process, since a process runs one job after the other."""
    with (DIRECTORY / f"moments-{os.getpid()}").open("a") as file:
        file.write(f"{time.monotonic_ns()}\n")


def sleep_between_moments() -> None:
    moment()
    time.sleep(0.2)
    moment()
