"""A Celery app of rough tasks, instrumented as users do it: `celery -A tests.flow.apps.celery_app`; run as a module it enqueues."""

from __future__ import annotations

import os
import sys

from celery import Celery

import queue_metrics as qm
from tests.flow.apps import deeds

app = Celery("rough", broker=os.environ["FLOW_BROKER"])
app.conf.update(task_ignore_result=True, broker_connection_retry_on_startup=True, worker_prefetch_multiplier=1)
for deed in (*deeds.PLAIN, deeds.closes):
    app.task(deed, name=deed.__name__)

qm.instrument(app)
handle = qm.instrument(app)

if __name__ == "__main__":
    for name in sys.argv[1:]:
        app.send_task(name)
