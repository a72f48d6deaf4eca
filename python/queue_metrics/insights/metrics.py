"""The reading front door: a store opened, and questions to it."""

from __future__ import annotations

import time
from collections.abc import Callable
from difflib import get_close_matches

from queue_metrics.errors import QueueMetricsError
from queue_metrics.insights import overview as overviews
from queue_metrics.insights import queues as queue_answers
from queue_metrics.insights import tasks as task_answers
from queue_metrics.insights import workers as worker_answers
from queue_metrics.insights.reading import Reading, read
from queue_metrics.insights.window import MINUTES_DEFAULT, last_minutes
from queue_metrics.model import Overview, QueueAnswer, Snapshot, TaskAnswer, WorkerAnswer
from queue_metrics.storage.base import QUEUE, TASK, StorageDriver

STALE_SECONDS, LOST_SECONDS = 60.0, 300.0


class UnknownName(QueueMetricsError, KeyError):
    """No task or queue of this name was ever recorded; also a KeyError."""

    def __str__(self) -> str:
        return str(self.args[0])  # a KeyError would show the repr


class Metrics:
    """
    Answers from a store. Reading changes nothing; every call reads anew, in one look (`StorageDriver.read_view`).

    Every method takes `minutes`, the length of its window: by minute up to 6 h, by hour up to 14 days, by day up to 400.
    Raises StoreError when the store cannot be read, ValueError for a window outside these bounds.

    Example:
        >>> metrics = connect("redis://localhost")            # doctest: +SKIP
        >>> metrics.task("app.send", minutes=15).runtime.p95  # doctest: +SKIP
        0.182
    """

    def __init__(
        self,
        driver: StorageDriver,
        *,
        now: Callable[[], float] | None = None,
        stale_seconds: float = STALE_SECONDS,
        lost_seconds: float = LOST_SECONDS,
    ) -> None:
        """
        Args:
            driver: an open store.
            now: the clock, seconds since 1970; the wall clock by default.
            stale_seconds: a worker or depth not heard of for so long is stale.
            lost_seconds: a worker not heard of for so long is lost.
        """
        self._driver = driver
        self._now = now or time.time
        self._stale_seconds = stale_seconds
        self._lost_seconds = lost_seconds

    def __repr__(self) -> str:
        return f"<Metrics of {self.store}>"

    @property
    def store(self) -> str:
        """Where the numbers come from, without a password."""
        return self._driver.url

    def snapshot(self, *, minutes: int = MINUTES_DEFAULT) -> Snapshot:
        """Overview, tasks, queues and workers of one moment."""
        return overviews.snapshot(self._read(minutes), stale_seconds=self._stale_seconds, lost_seconds=self._lost_seconds)

    def overview(self, *, minutes: int = MINUTES_DEFAULT) -> Overview:
        """Everything at one glance."""
        reading = self._read(minutes, totals=False)
        return overviews.overview(reading, stale_seconds=self._stale_seconds, lost_seconds=self._lost_seconds)

    def tasks(self, *, minutes: int = MINUTES_DEFAULT) -> tuple[TaskAnswer, ...]:
        """Every known task, each queue apart; most run time first."""
        return task_answers.tasks(self._read(minutes, heartbeats=False))

    def task(self, name: str, *, queue: str | None = None, connection: str | None = None, minutes: int = MINUTES_DEFAULT) -> TaskAnswer:
        """
        One task; over all its queues and connections together unless one is given.

        Raises:
            UnknownName: nothing of this name was ever recorded; says which names are near.
        """
        reading = self._read(minutes, heartbeats=False)
        found = [
            series
            for series in reading.tasks
            if series.labels[2] == name and queue in (None, series.labels[1]) and connection in (None, series.labels[0])
        ]
        if not found:
            elsewhere = sorted({f"{series.labels[0]}/{series.labels[1]}" for series in reading.tasks if series.labels[2] == name})
            if elsewhere:
                raise UnknownName(f"task {name!r} was recorded in {', '.join(elsewhere)} only")
            raise UnknownName(_unknown("task", name, [series.labels[2] for series in reading.tasks]))
        return task_answers.task(reading, found)

    def queues(self, *, minutes: int = MINUTES_DEFAULT) -> tuple[QueueAnswer, ...]:
        """Every known queue, worst first."""
        reading = self._read(minutes)
        return queue_answers.queues(reading, self._workers(reading), stale_seconds=self._stale_seconds)

    def queue(self, name: str, *, connection: str | None = None, minutes: int = MINUTES_DEFAULT) -> QueueAnswer:
        """
        One queue.

        Raises:
            UnknownName: no queue of this name was ever recorded, or several connections have one.
        """
        answers = self.queues(minutes=minutes)
        found = [answer for answer in answers if answer.queue == name and connection in (None, answer.connection)]
        if len(found) > 1:
            owners = ", ".join(repr(answer.connection) for answer in found)
            raise UnknownName(f"queue {name!r} exists on several connections ({owners}): say which, connection=...")
        if not found:
            raise UnknownName(_unknown("queue", name, [answer.queue for answer in answers]))
        return found[0]

    def workers(self) -> tuple[WorkerAnswer, ...]:
        """Every process that has a heartbeat, those that need a look first."""
        return self._workers(self._read(1, kinds=(), totals=False))

    def close(self) -> None:
        """Let go of the store's connections."""
        self._driver.close()

    def _read(self, minutes: int, *, kinds: tuple[int, ...] = (TASK, QUEUE), totals: bool = True, heartbeats: bool = True) -> Reading:
        return read(self._driver, last_minutes(minutes, self._now()), kinds=kinds, totals=totals, heartbeats=heartbeats)

    def _workers(self, reading: Reading) -> tuple[WorkerAnswer, ...]:
        answers, _ = worker_answers.workers(
            reading.beats, reading.span.now, stale_seconds=self._stale_seconds, lost_seconds=self._lost_seconds
        )
        return answers


def connect(
    store: str | StorageDriver | None = None,
    *,
    prefix: str | None = None,
    now: Callable[[], float] | None = None,
    stale_seconds: float | None = None,
    lost_seconds: float | None = None,
) -> Metrics:
    """
    Open a store for reading.

    Args:
        store: its URL (`sqlite:///...`, `redis://...`, `memory://`), or a driver that is open; None: as configured, and so is
            everything below that is not given.
        prefix: of its keys or tables; "queue_metrics" by default.
        now: the clock, seconds since 1970; the wall clock by default.
        stale_seconds: a worker or depth not heard of for so long is stale; 60 by default.
        lost_seconds: a worker not heard of for so long is lost; 300 by default.

    Raises:
        ConfigurationError: the URL is malformed or of an unknown kind, or a setting is unknown or wrong.
        MissingDependency: the library of this database is not installed.
    """
    if store is None:
        from queue_metrics.config import load_settings

        settings = load_settings(prefix=prefix, stale_seconds=stale_seconds, lost_seconds=lost_seconds)
        store, prefix = settings.store, settings.prefix
        stale_seconds, lost_seconds = settings.stale_seconds, settings.lost_seconds
    if isinstance(store, str):
        from queue_metrics.storage.manager import StorageManager

        store = (StorageManager() if prefix is None else StorageManager(prefix)).open(store)
    return Metrics(
        store,
        now=now,
        stale_seconds=STALE_SECONDS if stale_seconds is None else stale_seconds,
        lost_seconds=LOST_SECONDS if lost_seconds is None else lost_seconds,
    )


def _unknown(kind: str, name: str, known: list[str]) -> str:
    if not known:
        return f"no {kind} was recorded yet"
    names = sorted(set(known))
    close = get_close_matches(name, names, n=3)
    hint = f"did you mean {' or '.join(map(repr, close))}?" if close else f"known are {len(names)}, among them {names[0]!r}"
    return f"no {kind} {name!r} was recorded; {hint}"
