"""
Makes the tables and brings older ones up to date: numbered migrations, forward only, each once, one process at a time. Knows no database.

A store without tables is made by its first writer, and so is an older one in a file of SQLite brought up to date. On a server that is
`queue-metrics migrate`, run by whoever may change tables.
"""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files

from queue_metrics.errors import SchemaMismatch
from queue_metrics.storage.base import wrong_schema
from queue_metrics.storage.prefixes import checked_prefix
from queue_metrics.storage.sql.dialect import Dialect, NothingThereError, Session
from queue_metrics.storage.sql.names import MIGRATION, SCHEMA, header_id, text
from queue_metrics.storage.sql.statements import statements

SCHEMA_VERSION = 2
CURRENT = str(SCHEMA_VERSION)

DIALECTS = ("sqlite", "postgresql", "mysql")

SCHEMA_ID = header_id(SCHEMA, "schema")
"""Where the schema version stands."""


@dataclass(frozen=True, slots=True)
class Migration:
    """The step from schema version `number - 1` to `number`."""

    number: int
    name: str
    checksum: str
    statements: Mapping[str, str]


@functools.cache
def migrations(dialect: str, prefix: str) -> tuple[Migration, ...]:
    """All there are, in order. The checksum is of the statements without comments, and does not depend on the prefix."""
    found = []
    for file in sorted(one.name for one in files(__package__).joinpath("schema").iterdir() if one.name.startswith(f"{dialect}_")):
        _, number, name = re.fullmatch(r"([a-z]+)_([0-9]+)_(\w+)\.sql", file).groups()  # type: ignore[union-attr]
        plain = "\n;\n".join(statements(f"schema/{file}", "queue_metrics").values())
        checksum = hashlib.blake2b(plain.encode(), digest_size=16).hexdigest()
        found.append(Migration(int(number), name, checksum, statements(f"schema/{file}", prefix)))
    return tuple(found)


def is_older(found: str) -> bool:
    """Whether a schema version can be brought up to date."""
    return found.isascii() and found.isdigit() and 0 < int(found) < SCHEMA_VERSION


def check(dialect: Dialect, found: str) -> None:
    """Refuse a schema version that is not ours, and an older one where that is not brought up to date by whoever finds it."""
    if found == CURRENT:
        return
    if is_older(found):
        raise SchemaMismatch(
            f"the store {dialect.url} has schema version {found}, this package reads and writes {SCHEMA_VERSION}; nothing is changed; "
            "run: queue-metrics migrate --store URL"
        )
    raise wrong_schema(dialect.url, found, SCHEMA_VERSION)


def migrate(dialect: Dialect, *, dry_run: bool = False) -> list[Migration]:
    """
    Apply what is missing, under a lock, and say what that was.

    Raises:
        SchemaMismatch: the schema is newer, or what was applied is not what this package would have applied.
    """
    if dry_run:
        try:
            with dialect.lend(write=False) as session:
                return _missing(dialect, session, session.begin(write=False))
        except NothingThereError:
            return list(migrations(dialect.name, dialect.prefix))
    with dialect.alone() as session:
        missing = _missing(dialect, session, session.begin(write=True))
        for one in missing:
            for statement in one.statements.values():
                session.run(statement)
        if missing:
            dialect.recognise(session)
        for id_, letter, name, value in _records(missing) if missing else ():
            session.tell("put_schema", {"id": id_, "type": letter, "name": name, "value": value})
        return missing


def _missing(dialect: Dialect, session: Session, found: str | None) -> list[Migration]:
    if found is not None and not is_older(found):
        check(dialect, found)
        _check_applied(dialect, session)
    return [one for one in migrations(dialect.name, dialect.prefix) if one.number > int(found or 0)]


def schema(dialect: str, prefix: str = "queue_metrics") -> str:
    """
    All statements that make a store, for whoever runs them by hand: the migrations, and the rows that say that they ran.

    Args:
        dialect: one of DIALECTS.
        prefix: first part of the names of all tables: 1 to 32 of a-z, 0-9 and "_".

    Raises:
        ConfigurationError: another prefix.
    """
    applied = migrations(dialect, checked_prefix(prefix))
    # Nothing is there that could be copied, and the function that copies names is in no database.
    texts = [text for one in applied for name, text in one.statements.items() if not name.startswith("copy_")]
    begin, end = ("'\\x", "'") if dialect == "postgresql" else ("x'", "'")
    for id_, letter, name, value in _records(applied):
        texts.append(
            f'INSERT INTO "{prefix}_keys" (id, type, name, value, expires_at, version, written_at)\n'
            f"VALUES ({begin}{id_.hex()}{end}, '{letter}', '{name}', {begin}{value.hex()}{end}, NULL, 0, 0)"
        )
    if dialect == "mysql":
        texts.insert(0, "SET SESSION sql_mode = 'ANSI_QUOTES,STRICT_ALL_TABLES'")
    title = f"-- The tables of job-queue-metrics for {dialect}, schema version {SCHEMA_VERSION}.\n\n"
    return title + "".join(f"{text};\n\n" for text in texts)


def _records(applied: Sequence[Migration]) -> list[tuple[bytes, str, str, bytes]]:
    """The rows that say what was applied, the schema version last: id, type, name and value."""
    rows = [(header_id(MIGRATION, str(one.number)), MIGRATION, str(one.number), one.checksum.encode()) for one in applied]
    return [*rows, (SCHEMA_ID, SCHEMA, "schema", CURRENT.encode())]


def _check_applied(dialect: Dialect, session: Session) -> None:
    for one in migrations(dialect.name, dialect.prefix):
        (rows,) = session.ask(("get_schema", {"id": header_id(MIGRATION, str(one.number))}))
        if rows and text(rows[0][0]) != one.checksum:
            raise SchemaMismatch(
                f"the store {dialect.url} was brought to schema version {one.number} by other statements than those of this package "
                f"(checksum {text(rows[0][0])}, ours {one.checksum}); nothing is changed"
            )
