"""Numbers in a file of SQLite; the only file that knows `sqlite3`. Its statements are in `schema.sql` and `queries.sql`."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import random
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar
from urllib.parse import quote

from queue_metrics import _core
from queue_metrics.errors import ConfigurationError, DecodeError, StoreRefused, StoreUnavailable
from queue_metrics.storage import urls
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
from queue_metrics.storage.forks import ForkGate, guard
from queue_metrics.storage.places import missing_for_good
from queue_metrics.storage.sql_errors import busy, store_error
from queue_metrics.storage.statements import statements

T = TypeVar("T")

PATIENCE_SECONDS = 5.0
"""How long a call tries to get a database that others write to."""

BUSY_SECONDS = 0.05
"""How long one try waits inside SQLite. Short, since a fork waits for it; between the tries nobody waits for us."""

SWEEP_BITE = 200
"""Rows deleted in one transaction: a sweep must not keep writers waiting."""

# Connections that must not be closed: a parent's in its child, and those to a file that was deleted, since closing them would delete the
# write-ahead log of its successor.
_never_closed: list[object] = []


class _Handle:
    """A connection, used by one thread at a time, and which file it really has open."""

    def __init__(self, connection: sqlite3.Connection, file: tuple[int, int] | None) -> None:
        self.connection = connection
        self.file = file
        self.writes = False  # whether it is set up for writing


class DatabaseStorageDriver(StorageDriver):
    """
    Each batch is one immediate transaction. Readers never wait for writers (WAL); writers take turns.

    A call has a connection of its own, and leaves it to the next one: threads come and go, and SQLite keeps the descriptors of
    closed connections while others are open. A fork waits for running calls and finds no connection open.

    Args:
        url: `sqlite:///` and a path. The file and its directory (if the path is absolute) are made at the first write.
        prefix: first part of the names of all tables.

    Raises:
        ConfigurationError: the URL names no file, or the prefix one that SQLite keeps for itself.
    """

    def __init__(self, url: str, prefix: str = "queue_metrics") -> None:
        if prefix.startswith("sqlite"):
            raise ConfigurationError(f"the prefix {prefix!r} cannot be used: names that begin with sqlite belong to SQLite")
        self._path = urls.sqlite_path(url)
        self._url = f"sqlite:///{self._path}"
        self._schema = statements("schema.sql", prefix)
        self._sql = statements("queries.sql", prefix)
        self._prefix = prefix
        self._gate = ForkGate()
        self._begin()
        guard(self)

    def __repr__(self) -> str:
        return f"DatabaseStorageDriver({self._url!r}, prefix={self._prefix!r})"

    @property
    def url(self) -> str:
        return self._url

    # Writing

    def apply_batch(self, shard: int, batch: _core.Batch) -> Applied:
        return self._write(lambda connection: self._apply(connection, shard, batch))

    def _apply(self, connection: sqlite3.Connection, shard: int, batch: _core.Batch) -> Applied:
        mark = self._mark(connection, batch.spool_id, shard)
        if not mark.is_base_of(batch):
            return Applied(False, mark)
        self._check_labels(connection, batch.rows)
        # In the order of the primary key: neighbours lie in one page.
        for row in sorted(batch.rows, key=lambda row: (_signed(row.series), row.step, row.bucket)):
            total = row.step == TOTAL
            place = {"series": _signed(row.series), "step": row.step, "bucket": row.bucket}
            found = connection.execute(self._sql["get_value"], place).fetchone()
            try:
                if total:
                    value = _core.add_fields(found[0] if found else b"", row.value)
                else:
                    value = _core.merge_values(found[0] if found else EMPTY, row.value)
            except (DecodeError, OverflowError) as error:
                raise unmergeable(row.series, error) from error
            expiry = None if total else expires_at(row.kind, row.step, row.bucket)
            connection.execute(self._sql["put_value"], {**place, "value": value, "expires_at": expiry})
        mark = Mark(batch.sequence, batch.positions)
        moved = {"spool": batch.spool_id, "shard": shard, "sequence": mark.sequence, "positions": mark.positions, "now": time.time()}
        connection.execute(self._sql["put_mark"], moved)
        return Applied(True, mark)

    def _check_labels(self, connection: sqlite3.Connection, rows: Iterable[_core.Row]) -> None:
        """Write the labels of new series; refuse a series that is known by others."""
        given: dict[int, bytes] = {}
        for row in rows:
            if given.setdefault(row.series, row.labels) != row.labels:
                raise collision(row.series)
        found = connection.execute(self._sql["get_labels"], {"series": _json(given)})
        known = {_unsigned(series): labels for series, labels in found}
        for series, labels in given.items():
            if known.get(series, labels) != labels:
                raise collision(series)
        new = [{"series": _signed(series), "labels": labels} for series, labels in given.items() if series not in known]
        connection.executemany(self._sql["add_labels"], new)

    def heartbeat_many(self, beats: Iterable[tuple[str, bytes]], ttl: float) -> None:
        rows = [{"worker": worker, "payload": payload} for worker, payload in beats]

        def work(connection: sqlite3.Connection) -> None:
            now = time.time()
            connection.executemany(self._sql["put_beat"], [{**row, "now": now, "expires_at": now + ttl} for row in rows])

        if rows:
            self._write(work)

    def lease(self, name: str, owner: str, seconds: float) -> bool:
        def work(connection: sqlite3.Connection) -> bool:
            now = time.time()
            place = {"name": name, "owner": owner.encode(), "now": now, "expires_at": now + seconds}
            return connection.execute(self._sql["take_lease"], place).rowcount == 1

        return self._write(work)

    def sweep(self, limit: int = 1000) -> int:
        removed = 0
        for statement in ("sweep_series", "sweep_keys"):
            while removed < limit:
                bite = min(SWEEP_BITE, limit - removed)
                gone = self._write(functools.partial(_removed, self._sql[statement], {"now": time.time(), "limit": bite}))
                removed += gone
                if gone < bite:
                    break
        return removed

    # Reading

    def read_mark(self, spool_id: str, shard: int) -> Mark:
        return self._read(lambda connection: self._mark(connection, spool_id, shard), Mark(0, b""))

    def _mark(self, connection: sqlite3.Connection, spool_id: str, shard: int) -> Mark:
        found = connection.execute(self._sql["get_mark"], {"spool": spool_id, "shard": shard}).fetchone()
        return Mark(*found) if found else Mark(0, b"")

    def known_series(self) -> list[Series]:
        rows = self._select("all_labels", {})
        return [known_series(_unsigned(series), labels) for series, labels in rows]

    def read_series(self, series: Sequence[int], step: int, start: int, end: int) -> dict[int, list[tuple[int, bytes]]]:
        points: dict[int, list[tuple[int, bytes]]] = {one: [] for one in series}
        place = {"series": _json(points), "step": step, "start": start, "end": end, "now": time.time()}
        for one, bucket, value in self._select("get_points", place):
            points[_unsigned(one)].append((bucket, value))
        return points

    def read_totals(self, series: Sequence[int]) -> dict[int, bytes]:
        found = self._select("get_totals", {"series": _json(series)})
        return {_unsigned(one): value for one, value in found if value != EMPTY}

    def read_heartbeats(self) -> list[Beat]:
        now = time.time()
        return [Beat(worker, payload, max(0.0, now - written)) for worker, payload, written in self._select("get_beats", {"now": now})]

    def capabilities(self) -> dict[str, object]:
        return {"name": "sqlite", "version": sqlite3.sqlite_version, "durable": True, "expires_itself": False, "exact": True}

    def size(self) -> int:
        """Pages of the whole file that hold something: tables of others in it are counted too."""

        def work(connection: sqlite3.Connection) -> int:
            (pages,) = connection.execute(self._sql["used_pages"]).fetchone()
            (page_size,) = connection.execute(self._sql["page_size"]).fetchone()
            return int(pages * page_size)

        return self._read(work, 0)

    def _select(self, name: str, parameters: dict[str, object]) -> list[Any]:
        return self._read(lambda connection: connection.execute(self._sql[name], parameters).fetchall(), [])

    # Transactions

    def _write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """All of the work or nothing, in a turn of its own among the writers; makes the file and its tables at first use."""

        def transaction(connection: sqlite3.Connection) -> T:
            connection.execute("BEGIN IMMEDIATE")
            if not self._has_schema(connection):
                for statement in self._schema.values():
                    connection.execute(statement)
                connection.execute(self._sql["put_schema"], {"version": str(SCHEMA_VERSION).encode(), "now": time.time()})
            return work(connection)

        return self._attempt(transaction, create=True)

    def _read(self, work: Callable[[sqlite3.Connection], T], nothing: T) -> T:
        """The work on one state of the database; `nothing` when it was never written to but can be. Makes no file."""

        def transaction(connection: sqlite3.Connection) -> T:
            connection.execute("BEGIN")
            return work(connection) if self._has_schema(connection) else nothing

        try:
            return self._attempt(transaction, create=False)
        except FileNotFoundError:
            reason = missing_for_good(self._path)
            if reason is not None:
                raise StoreUnavailable(f"{self._url}: there is no such file and none can be made: {reason}") from None
            return nothing

    def _attempt(self, transaction: Callable[[sqlite3.Connection], T], *, create: bool) -> T:
        self._notice_fork()
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                with self._gate, self._connection(create) as connection, _ended(connection):
                    self.requests += 1
                    return transaction(connection)
            except sqlite3.Error as error:
                if not busy(error) or time.monotonic() > deadline:
                    raise store_error(error, self._url, self._path) from error
            except OverflowError as error:  # a number that the database cannot hold
                raise StoreRefused(f"{self._url}: {error}; nothing is changed") from error
            time.sleep(random.uniform(0.001, 0.01))

    def _has_schema(self, connection: sqlite3.Connection) -> bool:
        if connection.execute(self._sql["has_tables"]).fetchone() is None:
            return False
        found = connection.execute(self._sql["get_schema"]).fetchone()
        if found is None:
            return False
        version = found[0].decode(errors="replace") if isinstance(found[0], bytes) else str(found[0])
        if version != str(SCHEMA_VERSION):
            raise wrong_schema(self._url, version)
        return True

    # Connections

    def close(self) -> None:
        self._notice_fork()
        if self._gate.shut():
            self._close_all()
        self._gate.open()

    def before_fork(self) -> None:
        # A child that inherits an open database can hang for ever in SQLite's own mutexes, or find its file locked by nobody.
        if self._gate.shut():
            self._close_all()

    def after_fork_parent(self) -> None:
        self._gate.open()

    def after_fork_child(self) -> None:
        _never_closed.extend((self._idle, self._lent))
        self._gate.renew()
        self._begin()

    def _notice_fork(self) -> None:
        """In a child that C code forked, past Python's own hooks."""
        if self._pid != os.getpid():
            self.after_fork_child()

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._idle: list[_Handle] = []
        self._lent: set[_Handle] = set()

    def _close_all(self) -> None:
        while self._idle:
            with contextlib.suppress(sqlite3.Error):
                self._idle.pop().connection.close()

    @contextlib.contextmanager
    def _connection(self, create: bool) -> Iterator[sqlite3.Connection]:
        handle = self._lend(create)
        self._lent.add(handle)
        try:
            if create and not handle.writes:
                (mode,) = handle.connection.execute("PRAGMA journal_mode=WAL").fetchone()
                # Without WAL (a file system that cannot share memory) only FULL keeps the file sound when the power fails.
                handle.connection.execute(f"PRAGMA synchronous={'NORMAL' if mode == 'wal' else 'FULL'}")
                handle.writes = True
            yield handle.connection
        finally:
            self._lent.discard(handle)
            if handle.connection.in_transaction:  # it could not even be rolled back
                with contextlib.suppress(sqlite3.Error):
                    handle.connection.close()
            else:
                self._idle.append(handle)

    def _lend(self, create: bool) -> _Handle:
        """An idle connection to the file that the path leads to now, or a new one."""
        file = self._file()
        while True:
            try:
                handle = self._idle.pop()
            except IndexError:
                break
            if handle.file == file:
                return handle
            _never_closed.append(handle)  # its file was deleted or replaced under our feet
        if file is None and not create:
            raise FileNotFoundError(self._path)
        return self._connect(new=file is None)

    def _connect(self, *, new: bool) -> _Handle:
        if new:
            try:
                self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            except OSError as error:
                raise StoreRefused(f"{self._url}: the directory cannot be made: {error.strerror}") from error
        uri = f"file:{quote(str(self._path))}?mode={'rwc' if new else 'rw'}"
        # Autocommit is SQLite's own: a transaction is where BEGIN stands, and nowhere else.
        connection = sqlite3.connect(uri, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False, uri=True)
        if new:  # by name, not through a descriptor: closing one drops all locks that this process has on the file
            with contextlib.suppress(OSError):
                self._path.chmod(0o600)
        return _Handle(connection, self._file())

    def _file(self) -> tuple[int, int] | None:
        """Which file the path leads to now; None when there is none."""
        try:
            found = self._path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise StoreRefused(f"{self._url}: {error.strerror}") from error
        return found.st_dev, found.st_ino


def _removed(statement: str, parameters: dict[str, object], connection: sqlite3.Connection) -> int:
    return connection.execute(statement, parameters).rowcount


@contextlib.contextmanager
def _ended(connection: sqlite3.Connection) -> Iterator[None]:
    """Commit what the body did, or roll it back; an interruption between any two lines leaves no transaction open."""
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            with contextlib.suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
        raise


def _signed(series: int) -> int:
    """A u64 as the signed number that databases have."""
    return series - 2**64 if series >= 2**63 else series


def _unsigned(series: int) -> int:
    return series % 2**64


def _json(series: Iterable[int]) -> str:
    return json.dumps([_signed(one) for one in series])
