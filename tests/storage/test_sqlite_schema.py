"""What lies in a file of SQLite, which statements run there, and which errors come of it."""

from __future__ import annotations

import contextlib
import inspect
import re
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from queue_metrics.errors import SchemaMismatch, StoreRefused, StoreUnavailable
from queue_metrics.storage import DatabaseStorageDriver, MemoryStorageDriver
from queue_metrics.storage.base import TASK, TOTAL, expires_at
from queue_metrics.storage.sql import migrations, sqlite_errors
from queue_metrics.storage.sql.sqlite import SQLiteSession
from tests.storage.batches import ROOT, SPOOL, A, B, batch, content, everything, ones, python, send, series, starts


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
    scans = {"size", "has_tables", "expired_headers", "scan", "count_points"}  # the footprint is asked for seldom, and is a count of all
    labels = "SCAN queue_metrics_series USING INDEX queue_metrics_series_labels"  # which has nothing else in it
    with contextlib.closing(sqlite3.connect(path)) as raw:
        for name, listed in driver._dialect.sql.items():
            if name == "get_first_schema" or "FOR UPDATE" in listed:  # of the schema before; a dialect with rows to lock
                continue
            statement = re.sub(r"IN :(\w+)", r"IN (:\1, :\1)", listed)
            names = set(re.findall(r":(\w+)", statement))
            plan = raw.execute(f"EXPLAIN QUERY PLAN {statement}", dict.fromkeys(names, 1)).fetchall()
            scanned = [text for *_, text in plan if re.match(r"SCAN (queue_metrics|[kfmzs]\b)", text)]
            assert name in scans or not scanned or scanned == [labels], (name, scanned)


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


# Schema version 1, as the first version of this package made it.
FIRST_TABLES = """
    CREATE TABLE IF NOT EXISTS "P_series" (
        series INTEGER NOT NULL, step INTEGER NOT NULL, bucket INTEGER NOT NULL, value BLOB NOT NULL, expires_at INTEGER,
        PRIMARY KEY (series, step, bucket)
    ) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS "P_series_expiry" ON "P_series" (expires_at) WHERE expires_at IS NOT NULL;
    CREATE TABLE IF NOT EXISTS "P_labels" (series INTEGER PRIMARY KEY, labels BLOB NOT NULL);
    CREATE TABLE IF NOT EXISTS "P_marks" (
        spool TEXT NOT NULL, shard INTEGER NOT NULL, sequence INTEGER NOT NULL, positions BLOB NOT NULL, touched_at REAL NOT NULL,
        PRIMARY KEY (spool, shard)
    ) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS "P_keys" (
        name TEXT PRIMARY KEY, value BLOB NOT NULL, expires_at REAL, written_at REAL NOT NULL
    ) WITHOUT ROWID;
    INSERT INTO "P_keys" (name, value, expires_at, written_at) VALUES ('schema', x'31', NULL, 1.5);
"""


def first_schema(path: Path, prefix: str = "queue_metrics") -> dict[str, Any]:
    """A store of schema version 1 with numbers, a mark, a heartbeat and a lease; what it is to answer."""
    model = MemoryStorageDriver()
    now = time.time()
    path.parent.mkdir(exist_ok=True)
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as raw:
        raw.execute("PRAGMA journal_mode=WAL")
        raw.executescript(FIRST_TABLES.replace("P_", f"{prefix}_"))
        for number in range(30):
            rows = everything(("c", "q", f"task.{number}"), ones(number + 1))
            assert model.apply_batch(0, batch(number + 1, rows)).applied
            for id_, labels, step, at, value in rows:
                signed = id_ - 2**64 if id_ >= 2**63 else id_
                expiry = None if step == TOTAL else expires_at(TASK, step, at)
                raw.execute(f'INSERT INTO "{prefix}_series" VALUES (?, ?, ?, ?, ?)', (signed, step, at, value, expiry))
                raw.execute(f'INSERT OR IGNORE INTO "{prefix}_labels" VALUES (?, ?)', (signed, labels))
        raw.execute(f'INSERT INTO "{prefix}_marks" VALUES (?, 0, 30, ?, ?)', (SPOOL, batch(30).positions, now))
        raw.execute(f'INSERT INTO "{prefix}_keys" VALUES (?, ?, ?, ?)', ("worker:host:1:2;é", b"beat", now + 500, now))
        raw.execute(f'INSERT INTO "{prefix}_keys" VALUES (?, ?, ?, ?)', ("lease:duty", b"me", now + 500, now))
    return content(model)


@pytest.mark.parametrize("first", ["reader", "writer", "command"])
def test_a_file_of_the_first_schema_holds_the_same_numbers_afterwards(driver: DatabaseStorageDriver, path: Path, first: str) -> None:
    expected = first_schema(path)
    if first == "command":
        assert [one.number for one in driver.migrate(dry_run=True)] == [2]
        assert [one.number for one in driver.migrate()] == [2]
        assert driver.migrate() == driver.migrate(dry_run=True) == []
    if first == "writer":
        assert not driver.apply_batch(0, batch(5, everything(A, ones()))).applied
    assert content(driver) == expected
    assert [(beat.worker_id, beat.payload) for beat in driver.read_heartbeats()] == [("host:1:2;é", b"beat")]
    assert not driver.lease("duty", "you", 9)
    assert driver.lease("duty", "me", 9)
    assert driver.apply_batch(0, batch(31, everything(A, ones()))).applied
    assert driver.set_hash("h", {"a": "1"}) == 1
    with contextlib.closing(sqlite3.connect(path)) as raw:
        assert raw.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        old = raw.execute("SELECT value FROM queue_metrics_keys WHERE name = 'schema'").fetchall()
    assert old == [(b"2",)]  # where the first version looks, and finds that it is too old


def test_an_upgraded_file_has_the_tables_of_a_new_one(tmp_path: Path) -> None:
    first_schema(tmp_path / "old.db")
    tables = []
    for name in ("old.db", "new.db"):
        made = DatabaseStorageDriver(f"sqlite:///{tmp_path / name}")
        send(made, everything(A, ones()), "b" * 32)
        made.close()
        with contextlib.closing(sqlite3.connect(tmp_path / name)) as raw:
            tables.append(sorted(raw.execute("SELECT type, name, sql FROM sqlite_master").fetchall(), key=str))
    assert [one[:2] for one in tables[0]] == [one[:2] for one in tables[1]]
    assert [re.sub(r"IF NOT EXISTS |\s", "", one[2] or "") for one in tables[0]] == [re.sub(r"\s", "", one[2] or "") for one in tables[1]]


def test_processes_that_meet_an_old_file_at_once_bring_it_up_to_date_once(path: Path) -> None:
    expected = first_schema(path)
    code = """
        import sys
        from queue_metrics.storage import DatabaseStorageDriver
        from tests.storage.batches import everything, ones, send
        driver = DatabaseStorageDriver(sys.argv[1])
        send(driver, everything(("c", "q", "task.0"), ones(1)), sys.argv[2] * 32)
    """
    processes = [python(code, f"sqlite:///{path}", letter) for letter in "abcd"]
    assert [process.communicate()[1] for process in processes] == [""] * 4
    with contextlib.closing(DatabaseStorageDriver(f"sqlite:///{path}")) as driver:
        assert starts(driver, series(("c", "q", "task.0"))) == 1 + 4
        assert starts(driver, series(("c", "q", "task.7"))) == 8
        assert content(driver)["series"] == expected["series"]


def test_an_upgrade_that_dies_leaves_the_old_file(driver: DatabaseStorageDriver, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = first_schema(path)
    run = SQLiteSession.run

    def dying(self: SQLiteSession, text: str) -> None:
        run(self, text)
        if "DROP TABLE" in text:
            raise SystemExit

    monkeypatch.setattr(SQLiteSession, "run", dying)
    with pytest.raises(SystemExit):
        driver.known_series()
    monkeypatch.undo()
    with contextlib.closing(sqlite3.connect(path)) as raw:
        assert raw.execute("SELECT value FROM queue_metrics_keys WHERE name = 'schema'").fetchone() == (b"1",)
        assert raw.execute("SELECT count(*) FROM queue_metrics_labels").fetchone() == (30,)
    assert content(driver) == expected


def test_what_was_made_by_other_statements_is_not_carried_on(driver: DatabaseStorageDriver, path: Path) -> None:
    send(driver, everything(A, ones()))
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as raw:
        raw.execute("UPDATE queue_metrics_keys SET value = 'of another' WHERE type = 'm' AND name = '2'")
    with pytest.raises(SchemaMismatch, match="other statements"):
        driver.migrate()


def test_the_tables_made_by_hand_are_those_that_a_writer_makes(tmp_path: Path) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / "by hand.db")) as raw:
        raw.executescript(migrations.schema("sqlite"))
    dumps = []
    for name in ("by hand.db", "by us.db"):
        driver = DatabaseStorageDriver(f"sqlite:///{tmp_path / name}")
        driver.lease("x", "me", 9)
        assert driver.migrate(dry_run=True) == []
        driver.close()
        with contextlib.closing(sqlite3.connect(tmp_path / name)) as raw:
            dumps.append(
                [
                    sorted(raw.execute("SELECT type, name, sql FROM sqlite_master").fetchall(), key=str),
                    raw.execute("SELECT id, type, name, value FROM queue_metrics_keys WHERE type IN ('m', 'v') ORDER BY id").fetchall(),
                ]
            )
    assert dumps[0] == dumps[1]


def test_a_dry_run_makes_no_file(driver: DatabaseStorageDriver, path: Path) -> None:
    assert [one.number for one in driver.migrate(dry_run=True)] == [1, 2]
    assert not path.exists()


def test_every_table_is_told_by_the_document_of_stored_values() -> None:
    told = (ROOT / "docs" / "stored-values.md").read_text(encoding="utf-8")
    for dialect in migrations.DIALECTS:
        for table, columns in re.findall(r'CREATE TABLE (?:IF NOT EXISTS )?"(\w+)" \((.*?)\n\)', migrations.schema(dialect), re.DOTALL):
            if not (dialect == "sqlite" and table == "queue_metrics_labels"):
                assert f"`{table}`" in told
            for column in re.findall(r"^    ([a-z]\w*) ", columns, re.MULTILINE):
                assert f"`{column}`" in told or table == "queue_metrics_labels", (table, column)
