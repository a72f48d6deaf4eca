"""Libraries of ours that are preloaded: built, put before a process, and that of `shim.c` asked from inside it."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
KINDS = ("open", "fallocate", "mmap", "lock", "rename", "unlink", "write")
NEVER = 2**62


def built(directory: Path, name: str = "shim") -> Path:
    """The library of this name, compiled into a directory."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    assert compiler is not None, "a C compiler is needed, as it is to build the extension"
    source, library = Path(__file__).with_name(f"{name}.c"), directory / f"{name}.so"
    subprocess.run([compiler, "-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    return library


def preloaded(library: Path, module: str, *arguments: str, seconds: float = 300, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a module of the tests in a process that has the library in front of the C library, as all that it starts."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("QUEUE_METRICS_")}
    environment = kept | variables | {"LD_PRELOAD": str(library), "PYTHONPATH": f"{ROOT / 'python'}:{ROOT}"}
    return subprocess.run(
        [sys.executable, "-m", module, *arguments], env=environment, capture_output=True, text=True, timeout=seconds, check=False
    )


class Shim:
    """The library in this process, which was started with it."""

    def __init__(self, below: Iterable[str | os.PathLike[str]] = ()) -> None:
        self._library = ctypes.CDLL(None)
        self._library.fault_disarm.restype = ctypes.c_long
        self._library.fault_failed.restype = ctypes.c_long
        self._library.fault_met.restype = ctypes.c_char_p
        for directory in below:
            self.below(directory)

    def below(self, directory: str | os.PathLike[str]) -> None:
        """Also calls of Python about files below this directory count."""
        self._library.fault_below(os.fsencode(directory))

    def arm(self, kind: str, first: int = NEVER, last: int = NEVER, error: int = 0) -> None:
        """From now on the calls `first` to `last` of this kind fail; the next is number 1."""
        self._library.fault_arm(KINDS.index(kind), ctypes.c_long(first), ctypes.c_long(last), error)

    def disarm(self, kind: str) -> int:
        """No call fails any more; how many there were."""
        return int(self._library.fault_disarm(KINDS.index(kind)))

    @property
    def failed(self) -> int:
        """How many calls were made to fail since the last arming."""
        return int(self._library.fault_failed())

    @property
    def met(self) -> str:
        """The file that the first of these calls was about, of a call that names one."""
        return os.fsdecode(self._library.fault_met())

    def clocks(self, *, monotonic: float = 0.0, wall: float = 0.0) -> None:
        """The extension's clocks are so many seconds ahead of the machine's."""
        self._library.fault_clocks(ctypes.c_longlong(round(monotonic * 1e9)), ctypes.c_longlong(round(wall * 1e9)))
