"""The contract between both wings and a database; knows no database."""

from __future__ import annotations

import abc
import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeAlias

from queue_metrics import _core
from queue_metrics.config import BaselineRules, TimeToLive
from queue_metrics.errors import SchemaMismatch, StoreRefused, TransactionConflict
from queue_metrics.storage.general import Call, GeneralOperations, watched_names
from queue_metrics.storage.pipelines import Pipeline, Transaction
from queue_metrics.storage.view import Range, Totals, View, view_in_parts

SCHEMA_VERSION = 1

MINUTE, HOUR, DAY, TOTAL = 60, 3600, 86400, 0

# Kinds of series; the numbers of docs/journal-format.md.
TASK, QUEUE, EXCEPTION, SERVER, SERVER_TASK = 1, 2, 3, 5, 6

Retention: TypeAlias = Mapping[tuple[int, int], int]
"""Seconds that a point is kept behind the end of its step, by kind of series and step; totals have no expiry."""


def retention_of(ttl: TimeToLive) -> Retention:
    """What is kept for how long by the settings; which steps a kind has is never a setting."""
    return MappingProxyType(
        {
            (TASK, MINUTE): ttl.raw,
            (QUEUE, MINUTE): ttl.aggregated,
            (TASK, HOUR): ttl.hours,
            (QUEUE, HOUR): ttl.hours,
            (EXCEPTION, HOUR): ttl.hours,
            (SERVER, MINUTE): ttl.servers,
            (SERVER, HOUR): ttl.hours,
            (SERVER_TASK, HOUR): ttl.hours,
            (TASK, DAY): ttl.days,
            (QUEUE, DAY): ttl.days,
            (EXCEPTION, DAY): ttl.days,
            (SERVER, DAY): ttl.days,
        }
    )


RETENTION = retention_of(TimeToLive())
"""What is kept for how long where nothing is configured."""

EMPTY = b"\x91\x01"
"""The packed value of nothing: neutral in a merge, and not kept as a total."""

LATEST = 2**40
"""No expiry lies behind this moment (seconds; the year 36812): a clock gone wild must not make a number that a database refuses."""


def expires_at(kind: int, step: int, bucket: int, retention: Retention = RETENTION) -> int:
    """
    The second, by the store's clock, from which a point is no longer seen.

    Raises:
        StoreRefused: this kind of series has no such step.
    """
    kept = retention.get((kind, step))
    if kept is None:
        raise StoreRefused(f"a series of kind {kind} keeps no points of {step} s; it was recorded by another version of this package")
    return min(max(bucket + step + kept, 0), LATEST)


def shard_of(series: int, shards: int) -> int:
    """Where a series lives when a store is split; every reader and writer must agree on the number of shards."""
    return series % shards


@dataclass(frozen=True, slots=True)
class Mark:
    """How far the numbers in the store go: the last batch of a spool and the positions it reached."""

    sequence: int
    positions: bytes

    def is_base_of(self, batch: _core.Batch) -> bool:
        """Whether a batch was made from this very mark; the number alone comes again after a store went back."""
        return self.sequence == batch.sequence - 1 and self.positions == batch.base


@dataclass(frozen=True, slots=True)
class Applied:
    """The answer to a batch: whether it changed the store, and the mark that holds now."""

    applied: bool
    mark: Mark


@dataclass(frozen=True, slots=True)
class Series:
    """A known series: its id, kind and labels."""

    id: int
    kind: int
    labels: tuple[str, ...]


def known_series(series: int, label_list: bytes) -> Series:
    """A series as it is stored. Raises StoreRefused when the labels cannot be read."""
    try:
        kind, labels = _core.parse_label_list(label_list)
    except ValueError as error:
        raise StoreRefused(f"the labels of series {series:016x} cannot be read: {error}") from error
    return Series(series, kind, labels)


def collision(series: int) -> StoreRefused:
    """Two label lists with one id: one in 2^64, or a damaged store. Their numbers must not be mixed."""
    return StoreRefused(f"series {series:016x} is stored with other labels; its numbers are not added to a stranger's")


def unmergeable(series: int, why: object) -> StoreRefused:
    """A stored or given value that cannot be read, or a sum that would leave its bits."""
    return StoreRefused(f"numbers of series {series:016x} cannot be added: {why}; nothing is changed")


def wrong_schema(url: str, found: str, ours: int = SCHEMA_VERSION) -> SchemaMismatch:
    """What is stored is newer than this package, or no schema version at all."""
    if found.isascii() and found.isdigit() and int(found) > ours:
        advice = "upgrade job-queue-metrics on this machine, or give this version another prefix or store"
    else:
        advice = "something else keeps data under this name: give another prefix or store"
    return SchemaMismatch(
        f"the store {url} has schema version {found!r}, this package reads and writes {ours}; nothing is changed; {advice}"
    )


@dataclass(frozen=True, slots=True)
class Beat:
    """The last heartbeat of a worker, and its age in seconds by the store's clock."""

    worker_id: str
    payload: bytes
    age: float


Commit: TypeAlias = Callable[[Sequence[Call]], list[Any] | None]
"""Does calls as a whole and answers them, or does nothing and answers None, since what was watched has changed."""


class StorageDriver(GeneralOperations):
    """
    What a database must be able to do. Synchronous, safe to use from any thread and after a fork.

    The general operations are for what is asked seldom. Those that carry the load are below; a driver of somebody's own that has only
    the general ones is made of `GeneralStorageDriver`.

    Every method raises StoreUnavailable when the same call may work later, StoreRefused or SchemaMismatch when not; nothing of a
    database library gets out. Names and labels may hold any text; they are never joined into keys unhashed.
    """

    schema_version: int = SCHEMA_VERSION
    """The schema version that it reads and writes."""

    retention: Retention = RETENTION
    """
    How long the points are kept that it writes; `StorageManager.open` sets it. A point has the expiry that its first writer gave it. Where
    expiries are not stored beside points (Redis, drivers made of general operations) the retention of the reader hides what is older.
    """

    lifetimes: TimeToLive = TimeToLive()
    """What `retention` was made of, and how long is kept what the collector writes; `StorageManager.open` sets both."""

    recording: bool = False
    """Whether this process records to it."""

    baselines: BaselineRules = BaselineRules()
    """What baselines are made of, for all who calculate or read them here; `open_store` sets it."""

    requests: int = 0
    """Requests this object has made: transactions, or round trips; 0 where there is nobody to ask."""

    @property
    @abc.abstractmethod
    def url(self) -> str:
        """Where this is, without a password: for messages and `doctor`."""

    @property
    def shards(self) -> int:
        """How many marks each spool has: one for each shard that series are spread over by `shard_of`."""
        return 1

    # The general operations

    @abc.abstractmethod
    def execute(self, calls: Sequence[Call]) -> list[Any]:
        """
        The answers to general operations, in order, in one request; others may come in between.

        Raises:
            StoreRefused: for the first that is refused. Those before it were done, those behind it may have been.
        """

    @abc.abstractmethod
    def watching(self, names: Sequence[str]) -> contextlib.AbstractContextManager[Commit]:
        """From now on notice who changes these names; inside is what does calls as a whole, if nobody did."""

    def _ask(self, call: Call) -> Any:
        return self.execute([call])[0]

    def pipeline(self) -> Pipeline:
        """Collects general operations and sends them as one request."""
        return Pipeline(self.execute)

    @contextlib.contextmanager
    def transaction(self, watch: Iterable[str] = ()) -> Iterator[Transaction]:
        """
        A block whose reads answer at once and whose writes are done as a whole at its end, or not at all when it raises.

        Args:
            watch: the names that it rests on.

        Raises:
            ValueError: at the beginning; `watch` is a single `str`, or holds what no operation takes for a name.
            TransactionConflict: at the end, when one of them was changed since the block began; nothing is changed, try again.
            StoreRefused: at the end, when one of the writes is refused; nothing is changed.
        """
        with self.watching(watched_names(watch)) as commit:
            transaction = Transaction(self.execute)
            yield transaction
            answers = commit(transaction.calls)
        if answers is None:
            raise TransactionConflict(f"{self.url}: what the transaction rests on was changed meanwhile; nothing is changed, try again")
        transaction.answers = answers

    # What carries the load

    @abc.abstractmethod
    def apply_batch(self, shard: int, batch: _core.Batch) -> Applied:
        """
        Merge a batch and move the mark of its spool, both or neither.

        Changes nothing unless the mark is the one that the batch was made from (`Mark.is_base_of`; sequence 0 and no positions
        where there is no mark). Safe to send again after an unknown result.
        """

    @abc.abstractmethod
    def read_mark(self, spool_id: str, shard: int) -> Mark:
        """The mark of a spool; sequence 0 and no positions when it has none."""

    def read_marks(self, spool_id: str) -> list[Mark]:
        """The marks of a spool in all shards."""
        return [self.read_mark(spool_id, shard) for shard in range(self.shards)]

    @abc.abstractmethod
    def known_series(self) -> list[Series]:
        """Every series ever written, in no order."""

    @abc.abstractmethod
    def read_series(self, series: Sequence[int], step: int, start: int, end: int) -> dict[int, list[tuple[int, bytes]]]:
        """
        Points with start <= bucket < end (seconds), per series in order of buckets; expired ones left out. One request.

        Returns:
            A list for each given series, empty when it has no points; values are for `Value.decode`.
        """

    @abc.abstractmethod
    def read_totals(self, series: Sequence[int]) -> dict[int, bytes]:
        """The total of each series that has one, for `Value.decode`. One request."""

    @abc.abstractmethod
    def heartbeat_many(self, beats: Iterable[tuple[str, bytes]], ttl: float) -> None:
        """Store the latest heartbeat of workers (id, payload), to be forgotten after `ttl` seconds."""

    @abc.abstractmethod
    def read_heartbeats(self) -> list[Beat]:
        """The heartbeats that are not forgotten, in order of worker ids. One request."""

    def read_view(self, ranges: Sequence[Range] = (), *, totals: Totals = (), heartbeats: bool = True, calls: Sequence[Call] = ()) -> View:
        """
        Much of the store at one moment, in as few requests as the database allows: two round trips to each node of Redis, one
        transaction in SQL. A driver of somebody's own may leave it as it is, a request for each part.

        Args:
            ranges: which points.
            totals: the kinds of series whose totals are read, each whole or as `Total` says.
            heartbeats: whether they are read.
            calls: general operations that only read.

        Raises:
            ValueError: a call writes, or is `scan_keys`.
        """
        return view_in_parts(self, ranges, totals, heartbeats, calls)

    @abc.abstractmethod
    def lease(self, name: str, owner: str, seconds: float) -> bool:
        """Take or keep the right to a shared duty for some seconds of the store's clock; False while another owner has it."""

    @abc.abstractmethod
    def sweep(self, limit: int = 1000) -> int:
        """Remove at most `limit` expired entries; returns how many. A database that expires by itself answers 0."""

    @abc.abstractmethod
    def capabilities(self) -> dict[str, object]:
        """What `doctor` shows: at least `name`, `version`, `durable`, `expires_itself`, `exact` and, when not exact, `reason`."""

    @abc.abstractmethod
    def size(self) -> int:
        """Bytes that our data takes, as exactly as the database tells."""

    def count_points(self) -> dict[int, int] | None:
        """How many points of each series are kept, those that expired and were not removed yet among them; None: it would take too long."""
        return None

    @abc.abstractmethod
    def close(self) -> None:
        """Let go of connections; may be called twice, and the driver opens again when used."""

    # A driver that holds what must not be inherited across a fork hands itself to `forks.guard` when it is made, and these are
    # called around every fork of the process. They may come twice for one fork; none of them waits for a network.

    def before_fork(self) -> None:
        """This thread is about to fork: close what must not be inherited, and hold new calls back until one of the next two."""

    def after_fork_parent(self) -> None:
        """The fork is done, go on."""

    def after_fork_child(self) -> None:
        """This is the child: drop inherited handles without closing them, take new locks."""
