"""Executions with hostile names and sums past 2^53, in shuffled batches, some of them sent twice: equal to the last integer everywhere."""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import queue_metrics as qm
from queue_metrics import _core
from queue_metrics.insights.layout import CPU, MEMORY_CHANGE, MEMORY_PEAK, RUNTIME, WAIT
from queue_metrics.recording.shards import Shards
from queue_metrics.storage import Applied, DatabaseStorageDriver, MemoryStorageDriver, RedisStorageDriver, StorageDriver
from tests.storage.batches import HOSTILE, NOW, content, series
from tests.support import journal_oracle as oracle
from tests.support.redis_servers import RedisCluster, SentinelPair
from tests.support.servers import RedisServer
from tests.support.sql_servers import MariaDBServer, PostgreSQLServer

EXECUTIONS = max(1_000, round(2_000 * float(os.environ.get("QM_TEST_SCALE", "1"))))
SPOOLS, CHUNKS = 5, 8
TASKS = [
    *(("c", "q", name) for name in HOSTILE),
    *((name, "q", "t") for name in HOSTILE[:4]),
    ("c", "q", "t"),
    ("c", "q:t", ""),
    ("c:q", "", "t"),
]
LONGEST = 2**47 - 1  # µs; what is longer comes from a broken clock
LONG = min(0.9, 40_000 / EXECUTIONS)  # of so many; the sum of all must stay within 64 bits
AGO = 4 * 3_600

Task = tuple[str, str, str]


@dataclass
class Truth:
    """What was generated, added up by Python."""

    counts: dict[Task, Counter[int]] = field(default_factory=dict)
    sums: dict[Task, dict[int, list[int]]] = field(default_factory=dict)

    def add(self, task: Task, outcome: int, measures: dict[int, int]) -> None:
        self.counts.setdefault(task, Counter()).update((0, outcome))
        for measure, number in measures.items():
            found = self.sums.setdefault(task, {}).setdefault(measure, [0, 0])
            found[0] += 1
            found[1] += number


def generated(spool: Path, chance: random.Random, number: int, truth: Truth) -> list[_core.Batch]:
    """A spool with so many executions, written by hand and drained bit by bit into batches that nobody has taken yet."""
    spool.mkdir(mode=0o700)
    segment = chance.randbytes(16)
    lists = {task: oracle.label_list(1, *task) for task in TASKS}
    ids = {task: oracle.hash64(lists[task]) for task in TASKS}
    definitions = [part for one in lists.values() for part in oracle.encode_definition(segment, one)]
    drainer, batches = _core.Drainer(os.fspath(spool)), []
    drainer.restore(0, b"")
    with (spool / f"{segment.hex()}.seg").open("ab", buffering=0) as file:
        file.write(oracle.encode_header(segment, capacity=2 * number + len(definitions)) + b"".join(definitions))
        for chunk in range(CHUNKS):
            records = []
            for key in range(1 + chunk * number // CHUNKS, 1 + (chunk + 1) * number // CHUNKS):
                records += execution(segment, chance, key, ids, truth)
            file.write(b"".join(records))
            drainer.poll()
            while (batch := drainer.next_batch(50)) is not None:
                batches.append(batch)
                drainer.committed()
    assert drainer.status()["damaged"] == 0
    return batches


def execution(segment: bytes, chance: random.Random, key: int, ids: dict[Task, int], truth: Truth) -> list[bytes]:
    task = chance.choice(TASKS)
    outcome = chance.randint(1, 6)
    runtime = LONGEST - chance.randrange(1_000) if chance.random() < LONG else chance.randrange(10**7)
    wait, cpu, peak = chance.randrange(2**32), chance.randrange(2**40), chance.randrange(2**32 - 1)
    change = chance.randrange(-(2**31) + 1, 2**31)
    at = (NOW - chance.randrange(AGO)) * 1_000_000
    truth.add(task, outcome, {RUNTIME: runtime, WAIT: wait, CPU: cpu, MEMORY_PEAK: peak * 1024, MEMORY_CHANGE: change * 1024})
    usage = {"runtime": runtime * 1000, "cpu": cpu * 1000, "rss_peak": peak, "rss_change": change}
    return [
        oracle.encode(segment, "START", at=at, key=key, task=ids[task], job=key, ready_at=at - wait, worker=1),
        oracle.encode(segment, "END", small=outcome, at=at, key=key, exception=0, worker=1, **usage),
    ]


def deliver(driver: StorageDriver, spools: dict[str, list[_core.Batch]], chance: random.Random) -> int:
    """Each spool in its own order, the spools shuffled into each other, some batches sent again; how many of these were refused."""
    refused = 0

    def ask(question: Callable[[], Applied]) -> Applied:
        nonlocal refused
        answer = question()
        if chance.random() < 0.3:
            answer = question()
            assert not answer.applied
            refused += 1
        return answer

    shards = {spool: Shards(driver, spool, driver.read_marks(spool), ask) for spool in spools}
    left = {spool: iter(batches) for spool, batches in spools.items()}
    order = [spool for spool, batches in spools.items() for _ in batches]
    chance.shuffle(order)
    for spool in order:
        assert shards[spool].apply(next(left[spool]))
    return refused


def test_generated_executions_give_equal_statistics_on_every_driver(
    shared_redis: RedisServer,
    pair: SentinelPair,
    cluster: RedisCluster,
    shared_postgresql: PostgreSQLServer,
    shared_mariadb: MariaDBServer,
    tmp_path: Path,
    prefix: str,
    record_property: Callable[[str, object], None],
) -> None:
    chance, truth = random.Random(EXECUTIONS), Truth()
    spools: dict[str, list[_core.Batch]] = {}
    for number in range(SPOOLS):
        batches = generated(tmp_path / f"spool-{number}", chance, EXECUTIONS // SPOOLS, truth)
        spools[batches[0].spool_id] = batches
    drivers: dict[str, StorageDriver] = {
        "memory": MemoryStorageDriver(),
        "SQLite": DatabaseStorageDriver(f"sqlite:///{tmp_path}/store.db", prefix),
        "Redis": RedisStorageDriver(shared_redis.url, prefix),
        "Sentinel": RedisStorageDriver(pair.url, prefix),
        "cluster": RedisStorageDriver(cluster.url, prefix),
        "PostgreSQL": DatabaseStorageDriver(shared_postgresql.url, prefix),
        "MariaDB": DatabaseStorageDriver(shared_mariadb.url, prefix),
    }
    contents, lifetimes, refused = {}, {}, 0
    for name, driver in drivers.items():
        refused += deliver(driver, spools, chance)
        contents[name] = content(driver, ())
        lifetimes[name] = {(task.connection, task.queue, task.task): task.lifetime for task in qm.connect(driver).tasks()}
        driver.close()
    for name, found in contents.items():
        assert found == contents["memory"], name
        assert lifetimes[name] == lifetimes["memory"], name
    for task, counts in truth.counts.items():
        total = contents["memory"]["totals"][series(task)]
        assert {index: count for index, count in total["counters"].items() if index < 7} == counts
        assert {index: list(found[:2]) for index, found in total["measures"].items()} == truth.sums[task]
    assert set(lifetimes["memory"]) == set(truth.counts)
    assert max(sums[RUNTIME][1] for sums in truth.sums.values()) > 2**53, "no sum is too large for a double"
    assert refused > len(drivers)
    record_property("executions", sum(counts[0] for counts in truth.counts.values()))
    record_property("batches", sum(map(len, spools.values())) * len(drivers))
    record_property("duplicates refused", refused)
