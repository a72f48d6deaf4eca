"""A Celery app that listens to its job events: `celery -A tests.flow.apps.told_celery`; run as a module it enqueues."""

from __future__ import annotations

import os
import sys
import time
from typing import Any

from celery import Celery

import queue_metrics as qm
from tests.flow.apps import told

app = Celery("told", broker=os.environ["FLOW_BROKER"])
app.conf.update(task_ignore_result=True, broker_connection_retry_on_startup=True, worker_prefetch_multiplier=1)
for job in told.JOBS:
    app.task(job, name=job.__name__)


@app.task(name="retries", bind=True, max_retries=1)
def retries(self: Any) -> None:
    if self.request.retries == 0:
        raise self.retry(exc=KeyError("later"), countdown=0)


@app.task(name="hard", time_limit=1)
def hard() -> None:
    time.sleep(60)


qm.instrument(app)
told.listen()

if __name__ == "__main__":
    for name in sys.argv[1:]:
        late = name == "debounced"
        app.send_task("quiet" if late else name, task_id=None if name == "quiet" else name, expires=-1 if late else None)
