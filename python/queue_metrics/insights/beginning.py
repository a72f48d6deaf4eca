"""When recording began within an hour or a day: looked for in finer steps, so that a young store is not divided by time before it was."""

from __future__ import annotations

from dataclasses import replace

from queue_metrics._core import series_id
from queue_metrics.insights import layout
from queue_metrics.insights.reading import Reading, SeriesReading, Step
from queue_metrics.insights.recency import times
from queue_metrics.insights.window import whole_steps
from queue_metrics.storage.base import DAY, HOUR, MINUTE, QUEUE, StorageDriver

_FINER = {HOUR: MINUTE, DAY: HOUR}


class Beginnings:
    """Completes readings of one store; keeps what it found for as long as nothing is recorded later of the same step."""

    def __init__(self) -> None:
        self._found: dict[Step, tuple[int, int]] = {}

    def completed(self, driver: StorageDriver, reading: Reading) -> Reading:
        """
        The reading with the step in which recording began, a finer one where that was within its window or the last day.

        Of an hour it is the minute. So it is of a day that has begun not longer than a day ago, else the hour: a few per cent of such a
        window at most. What is not kept any more by minutes is known by hours, or by days. One request more at most, until the step is
        over in which it did: so none of a store that recorded before.
        """
        wanted = {step for span in (reading.span, whole_steps(DAY, reading.span.now)) if (step := reading.began_in(span)) is not None}
        return replace(reading, began={step: self._began(driver, reading, step) for step in wanted}) if wanted else reading

    def _began(self, driver: StorageDriver, reading: Reading, step: Step) -> int:
        within = _within(reading, step)
        recorded = _recorded(reading, within)
        if self._found.get(within, (-1, 0))[0] != recorded:
            self._found[within] = recorded, _first(driver, reading, within)
        return self._found[within][1]


def _within(reading: Reading, step: Step) -> Step:
    """The hour in which a day began to be recorded, where that is among the hours that were read, as those of the last day are."""
    length, bucket = step
    hours = {at for series in reading.queues for at in series.by_step.get(HOUR, ()) if bucket <= at < bucket + length}
    if length == DAY and hours and sum(_recorded(reading, (HOUR, at)) for at in hours) == _recorded(reading, step):
        return HOUR, min(hours)
    return step


def _recorded(reading: Reading, step: Step) -> int:
    length, bucket = step
    return sum(times(series.by_step[length][bucket], (layout.STARTED, layout.ARRIVALS)) for series in _queues(reading, step))


def _queues(reading: Reading, step: Step) -> list[SeriesReading]:
    length, bucket = step
    return [series for series in reading.queues if bucket in series.by_step.get(length, ())]


def _first(driver: StorageDriver, reading: Reading, step: Step) -> int:
    """
    The first of the next finer steps in which a queue recorded; the beginning of the step itself where none is kept.

    Where one lies behind now, the clock of its host is ahead: the first is earlier by that much, so that what was counted is divided by no
    less than the time that it took. Such a clock may be in the next step already.
    """
    length, bucket = step
    finer, now = _FINER[length], int(reading.span.now)
    if now - bucket > driver.retention.get((QUEUE, finer), 0):
        return bucket
    points = driver.read_series([series_id(QUEUE, series.labels) for series in _queues(reading, step)], finer, bucket, bucket + 2 * length)
    ends = [(each[0][0], each[-1][0]) for each in points.values() if each]
    if not ends:
        return bucket
    first, last = min(first for first, _ in ends), max(last for _, last in ends)
    return first if last <= now else first - (last + finer - now // finer * finer)
