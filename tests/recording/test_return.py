"""A store that was away and is back: hosts return at moments of their own; who asks for a flush, or leaves, does not wait for that."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

import pytest

from queue_metrics.insights import connect
from queue_metrics.storage.manager import StorageManager
from queue_metrics.storage.spools import worker_beats
from tests.recording.tools import Program, counts, eventually
from tests.support.servers import RedisServer

NEVER, WINDOW = 3600.0, 9.0
HOSTS = max(6, round(6 * float(os.environ.get("QM_TEST_SCALE", "1"))))


def host(tmp_path: Path, store: str, number: int, return_seconds: float) -> Program:
    """A process with a spool of its own, for which a store that fails at all was away."""
    directory = tmp_path / f"host-{number}"
    directory.mkdir()
    return Program(directory, store, jobs=1, pace={"OUTAGE_SECONDS": 0.0, "RETURN_SECONDS": return_seconds})


def knows_of_the_outage(program: Program) -> bool:
    return program.ask("failing", "failing") is not None


def test_hosts_return_at_moments_of_their_own(tmp_path: Path) -> None:
    """All lose the store in one moment and all have something for it; between the first and the last to return lies some time."""
    with RedisServer(tmp_path) as server, contextlib.ExitStack() as stack:
        programs = [stack.enter_context(host(tmp_path, server.url, number, WINDOW)) for number in range(HOSTS)]
        for program in programs:
            program.ready()
            assert program.ask("flush", "flushed")
        server.kill()
        for program in programs:
            eventually(lambda program=program: knows_of_the_outage(program), "the outage is known")  # type: ignore[misc]
            assert program.ask("job", "ran")
        server.start()
        seen: list[float] = []

        def returned() -> bool:
            with contextlib.suppress(Exception):
                if (found := counts(server.url)["succeeded"]) > HOSTS:
                    seen.append(time.monotonic())
                return found == 2 * HOSTS
            return False

        eventually(returned, "all have returned")
        assert seen[-1] - seen[0] > WINDOW / 6, "by chance so soon after each other once in 1,500 times; a busy machine is only slower"


@pytest.mark.parametrize("how", ["a flush is asked for", "the process leaves"])
def test_who_asks_and_who_leaves_does_not_wait_for_its_moment(tmp_path: Path, how: str) -> None:
    with RedisServer(tmp_path) as server, host(tmp_path, server.url, 0, NEVER) as program:
        program.ready()
        assert program.ask("flush", "flushed")
        server.kill()
        eventually(lambda: knows_of_the_outage(program), "the outage is known")
        assert program.ask("job", "ran")
        server.start()
        if how == "a flush is asked for":
            assert program.ask("flush", "flushed")
            eventually(lambda: program.ask("failing", "failing") is None, "the trouble is over")
        else:
            assert program.leave() == 0, program.errors()
        assert counts(server.url)["succeeded"] == 2


def test_an_idle_host_knows_that_the_store_is_still_away(tmp_path: Path) -> None:
    """It has nothing to count, so no batch fails; its heartbeats do. One trouble, not a new one with each try."""
    with RedisServer(tmp_path) as server:
        directory = tmp_path / "idle"
        directory.mkdir()
        with Program(directory, server.url, jobs=1) as program:
            program.ready()
            assert program.ask("flush", "flushed")
            server.kill()
            eventually(lambda: (program.ask("failing", "failing") or 0.0) > 3.0, "the trouble goes on for longer than two tries")
            server.start()
            eventually(lambda: program.ask("failing", "failing") is None, "the trouble is over")
        assert StorageManager().open(server.url).read_heartbeats()


def silent_states(store: str, silent: int, spoken: int) -> set[str] | None:
    """States of the workers of one program, when they are older than two seconds while the other speaks; else None."""
    metrics = connect(store, stale_seconds=1, lost_seconds=2)
    found = {each.pid: each for each in metrics.workers()}
    if {silent, spoken} <= found.keys() and found[silent].last_seen_seconds > 2 and found[spoken].last_seen_seconds < 1:
        return {found[silent].state}
    return None


@pytest.mark.parametrize(("away", "state"), [("the store", "idle"), ("the worker", "lost")])
def test_nobody_is_lost_where_the_store_was_away_and_no_collector_passes(tmp_path: Path, away: str, state: str) -> None:
    """The first host to return tells that it was, so that the others are waited for; a host that is silent by itself is lost."""
    with RedisServer(tmp_path) as server, contextlib.ExitStack() as stack:
        quick, slow = (stack.enter_context(host(tmp_path, server.url, number, pause)) for number, pause in enumerate((0.5, NEVER)))
        for program in (quick, slow):
            program.ready()
            assert program.ask("flush", "flushed")
        eventually(lambda: len(worker_beats(StorageManager().open(server.url).read_heartbeats())) == 2, "both are there")
        if away == "the store":
            server.stop()
            for program in (quick, slow):
                eventually(lambda program=program: knows_of_the_outage(program), "the outage is known")  # type: ignore[misc]
            server.start()
        else:
            os.kill(slow.pid, signal.SIGSTOP)
        assert eventually(lambda: silent_states(server.url, slow.pid, quick.pid), "one is silent, the other speaks") == {state}
