"""Transactions of the driver for SQL: the schema looked at, what passes tried again, a fork survived. Knows no statement, no database."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TypeVar

from queue_metrics.errors import StoreRefused, StoreUnavailable
from queue_metrics.storage.base import StorageDriver
from queue_metrics.storage.forks import guard
from queue_metrics.storage.sql import migrations
from queue_metrics.storage.sql.dialect import Dialect, NothingThereError, OnceMoreError, Session

T = TypeVar("T")

PATIENCE_SECONDS = 5.0
"""How long a call tries to get a database that others write to."""


MIGRATION_SECONDS = 60.0
"""The same for a migration, which others may be in the middle of."""


class _SchemaError(Exception):
    """The tables are not there, or are older."""


class TransactionalDriver(StorageDriver):
    """
    What every operation of the driver for SQL is made of.

    Args:
        dialect: the database.
    """

    schema_version = migrations.SCHEMA_VERSION

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        guard(self)

    def __repr__(self) -> str:
        return f"DatabaseStorageDriver({self._dialect.url!r}, prefix={self._dialect.prefix!r})"

    @property
    def url(self) -> str:
        return self._dialect.url

    def migrate(self, *, dry_run: bool = False) -> list[migrations.Migration]:
        """
        Make the tables or bring them up to date; only say what is missing when `dry_run`.

        Raises:
            SchemaMismatch: the schema is newer, or what was applied is not what this package would have applied.
        """
        deadline = time.monotonic() + MIGRATION_SECONDS
        while True:
            try:
                return migrations.migrate(self._dialect, dry_run=dry_run)
            except self._dialect.errors as error:
                if not self._dialect.passes(error, committing=False) or time.monotonic() > deadline:
                    raise self._dialect.store_error(error) from error
            _wait()

    def _write(self, work: Callable[[Session], T]) -> T:
        """All of the work or nothing; makes the tables at first use."""

        def transaction(session: Session) -> T:
            found = session.begin(write=True)
            if found is None or self._upgrades(found):
                raise _SchemaError
            migrations.check(self._dialect, found)
            return work(session)

        return self._attempt(transaction, write=True)

    def _read(self, work: Callable[[Session], T], nothing: T) -> T:
        """The work on one state of the database; `nothing` when it was never written to but can be. Makes no tables."""

        def transaction(session: Session) -> T:
            found = session.begin(write=False)
            if found is None:
                return nothing
            if self._upgrades(found):
                raise _SchemaError
            migrations.check(self._dialect, found)
            return work(session)

        try:
            return self._attempt(transaction, write=False)
        except NothingThereError:
            reason = self._dialect.missing()
            if reason is not None:
                raise StoreUnavailable(f"{self.url}: {reason}") from None
            return nothing

    def _upgrades(self, found: str) -> bool:
        return self._dialect.upgrades and migrations.is_older(found)

    def _attempt(self, transaction: Callable[[Session], T], *, write: bool) -> T:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            committing = False
            try:
                with self._dialect.lend(write=write) as session:
                    self.requests += 1
                    answer = transaction(session)
                    committing = write
                    session.commit()
                    return answer
            except _SchemaError:
                self.migrate()
                continue
            except OnceMoreError:
                if time.monotonic() > deadline:
                    raise StoreUnavailable(f"{self.url}: others change what this rests on; try again") from None
            except self._dialect.errors as error:
                if not self._dialect.passes(error, committing=committing) or time.monotonic() > deadline:
                    raise self._dialect.store_error(error) from error
            except OverflowError as error:  # a number that the database cannot hold
                raise StoreRefused(f"{self.url}: {error}; nothing is changed") from error
            _wait()

    def close(self) -> None:
        self._dialect.close()

    def before_fork(self) -> None:
        self._dialect.before_fork()

    def after_fork_parent(self) -> None:
        self._dialect.after_fork_parent()

    def after_fork_child(self) -> None:
        self._dialect.after_fork_child()


def _wait() -> None:
    """A moment of random length, so that those who met do not meet again."""
    time.sleep(random.uniform(0.001, 0.01))
