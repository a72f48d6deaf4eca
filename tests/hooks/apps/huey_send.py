"""Enqueues a job for each argument: the name of a task, which is also the job's id, or `name@seconds` for one that is due later."""

from __future__ import annotations

import datetime
import sys

from tests.hooks.apps import huey_app
from tests.hooks.apps.huey_app import huey


def main() -> None:
    for job in sys.argv[1:]:
        name, _, delay = job.partition("@")
        task = huey._registry.string_to_task(f"{huey_app.__name__}.{name}")(id=job)
        if delay:
            task.eta = huey._get_timestamp() + datetime.timedelta(seconds=float(delay))
        if name == "revoked":
            huey.revoke(task)
        if name == "locked":
            huey.lock_task("taken").acquire()
        huey.enqueue(task)


if __name__ == "__main__":
    main()
