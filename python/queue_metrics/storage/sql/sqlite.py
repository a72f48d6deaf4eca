"""SQLite: connections to a file, set up and replaced, kept away from forks; the only file that knows `sqlite3`, with `sqlite_errors.py`."""

from __future__ import annotations

import contextlib
import json
import os
import re
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from queue_metrics import _core
from queue_metrics.errors import ConfigurationError, StoreError, StoreRefused
from queue_metrics.storage import urls
from queue_metrics.storage.forks import ForkGate
from queue_metrics.storage.places import NETWORK_FILE_SYSTEMS, missing_for_good
from queue_metrics.storage.sql import migrations
from queue_metrics.storage.sql.dialect import Dialect, NothingThereError, Parameters, Place, Question, Session
from queue_metrics.storage.sql.names import digest
from queue_metrics.storage.sql.sqlite_errors import busy, store_error
from queue_metrics.storage.sql.statements import queries

BUSY_SECONDS = 0.05
"""How long one try waits inside SQLite. Short, since a fork waits for it; between the tries nobody waits for us."""

_LIST = re.compile(r"IN :(\w+)")

# Connections that must not be closed: a parent's in its child, and those to a file that was deleted, since closing them would delete the
# write-ahead log of its successor.
_never_closed: list[object] = []


class _Handle:
    """A connection, used by one thread at a time, and which file it really has open."""

    def __init__(self, connection: sqlite3.Connection, file: tuple[int, int] | None) -> None:
        self.connection = connection
        self.file = file
        self.writes = False  # whether it is set up for writing


class SQLiteSession(Session):
    """A transaction in the file; one that writes has its turn from the beginning."""

    def __init__(self, connection: sqlite3.Connection, sql: Mapping[str, str]) -> None:
        self._connection = connection
        self._sql = sql

    def begin(self, *, write: bool) -> str | None:
        self._connection.execute("BEGIN IMMEDIATE" if write else "BEGIN")
        (columns,) = self._execute("has_tables", {}).fetchone()
        if columns == 0:
            return None
        name = "get_first_schema" if columns == 1 else "get_schema"
        found = self._execute(name, {"id": migrations.SCHEMA_ID}).fetchone()
        if found is None:
            return ""
        return found[0].decode(errors="replace") if isinstance(found[0], bytes) else str(found[0])

    def ask(self, *questions: Question) -> list[list[tuple[Any, ...]]]:
        return [self._execute(name, parameters).fetchall() for name, parameters in questions]

    def tell(self, name: str, parameters: Parameters) -> None:
        self._execute(name, parameters)

    def count(self, name: str, parameters: Parameters) -> int:
        return self._execute(name, parameters).rowcount

    def many(self, name: str, rows: Sequence[Parameters]) -> None:
        now = time.time()
        self._connection.executemany(self._sql[name], [{**row, "now": now} for row in rows])

    def values_at(self, places: Sequence[Place]) -> list[Question]:
        return [("get_value", {"step": step, "series": series, "bucket": bucket}) for step, series, bucket in places]

    def run(self, text: str) -> None:
        self._connection.execute(text)

    def commit(self) -> None:
        self._connection.execute("COMMIT")

    def rollback(self) -> None:
        if self._connection.in_transaction:
            with contextlib.suppress(sqlite3.Error):
                self._connection.execute("ROLLBACK")

    def _execute(self, name: str, parameters: Parameters) -> sqlite3.Cursor:
        text = self._sql[name]
        bound: dict[str, Any] = {**parameters, "now": time.time()}
        for listed in _LIST.findall(text):
            values = bound.pop(listed)
            if all(isinstance(value, int) for value in values):  # one text for any number of them
                bound[listed] = json.dumps(values)
                text = text.replace(f"IN :{listed}", f"IN (SELECT value FROM json_each(:{listed}))")
            else:
                bound.update({f"{listed}_{index}": value for index, value in enumerate(values)})
                text = text.replace(f"IN :{listed}", f"IN ({', '.join(f':{listed}_{index}' for index in range(len(values)))})")
        return self._connection.execute(text, bound)


class SQLite(Dialect):
    """
    A file. Readers never wait for writers (WAL); writers take turns.

    SQLite keeps the descriptors of closed connections while others are open, so they are kept for the next call. A fork waits for
    running calls and finds no connection open.
    """

    name = "sqlite"
    errors = (sqlite3.Error,)
    upgrades = True

    def __init__(self, url: str, prefix: str) -> None:
        if prefix.startswith("sqlite"):
            raise ConfigurationError(f"the prefix {prefix!r} cannot be used: names that begin with sqlite belong to SQLite")
        self.prefix = prefix
        self.sql = queries(self.name, prefix, ":now", ":now")
        self._path = urls.sqlite_path(url)
        self.url = f"sqlite:///{self._path}"
        self._gate = ForkGate()
        self._begin()

    def passes(self, error: Exception, *, committing: bool) -> bool:
        return isinstance(error, sqlite3.Error) and busy(error)

    def store_error(self, error: Exception) -> StoreError:
        assert isinstance(error, sqlite3.Error)
        return store_error(error, self.url, self._path)

    def capabilities(self, ask: Callable[[str], tuple[Any, ...]]) -> dict[str, object]:
        answer: dict[str, object] = {"name": "sqlite", "version": sqlite3.sqlite_version, "durable": True, "expires_itself": False}
        kind = _core.file_system(os.fspath(self._path))
        if kind in NETWORK_FILE_SYSTEMS:
            reason = f"{self._path} is on {kind}, where locks cannot be relied on and SQLite may spoil the file: move it to a local disk"
            return {**answer, "exact": False, "reason": reason}
        return {**answer, "exact": True}

    def missing(self) -> str | None:
        reason = missing_for_good(self._path)
        return None if reason is None else f"there is no such file and none can be made: {reason}"

    # Connections

    @contextlib.contextmanager
    def lend(self, *, write: bool) -> Iterator[Session]:
        self._notice_fork()
        with self._gate, self._connection(write) as connection:
            session = SQLiteSession(connection, self.sql)
            try:
                yield session
            finally:  # an interruption between any two lines leaves no transaction open
                session.rollback()

    @contextlib.contextmanager
    def alone(self) -> Iterator[Session]:
        with self.lend(write=True) as session:
            yield session
            session.commit()

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
    def _connection(self, write: bool) -> Iterator[sqlite3.Connection]:
        handle = self._taken(write)
        self._lent.add(handle)
        try:
            if write and not handle.writes:
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

    def _taken(self, write: bool) -> _Handle:
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
        if file is None and not write:
            raise NothingThereError
        return self._connect(new=file is None)

    def _connect(self, *, new: bool) -> _Handle:
        if new:
            try:
                self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            except OSError as error:
                raise StoreRefused(f"{self.url}: the directory cannot be made: {error.strerror}") from error
        uri = f"file:{quote(str(self._path))}?mode={'rwc' if new else 'rw'}"
        # Autocommit is SQLite's own: a transaction is where BEGIN stands, and nowhere else.
        connection = sqlite3.connect(uri, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False, uri=True)
        connection.create_function("blake2b_128", 1, digest, deterministic=True)  # for migrations
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
            raise StoreRefused(f"{self.url}: {error.strerror}") from error
        return found.st_dev, found.st_ino
