"""The reading front door: questions to an open store. Each is a window, one look at the store, and an answer that others work out."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Unpack

from queue_metrics.insights import baseline_answers, collecting, task_details, trends
from queue_metrics.insights import footprint as footprints
from queue_metrics.insights import overview as overviews
from queue_metrics.insights import queues as queue_answers
from queue_metrics.insights import series as series_answers
from queue_metrics.insights import tasks as task_answers
from queue_metrics.insights.beginning import Beginnings
from queue_metrics.insights.clocks import Clocks
from queue_metrics.insights.crews import Whose, crew_in
from queue_metrics.insights.everything import Everything, read_everything
from queue_metrics.insights.fleet import server_calls, servers_in, worker_calls, worker_parts, workers_in
from queue_metrics.insights.flow import dedicated
from queue_metrics.insights.history import efficiency_rows, minutes_asked, queue_minutes
from queue_metrics.insights.names import UnknownName, unknown
from queue_metrics.insights.older import Older
from queue_metrics.insights.reading import Part, Reading, read
from queue_metrics.insights.samples import parts
from queue_metrics.insights.scrape import TOTALS, Scrape, scrape, scrape_calls
from queue_metrics.insights.trend_question import AskedTrend, Kept, Question, question
from queue_metrics.insights.window import Asked, Span, between, span_of
from queue_metrics.model import (
    BaselineAnswer,
    CollectorAnswer,
    DepthTrend,
    EfficiencyTrend,
    EventsAnswer,
    Footprint,
    Health,
    NoTrend,
    Overview,
    QueueAnswer,
    SeriesAnswer,
    ServerAnswer,
    Snapshot,
    TaskAnswer,
    TaskDetail,
    ThroughputTrend,
    WorkerAnswer,
    WorkerSummary,
)
from queue_metrics.storage.base import MINUTE, QUEUE, SERVER, TASK, StorageDriver
from queue_metrics.storage.baselines import READ_BASELINES
from queue_metrics.storage.collector import READ_COLLECTOR
from queue_metrics.storage.general import Call
from queue_metrics.storage.view import Range, Totals

STALE_SECONDS, LOST_SECONDS = 60.0, 300.0


class Metrics:
    """
    Answers from a store. Reading changes nothing; every call reads anew, in one look (`StorageDriver.read_view`).

    Methods with a window take `minutes=`, or `start=` and `end=` (seconds since 1970), as `Asked` says. They raise StoreError when the
    store cannot be read, ValueError for a window out of bounds.

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
        self._older = Older()
        self._beginnings = Beginnings()

    def __repr__(self) -> str:
        return f"<Metrics of {self.store}>"

    @property
    def store(self) -> str:
        """Where the numbers come from, without a password."""
        return self._driver.url

    def close(self) -> None:
        """Let go of the store's connections."""
        self._driver.close()

    # All of it

    def snapshot(self, **window: Unpack[Asked]) -> Snapshot:
        """Overview, tasks, queues and workers of one moment."""
        span = self._span(window)
        reading = self._read(span, further=queue_answers.parts(span.now, self._stale_seconds))
        return overviews.snapshot(reading, stale_seconds=self._stale_seconds, lost_seconds=self._lost_seconds)

    def scrape(self, **window: Unpack[Asked]) -> Scrape:
        """Overview, queues, servers and baselines, and the totals of tasks, exceptions and servers as they are stored, in one look."""
        span = self._span(window)
        reading = self._read(span, further=queue_answers.parts(span.now, self._stale_seconds), totals=TOTALS, calls=scrape_calls(span))
        return scrape(reading, stale_seconds=self._stale_seconds, lost_seconds=self._lost_seconds)

    def everything(self) -> Everything:
        """
        All that can be said about the last hour, of one look; each part is worked out when it is asked for.

        One request more while it is not known what was last, longer ago than a day: of many tasks the next call knows more. Else while it
        is not known when within the day recording began.
        """
        reading = read_everything(self._driver, self._span({}), self._stale_seconds)
        reading, asked = self._older.completed(self._driver, reading, at_once=False)
        if not asked:
            reading = self._beginnings.completed(self._driver, reading)
        return Everything(reading, stale_seconds=self._stale_seconds, lost_seconds=self._lost_seconds, store=self.store)

    def overview(self, **window: Unpack[Asked]) -> Overview:
        """Everything at one glance."""
        span = self._span(window)
        reading = self._read(span, totals=False, further=queue_answers.parts(span.now, self._stale_seconds))
        return overviews.overview(reading, stale_seconds=self._stale_seconds, lost_seconds=self._lost_seconds)

    def health(self, **window: Unpack[Asked]) -> Health:
        """How the whole is, with every reason and what it takes from the score."""
        return self.overview(**window).health

    def collector(self) -> CollectorAnswer:
        """Whether somebody keeps, each minute, what only shows over time; and the command where nobody does."""
        return collecting.collector_now(self._driver, self._now())

    def events(self, *, after: int = 0, limit: int = 1000) -> EventsAnswer:
        """
        What the collector told, oldest first; reading takes nothing away.

        Args:
            after: the `cursor` of the last answer; 0: from the oldest that is left.
            limit: at most so many; ask again behind the cursor until there are none.

        Raises:
            ValueError: a number below 0, or no limit.
        """
        if after < 0 or limit < 1:
            raise ValueError(f"a cursor is 0 or more and a limit 1 or more, not {after} and {limit}")
        return collecting.events(self._driver, after, limit, self._now())

    # Tasks

    def tasks(self, **window: Unpack[Asked]) -> tuple[TaskAnswer, ...]:
        """Every known task, each queue apart; most run time first."""
        return task_answers.tasks(self._read(self._span(window), heartbeats=False))

    def task_details(self, **window: Unpack[Asked]) -> tuple[TaskDetail, ...]:
        """Every known task in full, all its queues together; a request or more besides once for what was last, longer ago than a day."""
        span = self._span(window)
        reading = self._read(span, heartbeats=False, further=task_details.wanted(span, None), totals=task_details.totals(None))
        reading, _ = self._older.completed(self._driver, reading, at_once=True)
        return task_details.details(reading)

    def task(self, name: str, *, queue: str | None = None, connection: str | None = None, **window: Unpack[Asked]) -> TaskDetail:
        """
        One task in full; over all its queues and connections together unless one is given.

        Raises:
            UnknownName: nothing of this name was ever recorded; says which names are near.
        """
        span = self._span(window)
        reading = self._read(span, heartbeats=False, further=task_details.wanted(span, name), totals=task_details.totals(name))
        return task_details.detail(reading, name, queue, connection)

    # Queues

    def queues(self, **window: Unpack[Asked]) -> tuple[QueueAnswer, ...]:
        """Every known queue, worst first; also those that nobody works on."""
        span = self._span(window)
        reading = self._read(span, further=queue_answers.parts(span.now, self._stale_seconds))
        return queue_answers.queues(reading, self._workers(reading), stale_seconds=self._stale_seconds)

    def queue(self, connection: str, name: str, **window: Unpack[Asked]) -> QueueAnswer:
        """
        One queue.

        Raises:
            UnknownName: this connection never had a queue of this name; says which have one.
        """
        return queue_answers.named(self.queues(**window), connection, name)

    def baseline(
        self,
        connection: str,
        queue: str,
        task: str | None = None,
        *,
        cpu_available_percent: float | None = None,
        memory_available_bytes: float | None = None,
    ) -> BaselineAnswer:
        """
        What a task on its queue usually costs, or an execution on the queue; how far the newest are from it, and how many fit on a machine
        with so much left (100 is one core). Whoever collects makes baselines, of so many days as `baseline.sliding_window_days` says.

        Raises:
            UnknownName: nothing of this name was ever recorded.
        """
        labels = (connection, queue) if task is None else (connection, queue, task)
        now = self._now()
        further = parts(now, self._driver.retention, lambda series: series.labels[:2] == labels[:2], self._driver.baselines)
        reading = read(self._driver, span_of(now, 1), kinds=(), further=further, totals=False, calls=(READ_BASELINES, READ_COLLECTOR))
        return baseline_answers.answer(
            reading, labels, cpu_available_percent=cpu_available_percent, memory_available_bytes=memory_available_bytes
        )

    def baselines(self) -> tuple[BaselineAnswer, ...]:
        """Every baseline there is, of tasks and of whole queues: those first from which the newest executions are farthest."""
        now = self._now()
        further = parts(now, self._driver.retention, lambda _: True, self._driver.baselines)
        reading = read(self._driver, span_of(now, 1), kinds=(), further=further, totals=False, calls=(READ_BASELINES, READ_COLLECTOR))
        return baseline_answers.answers(reading)

    # Workers

    def workers(self) -> tuple[WorkerAnswer, ...]:
        """Every process that has a heartbeat, those that need a look first."""
        return self._workers(self._read(span_of(self._now(), 1), kinds=(), totals=False))

    def worker(self, id: str) -> WorkerAnswer:
        """
        One process, by its `id`.

        Raises:
            UnknownName: it has no heartbeat, or none any more.
        """
        answers = self.workers()
        found = next((answer for answer in answers if answer.id == id), None)
        if found is None:
            raise UnknownName(unknown("worker", id, (answer.id for answer in answers)))
        return found

    def worker_summary(
        self, *, server: str | None = None, connection: str | None = None, queue: str | None = None, **window: Unpack[Asked]
    ) -> WorkerSummary:
        """
        Workers together, and the share of their time in which they were busy in the window, by the minutes of a collector.

        Args:
            server: those of this host, by its exact name.
            connection: with `queue`, those that say that they serve it; their time on other queues counts, too.
            queue: its minutes are kept for six hours.

        Raises:
            UnknownName: no such server is known, or no such queue; says which are near.
            ValueError: a server and a queue, or half of a queue.
        """
        span, whose = self._span(window), Whose.of(server, connection, queue)
        reading = self._read(span, kinds=(), further=whose.parts(span.now), totals=False, calls=(whose.call(span),))
        return crew_in(reading, self._workers(reading), whose)

    # Servers

    def servers(self, **window: Unpack[Asked]) -> tuple[ServerAnswer, ...]:
        """Every server that reports how it is or has workers, those that need a look first."""
        span = self._span(window)
        parts, calls = worker_parts(span.now), server_calls(span)
        reading = read(self._driver, span, kinds=(QUEUE, SERVER), further=parts, totals=(SERVER,), calls=calls)
        reading = self._beginnings.completed(self._driver, reading)
        return servers_in(reading, self._workers(reading), stale_seconds=self._stale_seconds)

    def server(self, hostname: str | None = None, **window: Unpack[Asked]) -> ServerAnswer:
        """
        One server, by its exact name.

        Args:
            hostname: None: the machine that asks, or the only one that is known.

        Raises:
            UnknownName: nobody reports of it; says which names are near.
        """
        answers = self.servers(**window)
        wanted = socket.gethostname() if hostname is None else hostname
        found = next((answer for answer in answers if answer.hostname == wanted), None)
        if found is None and hostname is None and len(answers) == 1:
            return answers[0]
        if found is None:
            raise UnknownName(unknown("server", wanted, (answer.hostname for answer in answers)))
        return found

    # Where it is heading

    def trend(self, connection: str, queue: str, **when: Unpack[AskedTrend]) -> DepthTrend | NoTrend:
        """
        Where the depth of a queue is heading: the original's line and forecast, and a verdict by what flows.

        Raises:
            UnknownName: no such queue was ever recorded.
            ValueError: period, range or interval is out of the bounds of `AskedTrend`.
        """
        asked = self._asked(when)
        packed = (minutes_asked(connection, queue, asked),)
        reading = self._read(span_of(asked.now, 1), kinds=(), totals=False, packed=packed)
        minutes = queue_minutes(reading, connection, queue, asked)
        workers = dedicated(self._workers(reading), connection, queue) if asked.past is None else None
        return trends.depth_trend(asked, connection, queue, minutes, workers, Clocks.of(reading.beats, asked.now))

    def throughput(self, connection: str, queue: str, **when: Unpack[AskedTrend]) -> ThroughputTrend | NoTrend:
        """Where the number of executions of a queue that end is heading; raises as `trend`."""
        asked = self._asked(when)
        packed = (minutes_asked(connection, queue, asked),)
        reading = self._read(span_of(asked.now, 1), kinds=(), totals=False, heartbeats=False, packed=packed)
        return trends.throughput_trend(asked, connection, queue, queue_minutes(reading, connection, queue, asked))

    def efficiency(self, **when: Unpack[AskedTrend]) -> EfficiencyTrend | NoTrend:
        """How busy all workers were, by the minutes of a collector, and where that is heading; raises ValueError as `trend`."""
        asked = question(self._now(), **when, kept=Kept(self._driver.lifetimes.workers, "Minutes of workers", "ttl.workers"))
        rows, state = efficiency_rows(self._driver, asked)
        return trends.efficiency_trend(asked, rows, collecting.collector_answer(state, asked.now))

    # What is kept

    def series(self, kind: str, *labels: str, step: int | None = None, **window: Unpack[Asked]) -> SeriesAnswer:
        """
        One series as it is kept, point by point.

        Args:
            kind: task, queue, exception, server or server_task, as in `insights.series.KINDS`, which names their labels.
            labels: its connection, its queue, ...
            step: length of its steps, 60, 3600 or 86400 seconds; the finest that is kept of all of the window by default.

        Raises:
            UnknownName: nothing was ever recorded of it; says which are near.
            ValueError: of no such kind, with other labels, or without this step for so long.
        """
        number = series_answers.kind_of(kind, labels)
        span = self._span(window)
        return series_answers.series(
            self._driver,
            kind,
            labels,
            between(span.start, span.window(None).end, span.now, step=step, kind=number, retention=self._driver.retention),
        )

    def footprint(self) -> Footprint:
        """What the numbers take in the store. Redis is asked about each key, so this is not for every second."""
        return footprints.footprint(self._driver, self._now())

    # How they are read

    def _asked(self, when: AskedTrend) -> Question:
        kept = Kept(self._driver.retention[QUEUE, MINUTE], "Minutes of queues", "ttl.aggregated")
        return question(self._now(), **when, kept=kept)

    def _span(self, window: Asked) -> Span:
        return span_of(self._now(), **window, retention=self._driver.retention)

    def _read(
        self,
        span: Span,
        *,
        kinds: tuple[int, ...] = (TASK, QUEUE),
        further: Iterable[Part] = (),
        totals: bool | Totals = True,
        heartbeats: bool = True,
        calls: tuple[Call, ...] = (),
        packed: Sequence[Range] = (),
    ) -> Reading:
        parts, of_workers = (worker_parts(span.now), worker_calls()) if heartbeats else ((), ())
        reading = read(
            self._driver,
            span,
            kinds=kinds,
            further=(*further, *parts),
            totals=totals,
            heartbeats=heartbeats,
            calls=(*of_workers, *calls),
            packed=packed,
        )
        return self._beginnings.completed(self._driver, reading)

    def _workers(self, reading: Reading) -> tuple[WorkerAnswer, ...]:
        answers, _ = workers_in(reading, stale_seconds=self._stale_seconds, lost_seconds=self._lost_seconds)
        return answers
