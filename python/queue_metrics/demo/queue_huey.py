"""The demo's queue with Huey: SQLite or Redis storage, real process workers."""

from __future__ import annotations

from functools import partial
from typing import Any

from huey import RedisHuey, SqliteHuey
from huey.exceptions import TaskTimeout

from queue_metrics.demo.ledger import Ledger
from queue_metrics.demo.options import Options
from queue_metrics.demo.queues import Waiting, announce
from queue_metrics.demo.work import KINDS, RETRY_DELAY, Job, Kind, attempt

# Ten seconds by default: with a kill each few hundred milliseconds nothing would run for seconds.
HEALTH_CHECK_SECONDS = 0.5


class HueyQueue:
    """A Huey instance with the demo's tasks."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._huey = _storage(options)
        self._huey.on_startup("announce")(partial(announce, options))
        ledger = Ledger(options.ledger)
        self._tasks = {kind.name: _task(self._huey, kind, ledger) for kind in KINDS}

    @property
    def app(self) -> object:
        return self._huey

    def send(self, job: Job) -> None:
        self._tasks[job.kind.name](job.seconds, job.megabytes, job.failures)

    def waiting(self) -> Waiting:
        return Waiting(ready=self._huey.pending_count(), later=self._huey.scheduled_count())

    def run_worker(self) -> None:
        consumer = self._huey.create_consumer(
            workers=self._options.workers,
            worker_type="process",
            periodic=False,
            initial_delay=0.05,
            max_delay=0.25,
            health_check_interval=HEALTH_CHECK_SECONDS,
        )
        consumer.run()

    def clear(self) -> None:
        self._huey.storage.flush_all()


def _storage(options: Options) -> Any:
    name = f"{options.broker_prefix}shop"
    if options.broker.startswith("sqlite:///"):
        return SqliteHuey(name, filename=options.broker.removeprefix("sqlite:///"), results=False, timeout=30)
    return RedisHuey(name, url=options.broker, results=False)


def _task(huey: Any, kind: Kind, ledger: Ledger) -> Any:
    """Make a task of a kind."""

    def body(seconds: float, megabytes: int, failures: int, task: Any) -> None:
        attempt(
            ledger,
            kind,
            seconds,
            megabytes,
            fails=kind.retries - task.retries < failures,
            retries_left=task.retries,
            soft_limits=(TaskTimeout,),
        )

    body.__module__, body.__name__ = kind.name.split(".")
    return huey.task(retries=kind.retries, retry_delay=RETRY_DELAY, timeout=kind.soft_limit, context=True)(body)
