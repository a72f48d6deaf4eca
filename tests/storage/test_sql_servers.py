"""What only a database server can do: crash, be mute, cut connections, hold locks, refuse; told once for PostgreSQL and MariaDB."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import psycopg
import pymysql
import pytest

from queue_metrics.errors import StoreUnavailable
from queue_metrics.storage import DatabaseStorageDriver, Mark
from queue_metrics.storage.base import HOUR
from queue_metrics.storage.sql import mysql_client, postgresql_client, transactions
from tests.storage.batches import SPOOL, A, B, batch, bucket, content, everything, ones, opened, send, series, starts
from tests.support.proxy import POINTS, CuttingProxy
from tests.support.sql_servers import PostgreSQLServer, SQLServer

SCALE = float(os.environ.get("QM_TEST_SCALE", "1"))


def hand_over(driver: DatabaseStorageDriver, spool: str, last: int, going_on: Callable[[], bool] = lambda: False) -> None:
    """As a drainer does: each batch until it is in the store, and from the mark when the store went back; `last` of them, or more."""
    done = driver_mark(driver, spool).sequence
    while done < last or going_on():
        sent = batch(done + 1, [*everything(A, ones()), *everything(B, ones(2))], spool)
        try:
            done = driver.apply_batch(0, sent).mark.sequence
        except StoreUnavailable:
            time.sleep(0.005)


def driver_mark(driver: DatabaseStorageDriver, spool: str) -> Mark:
    while True:
        try:
            return driver.read_mark(spool, 0)
        except StoreUnavailable:
            time.sleep(0.005)


def assert_exact(driver: DatabaseStorageDriver, batches: int, *spools: str) -> None:
    """Difference 0: in totals and points, and each mark at its end."""
    found = content(driver, [(spool, 0) for spool in spools])
    assert (starts(driver, series(A)), starts(driver, series(B))) == (batches, 2 * batches)
    assert found["points"][series(B), HOUR, bucket(HOUR)]["counters"] == {0: 2 * batches}
    assert sum(mark.sequence for mark in found["marks"].values()) == batches


# Crashes and lost answers


def test_a_server_killed_in_the_middle_of_batches_loses_and_doubles_nothing(sql_server: SQLServer, prefix: str) -> None:
    rounds, spools = max(40, round(80 * SCALE)), ["a" * 32, "b" * 32, "c" * 32]
    chance, kills = random.Random(7), 0
    with opened(sql_server.url, prefix) as driver:
        threads = [threading.Thread(target=hand_over, args=(driver, spool, rounds, lambda: kills < 4)) for spool in spools]
        for thread in threads:
            thread.start()
        while kills < 4:
            time.sleep(chance.uniform(0.05, 0.3))
            sql_server.kill()
            sql_server.start()
            kills += 1
        for thread in threads:
            thread.join()
        assert_exact(driver, sum(driver_mark(driver, spool).sequence for spool in spools), *spools)


def test_commits_that_postgresql_forgot_take_the_mark_with_them() -> None:
    """With synchronous_commit off a crash loses what it had promised; the numbers and the mark go back together."""
    options = ("-c", "synchronous_commit=off", "-c", "wal_writer_delay=10s", "-c", "wal_writer_flush_after=0")
    with PostgreSQLServer(*options) as server, opened(server.url) as driver:
        assert driver.capabilities()["durable"] is False
        forgotten, reached = 0, 0
        for round_ in range(1, 5):
            hand_over(driver, SPOOL, 15 * round_)
            reached = 15 * round_
            server.end(signal.SIGQUIT)  # an immediate stop
            server.start()
            mark = driver.read_mark(SPOOL, 0)
            forgotten += reached - mark.sequence
            assert starts(driver, series(A)) == mark.sequence
        assert forgotten > 0
        hand_over(driver, SPOOL, reached)
        assert_exact(driver, reached, SPOOL)


@pytest.mark.parametrize("point", POINTS)
def test_an_answer_that_is_lost_is_asked_for_again_and_counted_once(
    shared_sql: SQLServer, sql_kind: str, point: str, record_property: Callable[[str, object], None]
) -> None:
    """The connection is cut in and around the exchange that commits, which is the one that holds the positions."""
    rounds = max(6, round(10 * SCALE))  # at full size 200: `make torture`
    refused: list[int] = []
    url = shared_sql.url.partition("@")
    with CuttingProxy(shared_sql.port) as proxy:
        there = f"{url[0]}@127.0.0.1:{proxy.port}/{shared_sql.url.rpartition('/')[2]}"
        with opened(there, "cut_" + point.replace(" ", "_")) as driver:
            driver.apply_batch(0, batch(1, [*everything(A, ones()), *everything(B, ones(2))], positions=b"reached:1"))
            for number in range(2, rounds + 2):
                sent = batch(
                    number,
                    [*everything(A, ones()), *everything(B, ones(2))],
                    positions=b"reached:%d" % number,
                    base=b"reached:%d" % (number - 1),
                )
                proxy.cut(point, sent.positions if sql_kind == "postgresql" else sent.positions.hex().encode())
                while True:
                    with contextlib.suppress(StoreUnavailable):
                        answer = driver.apply_batch(0, sent)
                        refused += [number] * (not answer.applied)
                        assert answer.mark.sequence == number
                        break
            assert proxy.cuts[point] == rounds
            # An answer of several packets is cut behind the first of them, so what stands behind the reply may be lost as well.
            assert refused or point in ("in the request", "after the reply")
            assert not refused or point != "in the request"
            assert_exact(driver, rounds + 1, SPOOL)
    record_property("cuts", rounds)
    record_property("duplicates refused", len(refused))


@pytest.mark.parametrize("point", POINTS)
def test_a_number_whose_answer_is_lost_is_not_added_to_again(shared_sql: SQLServer, sql_kind: str, prefix: str, point: str) -> None:
    """Nobody knows what became of it, so nothing is sent twice by itself; what was lost before the commit is."""
    with CuttingProxy(shared_sql.port) as proxy, opened(shared_sql.url, prefix) as direct:
        direct.set_hash("h", {"other": "1"})
        with opened(shared_sql.url.replace(f":{shared_sql.port}/", f":{proxy.port}/"), prefix) as driver:
            unknown = 0
            for number in range(4):
                field = f"the-field-{number}"
                proxy.cut(point, field.encode())
                try:
                    assert driver.increment_hash_field("h", field) == 1
                    assert direct.get_hash_field("h", field) == "1"
                except StoreUnavailable:
                    unknown += 1
                    assert direct.get_hash_field("h", field) in ("1", None)
            assert proxy.cuts[point] == 4
            assert unknown == 4 or point in ("in the request", "after the reply")


def test_a_connection_that_the_server_closed_meanwhile_is_not_noticed(sql_server: SQLServer, prefix: str) -> None:
    with opened(sql_server.url, prefix) as driver:
        send(driver, everything(A, ones()))
        sql_server.kill()
        sql_server.start()
        assert starts(driver, series(A)) == 1
        sql_server.kill()
        sql_server.start()
        assert driver.increment_hash_field("h", "n") == 1


def test_a_server_that_is_away_is_unavailable_and_used_again_when_it_is_back(sql_server: SQLServer, prefix: str) -> None:
    with opened(sql_server.url, prefix) as driver:
        send(driver, everything(A, ones()))
        sql_server.kill()
        for call in (lambda: driver.read_mark(SPOOL, 0), lambda: driver.apply_batch(0, batch(2)), driver.size, driver.capabilities):
            with pytest.raises(StoreUnavailable):
                call()
        sql_server.start()
        send(driver, everything(A, ones()))
        assert starts(driver, series(A)) == 2


def test_a_mute_server_is_unavailable_after_a_while(sql_server: SQLServer, prefix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(sql_server.url, prefix) as driver:
        send(driver, everything(A, ones()))
        driver.close()
        for client in (postgresql_client, mysql_client):
            monkeypatch.setattr(client, "ANSWER_SECONDS", 1.0)
        assert driver_mark(driver, SPOOL).sequence == 1
        sql_server.pause()
        with pytest.raises(StoreUnavailable):
            driver.apply_batch(0, batch(2, everything(A, ones())))
        sql_server.resume()
        done = driver_mark(driver, SPOOL).sequence
        assert done == 1
        hand_over(driver, SPOOL, 2)
        assert starts(driver, series(A)) == 2


def test_a_signal_that_interrupts_a_batch_leaves_it_whole_or_undone(sql_driver: DatabaseStorageDriver) -> None:
    """Raised by the alarm inside whatever line runs just then, as a soft limit is: also in the middle of an answer."""

    class SoftLimitError(Exception):
        pass

    def raise_limit(*_: object) -> None:
        raise SoftLimitError

    before = signal.signal(signal.SIGALRM, raise_limit)
    done, interrupted = 0, 0
    try:
        for attempt in range(max(30, round(60 * SCALE))):
            sent = batch(done + 1, [*everything(A, ones()), *everything(B, ones(2))])
            try:
                signal.setitimer(signal.ITIMER_REAL, 0.0003 + 0.0001 * (attempt % 30))
                sql_driver.apply_batch(0, sent)
                signal.setitimer(signal.ITIMER_REAL, 0)
            except SoftLimitError:
                interrupted += 1
            done = sql_driver.read_mark(SPOOL, 0).sequence
            assert (starts(sql_driver, series(A)), starts(sql_driver, series(B))) == (done, 2 * done)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert interrupted > 0
    hand_over(sql_driver, SPOOL, done + 2)
    assert_exact(sql_driver, done + 2, SPOOL)


def test_a_libpq_without_pipelines_does_the_same(shared_postgresql: PostgreSQLServer, prefix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psycopg.Pipeline, "is_supported", lambda: False)
    with opened(shared_postgresql.url, prefix) as driver:
        assert driver.read_mark(SPOOL, 0) == Mark(0, b"")
        hand_over(driver, SPOOL, 3)
        assert_exact(driver, 3, SPOOL)
        assert driver.add_to_set("s", "a", "b") == 2
        assert driver.remove_from_set("s", "a") == 1
        shared_postgresql.execute(
            f"DROP TABLE {prefix}_keys, {prefix}_series, {prefix}_marks, {prefix}_hashes, {prefix}_sets, {prefix}_sorted_sets"
        )
        hand_over(driver, SPOOL, 2)
        assert_exact(driver, 2, SPOOL)


def test_statements_that_the_server_no_longer_has_prepared_are_prepared_again(shared_postgresql: PostgreSQLServer, prefix: str) -> None:
    """As a pooler leaves them, or an error in a pipeline: psycopg does not hear of it."""
    with opened(shared_postgresql.url, prefix) as driver:
        hand_over(driver, SPOOL, 10)
        for link in driver._dialect._idle:  # type: ignore[attr-defined]  # behind its back
            assert link.pgconn.exec_(b"DEALLOCATE ALL").status == psycopg.pq.ExecStatus.COMMAND_OK
        assert driver.apply_batch(0, batch(11, [*everything(A, ones()), *everything(B, ones(2))])).applied
        assert_exact(driver, 11, SPOOL)


# Many at once


def test_sixteen_writers_of_the_same_series_meet_no_deadlock(sql_driver: DatabaseStorageDriver, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows are locked in one order, so nobody waits in a circle; the order in the batches is each writer's own."""
    rounds = max(5, round(12 * SCALE))
    passed: list[Exception] = []
    passes = type(sql_driver._dialect).passes

    def noted(self: Any, error: Exception, *, committing: bool) -> bool:
        passed.append(error)
        return passes(self, error, committing=committing)

    monkeypatch.setattr(type(sql_driver._dialect), "passes", noted)
    monkeypatch.setattr(transactions, "PATIENCE_SECONDS", 60.0)
    names = [("c", "q", f"task.{number}") for number in range(12)]
    failures: list[BaseException] = []

    def work(number: int) -> None:
        chance = random.Random(number)
        try:
            for sequence in range(1, rounds + 1):
                rows = [one for name in names for one in everything(name, ones())]
                chance.shuffle(rows)
                assert sql_driver.apply_batch(0, batch(sequence, rows, f"{number:032x}")).applied
        except BaseException as error:
            failures.append(error)
            raise

    threads = [threading.Thread(target=work, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert [starts(sql_driver, series(name)) for name in names] == [16 * rounds] * 12
    deadlocks = [error for error in passed if getattr(error, "sqlstate", None) == "40P01" or error.args[:1] == (1213,)]
    assert deadlocks == []


def test_many_first_writers_make_the_tables_once(shared_sql: SQLServer) -> None:
    failures: list[BaseException] = []
    barrier = threading.Barrier(8)

    def work(number: int) -> None:
        try:
            with opened(shared_sql.url, "first_moment") as mine:
                barrier.wait()
                send(mine, everything(A, ones()), f"{number:032x}")
        except BaseException as error:
            failures.append(error)
            raise

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    with opened(shared_sql.url, "first_moment") as driver:
        assert starts(driver, series(A)) == 8


def test_a_sweep_beside_writers_takes_nothing_that_they_write(sql_driver: DatabaseStorageDriver) -> None:
    """Points that have expired already are written again and again while they are swept: totals stay exact, nothing stands still."""
    stop = threading.Event()
    failures: list[BaseException] = []
    old = bucket(HOUR, 400)

    def sweep() -> None:
        try:
            while not stop.is_set():
                sql_driver.sweep()
        except BaseException as error:
            failures.append(error)
            raise

    sweeper = threading.Thread(target=sweep)
    sweeper.start()
    late = [(*everything(A, ones())[1][:3], old, ones().encode())]
    for sequence in range(1, 41):
        assert sql_driver.apply_batch(0, batch(sequence, [*everything(A, ones()), *late])).applied
    stop.set()
    sweeper.join()
    assert failures == []
    assert starts(sql_driver, series(A)) == 40


# Locks


def locked(server: SQLServer, statement: str) -> Any:
    """A connection of somebody else who has run a statement and not ended the transaction."""
    link: Any
    if isinstance(server, PostgreSQLServer):
        link = psycopg.connect(server.url)
        link.execute(statement)
    else:
        link = pymysql.connect(host="127.0.0.1", port=server.port, user="root", database="metrics")
        link.cursor().execute(statement.replace('"', "`"))
    return link


def test_a_lock_of_somebody_else_is_waited_for_and_then_unavailable(
    sql_driver: DatabaseStorageDriver, shared_sql: SQLServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(sql_driver, everything(A, ones()))
    before = content(sql_driver)
    other = locked(shared_sql, f'SELECT * FROM "{sql_driver._dialect.prefix}_marks" FOR UPDATE')
    monkeypatch.setattr(transactions, "PATIENCE_SECONDS", 0.1)
    with pytest.raises(StoreUnavailable):
        sql_driver.apply_batch(0, batch(2, everything(A, ones())))
    assert content(sql_driver) == before
    monkeypatch.setattr(transactions, "PATIENCE_SECONDS", 30.0)
    release = threading.Timer(0.3, other.rollback)
    release.start()
    assert sql_driver.apply_batch(0, batch(2, everything(A, ones()))).applied
    release.join()
    other.close()
