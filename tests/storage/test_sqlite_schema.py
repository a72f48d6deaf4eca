"""What lies in a file of SQLite, which statements run there, and which errors come of it."""

from __future__ import annotations

import contextlib
import inspect
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from queue_metrics.errors import SchemaMismatch, StoreRefused, StoreUnavailable
from queue_metrics.storage import DatabaseStorageDriver
from queue_metrics.storage.sql import sqlite_errors
from tests.storage.batches import SPOOL, A, B, batch, everything, ones, send, series


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deeper" / "store.db"


@pytest.fixture
def driver(path: Path) -> Iterator[DatabaseStorageDriver]:
    made = DatabaseStorageDriver(f"sqlite:///{path}")
    yield made
    made.close()


def test_a_store_of_a_newer_or_unknown_schema_is_refused_and_left_as_it_is(driver: DatabaseStorageDriver, path: Path) -> None:
    send(driver, everything(A, ones()))
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as raw:
        for version in (b"3", b"banana", b"", "4", 5):
            raw.execute("UPDATE queue_metrics_keys SET value = ? WHERE name = 'schema'", (version,))
            before = list(raw.iterdump())
            for call in (
                lambda: driver.apply_batch(0, batch(2, everything(B, ones()))),
                lambda: driver.read_mark(SPOOL, 0),
                driver.known_series,
                lambda: driver.read_totals([series(A)]),
                lambda: driver.heartbeat_many([("w", b"")], 9),
                lambda: driver.lease("duty", "me", 9),
                driver.sweep,
            ):
                with pytest.raises(SchemaMismatch, match="reads and writes 2"):
                    call()
            assert list(raw.iterdump()) == before


def test_tables_of_others_in_the_same_file_are_left_alone(driver: DatabaseStorageDriver, path: Path) -> None:
    path.parent.mkdir()
    with contextlib.closing(sqlite3.connect(path)) as raw:
        raw.execute("CREATE TABLE queue_metrics (mine)")
        raw.execute("INSERT INTO queue_metrics VALUES (1)")
        raw.commit()
        send(driver, everything(A, ones()))
        assert raw.execute("SELECT mine FROM queue_metrics").fetchall() == [(1,)]


def test_no_statement_that_runs_often_reads_a_whole_table(driver: DatabaseStorageDriver, path: Path) -> None:
    send(driver, everything(A, ones()))
    scans = {"all_labels", "used_pages", "page_size", "has_tables", "sweep_keys"}
    with contextlib.closing(sqlite3.connect(path)) as raw:
        for name, statement in driver._dialect.sql.items():
            names = set(re.findall(r":(\w+)", statement))
            plan = raw.execute(f"EXPLAIN QUERY PLAN {statement}", dict.fromkeys(names, 1)).fetchall()
            scanned = [text for *_, text in plan if "SCAN" in text and "json_each" not in text and "CONSTANT ROW" not in text]
            assert name in scans or not scanned, (name, scanned)


def test_every_exception_of_sqlite3_becomes_one_of_ours(tmp_path: Path) -> None:
    classes = [one for _, one in inspect.getmembers(sqlite3, inspect.isclass) if issubclass(one, sqlite3.Error)]
    assert len(classes) >= 9
    for one in classes:
        assert isinstance(sqlite_errors.store_error(one("words"), "sqlite:///x", tmp_path), StoreRefused)


CODES = {name.removeprefix("SQLITE_"): number for name, number in vars(sqlite3).items() if re.fullmatch("SQLITE_[A-Z_]+", name)}
PASSING = {"BUSY", "LOCKED", "NOMEM", "INTERRUPT", "IOERR", "FULL", "CANTOPEN", "PROTOCOL", "SCHEMA"}
LASTING = {"CORRUPT", "NOTADB", "READONLY", "PERM", "AUTH", "ERROR", "CONSTRAINT", "MISMATCH", "TOOBIG", "RANGE", "MISUSE", "INTERNAL"}


@pytest.mark.parametrize("name", sorted(PASSING | LASTING))
def test_result_codes_and_their_extended_ones_are_passing_or_lasting(tmp_path: Path, name: str) -> None:
    family = [number for other, number in CODES.items() if other == name or (other.startswith(f"{name}_") and number & 0xFF == CODES[name])]
    for number in set(family) - {sqlite3.SQLITE_READONLY_DBMOVED}:
        error = sqlite3.OperationalError("words")
        error.sqlite_errorcode = number
        ours = sqlite_errors.store_error(error, "sqlite:///x", tmp_path / "not there yet")
        assert isinstance(ours, StoreUnavailable if name in PASSING else StoreRefused)
