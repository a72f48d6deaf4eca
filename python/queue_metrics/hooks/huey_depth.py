"""Depth and age of a Huey queue in SQLite, asked over a read-only connection of our own; never decodes a task."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from queue_metrics.hooks.base import DepthProbe, QueueDepth

_TIMEOUT = 2.0  # seconds to wait for a locked database

_abandoned: list[sqlite3.Connection] = []


def sqlite_file(huey: Any) -> str | None:
    """The database file of a Huey instance, or None when its storage is another or lies in memory."""
    from huey.storage import SqliteStorage

    name = getattr(huey.storage, "filename", None)
    if not isinstance(huey.storage, SqliteStorage) or not name or ":memory:" in str(name) or str(name).startswith("file:"):
        return None
    return os.path.abspath(str(name))


class SqliteDepth(DepthProbe):
    """
    The queue of one Huey instance on SQLite.

    ready: rows of the task table, and scheduled ones that are due but not moved yet. scheduled: due later. reserved: unknown, Huey
    hands a job out when a worker takes it. oldest_age: from the stamp of the oldest row, which has the smallest id (SQLite gives
    ids out again, but only larger ones than all that exist); unknown if it has none, 0 when nothing is ready. due_in: by the first row of
    the schedule that is not due.
    """

    local = True

    def __init__(self, huey: Any, connection: str, tail: int, enqueued_at: Callable[[bytes], float | None]) -> None:
        """
        Args:
            tail: how many of the last bytes of a message hold its stamp.
            enqueued_at: the stamp in these bytes, seconds since 1970, or None.
        """
        self.connection = connection
        self._huey = huey
        self._file = sqlite_file(huey)
        self._tail = tail
        self._enqueued_at = enqueued_at
        self._client: sqlite3.Connection | None = None

    def ask(self) -> Sequence[QueueDepth]:
        client, queue = self._connect(), self._huey.name
        now = self._huey_now()
        (ready,) = client.execute("select count(*) from task where queue = ?", (queue,)).fetchone()
        due, later, first = client.execute(
            "select count(*) filter (where timestamp <= :now), count(*) filter (where timestamp > :now), "
            "min(timestamp) filter (where timestamp > :now) from schedule where queue = :queue",
            {"now": now, "queue": queue},
        ).fetchone()
        age = self._oldest_age(client) if ready else 0.0
        due_in = None if first is None else first - now
        return [QueueDepth(self.connection, queue, ready=ready + due, scheduled=later, oldest_age=age, due_in=due_in)]

    def tick(self) -> None:
        """Messages carry their time: there is nothing to follow."""

    def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.close()

    def abandon(self) -> None:
        if self._client is not None:
            _abandoned.append(self._client)  # kept alive: closing it would drop the locks of the parent
            self._client = None

    def _oldest_age(self, client: sqlite3.Connection) -> float | None:
        row = client.execute(
            "select substr(data, ?) from task where queue = ? order by id limit 1", (-self._tail, self._huey.name)
        ).fetchone()
        since = None if row is None else self._enqueued_at(bytes(row[0]))
        return None if since is None else max(0.0, time.time() - since)

    def _huey_now(self) -> float:
        """Now as Huey writes moments into the schedule: without a zone, read as local time even when it is UTC."""
        return datetime.now(UTC).replace(tzinfo=None).timestamp() if self._huey.utc else time.time()

    def _connect(self) -> sqlite3.Connection:
        if self._client is None:
            self._client = sqlite3.connect(
                f"file:{quote(str(self._file))}?mode=ro", uri=True, timeout=_TIMEOUT, isolation_level=None, check_same_thread=False
            )
        return self._client
