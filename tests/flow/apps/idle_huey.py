"""A Huey queue that nobody works on, instrumented as users do it; run as a module it enqueues so many jobs."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from huey import SqliteHuey

import queue_metrics as qm

huey = SqliteHuey("idle", filename=os.fspath(Path(os.environ["HOOK_TEST_DIR"]) / "huey.db"), results=False, fsync=False)


@huey.task()
def waits() -> None:
    """For ever."""


if __name__ == "__main__":
    # Not from `__main__`, by whose name no consumer would know the task.
    from tests.flow.apps import idle_huey

    qm.instrument(idle_huey.huey, connection="idle")
    for _ in range(int(sys.argv[1])):
        idle_huey.waits()
