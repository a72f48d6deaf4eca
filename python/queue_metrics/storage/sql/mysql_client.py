"""What speaks to MySQL and MariaDB; the only file that knows PyMySQL. Loaded at the first connection."""

from __future__ import annotations

import functools
import json
import re
import ssl
from collections.abc import Mapping, Sequence
from typing import Any

import pymysql
from pymysql.constants import CLIENT

from queue_metrics.storage.sql import migrations
from queue_metrics.storage.sql.addresses import Address
from queue_metrics.storage.sql.dialect import OnceMoreError, Parameters, Place, Question
from queue_metrics.storage.sql.servers import ANSWER_SECONDS, CONNECT_SECONDS, LOCK_SECONDS, ServerSession

ERRORS: tuple[type[Exception], ...] = (pymysql.MySQLError,)

_NO_SUCH_TABLE = 1146
_PARAMETER = re.compile(r":([a-z_]\w*)")
_ROW = re.compile(r"(?<=VALUES )\(.*\)(?=\nON DUPLICATE)", re.DOTALL)
_MOST_PENDING = 1_000_000
"""Bytes of statements that wait to be sent together; a server takes 16 MB by default."""

# Names in double quotes; nothing cut or rounded silently; times without time zones; nobody locks gaps between rows; text is sorted by
# more than its first 1,024 bytes.
_SETTINGS = (
    "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED; "
    "SET SESSION sql_mode = 'ANSI_QUOTES,STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION', time_zone = '+00:00', max_sort_length = 65536, "
    f"innodb_lock_wait_timeout = {LOCK_SECONDS}, lock_wait_timeout = {LOCK_SECONDS}"
)


class _Connection(pymysql.connections.Connection):
    """A connection that remembers the schema version that was found on it last."""

    schema: str | None = None


def connect(address: Address) -> Any:
    """A connection that begins no transaction by itself."""
    options: dict[str, Any] = {"host": address.host or "localhost", "port": address.port or 3306}
    if "unix_socket" in address.options:
        options = {"unix_socket": address.options["unix_socket"]}
    connection: Any = _Connection(
        user=address.user,
        password=address.password or "",
        database=address.database,
        charset="utf8mb4",
        autocommit=True,
        binary_prefix=True,
        client_flag=CLIENT.MULTI_STATEMENTS,
        connect_timeout=CONNECT_SECONDS,
        read_timeout=ANSWER_SECONDS,
        write_timeout=ANSWER_SECONDS,
        program_name="queue-metrics",
        **_encryption(tuple(sorted(address.options.items()))),
        **options,
    )
    cursor = connection.cursor()
    cursor.execute(_SETTINGS)
    while cursor.nextset():
        pass
    return connection


@functools.cache
def _encryption(given: tuple[tuple[str, str], ...]) -> dict[str, Any]:
    """Arguments of PyMySQL, which would else read all certificates of the machine for each connection."""
    options = dict(given)
    mode = options.get("ssl_mode", "verify_identity" if "ssl_ca" in options else "disabled")
    if mode == "disabled":
        return {"ssl_disabled": True}
    context = ssl.create_default_context(cafile=options.get("ssl_ca"))
    context.check_hostname = mode == "verify_identity"
    context.verify_mode = ssl.CERT_NONE if mode == "required" else ssl.CERT_REQUIRED
    if "ssl_cert" in options:
        context.load_cert_chain(options["ssl_cert"], options.get("ssl_key"), options.get("ssl_key_password"))
    return {"ssl": context}


class MySQLSession(ServerSession):
    """
    A transaction whose statements wait until somebody reads an answer, and are sent together.

    That the schema is still the one last found on this connection is asked with the first of them, not before.
    """

    def __init__(self, connection: Any, sql: Mapping[str, str], *, alone: bool) -> None:
        self._connection = connection
        self._sql = sql
        self._alone = alone
        self._pending: list[str] = []
        self._size = 0
        self._unverified: str | None = None  # the schema version that the second pending statement must find

    def begin(self, *, write: bool) -> str | None:
        self.open = True
        if self._alone:
            ((got,),) = self.ask(("migrate_alone", {"patience": LOCK_SECONDS}))[0]
            if got != 1:
                raise pymysql.OperationalError(1205, "another process changes the tables")
            if not self.ask(("has_tables", {}))[0][0][0]:
                return None
        schema = ("get_schema", {"id": migrations.SCHEMA_ID})
        self.tell("begin_write" if write else "begin_read", {})
        known: str | None = self._connection.schema
        if known is not None and not self._alone:
            self._unverified = known
            self.tell(*schema)
            return known
        try:
            (rows,) = self.ask(schema)
        except pymysql.ProgrammingError as error:
            if error.args[0] != _NO_SUCH_TABLE:
                raise
            self._send(["ROLLBACK"])
            return None
        found = _version(rows)
        self._connection.schema = found if found == migrations.CURRENT else None
        return found

    def ask(self, *questions: Question) -> list[list[tuple[Any, ...]]]:
        texts = [self._text(name, parameters) for name, parameters in questions]
        sent, self._pending = [*self._pending, *texts], []
        results = self._send(sent)
        return [list(rows) for rows, _ in results[len(results) - len(texts) :]]

    def tell(self, name: str, parameters: Parameters) -> None:
        self._later(self._text(name, parameters))

    def count(self, name: str, parameters: Parameters) -> int:
        sent, self._pending = [*self._pending, self._text(name, parameters)], []
        return int(self._send(sent)[-1][1])

    def many(self, name: str, rows: Sequence[Parameters]) -> None:
        text = _translated(self._sql[name])
        row = _ROW.search(text)
        if row is None:
            for parameters in rows:
                self.tell(name, parameters)
            return
        cursor = self._connection.cursor()
        head, tail, written, size = text[: row.start()], text[row.end() :], [], 0
        for parameters in rows:
            written.append(cursor.mogrify(row.group(), parameters))
            size += len(written[-1])
            if size > _MOST_PENDING:
                self._later(head % () + ", ".join(written) + tail % ())
                written, size = [], 0
        if written:
            self._later(head % () + ", ".join(written) + tail % ())

    def values_at(self, places: Sequence[Place]) -> list[Question]:
        return [("get_values", {"places": json.dumps(places)})] if places else []

    def run(self, text: str) -> None:
        self._later(text)

    def commit(self) -> None:
        if self._unverified is not None:
            self._flush()
        self._later("COMMIT")
        if self._alone:
            self.tell("migrate_done", {})
        self._flush()
        self.open = False

    def undo(self) -> bool:
        self._pending = []
        try:
            self._connection.rollback()
            if self._alone:
                self.ask(("migrate_done", {}))
            return True
        except (pymysql.MySQLError, OSError):
            return False

    def _text(self, name: str, parameters: Parameters) -> str:
        written: str = self._connection.cursor().mogrify(_translated(self._sql[name]), parameters)
        return written

    def _later(self, text: str) -> None:
        self._pending.append(text)
        self._size += len(text)
        if self._size > _MOST_PENDING:
            self._flush()

    def _flush(self) -> None:
        sent, self._pending = self._pending, []
        if sent:
            self._send(sent)

    def _send(self, texts: list[str]) -> list[tuple[Sequence[tuple[Any, ...]], int]]:
        """Rows and the number of changed ones, of each statement."""
        if not texts:
            return []
        known, self._unverified = self._unverified, None
        self._size = 0
        cursor = self._connection.cursor()
        results: list[tuple[Sequence[tuple[Any, ...]], int]] = []
        try:
            cursor.execute(";\n".join(texts))
            while True:
                results.append((cursor.fetchall(), cursor.rowcount))
                if known is not None and len(results) == 2 and _version(results[1][0]) != known:
                    break
                if not cursor.nextset():
                    return results
        except pymysql.ProgrammingError as error:
            if known is None or len(results) != 1 or error.args[0] != _NO_SUCH_TABLE:
                raise
        self._connection.schema = None
        raise OnceMoreError


def _version(rows: Sequence[tuple[Any, ...]]) -> str | None:
    """The schema version. No row: a migration is under way, or died in the middle, since its tables cannot be undone."""
    return bytes(rows[0][0]).decode(errors="replace") if rows else None


_texts: dict[str, str] = {}


def _translated(text: str) -> str:
    """A statement with its parameters as PyMySQL writes them; a list becomes one in parentheses."""
    found = _texts.get(text)
    if found is None:
        found = _texts[text] = _PARAMETER.sub(r"%(\1)s", text.replace("%", "%%"))
    return found
