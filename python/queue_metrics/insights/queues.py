"""How each queue is doing: depth, age, flow, wait."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

from queue_metrics._core import Value
from queue_metrics.insights import layout
from queue_metrics.insights.clocks import Clocks
from queue_metrics.insights.fleet import collector_in
from queue_metrics.insights.health import queue_health
from queue_metrics.insights.measures import counts, distribution, failure_share, lifetime, merged, rate
from queue_metrics.insights.names import UnknownName, unknown_queue
from queue_metrics.insights.reading import Part, Reading, SeriesReading
from queue_metrics.insights.recency import HAPPENINGS, last_in, statistics
from queue_metrics.insights.window import MINUTES_DEFAULT, Span, last_minutes
from queue_metrics.insights.wording import duration
from queue_metrics.insights.workers import Serving
from queue_metrics.model import Health, QueueAnswer, QueueHistory, Share, Status, WorkerAnswer
from queue_metrics.storage.base import MINUTE, QUEUE
from queue_metrics.storage.collector import GAP_SECONDS

_URGENCY = (Status.CRITICAL, Status.WARNING, Status.HEALTHY, Status.UNKNOWN)
_LATELY = 2 * MINUTE
_NEAR = 5 * MINUTE
"""A depth by a clock that is off by so much is found; what is further ahead, or further back than it is fresh, is not read."""
_NOBODY = "nobody has asked the broker in the last hour: no instrumented main process, agent or configured connection"
_OTHERS = "nobody has asked the broker for this queue in the last hour, only for others of its connection"
_Gauge: TypeAlias = tuple[int, int, int, int, int, int]


def queues(reading: Reading, workers: Sequence[WorkerAnswer], *, stale_seconds: float) -> tuple[QueueAnswer, ...]:
    """
    Every known queue, worst first.

    Args:
        reading: of the store.
        workers: as answered of the same reading.
        stale_seconds: a depth older than this is not known any more, of a connection that passes of the collector ask one older than
            `GAP_SECONDS`: less lies between two passes, as long as neither is most of a minute late.
    """
    collector, now = collector_in(reading), reading.span.now

    def believed(connection: str) -> float:
        return max(stale_seconds, GAP_SECONDS) if collector.asks(connection, now) else stale_seconds

    measured, crews, clocks = _measured(reading), Serving(workers), Clocks.of(reading.beats, now)
    answers = [
        _queue(reading, series, measured.get(series.labels), crews.of(*series.labels[:2]), believed(series.labels[0]), clocks)
        for series in reading.queues
    ]
    asked = {each.connection for each in answers if each.depth_age_seconds is not None}
    answers = [
        replace(each, depth_reason=_OTHERS) if each.depth_reason == _NOBODY and each.connection in asked else each for each in answers
    ]
    answers.sort(key=lambda each: (*_order(each.health), -(each.ready or 0), -each.counts.ended, each.connection, each.queue))
    return tuple(answers)


def parts(now: float, stale_seconds: float) -> list[Part]:
    """What is read of queues besides their window: the minutes of now, which health is made of, and whose depth may be of now."""
    return [Part(_near(now, stale_seconds), (QUEUE,)), Part(_lately(now), (QUEUE,))]


def failures_lately(reading: Reading) -> Share:
    """Failures of all queues in the last hour, whatever the window."""
    return failure_share(counts(merged(_hour(reading, series) for series in reading.queues)))


def named(answers: Sequence[QueueAnswer], connection: str, name: str) -> QueueAnswer:
    """
    One of them.

    Raises:
        UnknownName: there is none; says which are near, and which connections have a queue of this name.
    """
    for answer in answers:
        if (answer.connection, answer.queue) == (connection, name):
            return answer
    raise UnknownName(unknown_queue(connection, name, ((answer.connection, answer.queue) for answer in answers)))


def _order(health: Health) -> tuple[int, int]:
    return _URGENCY.index(health.status), 100 if health.score is None else health.score


def _measured(reading: Reading) -> Mapping[tuple[str, ...], Value]:
    """
    The tasks of each queue together, by connection and queue.

    Queues are stored without sketches, so the quantiles of a queue are those of its tasks; that their values merge without loss
    makes them the very same.
    """
    together: dict[tuple[str, ...], list[Value]] = {}
    for series in reading.tasks:
        together.setdefault(series.labels[:2], []).append(series.window)
    return {labels: merged(values) for labels, values in together.items()}


def _lately(now: float) -> Span:
    """The default window, by minute: a health of it is that of every other window."""
    return last_minutes(MINUTES_DEFAULT, now)


def _hour(reading: Reading, series: SeriesReading) -> Value:
    """What was recorded of a queue lately, put together once where that is the window."""
    lately = _lately(reading.span.now)
    return series.window if lately == reading.span else merged(series.over(lately).values())


def _near(now: float, stale_seconds: float) -> Span:
    first = int(now - max(stale_seconds, GAP_SECONDS) - _NEAR) // MINUTE * MINUTE
    return Span(first, int(now + _NEAR) // MINUTE * MINUTE + MINUTE, MINUTE, now)


def _queue(
    reading: Reading,
    series: SeriesReading,
    measured: Value | None,
    those: Sequence[WorkerAnswer],
    believed_seconds: float,
    clocks: Clocks,
) -> QueueAnswer:
    value, when = series.window, reading.window
    counted, failure, seconds = counts(value), failure_share(counts(value)), when.observed_seconds
    # How a queue is, is of now, whatever the window: what was known of one that is over may be long gone.
    near, hour = series.over(_near(reading.span.now, believed_seconds)), _hour(reading, series)
    lately, gauges = counts(hour), _gauges(hour, merged(near.values()))
    asked = _asked(gauges, series.labels[0], clocks)
    fresh = asked is not None and asked <= believed_seconds
    ready, reserved, scheduled, running, age, due = (_last(gauges, gauge) if fresh else None for gauge in layout.GAUGES)
    why = None if fresh else _reason(asked, clocks.ahead(series.labels[0]))
    latency = None if age is None else age / layout.MICROSECONDS
    runtime = distribution(value if measured is None else measured, layout.RUNTIME)
    serves, busy = len(those), sum(worker.state == "busy" for worker in those)
    return QueueAnswer(
        connection=series.labels[0],
        queue=series.labels[1],
        window=when,
        ready=ready,
        reserved=reserved,
        scheduled=scheduled,
        running=running,
        latency_seconds=latency,
        due_seconds=None if due is None else due / layout.MICROSECONDS,
        depth_age_seconds=asked,
        depth_reason=why,
        counts=counted,
        arrivals_per_second=rate(counted.arrivals, seconds),
        starts_per_second=rate(counted.started, seconds),
        ends_per_second=rate(counted.ended, seconds),
        failure=failure,
        wait=distribution(value if measured is None else measured, layout.WAIT),
        runtime=runtime,
        workers=serves,
        busy_ratio=busy / serves if serves else None,
        utilisation_ratio=runtime.sum / (seconds * serves) if seconds is not None and serves else None,
        minute=statistics(reading, [series], MINUTE),
        last_processed=last_in(reading.span, series.points, HAPPENINGS["last_processed"]),
        health=replace(
            queue_health(
                ready,
                latency,
                failure_share(lately),
                serves,
                _starting(near, reading.span.now),
                0 if lately.started else lately.arrivals,
                why if gauges else None,
            ),
            age_seconds=asked,
        ),
        history=_history(reading.span, reading.observed_from, series.points),
        lifetime=lifetime(series.total),
    )


def _gauges(*values: Value) -> Mapping[int, _Gauge]:
    """What the broker told last, by its place; nothing where it told nothing."""
    told: dict[int, _Gauge] = {}
    for value in values:
        for index in layout.GAUGES:
            found = value.gauge(index)
            if found is not None and (index not in told or found[5] > told[index][5]):
                told[index] = found
    return told


def _asked(gauges: Mapping[int, _Gauge], connection: str, clocks: Clocks) -> float | None:
    """Seconds since the broker was asked last; None: not in the last hour."""
    moments = [found[5] for found in gauges.values()]
    return clocks.age(connection, max(moments) / layout.MICROSECONDS) if moments else None


def _last(gauges: Mapping[int, _Gauge], gauge: int) -> int | None:
    """The last count; one that was not part of the last question is not known any more."""
    found = gauges.get(gauge)
    newest = max(each[5] for each in gauges.values())
    if found is None or (gauge not in (layout.AGE, layout.DUE) and newest - found[5] > MINUTE * layout.MICROSECONDS):
        return None
    # An empty queue has no oldest job and no next one, so nobody tells of them: the last that was told is of a job long gone.
    return None if gauge in (layout.AGE, layout.DUE) and found[5] != newest else found[4]


def _reason(asked: float | None, ahead: float) -> str:
    if asked is not None:
        return f"the broker was last asked {duration(asked)} ago"
    if ahead > _NEAR:
        return f"the clock of a host of this connection is {duration(ahead)} ahead of the one here, so what it asked is not read yet"
    return _NOBODY


def _starting(minutes: Mapping[int, Value], now: float) -> bool:
    return any(bucket + MINUTE > now - _LATELY and value.counter(layout.STARTED) for bucket, value in minutes.items())


def _history(span: Span, observed_from: int | None, points: Mapping[int, Value]) -> QueueHistory:
    arrivals: list[int | None] = []
    ended: list[int | None] = []
    ready: list[int | None] = []
    latency: list[float | None] = []
    for bucket in span.buckets:
        value = points.get(bucket)
        if value is None:
            nothing = None if observed_from is None or bucket < observed_from else 0
            arrivals.append(nothing)
            ended.append(nothing)
            ready.append(None)
            latency.append(None)
            continue
        counted = counts(value)
        arrivals.append(counted.arrivals)
        ended.append(counted.ended)
        depth, age = value.gauge(layout.READY), value.gauge(layout.AGE)
        ready.append(None if depth is None else depth[3])
        latency.append(None if age is None else age[3] / layout.MICROSECONDS)
    return QueueHistory(float(span.start), span.step, tuple(arrivals), tuple(ended), tuple(ready), tuple(latency))
