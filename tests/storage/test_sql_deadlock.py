"""What a server of SQL undoes by itself, a deadlock or a transaction that does not fit behind others, is done again and counts once."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import Any

import psycopg
import pymysql
import pytest

from queue_metrics.storage import DatabaseStorageDriver
from queue_metrics.storage.sql import transactions
from queue_metrics.storage.sql.names import signed
from tests.storage.batches import SPOOL, A, B, batch, eventually, everything, ones, send, series, starts
from tests.storage.test_sql_servers import locked
from tests.support.sql_servers import PostgreSQLServer, SQLServer

ERRORS = (psycopg.Error, pymysql.MySQLError)


def is_deadlock(error: Exception) -> bool:
    return getattr(error, "sqlstate", None) == "40P01" or error.args[:1] == (1213,)


def run(link: Any, statement: str) -> list[Any]:
    """The rows that a statement answers on a connection of somebody else."""
    if isinstance(link, psycopg.Connection):
        found = link.execute(statement)
        return found.fetchall() if found.description else []
    cursor = link.cursor()
    cursor.execute(statement.replace('"', "`"))
    return list(cursor.fetchall())


def test_a_deadlock_with_somebody_else_is_tried_again_and_counts_once(
    sql_driver: DatabaseStorageDriver, shared_sql: SQLServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """He locks the series in the other order and has changed more, so sooner or later the server chooses us."""
    met: list[Exception] = []
    passes = type(sql_driver._dialect).passes

    def noted(self: Any, error: Exception, *, committing: bool) -> bool:
        met.append(error)
        return passes(self, error, committing=committing)

    monkeypatch.setattr(type(sql_driver._dialect), "passes", noted)
    monkeypatch.setattr(transactions, "PATIENCE_SECONDS", 60.0)
    rows = [one for labels in (A, B) for one in everything(labels, ones())]
    send(sql_driver, rows)
    first, last = sorted(signed(series(labels)) for labels in (A, B))
    change = f'UPDATE "{sql_driver._dialect.prefix}_series" SET expires_at = 1 WHERE step = -1 AND bucket = 0 AND series = '
    rows_of_his = ", ".join(f"(60, 1, {bucket}, '', 1)" for bucket in range(50))
    much = f'INSERT INTO "{sql_driver._dialect.prefix}_series" (step, series, bucket, value, expires_at) VALUES {rows_of_his}'
    waiting = "SELECT count(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'"
    if isinstance(shared_sql, PostgreSQLServer):
        waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
    sent = 1
    with contextlib.closing(locked(shared_sql, "SELECT 1")) as watcher:
        while not any(map(is_deadlock, met)):
            assert sent < 12, "the server never chose us"
            sent += 1
            ours = threading.Thread(target=send, args=(sql_driver, rows))
            with contextlib.closing(locked(shared_sql, f"{change}{last}")) as other:
                run(other, much)
                ours.start()
                # Not asked without a pause: MariaDB looks anew when nobody asked for 0.1 s.
                eventually(lambda: not time.sleep(0.2) and run(watcher, waiting) != [(0,)])  # type: ignore[func-returns-value]
                with contextlib.suppress(*ERRORS):
                    run(other, f"{change}{first}")
                other.rollback()
            ours.join()
            watcher.rollback()
    assert (starts(sql_driver, series(A)), starts(sql_driver, series(B))) == (sent, sent)
    assert sql_driver.read_mark(SPOOL, 0).sequence == sent


def test_a_transaction_that_did_not_fit_behind_others_is_tried_again_and_counts_once(
    sql_driver: DatabaseStorageDriver, shared_sql: SQLServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the isolation level that we ask for there is none; a server may be set up otherwise."""
    error: Exception = pymysql.err.OperationalError(1213, "Deadlock found when trying to get lock; try restarting transaction")
    if isinstance(shared_sql, PostgreSQLServer):
        error = psycopg.errors.SerializationFailure("could not serialize access due to concurrent update")
    merged, calls = sql_driver._merged, []

    def failing(*arguments: Any) -> Any:
        calls.append(arguments)
        if len(calls) <= 2:
            raise error
        return merged(*arguments)

    monkeypatch.setattr(sql_driver, "_merged", failing)
    assert sql_driver.apply_batch(0, batch(1, everything(A, ones()))).applied
    assert (len(calls), starts(sql_driver, series(A))) == (3, 1)
