"""What the tests of commands have in common: a place of their own, a store, and what a command said."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from queue_metrics.cli import main
from queue_metrics.insights import Metrics
from tests.support.fleet import NOW


@pytest.fixture
def of_the_fleets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of whoever runs the tests, a screen of one size, and the moment that the fleets were made for, however late it is."""
    for name in [name for name in os.environ if name.startswith("QUEUE_METRICS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("QUEUE_METRICS_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setattr("queue_metrics.cli.reading.Metrics", partial(Metrics, now=lambda: NOW))
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("LINES", "24")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def file_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/metrics.db"


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs a command: its exit code, its output, its messages."""

    def run(*arguments: str) -> tuple[int, str, str]:
        code = main(list(arguments))
        told = capsys.readouterr()
        return code, told.out, told.err

    return run
