"""The stored minutes of one queue, out of a store: one request, of a queue without any two."""

from __future__ import annotations

from queue_metrics._core import series_id
from queue_metrics.insights.minutes import Minutes, minutes
from queue_metrics.insights.names import UnknownName, unknown
from queue_metrics.insights.trends import Question
from queue_metrics.storage.base import MINUTE, QUEUE, StorageDriver


def queue_minutes(driver: StorageDriver, connection: str, queue: str, asked: Question) -> Minutes:
    """
    The minutes that a question is about, the open one too.

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
