"""PostgreSQL: its URL, and what its errors mean. The client library is known to `postgresql_client.py` alone, which is loaded when used."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import Any

from queue_metrics.errors import MissingDependency, StoreError, StoreRefused, StoreUnavailable
from queue_metrics.storage import urls
from queue_metrics.storage.sql.addresses import POSTGRESQL_OPTIONS, address
from queue_metrics.storage.sql.servers import ServerDialect, ServerSession
from queue_metrics.storage.sql.statements import queries

_NOW = "extract(epoch FROM statement_timestamp())::double precision"
_SECOND = "floor(extract(epoch FROM statement_timestamp()))::bigint"

_UNPREPARED = "26000"
"""
A prepared statement that the server does not have, though psycopg believes so: one whose preparing fell to an error in front of it in the
pipeline, or that a pooler gave to another server. Nothing was done, and only a new connection knows what it has.
"""

_AGAIN = ("40001", "40P01", "55P03", _UNPREPARED)
"""Serialization failure, deadlock, a lock that was not had in time."""

_LOST = ("57P01", "57P02", "57P03", "25P03", _UNPREPARED)
"""Shut down, crashed, starting up; a transaction that was idle for too long. With class 08 they end the connection."""

_PASSING = ("08", "40", "53", "55", "57", "58", "25006", "25P03", _UNPREPARED)
"""Classes and codes of what may pass: connection, rollback, resources (disk, memory, connections), locks, operators, I/O, a standby."""

_LASTING_WORDS = ("authentication failed", "pg_hba.conf", "does not exist", "certificate", "does not support SSL", "no password supplied")
"""What a failed connection says, without any code, when somebody has to mend it."""


class PostgreSQL(ServerDialect):
    """A database of PostgreSQL 13 or newer, by psycopg 3."""

    name = "postgresql"

    def __init__(self, url: str, prefix: str) -> None:
        address(url, POSTGRESQL_OPTIONS)
        if importlib.util.find_spec("psycopg") is None:  # the import itself waits for the first use
            raise MissingDependency('a store in PostgreSQL needs psycopg: pip install "job-queue-metrics[postgresql]"')
        super().__init__(urls.masked(url), prefix)
        self._given = url
        self.errors = ()  # until it is loaded nothing can be raised
        self.sql = queries(self.name, prefix, _NOW, _SECOND)

    def _load(self) -> None:
        try:
            from queue_metrics.storage.sql import postgresql_client
        except ImportError as error:
            raise MissingDependency(f'psycopg cannot be loaded ({error}): pip install "job-queue-metrics[postgresql]"') from error
        self.errors = postgresql_client.ERRORS

    def _connect(self) -> Any:
        from queue_metrics.storage.sql.postgresql_client import connect

        return connect(self._given)

    def _session(self, connection: Any, *, alone: bool) -> ServerSession:
        from queue_metrics.storage.sql.postgresql_client import PostgreSQLSession

        return PostgreSQLSession(connection, self.sql, alone=alone)

    def _lost(self, error: BaseException) -> bool:
        code = getattr(error, "sqlstate", None)
        if code is None:
            return type(error).__name__ in ("OperationalError", "InterfaceError", "MuteServerError")
        return bool(code.startswith("08") or code in _LOST)

    def passes(self, error: Exception, *, committing: bool) -> bool:
        if getattr(error, "sqlstate", None) in _AGAIN:
            return True
        return not committing and self._lost(error) and type(error).__name__ != "MuteServerError"

    def store_error(self, error: Exception) -> StoreError:
        text = f"{self.url}: {str(error).strip() or type(error).__name__}"
        code = getattr(error, "sqlstate", None)
        if code is None:
            lasting = any(words in str(error) for words in _LASTING_WORDS)
            passing = not lasting and type(error).__name__ in ("OperationalError", "InterfaceError", "MuteServerError", "ConnectionTimeout")
        else:
            passing = code.startswith(_PASSING)
        return StoreUnavailable(text) if passing else StoreRefused(text)

    def capabilities(self, ask: Callable[[str], tuple[Any, ...]]) -> dict[str, object]:
        version, commit, sync = ask("settings")
        return {
            "name": "postgresql",
            "version": version,
            "durable": commit != "off" and sync == "on",
            "expires_itself": False,
            "exact": True,
        }
