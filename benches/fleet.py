"""A large fleet in Redis: how often the store is asked for an answer about it and for a pass of the collector, and how long both take."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from benches.effort import EFFORT
from benches.rows import Row, count_at_most
from queue_metrics import connect
from queue_metrics.collector import collect
from queue_metrics.http import prometheus_original
from queue_metrics.storage import RedisStorageDriver
from queue_metrics.storage.servers import server_beat
from tests.collector.stored import SAMPLE
from tests.support.fleet import NOW, Fleet, minute
from tests.support.servers import RedisServer

QUEUES, TASKS, WORKERS, HOSTS = 200, 500, 1_000, 50
FLEET = f"{QUEUES} queues, {TASKS} tasks, {WORKERS:,} workers"
MOST_PIPELINES, MOST_REQUESTS = 3, 30


@contextmanager
def _stored() -> Iterator[str]:
    """URL of the store; every queue is too deep and due for a baseline, so that a pass has all there can be to do."""
    fleet = Fleet()
    for number in range(TASKS):
        labels = ("broker", f"queue {number % QUEUES}", f"task {number}")
        for back in (1, 30):
            fleet.task(labels, minute(back), counts={"started": 3, "succeeded": 3}, measures={0: [1_000, 50_000, 90_000]})
    for number in range(QUEUES):
        fleet.queue(("broker", f"queue {number}"), minute(1), counts={"started": 3}, gauges={0: [(round(NOW * 1e6), 500)]})
    for number in range(WORKERS):
        fleet.worker(pid=number, host=f"web-{number % HOSTS}", connection="broker", queue=f"queue {number % QUEUES}", seen=NOW, written=NOW)
    fleet.beats += [server_beat(f"web-{number}", SAMPLE) for number in range(HOSTS)]
    with tempfile.TemporaryDirectory(prefix="qm-bench-") as name, RedisServer(Path(name)) as server:
        driver = RedisStorageDriver(server.url, "ours")
        fleet.store(driver)
        driver.close()
        yield server.url


def request_rows() -> list[Row]:
    """Requests, each by a reader that knows nothing yet."""
    with _stored() as url:
        asked = {}
        for name, metrics in (("an overview", "overview"), ("everything at once", "everything")):
            driver = RedisStorageDriver(url, "ours")
            getattr(connect(driver, now=lambda: NOW), metrics)()
            asked[name] = driver.requests
            driver.close()
        driver = RedisStorageDriver(url, "ours")
        # The first calculates all baselines, the second has workers to compare with.
        passes = [collect(driver, "bench", now=NOW - 60), collect(driver, "bench", now=NOW)]
        if not (all(each.done and each.workers == WORKERS for each in passes) and passes[0].baselines >= QUEUES):
            raise RuntimeError(f"the passes that were measured are not whole: {passes}")
        driver.close()
    return [
        *(
            count_at_most(f"requests of {name} of {FLEET}, Redis", number, MOST_PIPELINES, "requests", note="a new reader")
            for name, number in asked.items()
        ),
        count_at_most(
            f"requests of a pass of the collector, {FLEET}, Redis", max(each.requests for each in passes), MOST_REQUESTS, "requests"
        ),
    ]


def time_rows() -> list[Row]:
    """CPU time of who asks, and of a pass all of its time as well."""
    with _stored() as url:
        driver = RedisStorageDriver(url, "ours")
        metrics = connect(driver, now=lambda: NOW)
        passes = iter(range(1_000_000))

        def next_pass() -> None:
            collect(driver, "bench", now=NOW + 60 * next(passes))

        found = [
            Row(f"overview of {FLEET}", _median(metrics.overview, time.process_time), None, "ms", note="CPU time of who asks Redis"),
            Row(
                f"the original's Prometheus text of {FLEET}",
                _median(lambda: prometheus_original.text(metrics.everything(), "qm"), time.process_time),
                None,
                "ms",
                note="CPU time of who asks Redis",
            ),
            Row(f"pass of the collector, {FLEET}", _median(next_pass, time.process_time), None, "ms", note="CPU time of the collector"),
            Row(f"pass of the collector, {FLEET}, with the time of Redis", _median(next_pass, time.perf_counter), None, "ms"),
        ]
        driver.close()
    return found


def _median(ask: Callable[[], object], clock: Callable[[], float]) -> float:
    """Milliseconds, after one that opens connections and loads what is needed."""
    ask()
    taken = []
    for _ in range(EFFORT.rounds(9)):
        begin = clock()
        ask()
        taken.append((clock() - begin) * 1_000)
    return statistics.median(taken)
