"""Connections to a database server: kept between calls, lent to one at a time, never used across a fork. Knows no database."""

from __future__ import annotations

import abc
import contextlib
import os
from collections.abc import Iterator
from typing import Any

from queue_metrics.errors import StoreRefused
from queue_metrics.storage.forks import loading
from queue_metrics.storage.sql.dialect import Dialect, Session

CONNECT_SECONDS = 3
"""How long making a connection may take."""

ANSWER_SECONDS = 10.0
"""How long a server may be mute. More than LOCK_SECONDS: who waits for a lock is no mute server."""

LOCK_SECONDS = 2
"""How long a statement waits for a lock inside the server; the transaction is tried again while there is patience."""

MOST_IDLE = 16
"""Connections kept for later calls; more are closed when they come back."""

# A parent's connections, kept from the garbage collector in its child: closing them is the parent's business.
_inherited: list[object] = []


class ServerSession(Session):
    """A session that knows whether its connection can be used afterwards."""

    open = False
    """Whether a transaction was begun and not ended."""
    broken = False
    """Whether it could not even be rolled back."""

    def abandon(self) -> None:
        """Its connection was closed under it."""

    @abc.abstractmethod
    def undo(self) -> bool:
        """Roll back; whether the connection is as good as new."""

    def rollback(self) -> None:
        self.open = False
        self.broken = not self.undo()


class ServerDialect(Dialect):
    """A server that many write to at once. Nothing here waits for a fork, and no fork waits for the network."""

    upgrades = False

    def __init__(self, url: str, prefix: str) -> None:
        self.url = url
        self.prefix = prefix
        self._begin()

    @abc.abstractmethod
    def _connect(self) -> Any:
        """A new connection, set up. Raises what the library raises."""

    @abc.abstractmethod
    def _session(self, connection: Any, *, alone: bool) -> ServerSession:
        """A transaction on a connection; of one that is alone, `begin` takes the lock for migrations."""

    @abc.abstractmethod
    def _load(self) -> None:
        """Import the library and what it will ever import. Raises MissingDependency."""

    @abc.abstractmethod
    def _lost(self, error: BaseException) -> bool:
        """Whether the error says that the connection is no more."""

    def missing(self) -> str | None:
        return None

    @contextlib.contextmanager
    def lend(self, *, write: bool) -> Iterator[Session]:
        with self._lent(alone=False) as session:
            yield session

    @contextlib.contextmanager
    def alone(self) -> Iterator[Session]:
        with self._lent(alone=True) as session:
            yield session
            session.commit()

    @contextlib.contextmanager
    def _lent(self, *, alone: bool) -> Iterator[ServerSession]:
        if self._pid != os.getpid():  # forked by C code, past Python's own hooks
            self.after_fork_child()
        idle, lent = self._idle, self._in_use
        connection = self._taken()
        lent.append(connection)
        session = self._session(connection, alone=alone)
        keep = False
        try:
            yield session
            if session.open:
                session.rollback()
            keep = not session.broken
        except Exception as error:
            theirs = isinstance(error, self.errors)
            if theirs and self._lost(error):
                self.close()  # the others have most likely gone with it
            elif theirs or isinstance(error, OverflowError) or type(error).__module__.startswith("queue_metrics."):
                session.rollback()
                keep = not session.broken
            # Else it is an interruption, maybe in the middle of an exchange: nobody knows what comes next on this connection.
            raise
        finally:
            with contextlib.suppress(ValueError):
                lent.remove(connection)
            if keep and self._pid == os.getpid() and len(idle) < MOST_IDLE:
                idle.append(connection)
            elif self._pid == os.getpid():
                self._discard(connection)
                session.abandon()

    def _taken(self) -> Any:
        with contextlib.suppress(IndexError):
            return self._idle.pop()
        with loading:
            self._load()
        try:
            return self._connect()
        except self.errors as error:
            raise self.store_error(error) from error
        except OSError as error:  # of the library's own making comes what the network says; this is a file of a certificate
            what = f"{error.filename}: " if error.filename else ""
            raise StoreRefused(f"{self.url}: cannot connect: {what}{error.strerror or type(error).__name__}") from error
        except (UnicodeError, ValueError):
            # Not repeated, since it may be about the password; nor chained, for the same reason.
            raise StoreRefused(f"{self.url}: cannot connect: the user, password or host holds what no server takes") from None

    def _discard(self, connection: Any) -> None:
        with contextlib.suppress(*self.errors, OSError):
            connection.close()

    def close(self) -> None:
        if self._pid != os.getpid():
            self.after_fork_child()
        with contextlib.suppress(IndexError):
            while True:
                self._discard(self._idle.pop())

    def before_fork(self) -> None:
        """Connections stay open; the child has none of them."""

    def after_fork_parent(self) -> None:
        """Nothing was held back."""

    def after_fork_child(self) -> None:
        _inherited.append((self._idle, self._in_use))
        self._begin()

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._idle: list[Any] = []
        self._in_use: list[Any] = []
