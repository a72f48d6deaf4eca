"""When recording began within an hour or a day: looked for in finer steps, so that a young store is not divided by time before it was."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from queue_metrics._core import series_id
from queue_metrics.insights import layout
from queue_metrics.insights.reading import Reading, SeriesReading, Step
from queue_metrics.insights.recency import times, whole_steps
from queue_metrics.storage.base import DAY, HOUR, MINUTE, QUEUE, StorageDriver

_FINER = {HOUR: MINUTE, DAY: HOUR}


class Beginnings:
    """Completes readings of one store; keeps what it found for as long as nothing is recorded later of the same step."""

    def __init__(self) -> None:
        self._found: dict[Step, tuple[int, int]] = {}

    def completed(self, driver: StorageDriver, reading: Reading) -> Reading:
        """
        The reading with the minute in which recording began, where that was within its window or the last day, and not known by minutes.

        One request more for each hour in which it did, two for a day, until that step is over: so none of a store that recorded before.
        What is not kept any more by minutes is known by hours, or by days.
        """
        wanted = {step for span in (reading.span, whole_steps(DAY, reading.span.now)) if (step := reading.began_in(span)) is not None}
        return replace(reading, began={step: self._began(driver, reading, step) for step in wanted}) if wanted else reading

    def _began(self, driver: StorageDriver, reading: Reading, step: Step) -> int:
        length, bucket = step
        queues = [series for series in reading.queues if bucket in series.by_step.get(length, ())]
        recorded = sum(times(series.by_step[length][bucket], (layout.STARTED, layout.ARRIVALS)) for series in queues)
        if self._found.get(step, (-1, 0))[0] != recorded:
            self._found[step] = recorded, _first(driver, queues, step, reading.span.now)
        return self._found[step][1]


def _first(driver: StorageDriver, queues: list[SeriesReading], step: Step, now: float) -> int:
    """The first of the finest steps in which any of these queues recorded; the beginning of the step itself where none is kept."""
    length, bucket = step
    for finer in _finer(length):
        if now - bucket > driver.retention.get((QUEUE, finer), 0):
            break
        found = driver.read_series([series_id(QUEUE, series.labels) for series in queues], finer, bucket, bucket + length)
        bucket = min((points[0][0] for points in found.values() if points), default=bucket)
        length = finer
    return bucket


def _finer(length: int) -> Iterator[int]:
    while (finer := _FINER.get(length)) is not None:
        yield finer
        length = finer
