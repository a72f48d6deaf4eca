"""One look at the store that answers every question about now: each part is worked out when somebody asks for it, and once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import chain

from queue_metrics.insights import layout, trends
from queue_metrics.insights import overview as overviews
from queue_metrics.insights import queues as queue_answers
from queue_metrics.insights.clocks import Clocks
from queue_metrics.insights.crews import crew_summary, uncounted_time
from queue_metrics.insights.figures import TaskFigures, task_figures
from queue_metrics.insights.fleet import server_calls, servers_in, settled_in, worker_parts
from queue_metrics.insights.flow import dedicated
from queue_metrics.insights.measures import distribution, merged
from queue_metrics.insights.minutes import minutes
from queue_metrics.insights.names import UnknownName, unknown
from queue_metrics.insights.reading import Part, Reading, SeriesReading, read
from queue_metrics.insights.recency import last_hour
from queue_metrics.insights.task_details import Everywhere, by_name, detail_of, exception_span, totals, wanted
from queue_metrics.insights.tasks import named, tasks
from queue_metrics.insights.trend_question import question
from queue_metrics.insights.window import Span
from queue_metrics.insights.workers import Serving, ages_decide, lifetime_ratio, silent
from queue_metrics.model import (
    Baseline,
    DepthTrend,
    EfficiencyTrend,
    JobAnswer,
    NoTrend,
    Overview,
    QueueAnswer,
    ServerAnswer,
    TaskAnswer,
    ThroughputTrend,
    WorkerAnswer,
    WorkerSummary,
)
from queue_metrics.storage.base import HOUR, QUEUE, SERVER, TASK, StorageDriver
from queue_metrics.storage.baselines import READ_BASELINES, decode
from queue_metrics.storage.efficiency import ALL_KEY, FleetRows, fleet_rows, reading_rows


def read_everything(driver: StorageDriver, span: Span, stale_seconds: float) -> Reading:
    """
    What `Everything` is made of, in one look.

    Args:
        driver: an open store.
        span: the last hour.
        stale_seconds: a depth not heard of for so long is stale.

    Raises:
        StoreError: as the driver says.
        DecodeError: a stored value is damaged or newer than this package.
    """
    parts = (
        Part(last_hour(span.now), (QUEUE,)),
        *queue_answers.parts(span.now, stale_seconds),
        *worker_parts(span.now),
        *wanted(span, None),
    )
    calls = (*server_calls(span), READ_BASELINES, reading_rows(ALL_KEY, span.now - HOUR, span.now))
    reading = read(driver, span, kinds=(TASK, QUEUE, SERVER), further=parts, totals=(*totals(None), QUEUE, SERVER), calls=calls)
    for series in chain.from_iterable(reading.series.values()):
        _ = series.total  # what is damaged is found while the store is read, not when somebody asks for a part
    return reading


class Everything:
    """Overview, tasks, queues, workers, servers, baselines and the trends of the last hour: all of one moment, so they agree."""

    def __init__(self, reading: Reading, *, stale_seconds: float, lost_seconds: float, store: str) -> None:
        """
        Args:
            reading: of `read_everything`.
            stale_seconds: a worker, depth or sample not heard of for so long is stale.
            lost_seconds: a worker not heard of for so long is lost.
            store: where it is from, without a password.
        """
        self._reading = reading
        self._limits = {"stale_seconds": stale_seconds, "lost_seconds": lost_seconds}
        self._stale_seconds = stale_seconds
        self.store = store

    @property
    def now(self) -> float:
        """The moment of reading, seconds since 1970."""
        return self._reading.span.now

    @cached_property
    def _fleet(self) -> tuple[Overview, tuple[QueueAnswer, ...], tuple[WorkerAnswer, ...]]:
        return overviews.without_tasks(self._reading, **self._limits)

    @property
    def overview(self) -> Overview:
        """Everything at one glance."""
        return self._fleet[0]

    @cached_property
    def tasks(self) -> tuple[TaskAnswer, ...]:
        """Each task on each queue."""
        return tasks(self._reading)

    @cached_property
    def task_figures(self) -> tuple[TaskFigures, ...]:
        """Some numbers of each, ordered by name."""
        return task_figures(self._reading)

    @property
    def queues(self) -> tuple[QueueAnswer, ...]:
        """Every known queue, worst first."""
        return self._fleet[1]

    def queue(self, connection: str, name: str) -> QueueAnswer:
        """
        One queue.

        Raises:
            UnknownName: this connection never had a queue of this name.
        """
        return queue_answers.named(self.queues, connection, name)

    @property
    def workers(self) -> tuple[WorkerAnswer, ...]:
        """Every process with a heartbeat, those that need a look first."""
        return self._fleet[2]

    def ages_decide(self, stale_seconds: float) -> bool:
        """Whether a worker not heard of for so long may be called so: not until all had time to beat after the store was away."""
        return ages_decide(settled_in(self._reading, stale_seconds, self._limits["lost_seconds"]), self.now, stale_seconds)

    def silent(self, threshold: float) -> tuple[WorkerAnswer, ...]:
        """Every process that went without goodbye: not heard of for so many seconds, or seen to be gone."""
        settled = settled_in(self._reading, threshold, self._limits["lost_seconds"])
        return silent(self._reading.beats, self.now, threshold, settled_since=settled)

    @cached_property
    def summary(self) -> WorkerSummary:
        """All workers together, and how busy they were in the last hour."""
        return crew_summary(self.workers, self._reading.window, self._passes.times, uncounted_time(self._reading))

    def lifetime_ratio(self, connection: str, queue: str) -> float | None:
        """The busy share of the live workers of a queue over their whole lives, 0-1; None: there are none."""
        return lifetime_ratio(self._serving.of(connection, queue))

    @cached_property
    def _clocks(self) -> Clocks:
        return Clocks.of(self._reading.beats, self.now)

    @cached_property
    def _serving(self) -> Serving:
        return Serving(self.workers)

    @cached_property
    def servers(self) -> tuple[ServerAnswer, ...]:
        """Every server, those that need a look first."""
        return servers_in(self._reading, self.workers, stale_seconds=self._stale_seconds)

    @cached_property
    def baselines(self) -> Mapping[tuple[str, ...], Baseline]:
        """What tasks usually cost by connection, queue and task; and what executions on a queue do, by connection and queue."""
        return decode(self._reading.answers[READ_BASELINES], self.now, self._reading.lifetimes.baseline)

    @cached_property
    def jobs(self) -> tuple[JobAnswer, ...]:
        """Every task over all of its queues, each of them apart as well; most run time first."""
        everywhere = Everywhere.of(self._reading)
        found = [self._job(everywhere, series) for series in by_name(self._reading).values()]
        return tuple(sorted(found, key=lambda job: (*_order(job), job.detail.task)))

    def job(self, name: str) -> JobAnswer:
        """
        One task over all of its queues.

        Raises:
            UnknownName: nothing of this name was ever recorded.
        """
        return self._job(Everywhere.of(self._reading), named(self._reading, name, None, None))

    def depth_trend(self, connection: str, queue: str) -> DepthTrend | NoTrend:
        """
        Where the depth of a queue was heading in the last hour.

        Raises:
            UnknownName: this connection never had a queue of this name.
        """
        asked = question(self.now)
        workers = dedicated(self.workers, connection, queue)
        found = minutes(self._minutes(connection, queue), asked.told_until)
        return trends.depth_trend(asked, connection, queue, found, workers, self._clocks)

    def throughput_trend(self, connection: str, queue: str) -> ThroughputTrend | NoTrend:
        """Where the executions of a queue were heading in the last hour; raises as `depth_trend`."""
        asked = question(self.now)
        return trends.throughput_trend(asked, connection, queue, minutes(self._minutes(connection, queue), asked.told_until))

    @cached_property
    def efficiency_trend(self) -> EfficiencyTrend | NoTrend:
        """How busy all workers were in the last hour."""
        asked = question(self.now)
        return trends.efficiency_trend(asked, self._passes, self.overview.collector)

    @cached_property
    def _passes(self) -> FleetRows:
        return fleet_rows(self._reading.answers[reading_rows(ALL_KEY, self.now - HOUR, self.now)])

    @cached_property
    def _queues(self) -> Mapping[tuple[str, ...], SeriesReading]:
        return {series.labels: series for series in self._reading.queues}

    def _minutes(self, connection: str, queue: str) -> list[tuple[int, bytes]]:
        series = self._queues.get((connection, queue))
        if series is None:
            raise UnknownName(unknown("queue", queue, (labels[1] for labels in self._queues)))
        points = series.over(last_hour(self.now))
        return [(bucket, points[bucket].encode()) for bucket in sorted(points)]

    def _job(self, everywhere: Everywhere, series: Sequence[SeriesReading]) -> JobAnswer:
        hours = exception_span(self._reading.span)
        value = merged(point for one in series for point in one.over(hours).values())
        apart = [self._job(everywhere, [one]) for one in series] if len(series) > 1 else []
        return JobAnswer(
            detail=detail_of(everywhere, series),
            cpu=distribution(value, layout.CPU),
            memory_peak=distribution(value, layout.MEMORY_PEAK),
            cost_window=self._reading.window_of(hours),
            baseline=self.baselines.get(series[0].labels) if len(series) == 1 else None,
            by_queue=tuple(sorted(apart, key=lambda job: (*_order(job), job.detail.connection, job.detail.queue))),
        )


def _order(job: JobAnswer) -> tuple[float, int]:
    return -job.detail.runtime.sum, -job.detail.counts.ended
