"""What speaks to PostgreSQL; the only file that knows psycopg. Loaded at the first connection."""

from __future__ import annotations

import contextlib
import re
import select
import time
from collections.abc import Generator, Mapping, Sequence
from typing import Any

import psycopg
from psycopg.pq import TransactionStatus

from queue_metrics.storage.sql import migrations
from queue_metrics.storage.sql.dialect import OnceMoreError, Parameters, Place, Question
from queue_metrics.storage.sql.servers import ANSWER_SECONDS, CONNECT_SECONDS, LOCK_SECONDS, ServerSession

ERRORS: tuple[type[Exception], ...] = (psycopg.Error,)

_PARAMETER = re.compile(r"(?<!:):([a-z_]\w*)")
_EVENTS = {1: select.POLLIN, 2: select.POLLOUT, 3: select.POLLIN | select.POLLOUT}

_SETTINGS = {
    "lock_timeout": f"{LOCK_SECONDS}s",
    "statement_timeout": f"{ANSWER_SECONDS:.0f}s",
    # All that we ask often is found by key. Without this a table that is young, or not vacuumed yet, is read as a whole.
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "enable_seqscan": "off",
    "idle_in_transaction_session_timeout": "60s",  # a stopped process must not hold locks for ever
}


class MuteServerError(psycopg.OperationalError):
    """The server accepts what is sent and does not answer."""


class _Connection(psycopg.Connection[tuple[Any, ...]]):
    """A connection that waits for an answer no longer than ANSWER_SECONDS; psycopg alone waits for ever."""

    schema: str | None = None
    """The schema version that was found on it last."""

    def wait(self, gen: Generator[Any, Any, Any], *_: Any, **__: Any) -> Any:
        deadline = time.monotonic() + ANSWER_SECONDS
        poll, socket = select.poll(), self.pgconn.socket
        try:
            wanted = next(gen)
            while True:
                poll.register(socket, _EVENTS[int(wanted)])
                ready = poll.poll(max(0.0, deadline - time.monotonic()) * 1000)
                if not ready:
                    raise MuteServerError(f"no answer within {ANSWER_SECONDS:.0f} s")
                events = ready[0][1]
                bad = events & ~(select.POLLIN | select.POLLOUT)  # reading tells what is wrong
                wanted = gen.send((1 if events & select.POLLIN or bad else 0) | (2 if events & select.POLLOUT else 0))
        except StopIteration as end:
            return end.value
        except BaseException:
            with contextlib.suppress(Exception):  # it may want to say more to a server that does not listen
                gen.close()
            raise


def connect(url: str) -> _Connection:
    """A connection that begins no transaction by itself."""
    connection = _Connection.connect(url, autocommit=True, connect_timeout=CONNECT_SECONDS, client_encoding="utf8")
    connection.execute(f"SELECT {', '.join(f'set_config({name!r}, {value!r}, false)' for name, value in _SETTINGS.items())}")
    return connection


class PostgreSQLSession(ServerSession):
    """
    A transaction in pipeline mode: statements are sent without waiting, and waited for when somebody reads an answer.

    That the schema is still the one last found on this connection is asked with the first statements, not before them.
    """

    def __init__(self, connection: _Connection, sql: Mapping[str, str], *, alone: bool) -> None:
        self._connection = connection
        self._sql = sql
        self._alone = alone
        self._stack = contextlib.ExitStack()
        self._pipeline: psycopg.Pipeline | None = None
        self._unverified: psycopg.Cursor[tuple[Any, ...]] | None = None

    def begin(self, *, write: bool) -> str | None:
        self.open = True
        if self._alone:
            return self._begin_alone()
        self._enter()
        self._execute("begin_write" if write else "begin_read", {})
        try:
            asked = self._execute("get_schema", {"id": migrations.SCHEMA_ID})
            if self._connection.schema is not None:
                self._unverified = asked
                return self._connection.schema
            rows = asked.fetchall()
        except psycopg.errors.UndefinedTable:
            with contextlib.suppress(psycopg.Error):  # what stood behind it in the pipeline was not run
                self._leave()
            self._connection.execute("ROLLBACK")
            self._connection.schema = None
            self._check_closed()
            return None
        found = _version(rows)
        self._connection.schema = found if found == migrations.CURRENT else None
        return found

    def _begin_alone(self) -> str | None:
        self._execute("begin_write", {})
        self._execute("migrate_alone", {})
        self._connection.schema = None
        if not self._execute("has_tables", {}).fetchall()[0][0]:
            self._check_closed()
            return None
        return _version(self._execute("get_schema", {"id": migrations.SCHEMA_ID}).fetchall())

    def _check_closed(self) -> None:
        """Refuse tables that are there and out of reach, which PostgreSQL tells like tables that are not."""
        for schema, role in self._execute("get_closed_schema", {}).fetchall():
            raise psycopg.errors.InsufficientPrivilege(
                f"the tables are in the schema {schema}, which the role {role} may not use: GRANT USAGE ON SCHEMA {schema} TO {role}"
            )

    def ask(self, *questions: Question) -> list[list[tuple[Any, ...]]]:
        cursors = [self._execute(name, parameters) for name, parameters in questions]
        self._verify()
        return [cursor.fetchall() for cursor in cursors]

    def tell(self, name: str, parameters: Parameters) -> None:
        self._execute(name, parameters)

    def count(self, name: str, parameters: Parameters) -> int:
        cursor = self._execute(name, parameters)
        self._verify()
        if self._pipeline is not None:
            self._pipeline.sync()
        return cursor.rowcount

    def many(self, name: str, rows: Sequence[Parameters]) -> None:
        self._execute(name, {column: [row[column] for row in rows] for column in rows[0]})

    def values_at(self, places: Sequence[Place]) -> list[Question]:
        if not places:
            return []
        steps, series, buckets = (list(column) for column in zip(*places, strict=True))
        return [("get_values", {"steps": steps, "series": series, "buckets": buckets})]

    def run(self, text: str) -> None:
        self._connection.execute(text)

    def commit(self) -> None:
        self._verify()
        cursor = self._connection.execute(self._sql["commit"])
        self._leave()
        self.open = False
        if cursor.statusmessage == "ROLLBACK":  # what went wrong before was not read yet; never so far
            raise psycopg.OperationalError("the transaction was rolled back")

    def abandon(self) -> None:
        with contextlib.suppress(Exception):  # the connection was given up before; what it still says helps nobody
            self._leave()

    def undo(self) -> bool:
        try:
            with contextlib.suppress(psycopg.Error):
                self._leave()
            if self._connection.pgconn.transaction_status in (TransactionStatus.INTRANS, TransactionStatus.INERROR):
                self._connection.execute("ROLLBACK")
            return self._connection.pgconn.transaction_status == TransactionStatus.IDLE
        except psycopg.Error:
            return False

    def _verify(self) -> None:
        if self._unverified is None:
            return
        asked, self._unverified = self._unverified, None
        expected, self._connection.schema = self._connection.schema, None
        try:
            found = _version(asked.fetchall())
        except psycopg.errors.UndefinedTable:
            raise OnceMoreError from None
        if found != expected:
            raise OnceMoreError
        self._connection.schema = found

    def _enter(self) -> None:
        if psycopg.Pipeline.is_supported():
            self._pipeline = self._stack.enter_context(self._connection.pipeline())

    def _leave(self) -> None:
        """Wait for the answers that nobody has read yet."""
        self._pipeline = None
        try:
            self._stack.close()
        except psycopg.Error as error:
            # An interruption in there comes out as what psycopg has to say about it.
            interruption = error.__context__
            if interruption is None or isinstance(interruption, (psycopg.Error, StopIteration, GeneratorExit)):
                raise
            raise interruption from None

    def _execute(self, name: str, parameters: Parameters) -> psycopg.Cursor[tuple[Any, ...]]:
        return self._connection.execute(_translated(self._sql[name]), parameters)


_texts: dict[str, str] = {}


def _translated(text: str) -> str:
    """A statement with its parameters as psycopg writes them."""
    found = _texts.get(text)
    if found is None:
        lists = re.sub(r"IN :(\w+)", r"= ANY(:\1)", text.replace("%", "%%"))
        found = _texts[text] = _PARAMETER.sub(r"%(\1)s", lists)
    return found


def _version(rows: list[tuple[Any, ...]]) -> str:
    return bytes(rows[0][0]).decode(errors="replace") if rows else ""
