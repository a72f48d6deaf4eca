"""
A program of the hook tests, its app instrumented as users do it instead of by the bare hook: the whole path, down to the store.

`python -m tests.flow.instrumented APP PROGRAM ...` runs the module PROGRAM; where the numbers go is configured in the environment.
"""

from __future__ import annotations

import runpy
import sys
from importlib import import_module

import queue_metrics as qm


def main() -> None:
    module = import_module(sys.argv[1])
    app = module.huey if hasattr(module, "huey") else module.app
    module.hook.uninstall()
    handle = qm.instrument(app)
    assert qm.instrument(app) is handle
    sys.argv = sys.argv[2:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
