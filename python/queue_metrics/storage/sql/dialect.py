"""What a database of SQL must bring along: transactions in which statements are asked by name, and what its errors mean. Knows none."""

from __future__ import annotations

import abc
import contextlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from queue_metrics.errors import StoreError

Parameters: TypeAlias = Mapping[str, Any]
Question: TypeAlias = tuple[str, Parameters]
"""The name of a statement, and its parameters. A list of numbers or bytes stands where the statement says `IN :name`."""

Place: TypeAlias = tuple[int, int, int]
"""Step, series (signed) and bucket: the key of a value."""


class NothingThereError(Exception):
    """There is no store yet, and whoever only reads must not make one."""


class OnceMoreError(Exception):
    """What was found is not so any more: the transaction must begin again."""


class Session(abc.ABC):
    """A connection lent to one call, for one transaction."""

    @abc.abstractmethod
    def begin(self, *, write: bool) -> str | None:
        """Begin a transaction; the schema version of what is stored, None when nothing ever was."""

    @abc.abstractmethod
    def ask(self, *questions: Question) -> list[list[tuple[Any, ...]]]:
        """The rows that answer each question, in as few round trips as the database allows."""

    @abc.abstractmethod
    def tell(self, name: str, parameters: Parameters) -> None:
        """Run a statement that answers nothing; what is wrong with it may come out at the next that answers."""

    @abc.abstractmethod
    def count(self, name: str, parameters: Parameters) -> int:
        """Run a statement; the number of rows that it removed."""

    @abc.abstractmethod
    def many(self, name: str, rows: Sequence[Parameters]) -> None:
        """Run a statement for each row, in their order; no two may have the same key."""

    @abc.abstractmethod
    def values_at(self, places: Sequence[Place]) -> list[Question]:
        """Questions for the values at these places; answered by (step, series, bucket, value)."""

    @abc.abstractmethod
    def run(self, text: str) -> None:
        """Run a statement of a migration."""

    @abc.abstractmethod
    def commit(self) -> None:
        """Make it last. After an error nobody knows whether it does."""

    @abc.abstractmethod
    def rollback(self) -> None:
        """Undo what was done. Raises nothing; a connection on which that fails is not used again."""


class Dialect(abc.ABC):
    """
    One database, its connections and their errors. Safe to use from any thread and after a fork.

    Attributes:
        name: the name of its files in `queries` and `schema`.
        url: where it is, without a password.
        prefix: first part of the names of all tables.
        sql: its statements by name.
        errors: what its library raises.
        upgrades: whether whoever finds an older schema brings it up to date.
    """

    name: str
    url: str
    prefix: str
    sql: Mapping[str, str]
    errors: tuple[type[Exception], ...]
    upgrades: bool

    @abc.abstractmethod
    def lend(self, *, write: bool) -> contextlib.AbstractContextManager[Session]:
        """
        A session on a connection of its own, kept for the next one afterwards.

        Raises:
            NothingThereError: it is for reading, and there is nothing to connect to.
        """

    @abc.abstractmethod
    def alone(self) -> contextlib.AbstractContextManager[Session]:
        """A session in a transaction that no other one of these overlaps, for migrations; committed at the end."""

    @abc.abstractmethod
    def passes(self, error: Exception, *, committing: bool) -> bool:
        """Whether nothing was done, and the same transaction may be tried again at once: a lock, a deadlock, a connection gone stale."""

    @abc.abstractmethod
    def store_error(self, error: Exception) -> StoreError:
        """Our error for one of theirs."""

    @abc.abstractmethod
    def capabilities(self, ask: Callable[[str], tuple[Any, ...]]) -> dict[str, object]:
        """What `StorageDriver.capabilities` answers; `ask` is how a statement about the server is answered."""

    def recognise(self, session: Session) -> None:  # noqa: B027 - most databases need not
        """
        See that the tables a migration found or made are ours, before it is written down as applied.

        For a dialect whose statements pass over a table that is there: of somebody else it would be taken for ours.

        Raises:
            StoreRefused: another program has a table of this name.
        """

    @abc.abstractmethod
    def missing(self) -> str | None:
        """Why there can be no store where there is none; None when the first batch will make it."""

    @abc.abstractmethod
    def close(self) -> None:
        """Let go of connections."""

    @abc.abstractmethod
    def before_fork(self) -> None:
        """As in `StorageDriver`."""

    @abc.abstractmethod
    def after_fork_parent(self) -> None:
        """As in `StorageDriver`."""

    @abc.abstractmethod
    def after_fork_child(self) -> None:
        """As in `StorageDriver`."""
