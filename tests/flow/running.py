"""A trial (`tests.flow.trial`) beside other tests."""

from __future__ import annotations

import os
from pathlib import Path

from tests.support.aside import Aside

MORE_THAN_ENOUGH = 240.0
"""Seconds that a trial may take beyond its trouble; a guard against hangs."""


class Running(Aside):
    """One trial in a directory of its own."""

    def __init__(self, name: str, directory: Path, seconds: float, seed: int) -> None:
        words = (os.fspath(directory), name, str(seconds), str(seed))
        super().__init__(name, "tests.flow.trial", *words, log=directory / "trial.err", seconds=seconds + MORE_THAN_ENOUGH)
