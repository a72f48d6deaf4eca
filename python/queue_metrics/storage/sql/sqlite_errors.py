"""Which errors of sqlite3 may pass by themselves and which somebody must mend."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from queue_metrics.errors import StoreError, StoreRefused, StoreUnavailable

# By primary result code; the others (CORRUPT, NOTADB, READONLY, PERM, AUTH, ERROR, CONSTRAINT, ...) stay until somebody mends them.
_PASSING = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_INTERRUPT,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_SCHEMA,
    }
)


def store_error(error: sqlite3.Error, url: str, path: Path) -> StoreError:
    """Our error for one of theirs."""
    text = f"{url}: {error}"
    code = getattr(error, "sqlite_errorcode", None)
    if code is None or (code & 0xFF not in _PASSING and code != sqlite3.SQLITE_READONLY_DBMOVED):
        return StoreRefused(text)
    if code & 0xFF == sqlite3.SQLITE_CANTOPEN and not _can_open(path):
        return StoreRefused(f"{text}: {path} is no file that this user may open, or its directory is closed to it")
    return StoreUnavailable(text)


def busy(error: sqlite3.Error) -> bool:
    """Whether somebody else has the database just now."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def _can_open(path: Path) -> bool:
    """Whether the reason that SQLite cannot open a file may pass: rights do not change by themselves, a lack of descriptors does."""
    return os.access(path, os.R_OK) and path.is_file() if path.exists() else os.access(path.parent, os.W_OK | os.X_OK)
