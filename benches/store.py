"""What the store is asked and what it holds: requests a flush and a job, bytes of an hour of one task."""

from __future__ import annotations

import random
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from benches.rows import Row, at_most, count_at_most
from queue_metrics import _core
from queue_metrics.storage import StorageManager
from queue_metrics.storage.base import MINUTE, QUEUE, TASK, StorageDriver
from tests.support import journal_oracle as oracle
from tests.support.proxy import CuttingProxy
from tests.support.servers import RedisServer

SPOOL = "b" * 32
FLUSHES = 20
JOBS_A_FLUSH = 20
MINUTE_US = 60_000_000


@contextmanager
def redis_requests(url: str) -> Iterator[list[str]]:
    """Commands that clients send while this is open, as the server's MONITOR tells them; calls inside scripts are left out."""
    import redis

    client = redis.Redis.from_url(url)
    seen: list[str] = []
    done = threading.Event()
    with client.monitor() as monitor:

        def listen() -> None:
            for event in monitor.listen():
                if "QM-BENCH-END" in event["command"]:
                    break
                if event["client_type"] != "lua":
                    seen.append(event["command"].split()[0].upper())
            done.set()

        threading.Thread(target=listen, daemon=True).start()
        time.sleep(0.2)  # MONITOR has begun when its reply is in
        yield seen
        redis.Redis.from_url(url).echo("QM-BENCH-END")
        done.wait(10)


def _flushes(driver: StorageDriver, folder: Path) -> int:
    """A worker's jobs, handed over in FLUSHES flushes of JOBS_A_FLUSH jobs of three tasks; the number of flushes with work."""
    recorder = _core.Recorder(str(folder / "spool"), "bench")
    handles = [recorder.series("bench", "default", f"task{number}", _core.CLOCK_PROCESS) for number in range(3)]
    drainer = _core.Drainer(str(folder / "spool"))
    mark = driver.read_mark(drainer.spool_id, 0)
    drainer.restore(mark.sequence, mark.positions)
    flushes = 0
    for _ in range(FLUSHES):
        for job in range(JOBS_A_FLUSH):
            recorder.finished(recorder.started(handles[job % 3], f"{job}", 0, _core.NO_TIME), _core.SUCCEEDED, None, 0)
        drainer.poll()
        while (batch := drainer.next_batch()) is not None:
            if not driver.apply_batch(0, batch).applied:
                raise RuntimeError("the store refused a batch in the measurement")
            drainer.committed()
            flushes += 1
    return flushes


def request_rows() -> list[Row]:
    """Requests of the drainer, on Redis and SQLite; connecting and the one look at the schema are paid once, so they count too."""
    found = []
    with tempfile.TemporaryDirectory(prefix="qm-bench-") as name:
        folder = Path(name)
        server = RedisServer(folder / "redis")
        server.start()
        try:
            driver = StorageManager(prefix="qm_bench").open(server.url)
            with redis_requests(server.url) as seen:
                _flushes(driver, folder / "a")
            set_up = [command for command in seen if command in {"CLIENT", "HELLO", "AUTH", "SELECT"}]
            requests = len(seen) - len(set_up)
        finally:
            server.stop()
        found.append(
            at_most(
                "requests a flush, Redis",
                requests / FLUSHES,
                1,
                "requests",
                1.2,
                exact=True,
                note=f"{len(set_up)} more to open the connection; commands inside the script left out",
            )
        )
        found.append(at_most("requests a job at 20 jobs a flush, Redis", requests / FLUSHES / JOBS_A_FLUSH, 1, "requests", 0.1, exact=True))
        driver = StorageManager(prefix="qm_bench").open(f"sqlite:///{folder}/metrics.db")
        begun = _sqlite_transactions(lambda: _flushes(driver, folder / "b"))
        found.append(at_most("transactions a flush, SQLite", begun / FLUSHES, 1, "transactions", 1.2, exact=True))
    return found


def _sqlite_transactions(work: Callable[[], object]) -> int:
    import sqlite3

    begun = 0
    original = sqlite3.connect

    def connect(*args: object, **kwargs: object) -> sqlite3.Connection:
        connection = original(*args, **kwargs)  # type: ignore[call-overload]  # passed on as they came

        def traced(statement: str) -> None:
            nonlocal begun
            begun += statement.lstrip().upper().startswith("BEGIN")

        connection.set_trace_callback(traced)
        return connection  # type: ignore[no-any-return]

    sqlite3.connect = connect  # type: ignore[assignment]
    try:
        work()
    finally:
        sqlite3.connect = original
    return begun


def duty_rows() -> list[Row]:
    """What is asked besides batches and readings: round trips through a proxy and transactions, each once in a store that is known."""
    found = []
    with (
        tempfile.TemporaryDirectory(prefix="qm-bench-") as name,
        RedisServer(Path(name) / "redis") as server,
        CuttingProxy(server.port) as proxy,
    ):
        driver = StorageManager(prefix="qm_bench").open(f"redis://127.0.0.1:{proxy.port}")
        fleet(driver)
        for duty, work in _duties(driver).items():
            work()
            before = proxy.turns
            work()
            found.append(count_at_most(f"{duty}, Redis", proxy.turns - before, 1, "requests"))
        driver.close()
        file = StorageManager(prefix="qm_bench").open(f"sqlite:///{name}/metrics.db")
        fleet(file)
        for duty, work in _duties(file).items():
            file.close()  # it connects anew, so that its statements are seen
            begun = _sqlite_transactions(work)
            file.close()
            twice = _sqlite_transactions(lambda work=work: (work(), work()))  # type: ignore[misc]  # the one of this turn
            found.append(count_at_most(f"{duty}, SQLite", twice - begun, 1, "transactions"))
        file.close()
    return found


def _duties(driver: StorageDriver) -> dict[str, Callable[[], object]]:
    beats = [(f"host:{number}:1", b"a heartbeat") for number in range(50)]
    return {
        "heartbeats of 50 workers": lambda: driver.heartbeat_many(beats, 60),
        "a lease": lambda: driver.lease("sweep", "bench", 60),
        "the marks of a spool": lambda: driver.read_marks(SPOOL),
        "heartbeats of 50 workers read": driver.read_heartbeats,
    }


def hour(spool: Path, jobs_a_minute: int) -> None:
    """A segment with an hour of one task: log-normal run times (median 0.5 s, sigma 1), exponential waits."""
    source = random.Random(jobs_a_minute)
    spool.mkdir(mode=0o700, parents=True)
    segment = source.randbytes(16)
    labels = oracle.label_list(1, "bench", "default", "app.task")
    task = oracle.hash64(labels)
    begin = int(time.time()) // 3600 * 3600 * 1_000_000 - 3_600_000_000
    parts = [oracle.encode_header(segment), *oracle.encode_definition(segment, labels)]
    key = 0
    for minute in range(60):
        for job in range(jobs_a_minute):
            key += 1
            at = begin + minute * MINUTE_US + job * MINUTE_US // jobs_a_minute
            runtime = min(int(source.lognormvariate(-0.7, 1.0) * 1e9), 30_000_000_000)
            parts.append(
                oracle.encode(
                    segment, "START", at=at, key=key, task=task, job=key, ready_at=at - int(source.expovariate(5) * 1e6), worker=1
                )
            )
            parts.append(
                oracle.encode(
                    segment,
                    "END",
                    small=1,
                    at=at + 1,
                    key=key,
                    runtime=runtime,
                    cpu=runtime // 3,
                    rss_peak=50_000 + source.randrange(4_000),
                    rss_change=source.randrange(64),
                    exception=0,
                    worker=1,
                )
            )
    (spool / f"{segment.hex()}.seg").write_bytes(b"".join(parts))


def fill(driver: StorageDriver, spool: Path) -> None:
    drainer = _core.Drainer(str(spool))
    drainer.restore(0, b"")
    drainer.poll()
    while (batch := drainer.next_batch()) is not None:
        driver.apply_batch(0, batch)
        drainer.committed()


def fleet(driver: StorageDriver) -> None:
    """50 tasks with an hour of minutes, 10 queues, 50 workers."""
    now = int(time.time()) // 60 * 60
    value = _core.Value.from_parts([3, 3], {0: [1000, 2000, 3000]}).encode()
    rows = []
    for number in range(50):
        labels = _core.label_list(TASK, ("bench", f"queue {number % 10}", f"task {number}"))
        rows += [(_core.hash64(labels), labels, MINUTE, now - 60 * minute, value) for minute in range(60)]
    for number in range(10):
        labels = _core.label_list(QUEUE, ("bench", f"queue {number}"))
        rows.append((_core.hash64(labels), labels, MINUTE, now, _core.Value.from_parts([3]).encode()))
    driver.apply_batch(0, _core.Batch(SPOOL, 1, b"", rows))
    with tempfile.TemporaryDirectory(prefix="qm-bench-") as folder:
        beat = _core.Recorder(f"{folder}/spool", "bench").heartbeat()
    driver.heartbeat_many([(f"host:{number}:1", beat) for number in range(50)], 60)


def byte_rows() -> list[Row]:
    """Bytes that the minute points of one task take for an hour, at three rates."""
    import redis

    found = []
    goals = {10: 12_000, 100: 40_000, 600: None}
    with tempfile.TemporaryDirectory(prefix="qm-bench-") as place:
        folder = Path(place)
        server = RedisServer(folder / "redis")
        server.start()
        try:
            for rate, goal in goals.items():
                hour(folder / f"spool{rate}", rate)
                driver = StorageManager(prefix=f"qm_{rate}").open(server.url)
                fill(driver, folder / f"spool{rate}")
                series = _core.series_id(1, ["bench", "default", "app.task"])
                client = redis.Redis.from_url(server.url)
                used = sum(int(client.memory_usage(key, samples=0) or 0) for key in client.scan_iter(f"qm_{rate}:*:m:{series:016x}:*"))
                note = "log-normal run times, default configuration"
                name = f"bytes a task-hour at {rate} jobs a minute, Redis"
                # Few jobs leave small values, and a hash of Redis has 70 bytes around each: 4 of 13 KB.
                bound = {10: 1.07}.get(rate)
                found.append(
                    at_most(name, used, goal, "bytes", 1.0, exact=True, note=note, bound=bound)
                    if goal
                    else Row(name, used, None, "bytes", note=note, exact=True)
                )
                memory = StorageManager(prefix=f"qm_{rate}").open(f"memory://bench{rate}")
                fill(memory, folder / f"spool{rate}")
                start = int(time.time()) // 3600 * 3600 - 3600
                points = memory.read_series([series], MINUTE, start, start + 3600)[series]
                found.append(
                    Row(
                        f"the same values alone, {rate} jobs a minute",
                        sum(len(value) for _, value in points),
                        None,
                        "bytes",
                        note=f"{len(points)} points",
                        exact=True,
                    )
                )
        finally:
            server.stop()
    return found
