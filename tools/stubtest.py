"""
Compares the stub of the extension with the extension: `_core.pyi`, and the files that its length made of it, `_core_*.pyi`.

mypy's stubtest takes a name that a stub imports from another one for checked there. Those others are no modules at run time, so each is
given one that holds what the extension has of its names.
"""

from __future__ import annotations

import ast
import importlib
import sys
import types
from pathlib import Path

from mypy import stubtest

FOLDER = Path(__file__).resolve().parent.parent / "python" / "queue_metrics"


def stand_in(stub: Path, extension: types.ModuleType) -> str:
    """Put a module for a part of the stub in place; its name. What the extension lacks, it lacks."""
    module = types.ModuleType(f"queue_metrics.{stub.stem}")
    for node in ast.parse(stub.read_text()).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and hasattr(extension, node.name):
            setattr(module, node.name, getattr(extension, node.name))
    sys.modules[module.__name__] = module
    return module.__name__


def main() -> int:
    """What stubtest answers."""
    extension = importlib.import_module("queue_metrics._core")
    parts = [stand_in(stub, extension) for stub in sorted(FOLDER.glob("_core_*.pyi"))]
    allowed = Path(__file__).with_name("stubtest-allowed.txt")
    options = stubtest.parse_options(["--concise", "--allowlist", str(allowed), extension.__name__, *parts])
    return stubtest.test_stubs(options)


if __name__ == "__main__":
    sys.exit(main())
