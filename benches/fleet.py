"""A large fleet in Redis: how often the store is asked for an answer about it and for a pass of the collector, and how long both take."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

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


def rows() -> list[Row]:
    """Requests, each by a reader that knows nothing yet; and what a pass and a scrape of the original's names take, asked once."""
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
        begin = time.process_time()
        everything = connect(driver, now=lambda: NOW).everything()
        prometheus_original.text(everything, "qm", everything.overview.collector, None)
        scraped = time.process_time() - begin
        driver.close()
    note = "once, with the time of Redis; the first calculates all baselines"
    return [
        *(
            count_at_most(f"requests of {name} of {FLEET}, Redis", number, MOST_PIPELINES, "requests", note="a new reader")
            for name, number in asked.items()
        ),
        count_at_most(
            f"requests of a pass of the collector, {FLEET}, Redis", max(each.requests for each in passes), MOST_REQUESTS, "requests"
        ),
        Row(f"pass of the collector, {FLEET}", max(each.seconds for each in passes) * 1_000, None, "ms", note=note),
        Row(f"the original's Prometheus text of {FLEET}", scraped * 1_000, None, "ms", note="once; CPU time of who asks Redis"),
    ]
