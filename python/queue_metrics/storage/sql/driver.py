"""Numbers in a database of SQL: the operations that carry the load. Which database it is, is the business of its dialect."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from queue_metrics import _core
from queue_metrics.errors import DecodeError, MissingDependency
from queue_metrics.storage import urls
from queue_metrics.storage.base import (
    EMPTY,
    TOTAL,
    Applied,
    Beat,
    Commit,
    Mark,
    Retention,
    Series,
    collision,
    expires_at,
    unmergeable,
)
from queue_metrics.storage.general import Call
from queue_metrics.storage.prefixes import checked_prefix
from queue_metrics.storage.sql import viewing
from queue_metrics.storage.sql.dialect import Dialect, OnceMoreError, Parameters, Place, Session
from queue_metrics.storage.sql.names import LEASE, WORKER, digest, header_id, signed, unsigned
from queue_metrics.storage.sql.reading import answer, read
from queue_metrics.storage.sql.transactions import TransactionalDriver
from queue_metrics.storage.sql.writing import Headers, Watched
from queue_metrics.storage.view import Points, Range, Totals, View, check_calls

SWEEP_BITE = 200
"""Rows deleted in one transaction: a sweep must not keep writers waiting."""

NO_MARK = Mark(0, b"")


def dialect_of(url: str, prefix: str) -> Dialect:
    """The dialect for a URL, whose library is not loaded yet. Raises ConfigurationError or MissingDependency."""
    scheme, prefix = urls.scheme_of(url), checked_prefix(prefix)
    if scheme == "sqlite":
        try:
            from queue_metrics.storage.sql.sqlite import SQLite
        except ImportError as error:
            raise MissingDependency(
                f"this Python was built without sqlite3 ({error}); use one that has it, or set QUEUE_METRICS_STORE to another store"
            ) from error

        return SQLite(url, prefix)
    if scheme in ("mysql", "mariadb"):
        from queue_metrics.storage.sql.mysql import MySQL

        return MySQL(url, prefix)
    from queue_metrics.storage.sql.postgresql import PostgreSQL

    return PostgreSQL(url, prefix)


class DatabaseStorageDriver(TransactionalDriver):
    """
    Each batch is one transaction. A call has a connection of its own and leaves it to the next one, since threads come and go.

    Args:
        url: `sqlite:///` and a path, `postgresql://`, `mysql://` or `mariadb://`. Nothing is connected to yet; the first write makes the
            tables.
        prefix: first part of the names of all tables: 1 to 32 of a-z, 0-9 and "_".

    Raises:
        ConfigurationError: the URL is malformed, or the prefix none, or one that the database keeps for itself.
        MissingDependency: the database needs a library that is not installed; names the extra.
    """

    def __init__(self, url: str, prefix: str = "queue_metrics") -> None:
        super().__init__(dialect_of(url, prefix))

    # The general operations

    def execute(self, calls: Sequence[Call]) -> list[Any]:
        if all(call.reads for call in calls):
            return self._read(lambda session: read(session, calls), [answer(call, []) for call in calls])
        done, refused = self._write(lambda session: Headers(session, calls).execute(calls))
        if refused is not None:  # what was done before it stays
            raise refused
        return done

    @contextlib.contextmanager
    def watching(self, names: Sequence[str]) -> Iterator[Commit]:
        watched = Watched(names)
        before = self._read(watched.state, watched.nothing())

        def commit(calls: Sequence[Call]) -> list[Any] | None:
            return self._write(lambda session: Headers(session, calls, watched).commit(calls, before))

        yield commit

    # Writing

    def apply_batch(self, shard: int, batch: _core.Batch) -> Applied:
        return self._write(lambda session: self._apply(session, shard, batch))

    def _apply(self, session: Session, shard: int, batch: _core.Batch) -> Applied:
        spool = _spool(batch.spool_id, shard)
        labels, expiries = _touched(batch.rows, self.retention)
        series, places = sorted(labels), sorted(expiries)
        questions = [("lock_labels", {"series": series}), *session.values_at(places)] if series else []
        marks, *found = session.ask(("lock_mark", spool), *questions)
        mark = Mark(*marks[0]) if marks else NO_MARK
        if not mark.is_base_of(batch):
            return Applied(False, mark)
        if not marks and not self._make_mark(session, spool):
            raise OnceMoreError
        stored = {(step, one, bucket): value for rows in found[1:] for step, one, bucket, value in rows}
        known: dict[int, bytes] = dict(found[0]) if found else {}
        new = [one for one in series if one not in known]
        if new:
            session.many("make_labels", [{"series": one, "value": labels[one]} for one in new])
            # Another may have been quicker, and have written values too.
            again, *found = session.ask(
                ("lock_labels", {"series": new}), *session.values_at([place for place in places if place[1] in new])
            )
            known.update(again)
            stored.update({(step, one, bucket): value for rows in found for step, one, bucket, value in rows})
        for one in series:
            if known[one] != labels[one]:
                raise collision(unsigned(one))
        written = self._merged(batch.rows, stored)
        if written:
            session.many("put_values", [_row(place, value, expiries[place]) for place, value in sorted(written.items())])
        session.tell("put_mark", {**spool, "sequence": batch.sequence, "positions": batch.positions})
        return Applied(True, Mark(batch.sequence, batch.positions))

    def _make_mark(self, session: Session, spool: dict[str, object]) -> bool:
        """Whether the first mark of a spool is ours; not when another drainer made it while we waited for the lock."""
        session.tell("make_mark", spool)
        (marks,) = session.ask(("lock_mark", spool))
        return bool(marks) and Mark(*marks[0]) == NO_MARK

    def _merged(self, rows: Iterable[_core.Row], stored: dict[Place, bytes]) -> dict[Place, bytes]:
        """What is stored with the batch added."""
        written: dict[Place, bytes] = {}
        for row in rows:
            place = (row.step, signed(row.series), row.bucket)
            before = written.get(place) or stored.get(place)
            try:
                if row.step == TOTAL:
                    written[place] = _core.add_fields(before or b"", row.value)
                else:
                    written[place] = _core.merge_values(before or EMPTY, row.value)
            except (DecodeError, OverflowError) as error:
                raise unmergeable(row.series, error) from error
        return written

    def heartbeat_many(self, beats: Iterable[tuple[str, bytes]], ttl: float) -> None:
        rows = {header_id(WORKER, worker): {"name": worker, "value": payload, "ttl": float(ttl)} for worker, payload in beats}
        if rows:
            self._write(lambda session: session.many("put_beats", [{"id": id_, **row} for id_, row in sorted(rows.items())]))

    def lease(self, name: str, owner: str, seconds: float) -> bool:
        return self._write(lambda session: Headers(session).take(LEASE, name, owner, seconds))

    def sweep(self, limit: int = 1000) -> int:
        if not self._read(lambda _: True, False):
            return 0  # of a store that nobody made nothing can be removed, and it is not made for that
        removed = 0
        for bite in (_sweep_points, _sweep_headers):
            while removed < limit:
                most = min(SWEEP_BITE, limit - removed)
                gone = self._write(lambda session, bite=bite, most=most: bite(session, most))  # type: ignore[misc]
                removed += gone
                if gone < most:
                    break
        return removed

    # Reading

    def read_mark(self, spool_id: str, shard: int) -> Mark:
        rows = self._select("get_mark", _spool(spool_id, shard))
        return Mark(*rows[0]) if rows else NO_MARK

    def known_series(self) -> list[Series]:
        return viewing.series(self._select(*viewing.ALL_LABELS))

    def read_series(self, series: Sequence[int], step: int, start: int, end: int) -> Points:
        return viewing.points(series, self._select(*viewing.points_of(series, step, start, end)) if series else [])

    def read_totals(self, series: Sequence[int]) -> dict[int, bytes]:
        return viewing.totals(self._select(*viewing.totals_of(series))) if series else {}

    def read_heartbeats(self) -> list[Beat]:
        return viewing.beats(self._select(*viewing.BEATS))

    def read_view(self, ranges: Sequence[Range] = (), *, totals: Totals = (), heartbeats: bool = True, calls: Sequence[Call] = ()) -> View:
        check_calls(calls)
        nothing = View([], tuple({} for _ in ranges), {}, [], [answer(call, []) for call in calls])
        return self._read(lambda session: viewing.view(session, ranges, totals, heartbeats, calls), nothing)

    def capabilities(self) -> dict[str, object]:
        return self._dialect.capabilities(self._setting)

    def size(self) -> int:
        rows = self._select("size", {})
        return int(rows[0][0]) if rows else 0

    def count_points(self) -> dict[int, int]:
        return {unsigned(series): int(number) for series, number in self._select("count_points", {})}

    def _setting(self, name: str) -> tuple[Any, ...]:
        """The row that answers a question about the server, whether there is a store or not."""

        def work(session: Session) -> tuple[Any, ...]:
            session.begin(write=False)
            return session.ask((name, {}))[0][0]

        return self._attempt(work, write=False)

    def _select(self, name: str, parameters: Parameters) -> list[tuple[Any, ...]]:
        return self._read(lambda session: session.ask((name, parameters))[0], [])


def _spool(spool_id: str, shard: int) -> dict[str, object]:
    return {"id": digest(spool_id), "spool": spool_id, "shard": shard}


def _touched(rows: Iterable[_core.Row], retention: Retention) -> tuple[dict[int, bytes], dict[Place, int | None]]:
    """The labels of each series of a batch, and all its places with their expiry; refuses two label lists of one series."""
    labels: dict[int, bytes] = {}
    expiries: dict[Place, int | None] = {}
    for row in rows:
        series = signed(row.series)
        if labels.setdefault(series, row.labels) != row.labels:
            raise collision(row.series)
        expiry = None if row.step == TOTAL else expires_at(row.kind, row.step, row.bucket, retention)
        expiries[row.step, series, row.bucket] = expiry
    return labels, expiries


def _row(place: Place, value: bytes, expiry: int | None) -> dict[str, object]:
    step, series, bucket = place
    return {"step": step, "series": series, "bucket": bucket, "value": value, "expires_at": expiry}


def _sweep_points(session: Session, limit: int) -> int:
    (points,) = session.ask(("expired_points", {"limit": limit}))
    if points:
        rows = sorted((step, series, bucket) for step, series, bucket in points)
        session.many("remove_points", [{"step": step, "series": series, "bucket": bucket} for step, series, bucket in rows])
    return len(points)


def _sweep_headers(session: Session, limit: int) -> int:
    """Headers that are dead, and what still hangs on them."""
    (rows,) = session.ask(("expired_headers", {"limit": limit}))
    ids = sorted(bytes(id_) for (id_,) in rows)
    if ids:
        for statement in ("clear_hashes", "clear_sets", "clear_sorted_sets", "remove_headers"):
            session.tell(statement, {"ids": ids})
    return len(ids)
