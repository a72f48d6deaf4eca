"""
The C of the benches, one file a subject, compiled with -O2 at first use; needs a C compiler and Python's headers.

`load("floor")` is `floor.c` as a module (its `PyInit_qm_floor`), `program("name")` the path of `name.c` built as a program.
"""

from __future__ import annotations

import functools
import importlib.util
import os
import subprocess
import sys
import sysconfig
from pathlib import Path
from types import ModuleType

FOLDER = Path(__file__).parent
OUT = FOLDER.parent / "out"


def _build(name: str, target: Path, *options: str) -> Path:
    """Compile unless the result is there and newer than its source; whole or not at all, for two may build at once."""
    source = FOLDER / f"{name}.c"
    if not target.exists() or target.stat().st_mtime < source.stat().st_mtime:
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(f"{target.name}.{os.getpid()}")
        subprocess.run(["cc", "-std=gnu11", "-O2", "-Wall", *options, "-o", str(part), str(source), "-lm", "-pthread"], check=True)
        part.rename(target)
    return target


@functools.cache
def load(name: str = "floor") -> ModuleType:
    """A C file as an extension module."""
    target = OUT / f"qm_{name}-{sys.version_info.major}{sys.version_info.minor}.so"
    library = _build(name, target, "-shared", "-fPIC", f"-I{sysconfig.get_paths()['include']}")
    spec = importlib.util.spec_from_file_location(f"qm_{name}", library)
    if spec is None or spec.loader is None:
        raise ImportError(f"cannot load {library}")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@functools.cache
def program(name: str) -> Path:
    """A C file as a program."""
    return _build(name, OUT / name)
