"""One series as it is kept, point by point."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from queue_metrics._core import Value
from queue_metrics.insights import layout
from queue_metrics.insights.measures import counts, distribution
from queue_metrics.insights.names import UnknownName, unknown
from queue_metrics.insights.reading import Part, Reading, read
from queue_metrics.insights.window import Span
from queue_metrics.model import Gauge, SeriesAnswer, SeriesPoint
from queue_metrics.storage.base import EXCEPTION, QUEUE, SERVER, SERVER_TASK, TASK, StorageDriver

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
    reading = read(driver, span, kinds=(), further=[part], totals=False, heartbeats=False)
    found = next((one for one in reading.of(kind) if one.labels == labels), None)
    if found is None:
        raise UnknownName(_unknown(name, labels, reading, kind))
    points = sorted(found.over(span).items())
    return SeriesAnswer(
        kind=name,
        labels=labels,
        window=span.window((points[0][0], points[-1][0]) if points else None),
        points=tuple(_point(bucket, value) for bucket, value in points),
    )


def _point(bucket: int, value: Value) -> SeriesPoint:
    gauges = {name: _gauge(found, 1) for name, index in _GAUGES.items() if (found := value.gauge(index)) is not None}
    times = {name: _gauge(found, layout.MICROSECONDS) for name, index in _TIMES.items() if (found := value.gauge(index)) is not None}
    return SeriesPoint(
        at=float(bucket),
        counts=counts(value),
        runtime=distribution(value, layout.RUNTIME),
        wait=distribution(value, layout.WAIT),
        cpu=distribution(value, layout.CPU),
        memory_peak=distribution(value, layout.MEMORY_PEAK),
        memory_change=distribution(value, layout.MEMORY_CHANGE),
        gauges=gauges | times,
    )


def _gauge(found: tuple[int, int, int, int, int, int], scale: int) -> Gauge:
    n, total, low, high, last, last_at = found
    return Gauge(n, total / n / scale, low / scale, high / scale, last / scale, last_at / layout.MICROSECONDS)


def _unknown(name: str, labels: tuple[str, ...], reading: Reading, kind: int) -> str:
    """Says which labels of the same kind are near."""
    return unknown(f"series of kind {name!r}", " / ".join(labels), [" / ".join(one.labels) for one in reading.of(kind)])
