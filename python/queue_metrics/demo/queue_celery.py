"""The demo's queue with Celery: prefork workers on Redis."""

from __future__ import annotations

from typing import Any

import redis
from celery import Celery
from celery.exceptions import SoftTimeLimitExceeded
from celery.signals import worker_process_init

from queue_metrics.demo.ledger import Ledger
from queue_metrics.demo.options import Options
from queue_metrics.demo.queues import Waiting, announce
from queue_metrics.demo.work import KINDS, QUEUES, RETRY_DELAY, Job, Kind, RetryNow, attempt


class CeleryQueue:
    """A Celery app with the demo's tasks."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._prefix = options.broker_prefix
        self._app = Celery("shop", broker=options.broker, set_as_current=True)
        self._app.conf.update(
            broker_transport_options={"global_keyprefix": self._prefix},
            broker_connection_retry_on_startup=True,
            task_default_queue=QUEUES[0],
            task_ignore_result=True,
            task_acks_late=False,
            worker_prefetch_multiplier=1,
            worker_hijack_root_logger=False,
        )
        ledger = Ledger(options.ledger)
        self._tasks = {kind.name: _task(self._app, kind, ledger) for kind in KINDS}
        # A connection of our own: the app's pool belongs to the library.
        self._redis = redis.Redis.from_url(options.broker)

        def started(**_: object) -> None:
            announce(options)

        worker_process_init.connect(started, weak=False)

    @property
    def app(self) -> object:
        return self._app

    def send(self, job: Job) -> None:
        self._tasks[job.kind.name].apply_async((job.seconds, job.megabytes, job.failures), queue=job.kind.queue)

    def waiting(self) -> Waiting:
        pipeline = self._redis.pipeline(transaction=True)
        for queue in QUEUES:
            pipeline.llen(self._prefix + queue)
        pipeline.hlen(self._prefix + "unacked")
        *ready, later = pipeline.execute()
        return Waiting(ready=sum(ready), later=later)

    def run_worker(self) -> None:
        self._app.worker_main(
            [
                "worker",
                "--pool=prefork",
                f"--concurrency={self._options.workers}",
                f"--queues={','.join(QUEUES)}",
                "--loglevel=WARNING",
                "--without-gossip",
                "--without-mingle",
                "--without-heartbeat",
            ]
        )

    def clear(self) -> None:
        for key in self._redis.scan_iter(match=f"{self._prefix}*", count=1000):
            self._redis.delete(key)


def _task(app: Any, kind: Kind, ledger: Ledger) -> Any:
    """Make a task of a kind."""

    def body(self: Any, seconds: float, megabytes: int, failures: int) -> None:
        tried = self.request.retries
        try:
            attempt(
                ledger,
                kind,
                seconds,
                megabytes,
                fails=tried < failures,
                retries_left=kind.retries - tried,
                soft_limits=(SoftTimeLimitExceeded,),
            )
        except RetryNow as error:
            raise self.retry(exc=error, countdown=RETRY_DELAY, max_retries=kind.retries) from error

    return app.task(body, bind=True, name=kind.name, soft_time_limit=kind.soft_limit)
