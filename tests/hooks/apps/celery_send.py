"""Publishes jobs as its argument says: a JSON list of [what, job id, task or nothing, arguments, options]."""

from __future__ import annotations

import json
import sys

from tests.hooks.apps.celery_app import app
from tests.hooks.apps.celery_names import HOSTILE


def main() -> None:
    for what, job, task, arguments, options in json.loads(sys.argv[1]):
        if what == "send":
            app.send_task(HOSTILE if task == "hostile" else task, args=arguments, task_id=job, **options)
        else:
            assert what in ("revoke", "terminate")
            assert app.control.revoke(job, terminate=what == "terminate", reply=True, timeout=120, limit=1), "no worker answered"


if __name__ == "__main__":
    main()
