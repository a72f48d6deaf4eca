"""Who drains: one at a time, the next one after a kill, an orphan when its main is gone, and nothing lost or doubled by that."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from queue_metrics import _core
from queue_metrics.recording.runtime import Runtime
from tests.recording.tools import Program, counts, eventually, settings_for, size
from tests.support.servers import RedisServer
from tests.support.sql_servers import MariaDBServer, PostgreSQLServer


def finish(tmp_path: Path, store: str) -> dict[str, int]:
    """Drain what is left, by this process, and count."""
    runtime = Runtime(settings_for(tmp_path, store), grace=0.5)  # no END is still on its way: every writer is dead
    try:
        eventually(lambda: runtime.flush(1.0) and runtime.drain.elected and runtime.drain.status()["open"] == 0, "all is closed")
    finally:
        runtime.stop()
    return counts(store)


def test_of_two_mains_one_drains_and_the_other_takes_over_when_that_is_killed(tmp_path: Path) -> None:
    settings = settings_for(tmp_path)
    with Program(tmp_path, settings.store, jobs=100) as one, Program(tmp_path, settings.store, jobs=100) as two:
        one.ready()
        two.ready()
        eventually(lambda: one.ask("draining", "draining") or two.ask("draining", "draining"), "somebody drains")
        first, second = (one, two) if one.ask("draining", "draining") else (two, one)
        assert not second.ask("draining", "draining")
        first.kill()
        eventually(lambda: second.ask("draining", "draining"), "the other drains")
        assert second.ask("flush", "flushed")
        assert counts(settings.store)["started"] == counts(settings.store)["succeeded"] == 200


def test_a_flush_of_a_process_that_does_not_drain_waits_for_the_one_that_does(tmp_path: Path) -> None:
    settings = settings_for(tmp_path)
    with Program(tmp_path, settings.store, jobs=1) as one, Program(tmp_path, settings.store, jobs=100) as two:
        one.ready()
        two.ready()
        eventually(lambda: one.ask("draining", "draining") or two.ask("draining", "draining"), "somebody drains")
        second = two if one.ask("draining", "draining") else one
        assert second.ask("flush", "flushed")
        assert counts(settings.store)["started"] == 101


SERVERS: dict[str, Callable[[Path], Any]] = {
    "redis": RedisServer,
    "postgresql": lambda _: PostgreSQLServer(),
    "mariadb": lambda _: MariaDBServer(),
}


@pytest.mark.parametrize("kind", ["sqlite", *SERVERS])
def test_an_orphan_drains_when_its_main_is_killed_and_the_counts_are_those_of_the_jobs(kind: str, tmp_path: Path) -> None:
    with SERVERS[kind](tmp_path) if kind in SERVERS else contextlib.nullcontext() as server:
        store = settings_for(tmp_path).store if server is None else server.url
        with Program(tmp_path, store, children=3) as program:
            program.ready()
            eventually(lambda: counts(store)["succeeded"] > 20, "the main drains")
            program.kill()
            at_the_kill = counts(store)["succeeded"]
            eventually(lambda: counts(store)["succeeded"] > at_the_kill + 200, "an orphan drains")
            os.kill(program.children[0], signal.SIGKILL)
            os.kill(program.children[1], signal.SIGKILL)
            before = counts(store)["succeeded"]
            eventually(lambda: counts(store)["succeeded"] > before + 200, "the last orphan drains")
        found = finish(tmp_path, store)
    begun, ended = size(tmp_path / "begun"), size(tmp_path / "ended")
    assert found["started"] == found["succeeded"] + found["lost"]
    assert begun <= found["started"] <= begun + found["lost"]
    assert found["succeeded"] <= ended <= found["succeeded"] + found["lost"]
    assert found["lost"] <= 3


def test_a_child_whose_main_lives_does_not_drain(tmp_path: Path) -> None:
    settings = settings_for(tmp_path)
    with Program(tmp_path, settings.store, children=2, child_jobs=50) as program:
        program.ready()
        program.hear("child_done")
        program.hear("child_done")
        assert program.ask("flush", "flushed")
        assert program.ask("draining", "draining")
        assert counts(settings.store)["succeeded"] == 100


def test_a_killed_child_beside_living_siblings_is_called_lost(tmp_path: Path) -> None:
    settings = settings_for(tmp_path)
    runtime = Runtime(settings, grace=0.5)
    try:
        runtime.on_main()
        pid = os.fork()
        if pid == 0:
            handle = runtime.recorder.series("c", "q", "t", _core.CLOCK_PROCESS)
            runtime.recorder.started(handle, "unfinished", 0, _core.NO_TIME)
            os.kill(os.getpid(), signal.SIGKILL)
        os.waitpid(pid, 0)
        eventually(lambda: counts(settings.store)["lost"] == 1, "it is called lost")
        assert counts(settings.store)["started"] == 1
    finally:
        runtime.stop()


def test_an_agent_wins_and_a_worker_drains_again_when_it_ends(tmp_path: Path) -> None:
    settings = settings_for(tmp_path)
    with Program(tmp_path, settings.store, jobs=50) as worker:
        worker.ready()
        eventually(lambda: worker.ask("draining", "draining"), "the worker drains")
        agent = Runtime(settings, agent=True)
        try:
            agent.on_producer()
            eventually(lambda: agent.drain.elected, "the agent drains")
            assert not worker.ask("draining", "draining")
            assert agent.flush(30)
            assert counts(settings.store)["succeeded"] == 50
        finally:
            agent.stop()
        eventually(lambda: worker.ask("draining", "draining"), "the worker drains again")


def test_no_kill_of_drainers_and_children_at_random_moments_loses_or_doubles_anything(tmp_path: Path) -> None:
    settings = settings_for(tmp_path)
    rounds = 3 * int(os.environ.get("QM_TEST_SCALE", "1"))
    for _ in range(rounds):
        with Program(tmp_path, settings.store, children=2) as program:
            program.ready()
            before = counts(settings.store)["succeeded"]
            eventually(lambda seen=before: counts(settings.store)["succeeded"] > seen + 50, "jobs are counted")  # type: ignore[misc]
    found = finish(tmp_path, settings.store)
    begun, ended = size(tmp_path / "begun"), size(tmp_path / "ended")
    assert found["started"] == found["succeeded"] + found["lost"]
    assert begun <= found["started"] <= begun + found["lost"]
    assert found["succeeded"] <= ended <= found["succeeded"] + found["lost"]
    assert found["lost"] <= 2 * rounds
