"""What is read of a store for one answer: four requests at most, whatever the size of the fleet. Makes no sense of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from queue_metrics._core import Value
from queue_metrics.insights.measures import merged
from queue_metrics.insights.window import Span
from queue_metrics.storage.base import QUEUE, TASK, Beat, Series, StorageDriver
from queue_metrics.storage.spools import SpoolReport, goodbye_age, spool_reports, worker_beats


@dataclass(frozen=True, slots=True)
class SeriesReading:
    """One series in one window."""

    labels: tuple[str, ...]
    points: Mapping[int, Value]
    """By bucket, seconds since 1970; only those that exist."""
    total: Value
    """Ever; empty when totals were not asked for."""

    @property
    def window(self) -> Value:
        """All points together."""
        return merged(self.points.values())


@dataclass(frozen=True, slots=True)
class Reading:
    """The store at one moment."""

    span: Span
    tasks: tuple[SeriesReading, ...]
    queues: tuple[SeriesReading, ...]
    beats: tuple[Beat, ...]
    spools: tuple[SpoolReport, ...]
    goodbye_age: float | None
    """Seconds since the last process left in good order; None when somebody came afterwards."""

    @property
    def observed_from(self) -> int | None:
        """
        The first step in which anything was recorded, of any series.

        A store that was made five minutes ago must not divide by an hour. Queues are asked every ten seconds while
        anybody records, so a quiet hour is seen as quiet, not as missing.
        """
        firsts = [min(series.points) for series in (*self.tasks, *self.queues) if series.points]
        return min(firsts, default=None)


def read(
    driver: StorageDriver, span: Span, *, kinds: Iterable[int] = (TASK, QUEUE), totals: bool = True, heartbeats: bool = True
) -> Reading:
    """
    Read all series of some kinds over a span, their totals, and the heartbeats.

    Raises:
        StoreError: as the driver says.
        DecodeError: a stored value is damaged or newer than this package.
    """
    kinds = tuple(kinds)
    known = [series for series in driver.known_series() if series.kind in kinds]
    ids = [series.id for series in known]
    points = driver.read_series(ids, span.step, span.start, span.end) if ids else {}
    sums = driver.read_totals(ids) if ids and totals else {}
    beats = driver.read_heartbeats() if heartbeats else []

    def readings(kind: int) -> tuple[SeriesReading, ...]:
        return tuple(_reading(series, points.get(series.id, []), sums.get(series.id)) for series in known if series.kind == kind)

    return Reading(span, readings(TASK), readings(QUEUE), tuple(worker_beats(beats)), tuple(spool_reports(beats)), goodbye_age(beats))


def _reading(series: Series, points: list[tuple[int, bytes]], total: bytes | None) -> SeriesReading:
    decoded = {bucket: Value.decode(value) for bucket, value in points}
    return SeriesReading(series.labels, decoded, Value() if total is None else Value.decode(total))
