"""Many at once: a fleet of 1,000 workers in few requests, and ten collectors of which one is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from queue_metrics.collector import collect, once
from queue_metrics.storage.collector import COLLECTOR, state_of
from queue_metrics.storage.efficiency import ALL_KEY
from queue_metrics.storage.manager import StorageManager
from queue_metrics.storage.servers import server_beat, server_minutes
from tests.collector.stored import SAMPLE, crew
from tests.support.fleet import NOW, Fleet, minute
from tests.support.patience import PATIENCE
from tests.support.turns import Turns

QUEUES, TASKS, WORKERS, HOSTS = 200, 500, 1000, 50
MOST_REQUESTS = 30
COLLECTORS = max(3, round(10 * min(float(os.environ.get("QM_TEST_SCALE", "1")), 1.0)))

PROGRAM = """
import os, sys, time
from queue_metrics.collector import Collector, collect
from queue_metrics.storage.manager import StorageManager
url, prefix, base, log = sys.argv[1:]
base = float(base)
def told(driver, owner, **more):
    answer = collect(driver, owner, **more)
    if answer.done:
        with open(log, "a") as file:
            file.write(f"{answer.minute} {os.getpid()}\\n")
    return answer
sys.modules["queue_metrics.collector"].collect = told  # as an attribute of the package it is the function
driver = StorageManager(prefix).open(url)
# A second is a minute: 60 passes in as many seconds.
Collector(driver, now=lambda: base + (time.time() - base) * 60, lease_seconds=1.5, turn_seconds=0.3).start()
print("ready", flush=True)
sys.stdin.read()
"""


def large() -> Fleet:
    fleet = Fleet()
    for number in range(TASKS):
        labels = ("broker", f"queue {number % QUEUES}", f"task {number}")
        fleet.task(labels, minute(1), counts={"started": 3, "succeeded": 3}, measures={0: [1_000, 50_000, 90_000]})
    for number in range(QUEUES):
        fleet.queue(("broker", f"queue {number}"), minute(1), counts={"started": 3}, gauges={0: [(round(NOW * 1e6), 500)]})
    for number in range(WORKERS):
        fleet.worker(pid=number, host=f"web-{number % HOSTS}", connection="broker", queue=f"queue {number % QUEUES}", seen=NOW, written=NOW)
    for number in range(HOSTS):
        fleet.beats.append(server_beat(f"web-{number}", SAMPLE))
    return fleet


def test_a_pass_over_a_large_fleet_takes_few_requests(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """200 queues, all of them too deep and due for a baseline, and 1,000 workers on 50 hosts."""
    driver = StorageManager("large").open(redis_url)
    large().store(driver)
    collect(driver, "test", now=NOW - 60)
    turns = Turns(monkeypatch)
    answer = once(driver, now=NOW)
    assert answer is not None
    assert turns.number <= MOST_REQUESTS
    assert (answer.done, answer.queues, answer.workers, answer.servers) == (True, QUEUES, WORKERS, HOSTS)
    assert answer.events["queue_depth_threshold_exceeded"] == QUEUES
    assert driver.count_sorted_set(ALL_KEY) == 1
    driver.close()


def test_ten_collectors_do_each_minute_once_and_the_next_takes_over_from_one_that_is_killed(place: tuple[str, str], tmp_path: Path) -> None:
    url, prefix = place
    driver = StorageManager(prefix).open(url)
    crew(driver, NOW, web=(0.0, 0.0))
    log = tmp_path / "passes"
    log.touch()
    arguments = [sys.executable, "-c", PROGRAM, url, prefix, str(time.time()), str(log)]
    running = [subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE) for _ in range(COLLECTORS)]
    try:
        for each in running:
            assert each.stdout is not None
            assert each.stdout.readline() == b"ready\n"
        until(lambda: len(done(log)) >= 2)
        first = done(log)[-1][1]
        os.kill(first, signal.SIGKILL)
        until(lambda: any(pid != first for _, pid in done(log)))
        second = next(pid for _, pid in done(log) if pid != first)
        seen = len(done(log))
        until(lambda: len(done(log)) >= seen + 2)
    finally:
        for each in running:
            each.kill()
            each.wait()
    minutes = [when for when, _ in done(log)]
    assert len(set(minutes)) == len(minutes), "a minute was done twice"
    stored = [row.minute for row in server_minutes(driver.get_sorted_set_by_rank("server_minutes:web"))]
    assert set(minutes) <= set(stored)
    assert len(stored) - len(minutes) <= 2, "who is killed between the store and the log leaves one minute unlogged"
    assert second != first
    assert state_of(driver.get_hash(COLLECTOR)).last_pass is not None
    driver.close()


def done(log: Path) -> list[tuple[int, int]]:
    """Minutes and who did them, in the order of the log."""
    return [(int(when), int(pid)) for when, pid in (line.split() for line in log.read_text().splitlines())]


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, "in vain"
        time.sleep(0.05)
