"""
Kills processes that execute jobs, at random, and counts those that died of it.

Every other kill, by chance, waits for a process that is in a job: on a busy machine a pool is idle most of the time, and kills of the
idle show little.
"""

from __future__ import annotations

import os
import random
import signal
import time
from contextlib import suppress
from pathlib import Path

from queue_metrics.demo.ledger import Ledger


class Killer:
    """SIGKILL for a random process of the pool about every `every` seconds."""

    def __init__(self, pool: Path, ledger: Ledger, every: float, chance: random.Random) -> None:
        """
        Args:
            pool: a directory with a file for each process that ever executed jobs, named by its pid.
            ledger: knows who is in a job.
        """
        self.kills = 0
        self._pool = pool
        self._ledger = ledger
        self._every = every
        self._chance = chance
        self._next = time.monotonic() + every
        self._at_work = True  # whether the next one is to be in a job

    def turn(self, main: int) -> None:
        """Kill a child of the worker's main process, if one is due and there is one."""
        if time.monotonic() < self._next:
            return
        living = [pid for pid in self._announced() if _is_living_child(pid, main)]
        if self._at_work:
            living = [pid for pid in living if self._ledger.runs(pid)]
        if living:
            self._next = time.monotonic() + self._every * self._chance.uniform(0.5, 1.5)
            self._at_work = self._chance.random() < 0.5
            pid = self._chance.choice(living)
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                self.kills += 1

    def _announced(self) -> list[int]:
        with suppress(FileNotFoundError):
            return sorted(int(name) for name in os.listdir(self._pool))
        return []


def _is_living_child(pid: int, main: int) -> bool:
    try:
        # The name in parentheses may hold anything, spaces and parentheses too.
        state, parent = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:2]
    except OSError:
        return False
    return int(parent) == main and state not in "ZX"
