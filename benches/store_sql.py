"""Stores in SQL: a batch beside its bare statements and beside increments, many writers at once, requests of readings, bytes of an hour."""

from __future__ import annotations

import multiprocessing
import os
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benches.effort import EFFORT
from benches.rows import Row, alternate, at_most, count_at_most, less, median_interval
from benches.store import SPOOL, fill, fleet, hour
from queue_metrics import _core, connect
from queue_metrics.errors import StoreError
from queue_metrics.storage import Applied, DatabaseStorageDriver, Mark, MemoryStorageDriver
from queue_metrics.storage.base import EMPTY, MINUTE, TASK, expires_at
from queue_metrics.storage.sql.dialect import Session
from queue_metrics.storage.sql.names import digest, signed
from tests.support.sql_servers import MariaDBServer, PostgreSQLServer, SQLServer

SERIES, BINS = 50, 20
FIELDS = BINS + 9
"""What a row changes: its buckets, two counters, n and sum of three measures, and the zeros of the sketch."""
ROUNDS = 15
WRITERS, WRITING_SECONDS = 16, 3.0


@dataclass
class Place:
    """A store of one kind and, where there is one, its server."""

    name: str
    url: str
    server: SQLServer | None

    def open(self, prefix: str) -> DatabaseStorageDriver:
        return DatabaseStorageDriver(self.url, prefix)

    def spent(self) -> float:
        """CPU seconds of whoever runs the statements: the server with all its processes, or this one."""
        if self.server is None:
            return time.process_time()
        return sum(map(_cpu, [self.server.pid, *self.server._children()]))


@contextmanager
def places() -> Iterator[list[Place]]:
    with tempfile.TemporaryDirectory(prefix="qm-bench-") as folder, PostgreSQLServer() as postgresql, MariaDBServer() as mariadb:
        yield [
            Place("SQLite", f"sqlite:///{folder}/metrics.db", None),
            Place("PostgreSQL", postgresql.url, postgresql),
            Place("MariaDB", mariadb.url, mariadb),
        ]


def _cpu(pid: int) -> float:
    """Of a process and of those that it started and that ended."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


# A batch


def _rows(at: int) -> list[tuple[int, bytes, int, int, bytes]]:
    """A minute of SERIES tasks whose run times fill BINS buckets."""
    value = _core.Value.from_parts([BINS, BINS], {0: [int(1000 * 1.1**n) for n in range(BINS)], 2: [5] * BINS, 3: [50_000] * BINS}).encode()
    lists = [_core.label_list(TASK, ("bench", "default", f"task {number}")) for number in range(SERIES)]
    return [(_core.hash64(labels), labels, MINUTE, at, value) for labels in lists]


def _batch(sequence: int, at: int, spool: str = SPOOL) -> _core.Batch:
    return _core.Batch(spool, sequence, b"%d" % sequence, _rows(at), b"%d" % (sequence - 1) if sequence > 1 else b"")


class Bare:
    """The statements of a batch as the driver sends them, with the values that they write told beforehand: nothing is read or merged."""

    def __init__(self, driver: DatabaseStorageDriver, at: int) -> None:
        self._driver, self._spool = driver, {"id": digest(SPOOL), "spool": SPOOL, "shard": 0}
        merged = {row[0]: _core.merge_values(_core.merge_values(EMPTY, row[4]), row[4]) for row in _rows(at)}
        self._series = sorted(map(signed, merged))
        self._places = [(MINUTE, series, at) for series in self._series]
        expiry = expires_at(TASK, MINUTE, at)
        by_series = sorted((signed(series), value) for series, value in merged.items())
        self._values = [
            {"step": MINUTE, "series": series, "bucket": at, "value": value, "expires_at": expiry} for series, value in by_series
        ]

    def apply(self, sequence: int) -> Applied:
        def work(session: Session) -> Applied:
            session.ask(("lock_mark", self._spool), ("lock_labels", {"series": self._series}), *session.values_at(self._places))
            session.many("put_values", self._values)
            session.tell("put_mark", {**self._spool, "sequence": sequence, "positions": b"%d" % sequence})
            return Applied(True, Mark(sequence, b""))

        return self._driver._write(work)


def apply_rows() -> list[Row]:
    """A batch by the driver, by its bare statements, and by one increment for each field in one statement."""
    with places() as found:
        return [row for place in found for row in (_beside_bare(place), _beside_increments(place))]


def _beside_bare(place: Place) -> Row:
    at = int(time.time()) // 60 * 60
    driver, sent = place.open("ours"), place.open("sent")
    sequences = {"ours": 0, "sent": 0}

    def apply(count: int = 20) -> float:
        batches = [_batch(sequences["ours"] + number, at) for number in range(1, count + 1)]
        sequences["ours"] += count
        return _timed(lambda: [driver.apply_batch(0, batch) for batch in batches]) / count

    bare = Bare(sent, at)

    def send(count: int = 20) -> float:
        first = sequences["sent"]
        sequences["sent"] += count
        return _timed(lambda: [bare.apply(first + number) for number in range(1, count + 1)]) / count

    apply(2)
    for number in (1, 2):
        sent.apply_batch(0, _batch(number, at))
    sequences["sent"] = 2
    ours, prepared = alternate([apply, send], EFFORT.rounds(ROUNDS))
    ratio, low, high = median_interval([one / other for one, other in zip(ours, prepared, strict=True)])
    driver.close()
    sent.close()
    name = f"apply of {SERIES} series x {BINS} bins beside its SQL with values written in, {place.name}"
    middle = len(ours) // 2
    return at_most(name, sorted(ours)[middle] * 1e6, sorted(prepared)[middle] * 1e6, "us", 1.3, ratio=ratio, interval=(low, high))


def _beside_increments(place: Place) -> Row:
    at, batches = int(time.time()) // 60 * 60, 100
    driver, increments = place.open("merged"), Increments(place)
    driver.apply_batch(0, _batch(1, at))
    increments.add()
    prepared = [_batch(number, at) for number in range(2, batches + 2)]
    before = place.spent()
    for batch in prepared:
        driver.apply_batch(0, batch)
    merging = place.spent() - before
    before = place.spent()
    for _ in range(batches):
        increments.add()
    peer = place.spent() - before
    driver.close()
    increments.close()
    who = "this process, which is the database too" if place.server is None else "the server"
    note = f"{batches} batches, CPU of {who}; {FIELDS} increments a series, all {SERIES * FIELDS} in one statement prepared by the library"
    name = f"CPU of a batch beside one increment for each field, {place.name}"
    return less(name, merging / batches * 1e6, peer / batches * 1e6, "us", 3, note=note)


class Increments:
    """A table of numbers, of which each that changes is added to, in the least work for the server that its library offers."""

    def __init__(self, place: Place) -> None:
        table = "CREATE TABLE increments (series BIGINT, field INTEGER, value BIGINT NOT NULL, PRIMARY KEY (series, field))"
        rows = [(series, field, 1) for series in range(SERIES) for field in range(FIELDS)]
        self.link: Any
        if place.name == "SQLite":
            import sqlite3

            self.link = sqlite3.connect(place.url.removeprefix("sqlite:///") + "-increments", isolation_level=None)
            self.link.execute("PRAGMA journal_mode=WAL")
            self.link.execute(table)
            text = "INSERT INTO increments VALUES (?, ?, ?) ON CONFLICT (series, field) DO UPDATE SET value = value + excluded.value"
            self._work = lambda: self._transaction(lambda: self.link.executemany(text, rows))
        elif place.name == "PostgreSQL":
            import psycopg

            self.link = psycopg.connect(place.url, autocommit=True)
            self.link.execute(table)
            text = (
                "INSERT INTO increments SELECT * FROM unnest(%s::bigint[], %s::int[], %s::bigint[]) "
                "ON CONFLICT (series, field) DO UPDATE SET value = increments.value + excluded.value"
            )
            columns = [list(column) for column in zip(*rows, strict=True)]
            self._work = lambda: self.link.execute(text, columns)
        else:
            import pymysql

            assert place.server is not None
            self.link = pymysql.connect(host="127.0.0.1", port=place.server.port, user="root", database="metrics", autocommit=True)
            cursor = self.link.cursor()
            cursor.execute(table)
            text = "INSERT INTO increments VALUES (%s, %s, %s) ON DUPLICATE KEY UPDATE value = value + VALUES(value)"
            self._work = lambda: cursor.executemany(text, rows)

    def _transaction(self, work: Callable[[], object]) -> None:
        self.link.execute("BEGIN IMMEDIATE")
        work()
        self.link.execute("COMMIT")

    def add(self) -> None:
        self._work()

    def close(self) -> None:
        self.link.close()


def _timed(call: Callable[[], object]) -> float:
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


# Many writers


def writers_rows() -> list[Row]:
    """Batches a second of WRITERS processes on the same series, beside those of one."""
    with places() as found:
        return [_writers(place) for place in found if place.server is not None]


def _writers(place: Place) -> Row:
    place.open("w").apply_batch(0, _batch(1, int(time.time()) // 60 * 60))
    surfaced: Counter[str] = Counter()

    def together(count: int) -> float:
        begin = time.time() + 1.0 + 0.1 * count  # every process has loaded all by then
        with ProcessPoolExecutor(count, mp_context=multiprocessing.get_context("spawn")) as pool:
            answers = list(pool.map(_write, [place.url] * count, range(count), [begin] * count))
        for _, errors in answers:
            surfaced.update(errors)
        return sum(done for done, _ in answers) / WRITING_SECONDS

    many, one = alternate([lambda: together(WRITERS), lambda: together(1)], 3)
    ratio, low, high = median_interval([some / alone for some, alone in zip(many, one, strict=True)])
    met = None if low <= 0.6 < high else ratio >= 0.6
    told = f": {dict(surfaced)}" if surfaced else ""
    note = f"{sum(surfaced.values())} errors surfaced{told}; each writer a process, {SERIES} series a batch"
    name = f"{WRITERS} writers on the same series beside one, {place.name}"
    return Row(name, sorted(many)[1], sorted(one)[1], "batches/s", ratio, ">= 0.6x", met and not surfaced, note)


def _write(url: str, number: int, begin: float) -> tuple[int, Counter[str]]:
    """One writer, from a moment on; how many batches of its own spool it applied, and what was raised."""
    driver, spool = DatabaseStorageDriver(url, "w"), os.urandom(16).hex()
    at, done, errors = int(begin) // 60 * 60, 0, Counter[str]()
    sequence = 1
    time.sleep(max(0.0, begin - time.time()))
    until = time.monotonic() + WRITING_SECONDS
    while time.monotonic() < until:
        try:
            sequence = driver.apply_batch(0, _batch(sequence, at, spool)).mark.sequence + 1
            done += 1
        except StoreError as error:
            errors[str(error)[:200]] += 1
    driver.close()
    return done, errors


# Reading, bytes


def reading_rows() -> list[Row]:
    """Transactions to read an hour of a task, and the overview of a fleet."""
    rows = []
    with places() as found:
        for place in found:
            driver = place.open("ours")
            fleet(driver)
            now = int(time.time()) // 60 * 60
            before = driver.requests
            points = driver.read_series([_core.series_id(TASK, ["bench", "queue 1", "task 1"])], MINUTE, now - 3600, now + 60)
            read = driver.requests - before
            if sum(map(len, points.values())) != 60:
                raise RuntimeError("the points of an hour are not there")
            reader = place.open("ours")
            connect(reader).overview()
            rows += [
                count_at_most(f"transactions to read 60 minute points of a task, {place.name}", read, 1, "transactions"),
                count_at_most(
                    f"transactions of an overview of 50 tasks, 10 queues, 50 workers, {place.name}",
                    reader.requests,
                    3,
                    "transactions",
                    note="a new reader",
                ),
            ]
            driver.close()
            reader.close()
    return rows


TASKS = 50
BYTES = {("SQLite", 10): 14_800, ("SQLite", 100): 35_400, ("PostgreSQL", 10): 24_300, ("PostgreSQL", 100): 49_700}
"""A twentieth above what was reached; there is no goal."""


def byte_rows() -> list[Row]:
    """Bytes that the minute points of one task take for an hour, of 50 tasks that are written minute by minute."""
    rows = []
    with places() as found, tempfile.TemporaryDirectory(prefix="qm-bench-") as folder:
        for rate in (10, 100):
            hour(Path(folder) / f"spool{rate}", rate)
            memory = MemoryStorageDriver()
            fill(memory, Path(folder) / f"spool{rate}")
            series = _core.series_id(TASK, ["bench", "default", "app.task"])
            points = memory.read_series([series], MINUTE, 0, 2**40)[series]
            for place in found:
                if place.name == "MariaDB":  # its tables' size is a statistic, in steps of a mebibyte
                    continue
                used = _hours(place.open(f"bytes{rate}"), points)
                name = f"bytes a task-hour at {rate} jobs a minute, {place.name}"
                rows.append(
                    Row(name, used, None, "bytes", note=f"{TASKS} tasks, with index and labels, each point written once", exact=True)
                )
    return rows


def _hours(driver: DatabaseStorageDriver, points: list[tuple[int, bytes]]) -> int:
    lists = [_core.label_list(TASK, ("bench", "default", f"task {number}")) for number in range(TASKS)]
    driver.apply_batch(0, _core.Batch(SPOOL, 1, b"1", []))
    before = driver.size()
    for sequence, (at, value) in enumerate(points, 2):
        rows = [(_core.hash64(labels), labels, MINUTE, at, value) for labels in lists]
        driver.apply_batch(0, _core.Batch(SPOOL, sequence, b"%d" % sequence, rows, b"%d" % (sequence - 1)))
    used = (driver.size() - before) // TASKS
    driver.close()
    return used
