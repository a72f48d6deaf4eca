"""One series as it is kept, point by point."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from queue_metrics._core import Value
from queue_metrics.insights import layout
from queue_metrics.insights.measures import counts, distribution, memory_change
from queue_metrics.insights.names import UnknownName, unknown
from queue_metrics.insights.reading import Part, read
from queue_metrics.insights.window import Span
from queue_metrics.model import GAUGES, Gauge, SeriesAnswer, SeriesPoint
from queue_metrics.storage.base import EXCEPTION, QUEUE, SERVER, SERVER_TASK, TASK, StorageDriver
from queue_metrics.storage.servers import READ_HOSTS, ServerMinute, counting_minutes, reading_minutes, server_minutes

KINDS: Mapping[str, tuple[int, tuple[str, ...]]] = MappingProxyType(
    {
        "task": (TASK, ("connection", "queue", "task")),
        "queue": (QUEUE, ("connection", "queue")),
        "exception": (EXCEPTION, ("connection", "queue", "task", "exception")),
        "server": (SERVER, ("server",)),
        "server_task": (SERVER_TASK, ("server", "connection", "queue", "task")),
    }
)
"""By name: the kind of series, and what its labels are called."""

_GAUGES = {"ready": layout.READY, "reserved": layout.RESERVED, "scheduled": layout.SCHEDULED, "running": layout.RUNNING}
_NOTHING = Value()
_TIMES = {"latency_seconds": layout.AGE, "due_seconds": layout.DUE}


def kind_of(name: str, labels: tuple[str, ...]) -> int:
    """
    The kind of series of a name.

    Raises:
        ValueError: there is none of this name, or it has other labels.
    """
    if name not in KINDS:
        raise ValueError(f"there is no kind of series {name!r}; there are {', '.join(KINDS)}")
    kind, names = KINDS[name]
    if len(labels) != len(names):
        raise ValueError(f"a series of kind {name!r} has the labels {', '.join(names)}, not {len(labels)} labels")
    return kind


def series(driver: StorageDriver, name: str, labels: tuple[str, ...], span: Span) -> SeriesAnswer:
    """
    One series over a span.

    Raises:
        ValueError: as `kind_of`.
        UnknownName: nothing was ever recorded of it.
    """
    kind = kind_of(name, labels)
    part = Part(span, (kind,), lambda one: one.labels == labels)
    calls = (reading_minutes(labels[0], span.start, span.end), counting_minutes(labels[0]), READ_HOSTS) if kind == SERVER else ()
    reading = read(driver, span, kinds=(), further=[part], totals=False, heartbeats=False, calls=calls)
    found = next((one for one in reading.of(kind) if one.labels == labels), None)
    members, kept, hosts = (reading.answers[call] for call in calls) if calls else ((), 0, ())
    if found is None and not kept:
        raise UnknownName(_unknown(name, labels, [*(one.labels for one in reading.of(kind)), *((host,) for host, _ in hosts)]))
    values = {} if found is None else found.over(span)
    sampled = _sampled(server_minutes(members), span.step)
    points = [(bucket, values.get(bucket, _NOTHING), sampled.get(bucket, {})) for bucket in sorted({*values, *sampled})]
    return SeriesAnswer(
        kind=name,
        labels=labels,
        window=span.window((points[0][0], points[-1][0]) if points else None),
        points=tuple(_point(*each) for each in points),
    )


def _sampled(minutes: Iterable[ServerMinute], step: int) -> dict[int, dict[str, Gauge]]:
    """What a collector kept of a server in each step, as gauges: what was not known in a minute was not answered."""
    told: dict[int, dict[str, list[tuple[int, float]]]] = defaultdict(lambda: defaultdict(list))
    for each in minutes:
        for name in GAUGES["server"]:
            number = getattr(each, name)
            if number is not None:
                told[each.minute // step * step][name].append((each.minute, number))
    return {bucket: {name: _gauge_of(answers) for name, answers in names.items()} for bucket, names in told.items()}


def _gauge_of(answers: list[tuple[int, float]]) -> Gauge:
    numbers = [number for _, number in answers]
    (last_at, last), n = answers[-1], len(numbers)
    return Gauge(n, sum(numbers) / n, min(numbers), max(numbers), last, float(last_at))


def _point(bucket: int, value: Value, sampled: Mapping[str, Gauge]) -> SeriesPoint:
    gauges = {name: _gauge(found, 1) for name, index in _GAUGES.items() if (found := value.gauge(index)) is not None}
    times = {name: _gauge(found, layout.MICROSECONDS) for name, index in _TIMES.items() if (found := value.gauge(index)) is not None}
    return SeriesPoint(
        at=float(bucket),
        counts=counts(value),
        runtime=distribution(value, layout.RUNTIME),
        wait=distribution(value, layout.WAIT),
        cpu=distribution(value, layout.CPU),
        memory_peak=distribution(value, layout.MEMORY_PEAK),
        memory_change=memory_change(value),
        gauges=gauges | times | dict(sampled),
    )


def _gauge(found: tuple[int, int, int, int, int, int], scale: int) -> Gauge:
    n, total, low, high, last, last_at = found
    return Gauge(n, total / n / scale, low / scale, high / scale, last / scale, last_at / layout.MICROSECONDS)


def _unknown(name: str, labels: tuple[str, ...], known: Iterable[tuple[str, ...]]) -> str:
    """Says which labels of the same kind are near."""
    return unknown(f"series of kind {name!r}", " / ".join(labels), map(" / ".join, known))
