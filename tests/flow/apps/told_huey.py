"""A Huey that listens to its job events; run as a module it works, or enqueues the names that it is given."""

from __future__ import annotations

import os
import sys
from typing import Any

from huey import SqliteHuey
from huey.api import Task
from huey.exceptions import CancelExecution

import queue_metrics as qm
from tests.flow.apps import told

huey = SqliteHuey("told", filename=os.fspath(told.DIRECTORY / "huey.db"), results=False, fsync=False)
TASKS: dict[str, Any] = {job.__name__: huey.task()(job) for job in told.JOBS}


@huey.task(retries=1)
def retries() -> None:
    path = told.DIRECTORY / "retried"
    if not path.exists():
        path.touch()
        raise KeyError("later")


@huey.pre_execute()
def refuse(task: Task) -> None:
    if task.id == "debounced":
        raise CancelExecution


TASKS["retries"], TASKS["debounced"] = retries, TASKS["quiet"]
qm.instrument(huey, connection="told")
told.listen()

if __name__ == "__main__":
    if sys.argv[1:] == ["work"]:
        huey.create_consumer(workers=1, worker_type="process", initial_delay=0.02, max_delay=0.1, health_check_interval=0.3).run()
    else:
        for name in sys.argv[1:]:
            huey.enqueue(TASKS[name].task_class(id=None if name == "quiet" else name, retries=1 if name == "retries" else 0))
