"""Whom a database server lets do what, which schema it may have, and what its library's errors become; for PostgreSQL and MariaDB."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable

import psycopg
import pymysql
import pytest

from queue_metrics.collector import once
from queue_metrics.errors import SchemaMismatch, StoreError, StoreRefused, StoreUnavailable
from queue_metrics.insights import connect
from queue_metrics.storage import DatabaseStorageDriver, Mark
from queue_metrics.storage.sql import migrations
from tests.storage.batches import ROOT, SPOOL, A, B, batch, eventually, everything, ones, opened, send, series, starts
from tests.support.sql_servers import PostgreSQLServer, SQLServer


def test_a_newer_or_unknown_schema_is_refused_and_left_as_it_is(sql_driver: DatabaseStorageDriver, shared_sql: SQLServer) -> None:
    send(sql_driver, everything(A, ones()))
    keys = f"{sql_driver._dialect.prefix}_keys"
    for version in ("3", "banana", "1"):
        shared_sql.execute(f"UPDATE {keys} SET value = '{version}' WHERE type = 'v'")
        advice = "queue-metrics migrate" if version == "1" else "reads and writes 2"
        for call in (
            lambda: sql_driver.apply_batch(0, batch(2, everything(B, ones()))),
            lambda: sql_driver.read_mark(SPOOL, 0),
            lambda: sql_driver.lease("duty", "me", 9),
            lambda: sql_driver.get_key("x"),
            lambda: sql_driver.set_key("x", "y"),
        ):
            with pytest.raises(SchemaMismatch, match=advice):
                call()
    shared_sql.execute(f"UPDATE {keys} SET value = '2' WHERE type = 'v'")
    assert starts(sql_driver, series(A)) == 1
    shared_sql.execute(f"UPDATE {keys} SET value = 'of another' WHERE type = 'm'")
    with pytest.raises(SchemaMismatch, match="other statements"):
        sql_driver.migrate()


def test_tables_are_made_by_hand_and_by_the_command_alike(shared_sql: SQLServer, sql_kind: str) -> None:
    text = migrations.schema("postgresql" if sql_kind == "postgresql" else "mysql", "by_hand")
    statements = [part for part in text.split(";\n") if part.strip()]
    shared_sql.execute(*statements)
    with opened(shared_sql.url, "by_hand") as driver:
        assert driver.migrate(dry_run=True) == driver.migrate() == []
        send(driver, everything(A, ones()))
        assert starts(driver, series(A)) == 1
    with opened(shared_sql.url, "by_command") as driver:
        assert [one.number for one in driver.migrate(dry_run=True)] == [2]
        assert driver.known_series() == []
        assert [one.number for one in driver.migrate()] == [2]
        assert driver.migrate() == []


def roles(kind: str) -> list[str]:
    """The statements that the page about stores gives for roles."""
    page = (ROOT / "docs" / "stores.md").read_text(encoding="utf-8")
    section = page.partition({"postgresql": "## PostgreSQL", "mariadb": "## MySQL and MariaDB"}[kind])[2]
    block = section.partition("```sql")[2].partition("```")[0]
    return [statement for statement in block.strip().split(";") if statement.strip()]


def as_role(server: SQLServer, kind: str, role: str) -> str:
    return server.url.replace("postgres@" if kind == "postgresql" else "root@", f"qm_{role}:SECRET@")


def as_user(server: SQLServer, role: str) -> str:
    return server.url.replace("postgres@", f"{role}@")


@pytest.fixture
def roles_made(sql_server: SQLServer, sql_kind: str) -> None:
    table = (
        "SELECT 1 FROM pg_roles WHERE rolname = 'qm_writer'"
        if sql_kind == "postgresql"
        else "SELECT 1 FROM mysql.user WHERE user = 'qm_writer'"
    )
    if not sql_server.execute(table):
        sql_server.execute(*roles(sql_kind))


@pytest.mark.usefixtures("roles_made")
def test_each_role_may_do_its_part_and_no_more(sql_server: SQLServer, sql_kind: str, prefix: str) -> None:

    migrator, writer, reader = (
        DatabaseStorageDriver(as_role(sql_server, sql_kind, role), prefix) for role in ("migrator", "writer", "reader")
    )
    with contextlib.closing(migrator), contextlib.closing(writer), contextlib.closing(reader):
        with pytest.raises(StoreRefused):  # no tables, and no right to make them
            writer.apply_batch(0, batch(1))
        assert [one.number for one in migrator.migrate()] == [2]
        send(writer, everything(A, ones()))
        writer.heartbeat_many([("w", b"1")], 60)
        assert writer.lease("duty", "me", 60)
        writer.set_hash("h", {"a": "1"}, 0.05)
        time.sleep(0.06)
        assert writer.sweep() == 1
        assert starts(reader, series(A)) == 1
        assert [beat.worker_id for beat in reader.read_heartbeats()] == ["w"]
        assert reader.capabilities()["name"] == sql_kind
        assert reader.size() > 0
        assert reader.scan_keys() == []
        for call in (
            lambda: reader.apply_batch(0, batch(2, everything(A, ones()))),
            lambda: reader.set_key("a", "b"),
            lambda: reader.lease("other", "me", 9),
        ):
            with pytest.raises(StoreRefused):
                call()
        with pytest.raises(StoreRefused, match="needs the rights of a worker"):
            once(reader)
        answer = once(writer)
        assert answer is not None
        assert answer.done
        assert starts(writer, series(A)) == 1


@pytest.mark.usefixtures("roles_made")
def test_a_server_that_is_read_only_may_change_its_mind(sql_server: SQLServer, sql_kind: str, prefix: str) -> None:
    """A standby that is promoted, for one."""
    with opened(as_role(sql_server, sql_kind, "migrator"), prefix) as driver:
        send(driver, everything(A, ones()))
        driver.close()
        on = "ALTER ROLE qm_migrator SET default_transaction_read_only = on" if sql_kind == "postgresql" else "SET GLOBAL read_only = 1"
        off = "ALTER ROLE qm_migrator RESET default_transaction_read_only" if sql_kind == "postgresql" else "SET GLOBAL read_only = 0"
        sql_server.execute(on)
        with pytest.raises(StoreUnavailable):
            driver.apply_batch(0, batch(2, everything(A, ones())))
        assert starts(driver, series(A)) == 1
        driver.close()
        sql_server.execute(off)
        send(driver, everything(A, ones()))
        assert starts(driver, series(A)) == 2


def test_who_is_not_let_in_is_refused_without_showing_a_password(sql_server: SQLServer, sql_kind: str, prefix: str) -> None:
    secret = "s3cret%40%2F"
    if sql_kind == "postgresql":
        sql_server.execute(f"CREATE ROLE {prefix} LOGIN PASSWORD 'right'", f"CREATE SCHEMA {prefix} AUTHORIZATION {prefix}")
        hba = sql_server.data / "pg_hba.conf"
        hba.write_text(f"host all {prefix} 127.0.0.1/32 scram-sha-256\n" + hba.read_text())
        sql_server.execute("SELECT pg_reload_conf()")
    else:
        sql_server.execute(f"CREATE USER {prefix}@'127.0.0.1' IDENTIFIED BY 'right'", f"GRANT ALL ON metrics.* TO {prefix}@'127.0.0.1'")
    place = f"127.0.0.1:{sql_server.port}/{sql_server.url.rpartition('/')[2]}"
    scheme = sql_server.url.partition("://")[0]
    wrong = [
        f"{scheme}://{prefix}:{secret}@{place}",
        f"{scheme}://nobody_of_ours:{secret}@{place}",
        f"{scheme}://{prefix}:right@127.0.0.1:{sql_server.port}/no_such_database",
    ]
    for url in wrong:
        with opened(url, prefix) as driver:
            eventually(lambda driver=driver: refused(driver.size) is StoreRefused)  # type: ignore[misc]  # the server reads its rules anew
            for call in (lambda: driver.read_mark(SPOOL, 0), lambda: driver.set_key("a", "b")):
                with pytest.raises(StoreRefused) as caught:
                    call()
                assert "s3cret" not in f"{caught.value!r}{caught.value.__cause__!r}{driver!r}"
    with opened(f"{scheme}://{prefix}:right@{place}", prefix) as driver:
        assert driver.read_mark(SPOOL, 0) == Mark(0, b"")


def refused(call: Callable[[], object]) -> type[Exception] | None:
    try:
        call()
    except StoreError as error:
        return type(error)
    return None


def test_tables_in_a_schema_that_a_role_may_not_use_are_no_empty_store(shared_postgresql: PostgreSQLServer, prefix: str) -> None:
    """PostgreSQL says of them that they do not exist; who does what the refusal says can read."""
    owner, reader, schema = f"{prefix}_owner", f"{prefix}_reader", f'"{prefix} Metrics"'
    shared_postgresql.execute(
        f"CREATE ROLE {owner} LOGIN",
        f"CREATE ROLE {reader} LOGIN",
        f"CREATE SCHEMA {schema} AUTHORIZATION {owner}",
        *(f'ALTER ROLE {role} SET search_path = "$user", {schema}' for role in (owner, reader)),
    )
    with opened(as_user(shared_postgresql, owner), prefix) as writer, opened(as_user(shared_postgresql, reader), prefix) as driver:
        assert driver.get_key("a") is None  # there are no tables yet
        writer.set_key("a", "1")
        shared_postgresql.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {reader}")
        advice = f"GRANT USAGE ON SCHEMA {schema} TO {reader}"
        for call in (
            lambda: driver.get_key("a"),
            lambda: connect(driver).overview(),
            lambda: driver.set_key("a", "2"),
            lambda: once(driver),
            lambda: driver.migrate(dry_run=True),
            driver.migrate,
        ):
            with pytest.raises(StoreRefused, match=advice):
                call()
        shared_postgresql.execute(advice)
        assert driver.get_key("a") == "1"


def test_a_store_out_of_reach_hinders_nobody_to_make_one_in_a_schema_of_their_own(shared_postgresql: PostgreSQLServer, prefix: str) -> None:
    role, other = f"{prefix}_role", f"{prefix}_other"
    shared_postgresql.execute(
        f"CREATE SCHEMA {other}",
        f"CREATE TABLE {other}.{prefix}_keys (id bytea)",
        f"CREATE ROLE {role} LOGIN",
        f"CREATE SCHEMA AUTHORIZATION {role}",
        f'ALTER ROLE {role} SET search_path = "$user", {other}',
    )
    with opened(as_user(shared_postgresql, role), prefix) as driver:
        assert driver.read_mark(SPOOL, 0) == Mark(0, b""), "a drainer reads before it writes"
        send(driver, everything(A, ones()))
        assert starts(driver, series(A)) == 1
    assert shared_postgresql.execute(f"SELECT count(*) FROM {role}.{prefix}_keys WHERE type = 'v'") == [(1,)]


# Whose errors become which of ours


def test_every_error_of_psycopg_becomes_one_of_ours() -> None:
    dialect = DatabaseStorageDriver("postgresql://h/d")._dialect
    classes = [one for one in vars(psycopg.errors).values() if isinstance(one, type) and issubclass(one, psycopg.Error)]
    assert len(classes) > 200
    passing = {one.sqlstate for one in classes if isinstance(dialect.store_error(one("words")), StoreUnavailable)}
    assert {"40001", "40P01", "55P03", "57P01", "57P03", "53100", "53300", "25006", "08006", "58030", None} <= passing
    assert not passing & {"42501", "42P01", "23505", "22003", "28P01", "3D000", "42601", "XX001", "0A000"}
    for words in ("FATAL: password authentication failed for user", 'FATAL: database "x" does not exist', "certificate verify failed"):
        assert isinstance(dialect.store_error(psycopg.OperationalError(words)), StoreRefused)


@pytest.mark.parametrize(
    ("code", "passing"),
    [(code, True) for code in (1213, 1205, 2006, 2013, 2003, 1040, 1021, 1114, 1290)]
    + [(code, False) for code in (1045, 1044, 1049, 1142, 1146, 1064, 1406, 1062, 4025)],
)
def test_errors_of_pymysql_are_passing_or_lasting(code: int, passing: bool) -> None:
    dialect = DatabaseStorageDriver("mysql://h/d")._dialect
    for one in (pymysql.OperationalError, pymysql.ProgrammingError, pymysql.InternalError, pymysql.IntegrityError):
        assert isinstance(dialect.store_error(one(code, "words")), StoreUnavailable if passing else StoreRefused)


def test_the_other_errors_of_pymysql_are_ours_too() -> None:
    dialect = DatabaseStorageDriver("mysql://h/d")._dialect
    classes = [one for one in vars(pymysql.err).values() if isinstance(one, type) and issubclass(one, pymysql.MySQLError)]
    assert len(classes) >= 9
    for one in classes:
        assert isinstance(dialect.store_error(one("words")), StoreRefused)
        assert isinstance(dialect.store_error(one()), StoreRefused)


def test_a_table_of_another_program_under_our_name_is_refused_and_left_as_it_is(shared_sql: SQLServer, prefix: str) -> None:
    """MySQL passes over a table that is there: it would be taken for ours, and the schema written down beside it."""
    shared_sql.execute(f"CREATE TABLE {prefix}_sets (a int, b int)")
    shared_sql.execute(f"INSERT INTO {prefix}_sets VALUES (1, 2)")
    with opened(shared_sql.url, prefix) as driver:
        for _ in range(2):
            with pytest.raises(StoreRefused, match=f"{prefix}_sets"):
                driver.add_to_set("a", "b")
    assert shared_sql.execute(f"SELECT a, b FROM {prefix}_sets") == [(1, 2)]


def test_what_a_library_raises_before_it_reaches_a_server_is_refused() -> None:
    for url, words in (
        ("mysql://u:p@127.0.0.1:1/db?ssl_mode=verify_ca&ssl_ca=/nowhere/ca.pem", "No such file"),
        (f"mysql://u:p@{'a' * 70}.example:1/db", "cannot connect|unknown|not known|resolve"),
        (f"postgresql://u:p@{'a' * 70}.example:1/db", "cannot connect|unknown|not known|resolve|translate"),
    ):
        with opened(url, "nowhere") as driver, pytest.raises(StoreError, match=words):
            driver.known_series()
