"""Builds and loads the C floor: `load()`; needs a C compiler and Python's headers."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import sysconfig
from pathlib import Path
from types import ModuleType

SOURCE = Path(__file__).with_name("floor.c")


def build(folder: Path) -> Path:
    """Compile the floor with -O2 into a folder, unless it is there and newer than its source."""
    library = folder / f"qm_floor-{sys.version_info.major}{sys.version_info.minor}.so"
    if not library.exists() or library.stat().st_mtime < SOURCE.stat().st_mtime:
        folder.mkdir(parents=True, exist_ok=True)
        include = sysconfig.get_paths()["include"]
        subprocess.run(["cc", "-O2", "-shared", "-fPIC", f"-I{include}", "-o", str(library), str(SOURCE)], check=True)
    return library


def load(folder: Path | None = None) -> ModuleType:
    """The compiled floor as a module."""
    library = build(folder or Path(__file__).parent.parent / "out")
    spec = importlib.util.spec_from_file_location("qm_floor", library)
    if spec is None or spec.loader is None:
        raise ImportError(f"cannot load {library}")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
