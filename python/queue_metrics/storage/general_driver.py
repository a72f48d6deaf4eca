"""The operations that carry the load, made of the general ones: slower, and all that a driver of somebody's own needs to begin with."""

from __future__ import annotations

import base64
import binascii
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

from queue_metrics import _core
from queue_metrics.errors import DecodeError, StoreRefused, TransactionConflict
from queue_metrics.storage.base import (
    EMPTY,
    SCHEMA_VERSION,
    TOTAL,
    Applied,
    Beat,
    Mark,
    Series,
    StorageDriver,
    collision,
    expires_at,
    known_series,
    unmergeable,
    wrong_schema,
)
from queue_metrics.storage.pipelines import Transaction

T = TypeVar("T")

ATTEMPTS = 20
"""How often a transaction is tried that others come in between of."""

# The names that are used; a name of somebody else's must not begin like them.
SCHEMA, LABELS, MARKS, TOTALS, EXPIRIES, BEATS = (
    f"queue-metrics/{name}" for name in ("schema", "labels", "marks", "totals", "expiries", "beats")
)


class GeneralStorageDriver(StorageDriver):
    """
    Leaves open where the general operations go to: `url`, `execute`, `watching`, `capabilities`, `size` and `close`.

    A batch is a transaction of a request for each series, a reading a request for each series and step. What is stored is text: packed
    values are written in Base64.
    """

    def now(self) -> float:
        """The store's clock, seconds; points, heartbeats and leases expire by it."""
        return time.time()

    def apply_batch(self, shard: int, batch: _core.Batch) -> Applied:
        place = f"{shard}/{batch.spool_id}"
        labels: dict[int, bytes] = {}
        for row in batch.rows:
            if labels.setdefault(row.series, row.labels) != row.labels:
                raise collision(row.series)
        points = {_points(row.series, row.step) for row in batch.rows if row.step != TOTAL}

        def work(transaction: Transaction) -> Applied:
            mark = _mark(transaction.get_hash_field(MARKS, place))
            if not mark.is_base_of(batch):
                return Applied(False, mark)
            self._check_labels(transaction, labels)
            totals, values = self._merged(transaction, batch.rows)
            if totals:
                transaction.set_hash(TOTALS, {_hex(series): _text(value) for series, value in totals.items()})
            for (series, step), of_buckets in values.items():
                transaction.set_hash(_points(series, step), {str(bucket): _text(value) for bucket, (value, _) in of_buckets.items()})
                transaction.add_to_sorted_set(
                    EXPIRIES, {f"{_hex(series)}/{step}/{bucket}": float(expiry) for bucket, (_, expiry) in of_buckets.items()}
                )
            mark = Mark(batch.sequence, batch.positions)
            transaction.set_hash(MARKS, {place: f"{mark.sequence} {_text(mark.positions)}"})
            return Applied(True, mark)

        return self._transact([LABELS, MARKS, TOTALS, *sorted(points)], work)

    def _check_labels(self, transaction: Transaction, labels: Mapping[int, bytes]) -> None:
        """Write the labels of new series; refuse a series that is known by others."""
        new = {}
        for series, label_list in labels.items():
            known = transaction.get_hash_field(LABELS, _hex(series))
            if known is None:
                new[_hex(series)] = _text(label_list)
            elif _bytes(known) != label_list:
                raise collision(series)
        transaction.set_hash(LABELS, new)

    def _merged(
        self, transaction: Transaction, rows: Iterable[_core.Row]
    ) -> tuple[dict[int, bytes], dict[tuple[int, int], dict[int, tuple[bytes, int]]]]:
        """Totals by series; values and expiries by series and step, and bucket: what is stored with the batch added."""
        totals: dict[int, bytes] = {}
        values: dict[tuple[int, int], dict[int, tuple[bytes, int]]] = {}
        for row in rows:
            try:
                if row.step == TOTAL:
                    total = totals.get(row.series)
                    if total is None:
                        total = _bytes(transaction.get_hash_field(TOTALS, _hex(row.series)) or "")
                    totals[row.series] = _core.add_fields(total, row.value)
                    continue
                of_buckets = values.setdefault((row.series, row.step), {})
                if row.bucket in of_buckets:
                    stored = of_buckets[row.bucket][0]
                else:
                    stored = _bytes(transaction.get_hash_field(_points(row.series, row.step), str(row.bucket)) or "") or EMPTY
                value = _core.merge_values(stored, row.value)
            except (DecodeError, OverflowError) as error:
                raise unmergeable(row.series, error) from error
            of_buckets[row.bucket] = (value, expires_at(row.kind, row.step, row.bucket, self.retention))
        return totals, values

    def read_mark(self, spool_id: str, shard: int) -> Mark:
        self._check_schema()
        return _mark(self.get_hash_field(MARKS, f"{shard}/{spool_id}"))

    def known_series(self) -> list[Series]:
        self._check_schema()
        return [known_series(int(series, 16), _bytes(labels)) for series, labels in self.get_hash(LABELS).items()]

    def read_series(self, series: Sequence[int], step: int, start: int, end: int) -> dict[int, list[tuple[int, bytes]]]:
        self._check_schema()
        wanted, now = list(dict.fromkeys(series)), self.now()
        pipeline = self.pipeline()
        pipeline.get_hash(LABELS)
        for one in wanted:
            pipeline.get_hash(_points(one, step))
        labels, *points = pipeline.execute()
        found: dict[int, list[tuple[int, bytes]]] = {}
        for one, of_buckets in zip(wanted, points, strict=True):
            pairs = ((int(bucket), value) for bucket, value in of_buckets.items())
            inside = sorted((bucket, value) for bucket, value in pairs if start <= bucket < end)
            kind = known_series(one, _bytes(labels[_hex(one)])).kind if inside else 0
            found[one] = [(bucket, _bytes(value)) for bucket, value in inside if expires_at(kind, step, bucket, self.retention) > now]
        return found

    def read_totals(self, series: Sequence[int]) -> dict[int, bytes]:
        self._check_schema()
        wanted = list(dict.fromkeys(series))
        pipeline = self.pipeline()
        for one in wanted:
            pipeline.get_hash_field(TOTALS, _hex(one))
        found = {one: _bytes(total or "") for one, total in zip(wanted, pipeline.execute(), strict=True)}
        return {one: total for one, total in found.items() if total not in (b"", EMPTY)}

    def heartbeat_many(self, beats: Iterable[tuple[str, bytes]], ttl: float) -> None:
        now = self.now()
        written = {worker: f"{now!r} {now + ttl!r} {_text(payload)}" for worker, payload in beats}
        if written:
            self._transact((), lambda transaction: transaction.set_hash(BEATS, written))

    def read_heartbeats(self) -> list[Beat]:
        self._check_schema()
        now, beats = self.now(), []
        for worker, written in sorted(self.get_hash(BEATS).items()):
            seen, expiry, payload = written.split(" ")
            if float(expiry) > now:
                beats.append(Beat(worker, _bytes(payload), max(0.0, now - float(seen))))
        return beats

    def lease(self, name: str, owner: str, seconds: float) -> bool:
        key = f"queue-metrics/lease/{name}"

        def work(transaction: Transaction) -> bool:
            if transaction.get_key(key) not in (None, owner):
                return False
            transaction.set_key(key, owner, seconds)
            return True

        try:
            return self._transact([key], work)
        except TransactionConflict:
            return False

    def sweep(self, limit: int = 1000) -> int:
        """Removes points and heartbeats; keys with an expiry are the business of the general operations."""
        self._check_schema()
        now = self.now()
        expired = self.get_sorted_set_by_score(EXPIRIES, -(2.0**60), now, limit=limit)
        gone = [worker for worker, beat in self.get_hash(BEATS).items() if float(beat.split(" ")[1]) <= now][: limit - len(expired)]
        pipeline = self.pipeline()
        for place, _ in expired:
            series, step, bucket = place.split("/")
            pipeline.delete_hash_field(_points(int(series, 16), int(step)), bucket)
        pipeline.remove_from_sorted_set(EXPIRIES, *(place for place, _ in expired))
        pipeline.delete_hash_field(BEATS, *gone)
        pipeline.execute()
        return len(expired) + len(gone)

    def _transact(self, watch: Sequence[str], work: Callable[[Transaction], T]) -> T:
        """The work as one transaction, tried again while others come in between; writes the schema version first."""
        attempt = 0
        while True:
            attempt += 1
            try:
                with self.transaction([SCHEMA, *watch]) as transaction:
                    if not self._check_schema(transaction):
                        transaction.set_key(SCHEMA, str(SCHEMA_VERSION))
                    return work(transaction)
            except TransactionConflict:
                if attempt == ATTEMPTS:
                    raise

    def _check_schema(self, source: StorageDriver | Transaction | None = None) -> bool:
        """Whether a store is there; refuses one that a newer version wrote."""
        found = (self if source is None else source).get_key(SCHEMA)
        if found is not None and found != str(SCHEMA_VERSION):
            raise wrong_schema(self.url, found)
        return found is not None


def _points(series: int, step: int) -> str:
    return f"queue-metrics/points/{_hex(series)}/{step}"


def _hex(series: int) -> str:
    return f"{series:016x}"


def _mark(written: str | None) -> Mark:
    sequence, _, positions = (written or "0 ").partition(" ")
    return Mark(int(sequence), _bytes(positions))


def _text(value: bytes) -> str:
    return base64.b64encode(value).decode("ascii")


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise StoreRefused(f"what is stored as {text[:40]!r} is no Base64") from error
