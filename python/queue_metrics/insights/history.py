"""What trends are made of, out of a store: the minutes of one queue, and what all workers did."""

from __future__ import annotations

from queue_metrics._core import series_id
from queue_metrics.insights.minutes import Minutes, minutes
from queue_metrics.insights.names import UnknownName, unknown_queue
from queue_metrics.insights.reading import Reading
from queue_metrics.insights.trend_question import Question
from queue_metrics.storage.base import MINUTE, QUEUE, StorageDriver
from queue_metrics.storage.collector import READ_COLLECTOR, CollectorState, state_for_reader
from queue_metrics.storage.efficiency import ALL_KEY, FleetRows, fleet_rows, reading_next_row, reading_rows
from queue_metrics.storage.view import Range


def minutes_asked(connection: str, queue: str, asked: Question) -> Range:
    """The minutes of a queue that a question is about, the open one too."""
    labels = (connection, queue)
    return Range((QUEUE,), MINUTE, asked.start, asked.told_until, lambda series: series.labels == labels)


def queue_minutes(reading: Reading, connection: str, queue: str, asked: Question) -> Minutes:
    """
    What `minutes_asked` found, the first of the packed points of a reading.

    Raises:
        UnknownName: no such queue was ever recorded.
        DecodeError: a stored value is damaged or newer than this package.
    """
    points = reading.packed[0].get(series_id(QUEUE, (connection, queue)))
    if points is None:
        raise UnknownName(unknown_queue(connection, queue, ((series.labels[0], series.labels[1]) for series in reading.queues)))
    return minutes(points, asked.told_until)


def efficiency_rows(driver: StorageDriver, asked: Question) -> tuple[FleetRows, CollectorState]:
    """
    What all workers did in the time that a question is about, oldest first, and what the last pass of the collector left.

    With the first row behind, since it may tell of the end of that time.

    Raises:
        StoreError: as the driver says.
    """
    rows, following = reading_rows(ALL_KEY, asked.until - asked.period, asked.until), reading_next_row(ALL_KEY, asked.until)
    view = driver.read_view(calls=(rows, following, READ_COLLECTOR))
    members, behind, state = view.answers
    return fleet_rows([*members, *behind]), state_for_reader(state, view.beats, asked.now)
