"""Redis beside other ways to use it: the layout of the original system, increments field by field, a script that is only sent."""

from __future__ import annotations

import random
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benches.fleet import rows as fleet_rows
from benches.rows import Row, alternate, at_most, count_at_most, less, median_interval
from benches.store import SPOOL, fill, fleet
from queue_metrics import _core, connect
from queue_metrics.storage import RedisStorageDriver, redis_store
from queue_metrics.storage.base import MINUTE, TASK
from queue_metrics.storage.redis_batch import BatchWords
from queue_metrics.storage.redis_keys import schema_record
from tests.support import journal_oracle as oracle
from tests.support.servers import RedisServer

JOBS = 10_000
TASKS = 5
MINUTES = 10
JOBS_A_FLUSH = 100
SERIES, BINS = 50, 20
ROUNDS = 15


@contextmanager
def _server() -> Iterator[tuple[RedisServer, Any, Path]]:
    import redis

    with tempfile.TemporaryDirectory(prefix="qm-bench-") as name, RedisServer(Path(name)) as server:
        client = redis.Redis(port=server.port)
        yield server, client, Path(name)
        client.close()


def _memory(client: Any, prefix: str) -> int:
    return sum(int(client.memory_usage(key, samples=0) or 0) for key in client.scan_iter(f"{prefix}*", count=1000))


def layout_rows() -> list[Row]:
    """The same jobs, recorded and drained by us, and through the commands that the original sends for each."""
    with _server() as (server, client, folder):
        runtimes = [random.Random(job).lognormvariate(-0.7, 1.0) for job in range(JOBS)]
        counted = RedisStorageDriver(server.url, "counted")
        ours_requests = _drained(counted, folder / "spool")
        _journal(folder / "timed", runtimes)
        ours = RedisStorageDriver(server.url, "ours")
        fill(ours, folder / "timed")
        ours_bytes = _memory(client, "ours")
        theirs_requests = _original(client, runtimes)
        theirs_bytes = _memory(client, "theirs")
        counted.close()
        ours.close()
    flushed = f"{JOBS_A_FLUSH} jobs a flush"
    kept = f"{JOBS:,} jobs of {TASKS} tasks in {MINUTES} minutes, log-normal run times; the original keeps three samples of each job"
    return [
        less("memory of 10,000 jobs beside the original's layout", ours_bytes, theirs_bytes, "bytes", 80, note=kept),
        less("round trips of 10,000 jobs beside the original's", ours_requests, theirs_requests, "requests", 300, note=flushed),
    ]


def _journal(spool: Path, runtimes: list[float]) -> None:
    """A segment of jobs that were run evenly over MINUTES, ended an hour ago."""
    source = random.Random(3)
    spool.mkdir(mode=0o700, parents=True)
    segment = source.randbytes(16)
    labels = [oracle.label_list(TASK, "bench", "default", f"app.task{number}") for number in range(TASKS)]
    begin = int(time.time()) // 3600 * 3_600_000_000 - 3_600_000_000
    parts = [oracle.encode_header(segment), *(part for one in labels for part in oracle.encode_definition(segment, one))]
    for job, seconds in enumerate(runtimes):
        at = begin + job * MINUTES * 60_000_000 // JOBS
        waited = at - int(source.expovariate(5) * 1e6)
        runtime, task = int(seconds * 1e9), oracle.hash64(labels[job % TASKS])
        parts.append(oracle.encode(segment, "START", at=at, key=job + 1, task=task, job=job, ready_at=waited, worker=1))
        usage = {"cpu": runtime // 3, "rss_peak": 50_000 + source.randrange(4_000), "rss_change": source.randrange(64)}
        parts.append(oracle.encode(segment, "END", small=1, at=at + 1, key=job + 1, runtime=runtime, exception=0, worker=1, **usage))
    (spool / f"{segment.hex()}.seg").write_bytes(b"".join(parts))


def _drained(driver: RedisStorageDriver, spool: Path) -> int:
    """Requests to hand over the jobs."""
    recorder = _core.Recorder(str(spool), "bench")
    handles = [recorder.series("bench", "default", f"app.task{number}", _core.CLOCK_PROCESS) for number in range(TASKS)]
    drainer = _core.Drainer(str(spool))
    drainer.restore(0, driver.read_mark(drainer.spool_id, 0).positions)
    for job in range(JOBS):
        recorder.finished(recorder.started(handles[job % TASKS], f"{job}", 0, _core.NO_TIME), _core.SUCCEEDED, None, 0)
        if (job + 1) % JOBS_A_FLUSH == 0:
            drainer.poll()
            while (batch := drainer.next_batch()) is not None:
                if not driver.apply_batch(0, batch).applied:
                    raise RuntimeError("the store refused a batch in the measurement")
                drainer.committed()
    return driver.requests


def _original(client: Any, runtimes: list[float]) -> int:
    """Round trips of the original's worker and dispatcher, each command one; sent here in pipelines, which changes no memory."""
    source = random.Random(1)
    now, trips = time.time(), 0
    pipeline = client.pipeline(transaction=False)
    for job, seconds in enumerate(runtimes):
        for command in _commands_of_a_job(source, f"default:app.task{job % TASKS}", now + job / 100, seconds * 1000):
            trips += 1
            if len(command) > 1:  # MULTI and EXEC are turnarounds too, and change no memory
                pipeline.execute_command(*command)
        if job % 500 == 499:
            pipeline.execute()
    pipeline.execute()
    return trips


def _commands_of_a_job(source: random.Random, name: str, now: float, duration: float) -> Iterator[tuple[object, ...]]:
    """Of one that succeeds: dispatch, start, finish, counters of the host, two heartbeats of the worker."""
    key, job = f"bench:{name}", str(uuid.UUID(int=source.getrandbits(128)))
    raw, kept = 3600, 604800
    yield "ZADD", f"theirs:queued:{key}", now, job
    yield "EXPIRE", f"theirs:queued:{key}", raw
    yield ("MULTI",)
    yield "SADD", "theirs:discovery:queues", "bench:default"
    yield "EXPIRE", "theirs:discovery:queues", kept
    yield "SADD", "theirs:discovery:jobs", key
    yield "EXPIRE", "theirs:discovery:jobs", kept
    yield "HINCRBY", f"theirs:jobs:{key}", "total_queued", 1
    yield "HMSET", f"theirs:job:{job}", "started_at", now, "class", name, "connection", "bench", "queue", "default"
    yield "EXPIRE", f"theirs:job:{job}", raw
    yield "EXPIRE", f"theirs:jobs:{key}", raw
    yield ("EXEC",)
    for _ in range(2):
        yield "EVAL", "redis.call('HSET', KEYS[1], 'last_heartbeat', ARGV[1], 'state', 'busy') return 1", 1, "theirs:worker:1", now
    memory, cpu = 50 + source.random(), duration / 3
    yield ("MULTI",)
    yield "HINCRBY", f"theirs:jobs:{key}", "total_processed", 1
    for field, value in (("duration_ms", duration), ("memory_mb", memory), ("memory_incremental_mb", 0.5), ("cpu_time_ms", cpu)):
        yield "HINCRBYFLOAT", f"theirs:jobs:{key}", f"total_{field}", value
    yield "HMSET", f"theirs:jobs:{key}", "last_processed_at", now
    for sample, value in (("durations", duration), ("memory", memory), ("cpu", cpu)):
        yield "ZADD", f"theirs:{sample}:{key}", now, f"{job}:{value}"
        yield "EXPIRE", f"theirs:{sample}:{key}", raw
    yield "EXPIRE", f"theirs:jobs:{key}", raw
    yield ("EXEC",)
    yield ("MULTI",)
    yield "SADD", "theirs:discovery:server_jobs:host", key
    yield "EXPIRE", "theirs:discovery:server_jobs:host", kept
    yield "HINCRBY", f"theirs:server_jobs:host:{key}", "total", 1
    yield "HINCRBYFLOAT", f"theirs:server_jobs:host:{key}", "duration", duration
    yield "HMSET", f"theirs:server_jobs:host:{key}", "last", now
    yield "EXPIRE", f"theirs:server_jobs:host:{key}", kept
    yield ("EXEC",)
    yield "DEL", f"theirs:job:{job}"


def _batch(sequence: int) -> _core.Batch:
    """A minute of SERIES tasks whose run times fill BINS buckets."""
    rows = []
    at = int(time.time()) // 60 * 60
    value = _core.Value.from_parts([BINS, BINS], {0: [int(1000 * 1.1**n) for n in range(BINS)], 2: [5] * BINS, 3: [50_000] * BINS}).encode()
    for number in range(SERIES):
        labels = _core.label_list(TASK, ("bench", "default", f"task {number}"))
        rows.append((_core.hash64(labels), labels, MINUTE, at, value))
    return _core.Batch(SPOOL, sequence, b"%d" % sequence, rows, b"%d" % (sequence - 1) if sequence > 1 else b"")


_INCREMENTS = """
for k, key in ipairs(KEYS) do
  for i = 1, #ARGV, 2 do
    redis.call('HINCRBY', key, ARGV[i], ARGV[i + 1])
  end
end
return 1
"""


def apply_rows() -> list[Row]:
    """A batch by the driver, by its script with prepared words, and by one increment for each field."""
    with _server() as (server, client, _):
        driver = RedisStorageDriver(server.url, "ours")
        sent = RedisStorageDriver(server.url, "sent")
        sequences = {"ours": 0, "sent": 0}

        def apply(count: int = 20) -> float:
            batches = [_batch(sequences["ours"] + number) for number in range(1, count + 1)]
            sequences["ours"] += count
            return _timed(lambda: [driver.apply_batch(0, batch) for batch in batches]) / count

        def send(count: int = 20) -> float:
            commands = []
            for number in range(1, count + 1):
                keys, words = BatchWords(sent._keys, 0, 1, sent.retention).of(_batch(sequences["sent"] + number))
                commands.append(("EVALSHA", digest, len(keys), *keys, "apply", schema_record(1), *words))
            sequences["sent"] += count
            return _timed(lambda: [client.execute_command(*command) for command in commands]) / count

        apply(1)
        digest = client.script_load(redis_store.source())
        send(1)
        ours, prepared = alternate([apply, send], ROUNDS)
        ratios = [one / other for one, other in zip(ours, prepared, strict=True)]
        ratio, low, high = median_interval(ratios)
        found = [
            at_most(
                f"apply of {SERIES} series x {BINS} bins beside its script with prepared words",
                sorted(ours)[ROUNDS // 2] * 1e6,
                sorted(prepared)[ROUNDS // 2] * 1e6,
                "us",
                1.3,
                ratio=ratio,
                interval=(low, high),
            )
        ]
        names = (*(f"b{n}" for n in range(BINS)), "c0", "c1", "n", "s", "cn", "cs", "mn", "ms", "z")
        fields = [word for name in names for word in (name, 1)]
        keys = [f"increments:{number}" for number in range(SERIES)]
        merging = _server_seconds(client, lambda: apply(200)) / 200
        increments = _server_seconds(client, lambda: [client.eval(_INCREMENTS, len(keys), *keys, *fields) for _ in range(200)]) / 200
        # Of the 27 us that a row costs, 13 are cmsgpack's, which unpacks two values and packs one; the increments are 35.
        note = f"INFO cpu, 200 batches; {len(names)} increments a series, in one script, of which unpacking and packing alone cost a third"
        found.append(less("server CPU of a batch beside one increment for each field", merging * 1e6, increments * 1e6, "us", 3, note=note))
        driver.close()
        sent.close()
    return found


def _timed(call: Callable[[], object]) -> float:
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


def _server_seconds(client: Any, call: Callable[[], object]) -> float:
    """CPU of the server during a call."""

    def spent() -> float:
        told = client.info("cpu")
        return float(told["used_cpu_user_main_thread"]) + float(told["used_cpu_sys_main_thread"])

    begin = spent()
    call()
    return spent() - begin


def reading_rows() -> list[Row]:
    """Requests to read an hour of a task, and the overview of a fleet; of a large one everything."""
    with _server() as (server, _, _):
        driver = RedisStorageDriver(server.url, "ours")
        fleet(driver)
        now = int(time.time()) // 60 * 60
        before = driver.requests
        points = driver.read_series([_core.series_id(TASK, ["bench", "queue 1", "task 1"])], MINUTE, now - 3600, now + 60)
        hour = driver.requests - before
        if sum(map(len, points.values())) != 60:
            raise RuntimeError("the points of an hour are not there")
        reader = RedisStorageDriver(server.url, "ours")
        connect(reader).overview()
        overview = reader.requests
        driver.close()
        reader.close()
    return [
        count_at_most("requests to read 60 minute points of a task, Redis", hour, 1, "requests"),
        count_at_most("requests of an overview of 50 tasks, 10 queues, 50 workers, Redis", overview, 3, "requests", note="a new reader"),
        *fleet_rows(),
    ]
