"""Celery's own limit of memory reads the mark that a true peak resets: with it there is none, and the reason is told."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hooks.journal import Journal, eventually
from tests.hooks.processes import Worker, worker
from tests.support.servers import RedisServer

APP = ("celery", "-A", "tests.hooks.apps.celery_app", "worker", "-P", "prefork", "-c", "1", "--without-gossip", "--without-mingle")
SEND = "tests.hooks.apps.celery_send"
KIB_OF_200_MB = 200 << 10


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server


def peaks(running: Worker) -> tuple[int, int]:
    """Peaks of a job that takes 200 MB and gives it back, and of one after it that takes nothing, KiB."""
    plan = [["send", "large", "takes", [200], {}], ["send", "small", "takes", [0], {}], ["send", "peak", "peak", [], {}]]
    running.run(SEND, json.dumps(plan))
    eventually(lambda: Journal(running.spool).outcomes("peak") == ["succeeded"], about=running.log)
    journal = Journal(running.spool)
    ends = [journal.end(journal.of("START", job)[0]) for job in ("large", "small")]
    assert ends[0] is not None
    assert ends[1] is not None
    return ends[0].rss_peak, ends[1].rss_peak


def test_a_job_that_takes_200_mb_and_gives_it_back_shows_it_when_asked_to(redis: RedisServer, tmp_path: Path) -> None:
    with worker(tmp_path / "exact", *APP, HOOK_TEST_BROKER=redis.url, HOOK_TEST_WITH="peak") as running:
        large, small = peaks(running)
        assert large > KIB_OF_200_MB
        assert small < KIB_OF_200_MB
        assert (running.directory / "begun-peak-True").exists()


def test_with_max_memory_per_child_the_mark_is_left_alone(redis: RedisServer, tmp_path: Path) -> None:
    limit = ("--max-memory-per-child", "10000000")
    with worker(tmp_path / "refused", *APP, *limit, HOOK_TEST_BROKER=redis.url, HOOK_TEST_WITH="peak") as running:
        large, small = peaks(running)
        assert large < KIB_OF_200_MB
        assert small < KIB_OF_200_MB
        assert (running.directory / "begun-peak-max_memory_per_child reads the mark that it resets").exists()
