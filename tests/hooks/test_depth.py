"""Depth and age of real queues, asked over a connection of our own."""

from __future__ import annotations

import datetime
import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis as redis_library
from celery import Celery
from huey import MemoryHuey, SqliteHuey
from kombu.entity import Exchange, Queue

from queue_metrics import _core
from queue_metrics.hooks.base import HookContext, QueueDepth
from queue_metrics.hooks.celery import CeleryHook
from queue_metrics.hooks.celery_depth import RedisDepth, redis_parameters
from queue_metrics.hooks.huey import HueyHook
from queue_metrics.hooks.huey_depth import SqliteDepth
from tests.support.servers import RedisServer


def nothing() -> None:
    pass


def context(directory: Path) -> HookContext:
    recorder = _core.Recorder(str(directory / "spool"), "testhost")
    return HookContext(recorder, on_main=nothing, on_child=nothing, on_producer=nothing)


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def app(redis: RedisServer, tmp_path: Path) -> Iterator[Celery]:
    redis_library.Redis.from_url(redis.url).flushall()
    app = Celery("depths", broker=redis.url, set_as_current=False)
    app.conf.task_queues = [Queue("celery"), Queue("letters", Exchange("post"), routing_key="post.letters")]
    yield app
    app.close()


@pytest.fixture
def hook(app: Celery, tmp_path: Path) -> Iterator[CeleryHook]:
    hook = CeleryHook(app, context(tmp_path))
    hook.install()
    yield hook
    hook.uninstall()


def ask(hook: CeleryHook | HueyHook) -> dict[str, QueueDepth]:
    (probe,) = hook.probes()
    try:
        return {depth.queue: depth for depth in probe.ask()}
    finally:
        probe.close()


def test_an_empty_queue_has_depth_and_age_zero(hook: CeleryHook) -> None:
    depth = ask(hook)["celery"]
    assert (depth.connection, depth.ready, depth.reserved, depth.scheduled, depth.running) == ("depths", 0, 0, 0, None)
    assert depth.oldest_age == 0.0


def test_ready_jobs_of_all_priorities_are_counted_with_the_age_of_the_oldest(app: Celery, hook: CeleryHook) -> None:
    before = time.time()
    for priority in (0, 3, 9):
        app.send_task("t", priority=priority)
    app.send_task("t", queue="letters")
    depths = ask(hook)
    assert depths["celery"].ready == 3
    assert depths["letters"].ready == 1
    age = depths["celery"].oldest_age
    assert age is not None
    assert 0 < age <= time.time() - before


def test_a_job_that_is_not_due_has_no_age(app: Celery, hook: CeleryHook) -> None:
    app.send_task("t", countdown=3600)
    assert ask(hook)["celery"].oldest_age == 0.0


def test_the_age_is_unknown_when_a_job_does_not_say(app: Celery, hook: CeleryHook) -> None:
    app.send_task("t")
    hook.uninstall()
    app.send_task("t", priority=9)
    hook.install()
    depth = ask(hook)["celery"]
    assert depth.ready == 2
    assert depth.oldest_age is None


def test_fetched_jobs_are_reserved_or_scheduled(app: Celery, hook: CeleryHook) -> None:
    app.send_task("t")
    app.send_task("t", countdown=3600)
    app.send_task("t", queue="letters")
    app.send_task("t")
    with app.connection_for_read() as connection, connection.channel() as channel:
        for queue in ("celery", "celery", "letters"):
            assert channel.basic_get(queue) is not None
        depths = ask(hook)
        channel.qos.restore_at_shutdown = False
    assert (depths["celery"].ready, depths["celery"].reserved, depths["celery"].scheduled) == (1, 1, 1)
    assert (depths["letters"].ready, depths["letters"].reserved, depths["letters"].scheduled) == (0, 1, 0)
    assert depths["letters"].due_in is None


def test_the_nearest_eta_of_the_fetched_jobs_says_when_the_next_is_due(app: Celery, hook: CeleryHook) -> None:
    for countdown in (7200, 3600, 5400):
        app.send_task("t", countdown=countdown)
    app.send_task("t", queue="letters", countdown=600)
    before = time.time()
    with app.connection_for_read() as connection, connection.channel() as channel:
        for queue in ("celery", "celery", "celery", "letters"):
            assert channel.basic_get(queue) is not None
        depths = ask(hook)
        channel.qos.restore_at_shutdown = False
    due = {queue: depth.due_in for queue, depth in depths.items()}
    assert due["celery"] is not None
    assert due["letters"] is not None
    passed = time.time() - before + 1
    assert 3600 - passed < due["celery"] <= 3600
    assert 600 - passed < due["letters"] <= 600


def test_too_many_fetched_jobs_are_not_looked_at(app: Celery, hook: CeleryHook, redis: RedisServer) -> None:
    client = redis_library.Redis.from_url(redis.url)
    client.hset("unacked", mapping={str(number): json.dumps([{}, "", "celery"]) for number in range(1001)})
    depth = ask(hook)["celery"]
    assert (depth.ready, depth.reserved, depth.scheduled) == (0, None, None)


def test_a_key_prefix_is_honoured(app: Celery, hook: CeleryHook) -> None:
    app.conf.broker_transport_options = {"global_keyprefix": "team:"}
    app.send_task("t")
    assert ask(hook)["celery"].ready == 1


def test_queues_seen_by_publishing_are_asked_too(app: Celery, hook: CeleryHook) -> None:
    assert "new" not in ask(hook)
    app.send_task("t", queue="new")
    assert ask(hook)["new"].ready == 1


def test_a_broker_that_is_away_raises_and_works_again_later(app: Celery, hook: CeleryHook, redis: RedisServer) -> None:
    (probe,) = hook.probes()
    redis.kill()
    try:
        with pytest.raises(redis_library.ConnectionError):
            probe.ask()
    finally:
        redis.start()
    assert [depth.ready for depth in probe.ask() if depth.queue == "celery"] == [0]
    probe.abandon()
    assert len(probe.ask()) >= 2
    probe.close()


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://:pw@example.org:7000/3", {"host": "example.org", "port": 7000, "db": 3, "password": "pw"}),
        ("redis://me:p%2Fw@example.org//2", {"username": "me", "password": "p/w", "port": 6379, "db": 2}),
        ("redis://", {"host": "localhost", "port": 6379, "db": 0}),
        ("rediss://example.org/0?ssl_cert_reqs=none", {"ssl": True, "host": "example.org"}),
        ("redis+socket:///run/redis.sock?virtual_host=4", {"unix_socket_path": "/run/redis.sock", "db": 4}),
    ],
)
def test_the_brokers_url_becomes_the_parameters_of_our_own_client(url: str, expected: dict[str, Any]) -> None:
    parameters = redis_parameters(Celery("x", broker=url, set_as_current=False))
    assert isinstance(parameters, dict)
    assert {name: parameters.get(name) for name in expected} == expected
    redis_library.Redis(**parameters)


@pytest.mark.parametrize("url", ["amqp://guest@localhost//", "memory://", "sentinel://localhost:26379"])
def test_other_brokers_are_not_asked_and_the_reason_is_shown(url: str, tmp_path: Path) -> None:
    hook = CeleryHook(Celery("x", broker=url, set_as_current=False), context(tmp_path))
    assert hook.probes() == ()
    assert any("only redis" in finding for finding in hook.findings())


# Huey


@pytest.fixture
def huey(tmp_path: Path) -> SqliteHuey:
    huey = SqliteHuey("mail", filename=str(tmp_path / "huey.db"), fsync=False)

    @huey.task()
    def work() -> None:
        pass

    huey.work = work
    return huey


@pytest.fixture
def huey_hook(huey: SqliteHuey, tmp_path: Path) -> Iterator[HueyHook]:
    hook = HueyHook(huey, context(tmp_path))
    hook.install()
    yield hook
    hook.uninstall()


def test_a_huey_queue_has_depth_and_age(huey: SqliteHuey, huey_hook: HueyHook) -> None:
    empty = ask(huey_hook)["mail"]
    assert (empty.ready, empty.oldest_age, empty.due_in) == (0, 0.0, None)
    before = time.time()
    huey.work()
    huey.work()
    huey.add_schedule(huey.work.s(delay=3600))
    huey.add_schedule(huey.work.s(eta=datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)))
    depth = ask(huey_hook)["mail"]
    assert (depth.connection, depth.ready, depth.scheduled, depth.reserved) == ("huey", 3, 1, None)
    assert depth.due_in is not None
    assert 3600 - (time.time() - before) - 1 < depth.due_in <= 3600
    assert depth.oldest_age is not None
    assert 0 < depth.oldest_age <= time.time() - before


def test_the_age_is_unknown_when_the_oldest_row_has_no_stamp(huey: SqliteHuey, huey_hook: HueyHook) -> None:
    huey_hook.uninstall()
    huey.work()
    huey_hook.install()
    huey.work()
    (probe,) = huey_hook.probes()
    assert probe.local
    assert (probe.ask()[0].ready, probe.ask()[0].oldest_age) == (2, None)
    huey.dequeue()
    assert probe.ask()[0].oldest_age is not None
    probe.close()


def test_the_probe_reads_only(huey: SqliteHuey, huey_hook: HueyHook) -> None:
    (probe,) = huey_hook.probes()
    assert isinstance(probe, SqliteDepth)
    probe.ask()
    client = probe._client
    assert client is not None
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        client.execute("delete from task")
    probe.abandon()
    assert probe.ask()[0].ready == 0
    probe.close()


def test_a_relative_file_is_found_after_a_change_of_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    huey = SqliteHuey("mail", filename="relative.db")
    hook = HueyHook(huey, context(tmp_path))
    (probe,) = hook.probes()
    os.chdir("/")
    assert probe.ask()[0].ready == 0
    probe.close()


def test_a_storage_in_memory_is_not_asked_and_the_reason_is_shown(tmp_path: Path) -> None:
    for huey in (MemoryHuey("m"), SqliteHuey("m", filename=":memory:")):
        hook = HueyHook(huey, context(tmp_path))
        assert hook.probes() == ()
        assert any("only SQLite" in finding for finding in hook.findings())


def test_importing_the_core_and_the_contract_loads_no_job_library() -> None:
    code = (
        "import sys, queue_metrics.hooks.base, queue_metrics.hooks.custom;"
        "print([m for m in ('celery', 'huey', 'redis', 'sqlite3', 'asyncio') if m in sys.modules])"
    )
    paths = os.pathsep.join(path for path in sys.path if path)
    done = subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": paths}, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_probe_is_the_same_each_time(hook: CeleryHook, huey_hook: HueyHook) -> None:
    assert list(hook.probes()) == list(hook.probes())
    assert list(huey_hook.probes()) == list(huey_hook.probes())
    assert isinstance(hook.probes()[0], RedisDepth)
    assert not hook.probes()[0].local
