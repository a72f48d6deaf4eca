"""What trends are made of, out of a store: the minutes of one queue, and what all workers did. One request each."""

from __future__ import annotations

from queue_metrics._core import series_id
from queue_metrics.insights.minutes import Minutes, minutes
from queue_metrics.insights.names import UnknownName, unknown
from queue_metrics.insights.trends import Question
from queue_metrics.storage.base import MINUTE, QUEUE, StorageDriver
from queue_metrics.storage.efficiency import ALL_KEY, FleetRow, fleet_rows, reading_rows


def queue_minutes(driver: StorageDriver, connection: str, queue: str, asked: Question) -> Minutes:
    """
    The minutes that a question is about, the open one too. Where there are none, a second request tells whether there is such a queue.

    Raises:
        UnknownName: no such queue was ever recorded.
        StoreError: as the driver says.
        DecodeError: a stored value is damaged or newer than this package.
    """
    series = series_id(QUEUE, (connection, queue))
    end = asked.end + MINUTE
    points = driver.read_series([series], MINUTE, asked.start, end)[series]
    if not points:
        known = {each.id: each.labels[1] for each in driver.known_series() if each.kind == QUEUE}
        if series not in known:
            raise UnknownName(unknown("queue", queue, known.values()))
    return minutes(points, end)


def efficiency_rows(driver: StorageDriver, asked: Question) -> list[FleetRow]:
    """
    What all workers did in the time that a question is about, oldest first.

    Raises:
        StoreError: as the driver says.
    """
    (members,) = driver.execute([reading_rows(ALL_KEY, asked.now - asked.period, asked.now)])
    return fleet_rows(members)
