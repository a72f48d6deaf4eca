"""MySQL and MariaDB: their URL, and what their errors mean. The client library is known to `mysql_client.py` alone, loaded when used."""

from __future__ import annotations

import importlib.util
import ssl
from collections.abc import Callable
from typing import Any

from queue_metrics.errors import MissingDependency, StoreError, StoreRefused, StoreUnavailable
from queue_metrics.storage import urls
from queue_metrics.storage.sql.addresses import MYSQL_OPTIONS, SSL_MODES, address
from queue_metrics.storage.sql.dialect import Session
from queue_metrics.storage.sql.names import text
from queue_metrics.storage.sql.servers import ServerDialect, ServerSession
from queue_metrics.storage.sql.statements import queries

_AGAIN = frozenset({1205, 1213})
"""A lock that was not had in time, a deadlock."""

_LOST = frozenset({0, 1053, 1927, 2006, 2013, 2055, 4031})
"""A connection that is closed, was killed, or was left alone for too long; a server that shuts down."""

_PASSING = _AGAIN | _LOST | {
    3, 1015, 1020, 1021, 1028, 1030, 1037, 1038, 1040, 1041, 1099, 1114, 1129, 1158, 1159, 1160, 1161, 1180, 1181, 1203, 1206,
    1226, 1290, 1317, 1637, 1792, 1836, 1969, 2002, 2003, 2005, 3024, 3098, 3100,
}  # fmt: skip
"""Disk, memory, connections, the network, I/O, a read-only server, time limits."""


_TABLES = {
    "series": {"step", "series", "bucket", "value", "expires_at"},
    "marks": {"id", "shard", "spool", "sequence", "positions", "touched_at"},
    "keys": {"id", "type", "name", "value", "expires_at", "version", "written_at"},
    "hashes": {"id", "field_id", "field", "value"},
    "sets": {"id", "member_id", "member"},
    "sorted_sets": {"id", "member_id", "member", "score"},
}
"""Our tables with their columns. One that was there already is passed over when tables are made, since making them cannot be undone."""


class MySQL(ServerDialect):
    """A database of MySQL 8 or MariaDB 10.6 or newer, by PyMySQL."""

    name = "mysql"

    def __init__(self, url: str, prefix: str) -> None:
        self._address = address(url, MYSQL_OPTIONS)
        mode = self._address.options.get("ssl_mode", SSL_MODES[0])
        if mode not in SSL_MODES:
            raise urls.malformed(url, f"ssl_mode is one of {', '.join(SSL_MODES)}, not {mode!r}")
        if importlib.util.find_spec("pymysql") is None:  # the import itself waits for the first use
            raise MissingDependency('a store in MySQL or MariaDB needs PyMySQL: pip install "job-queue-metrics[mysql]"')
        super().__init__(urls.masked(url), prefix)
        self.errors = ()  # until it is loaded nothing can be raised
        self.sql = queries(self.name, prefix, "UNIX_TIMESTAMP(NOW(6))", "UNIX_TIMESTAMP()")

    def _load(self) -> None:
        from queue_metrics.storage.sql import mysql_client

        self.errors = mysql_client.ERRORS

    def _connect(self) -> Any:
        from queue_metrics.storage.sql.mysql_client import connect

        return connect(self._address)

    def _session(self, connection: Any, *, alone: bool) -> ServerSession:
        from queue_metrics.storage.sql.mysql_client import MySQLSession

        return MySQLSession(connection, self.sql, alone=alone)

    def _lost(self, error: BaseException) -> bool:
        return _code(error) in _LOST

    def passes(self, error: Exception, *, committing: bool) -> bool:
        return _code(error) in _AGAIN or (not committing and self._lost(error) and "timed out" not in str(error))

    def store_error(self, error: Exception) -> StoreError:
        code = _code(error)
        words = error.args[1] if len(error.args) > 1 else error
        text = f"{self.url}: {words or type(error).__name__}" + (f" ({code})" if code else "")
        untrusted = isinstance(error.__cause__ or error.__context__, ssl.SSLCertVerificationError) or "certificate verify" in str(error)
        return StoreUnavailable(text) if code in _PASSING and not untrusted else StoreRefused(text)

    def recognise(self, session: Session) -> None:
        (rows,) = session.ask(("columns", {}))
        found: dict[str, set[str]] = {}
        for table, column in rows:
            found.setdefault(text(table), set()).add(text(column))
        for name, columns in _TABLES.items():
            table = f"{self.prefix}_{name}"
            if found.get(table, columns) != columns:
                raise StoreRefused(f"{self.url}: the table {table} belongs to another program: give this one another prefix")

    def capabilities(self, ask: Callable[[str], tuple[Any, ...]]) -> dict[str, object]:
        version, flush = ask("settings")
        name = "mariadb" if "mariadb" in str(version).lower() else "mysql"
        return {"name": name, "version": str(version), "durable": int(flush) == 1, "expires_itself": False, "exact": True}


def _code(error: BaseException) -> int:
    """The number of an error; -1 when it has none."""
    return error.args[0] if error.args and isinstance(error.args[0], int) else -1
