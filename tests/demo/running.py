"""Runs the demo as a user does, and looks for what it leaves behind."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.patience import PATIENCE


@dataclass(frozen=True)
class Ended:
    """A run that is over."""

    code: int
    out: str
    err: str

    @property
    def answer(self) -> dict[str, Any]:
        """The one JSON object on stdout."""
        assert self.out.strip(), f"nothing on stdout; stderr:\n{self.err}"
        found: dict[str, Any] = json.loads(self.out)
        return found


def command(*arguments: str) -> list[str]:
    """The demo with arguments."""
    return [sys.executable, "-m", "queue_metrics", "demo", *arguments]


def environment(temporary: Path, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's, with temporary files in a directory of the test."""
    return {**os.environ, "TMPDIR": str(temporary), **(extra or {})}


def run(temporary: Path, *arguments: str, extra: Mapping[str, str] | None = None) -> Ended:
    """Run the demo to its end; its temporary directory must be empty again."""
    done = subprocess.run(
        command(*arguments), capture_output=True, text=True, timeout=2 * PATIENCE, env=environment(temporary, extra), check=False
    )
    assert list(temporary.iterdir()) == [], done.stderr
    assert processes_with(str(temporary)) == []
    return Ended(done.returncode, done.stdout, done.stderr)


@contextlib.contextmanager
def started(temporary: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """The demo, running; killed at the end if it still does."""
    process = subprocess.Popen(command(*arguments), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment(temporary))
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def line_with(process: subprocess.Popen[str], word: str) -> str:
    """The next line with a word in it."""
    assert process.stdout is not None
    for line in process.stdout:
        if word in line:
            return line
    raise AssertionError(f"the demo ended with {process.wait()} before it said {word!r}")


def processes_with(text: str) -> list[str]:
    """Command lines of living processes that name a text."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit() and int(entry) != os.getpid():
            with contextlib.suppress(OSError):
                line = Path(f"/proc/{entry}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                if text in line:
                    found.append(line)
    return found


def eventually(condition: Any, what: str, seconds: float = PATIENCE) -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.05)
