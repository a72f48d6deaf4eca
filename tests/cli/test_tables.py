"""`queue-metrics migrate` and `schema`: the tables of a store, made, brought up to date, and told."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from pathlib import Path

import pytest

from queue_metrics.cli import main
from queue_metrics.storage import DatabaseStorageDriver
from tests.storage.batches import A, everything, ones, opened, send, series, starts
from tests.storage.test_sqlite_schema import first_schema


def test_a_dry_run_says_what_is_missing_and_the_command_does_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "metrics.db"
    first_schema(path)
    url = f"sqlite:///{path}"
    assert main(["migrate", "--store", url, "--dry-run", "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert (told["store"], told["dry_run"], [one["number"] for one in told["migrations"]]) == (url, True, [2])
    with contextlib.closing(sqlite3.connect(path)) as raw:
        assert raw.execute("SELECT value FROM queue_metrics_keys WHERE name = 'schema'").fetchone() == (b"1",)
    assert main(["migrate", "--store", url]) == 0
    assert "0002 general: applied" in capsys.readouterr().out
    assert main(["migrate", "--store", url, "--dry-run"]) == 0
    assert "up to date" in capsys.readouterr().out


def test_a_store_without_tables_has_nothing_to_migrate(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["migrate", "--store", "memory://"]) == 2
    assert "nothing to migrate" in capsys.readouterr().err


def test_what_is_printed_makes_a_store(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema", "--dialect", "sqlite", "--prefix", "mine"]) == 0
    with contextlib.closing(sqlite3.connect(tmp_path / "metrics.db")) as raw:
        raw.executescript(capsys.readouterr().out)
    with opened(f"sqlite:///{tmp_path}/metrics.db", "mine") as driver:
        assert isinstance(driver, DatabaseStorageDriver)
        assert driver.migrate() == []
        send(driver, everything(A, ones()))
        assert starts(driver, series(A)) == 1


@pytest.mark.parametrize("dialect", ["sqlite", "postgresql", "mysql"])
def test_every_dialect_is_told_as_json(dialect: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema", "--dialect", dialect, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["dialect"], told["schema_version"]) == (dialect, 2)
    assert "CREATE TABLE" in told["sql"]


@pytest.mark.parametrize("arguments", [["schema"], ["schema", "--dialect", "oracle"], ["schema", "--dialect", "sqlite", "--prefix", "A;"]])
def test_wrong_use_is_2(arguments: list[str]) -> None:
    assert main(arguments) == 2
