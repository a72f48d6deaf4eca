"""A Huey of rough and strangely named tasks, instrumented as users do it; queue and connection are named by the environment."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from huey import SqliteHuey
from huey.exceptions import TaskTimeout

import queue_metrics as qm
from tests.flow.apps import deeds
from tests.support.fleet import HOSTILE

DIRECTORY = Path(os.environ["FLOW_DIRECTORY"])
huey = SqliteHuey(os.environ.get("FLOW_QUEUE", "rough"), filename=os.fspath(DIRECTORY / "huey.db"), results=False, fsync=False)
MODULE = "deeds"


def _task(name: str, body: Any) -> Any:
    def run() -> None:
        body()

    run.__module__, run.__name__ = MODULE, name
    return huey.task()(run)


# Not in Celery: there such a child speaks through the pipe of its parent, which main then kills.
TASKS = {deed.__name__: _task(deed.__name__, deed) for deed in (*deeds.PLAIN, deeds.forks_and_returns)}
TASKS["interrupted"] = _task("interrupted", lambda: deeds.interrupted(lambda: TaskTimeout("now")))
STRANGE = {name: _task(name, deeds.quiet) for name in HOSTILE}

handle = qm.instrument(huey, connection=os.environ.get("FLOW_CONNECTION"))


def main() -> None:
    """`work`, or names of tasks to enqueue; `strange` is one of each strange name, with ids that are no plain text either."""
    if sys.argv[1:] == ["work"]:
        huey.create_consumer(workers=2, worker_type="process", initial_delay=0.02, max_delay=0.1, health_check_interval=0.3).run()
    for word in sys.argv[1:]:
        if word == "strange":
            for number, (name, task) in enumerate(STRANGE.items()):
                huey.enqueue(task.task_class(id=(name, number, name.encode())[number % 3]))
        else:
            TASKS[word]()


if __name__ == "__main__":
    # Not from `__main__`, whose classes no consumer could find.
    from tests.flow.apps import huey_app

    huey_app.main()
