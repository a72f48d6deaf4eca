"""Whom the demo kills: at first, and by chance every other time, only who is in a job."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from queue_metrics.demo.killer import Killer
from queue_metrics.demo.ledger import OK, Ledger
from tests.core.writing import until


@pytest.fixture
def pool(tmp_path: Path) -> Iterator[list[int]]:
    """Three processes that executed jobs; the last is in one now."""
    (tmp_path / "pool").mkdir()
    ledger, pids = Ledger(tmp_path / "ledger"), []
    for number in range(3):
        pid = os.fork()
        if pid == 0:
            try:
                ledger.begun()
                if number < 2:
                    ledger.ended(OK)
                (tmp_path / "pool" / str(os.getpid())).touch()
                signal.pause()
            finally:
                os._exit(1)
        pids.append(pid)
    until(lambda: len(os.listdir(tmp_path / "pool")) == 3)
    yield pids
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def dead(pid: int) -> bool:
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def test_a_kill_that_waits_for_a_job_passes_over_the_idle(tmp_path: Path, pool: list[int]) -> None:
    ledger = Ledger(tmp_path / "ledger")
    killer = Killer(tmp_path / "pool", ledger, 0.0, random.Random(0))
    killer.turn(os.getpid())
    until(lambda: dead(pool[2]))
    assert (killer.kills, dead(pool[0]), dead(pool[1])) == (1, False, False)


def test_nobody_is_killed_while_none_is_in_a_job_and_then_it_is_still_due(tmp_path: Path, pool: list[int]) -> None:
    ledger = Ledger(tmp_path / "ledger")
    os.kill(pool[2], signal.SIGKILL)
    until(lambda: dead(pool[2]))
    killer = Killer(tmp_path / "pool", ledger, 0.0, random.Random(0))
    for _ in range(20):
        killer.turn(os.getpid())
    assert killer.kills == 0
    (tmp_path / "ledger" / f"in-{pool[0]}").touch()
    killer.turn(os.getpid())
    until(lambda: dead(pool[0]))
    assert killer.kills == 1


def test_the_idle_are_killed_too(tmp_path: Path, pool: list[int]) -> None:
    killer = Killer(tmp_path / "pool", Ledger(tmp_path / "ledger"), 0.0, random.Random(1))  # whose next kill may hit anybody
    killer.turn(os.getpid())
    until(lambda: dead(pool[2]))
    killer.turn(os.getpid())
    until(lambda: dead(pool[0]) or dead(pool[1]))
    assert killer.kills == 2
