"""A store in this process: the reference that the other drivers are tested against, and the quickest one for tests."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from queue_metrics import _core
from queue_metrics.errors import DecodeError
from queue_metrics.storage.base import (
    EMPTY,
    TOTAL,
    Applied,
    Beat,
    Commit,
    Mark,
    Series,
    StorageDriver,
    collision,
    expires_at,
    known_series,
    unmergeable,
)
from queue_metrics.storage.forks import ForkGate, guard
from queue_metrics.storage.general import Call
from queue_metrics.storage.keyspace import Keyspace
from queue_metrics.storage.view import Points, Range, Totals, View, check_calls, kinds_of, with_total


class MemoryStorageDriver(StorageDriver):
    """
    Keeps everything in dictionaries until the process ends. After a fork, parent and child each have their own copy.

    Args:
        url: `memory://` or `memory://name`.
    """

    def __init__(self, url: str = "memory://") -> None:
        self._url = url
        self._gate = ForkGate()
        self._lock = threading.Lock()
        self._keyspace = Keyspace()
        self._labels: dict[int, bytes] = {}
        self._points: dict[tuple[int, int], dict[int, tuple[bytes, float]]] = {}  # (series, step) -> bucket -> value, expiry
        self._totals: dict[int, bytes] = {}
        self._marks: dict[tuple[str, int], Mark] = {}
        self._beats: dict[str, tuple[bytes, float, float]] = {}  # id -> payload, time, expiry
        self._leases: dict[str, tuple[str, float]] = {}  # name -> owner, expiry
        guard(self)

    def __repr__(self) -> str:
        return f"MemoryStorageDriver({self._url!r})"

    @property
    def url(self) -> str:
        return self._url

    def execute(self, calls: Sequence[Call]) -> list[Any]:
        with self._gate, self._lock:
            return self._keyspace.execute(calls)

    @contextlib.contextmanager
    def watching(self, names: Sequence[str]) -> Iterator[Commit]:
        with self._gate, self._lock:
            before = self._keyspace.versions(names)

        def commit(calls: Sequence[Call]) -> list[Any] | None:
            with self._gate, self._lock:
                if self._keyspace.versions(names) != before:
                    return None
                self._keyspace.rehearse(calls)
                return self._keyspace.execute(calls)

        yield commit

    def apply_batch(self, shard: int, batch: _core.Batch) -> Applied:
        place = (batch.spool_id, shard)
        with self._gate, self._lock:
            mark = self._marks.get(place, Mark(0, b""))
            if not mark.is_base_of(batch):
                return Applied(False, mark)
            labels: dict[int, bytes] = {}
            points: dict[tuple[int, int, int], tuple[bytes, float]] = {}
            totals: dict[int, bytes] = {}
            for row in batch.rows:
                known = self._labels.get(row.series, labels.setdefault(row.series, row.labels))
                if known != row.labels:
                    raise collision(row.series)
                try:
                    if row.step == TOTAL:
                        total = totals.get(row.series, self._totals.get(row.series, b""))
                        totals[row.series] = _core.add_fields(total, row.value)
                        continue
                    key = (row.series, row.step, row.bucket)
                    stored = points.get(key) or self._points.get(key[:2], {}).get(row.bucket)
                    value = _core.merge_values(stored[0] if stored else EMPTY, row.value)
                except (DecodeError, OverflowError) as error:
                    raise unmergeable(row.series, error) from error
                expiry = expires_at(row.kind, row.step, row.bucket, self.retention)
                points[key] = (value, stored[1] if stored else expiry)
            # Nothing above changed the store, nothing below can fail.
            self._labels.update(labels)
            self._totals.update(totals)
            for (series, step, bucket), point in points.items():
                self._points.setdefault((series, step), {})[bucket] = point
            mark = self._marks[place] = Mark(batch.sequence, batch.positions)
            return Applied(True, mark)

    def read_mark(self, spool_id: str, shard: int) -> Mark:
        with self._gate, self._lock:
            return self._marks.get((spool_id, shard), Mark(0, b""))

    def known_series(self) -> list[Series]:
        with self._gate, self._lock:
            return self._known_series()

    def read_series(self, series: Sequence[int], step: int, start: int, end: int) -> Points:
        with self._gate, self._lock:
            return self._read_series(series, step, start, end)

    def read_totals(self, series: Sequence[int]) -> dict[int, bytes]:
        with self._gate, self._lock:
            return self._read_totals(series)

    def read_view(self, ranges: Sequence[Range] = (), *, totals: Totals = (), heartbeats: bool = True, calls: Sequence[Call] = ()) -> View:
        check_calls(calls)
        kinds = kinds_of(ranges, totals)
        with self._gate, self._lock:
            known = [one for one in self._known_series() if one.kind in kinds]
            points = tuple(self._read_series(one.wanted(known), one.step, one.start, one.end) for one in ranges)
            summed = self._read_totals(with_total(known, totals))
            beats = self._read_heartbeats() if heartbeats else []
            return View(known, points, summed, beats, self._keyspace.execute(calls))

    def heartbeat_many(self, beats: Iterable[tuple[str, bytes]], ttl: float) -> None:
        now = time.time()
        with self._gate, self._lock:
            self._beats.update({worker: (payload, now, now + ttl) for worker, payload in beats})

    def read_heartbeats(self) -> list[Beat]:
        with self._gate, self._lock:
            return self._read_heartbeats()

    def lease(self, name: str, owner: str, seconds: float) -> bool:
        now = time.time()
        with self._gate, self._lock:
            holder, expiry = self._leases.get(name, (owner, 0.0))
            if holder != owner and expiry > now:
                return False
            self._leases[name] = (owner, now + seconds)
            return True

    def sweep(self, limit: int = 1000) -> int:
        now = time.time()
        with self._gate, self._lock:
            expired: list[tuple[dict[Any, Any], object]] = [
                (kept, bucket) for kept in self._points.values() for bucket, (_, expiry) in kept.items() if expiry <= now
            ]
            expired += [(self._beats, worker) for worker, (_, _, expiry) in self._beats.items() if expiry <= now]
            expired += [(self._leases, name) for name, (_, expiry) in self._leases.items() if expiry <= now]
            for home, key in expired[:limit]:
                del home[key]
            removed = len(expired[:limit])
            return removed + self._keyspace.sweep(limit - removed)

    def capabilities(self) -> dict[str, object]:
        return {"name": "memory", "version": _core.__version__, "durable": False, "expires_itself": False, "exact": True}

    def size(self) -> int:
        """Bytes of labels, values and heartbeats, without what Python needs around them."""
        with self._gate, self._lock:
            kept = [value for points in self._points.values() for value, _ in points.values()]
            kept += [*self._labels.values(), *self._totals.values(), *(payload for payload, _, _ in self._beats.values())]
            return sum(map(len, kept)) + self._keyspace.size()

    def count_points(self) -> dict[int, int]:
        counted: Counter[int] = Counter()
        with self._gate, self._lock:
            for (series, _), kept in self._points.items():
                counted[series] += len(kept)
        return dict(counted)

    # The same for who holds the lock

    def _known_series(self) -> list[Series]:
        return [known_series(series, labels) for series, labels in self._labels.items()]

    def _read_series(self, series: Sequence[int], step: int, start: int, end: int) -> Points:
        now = time.time()
        return {
            one: sorted(
                (bucket, value)
                for bucket, (value, expiry) in self._points.get((one, step), {}).items()
                if start <= bucket < end and expiry > now
            )
            for one in series
        }

    def _read_totals(self, series: Sequence[int]) -> dict[int, bytes]:
        return {one: total for one in series if (total := self._totals.get(one, EMPTY)) != EMPTY}

    def _read_heartbeats(self) -> list[Beat]:
        now = time.time()
        living = [(worker, payload, seen) for worker, (payload, seen, expiry) in sorted(self._beats.items()) if expiry > now]
        return [Beat(worker, payload, max(0.0, now - seen)) for worker, payload, seen in living]

    def close(self) -> None:
        """Nothing to let go of; the numbers stay."""

    def before_fork(self) -> None:
        self._gate.shut()

    def after_fork_parent(self) -> None:
        self._gate.open()

    def after_fork_child(self) -> None:
        self._gate.renew()
        self._lock = threading.Lock()
