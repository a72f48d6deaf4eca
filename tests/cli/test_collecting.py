"""The commands of the collector: what they print, and what they do to a store."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from queue_metrics.cli import main
from queue_metrics.collector import LEASE
from queue_metrics.storage.base import StorageDriver
from queue_metrics.storage.manager import StorageManager
from tests.collector.stored import crew, general, mail
from tests.support.fleet import NOW


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of whoever runs the tests."""
    for name in [name for name in os.environ if name.startswith("QUEUE_METRICS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("QUEUE_METRICS_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def store(tmp_path: Path) -> StorageDriver:
    """A deep queue, a task and a worker."""
    driver = StorageManager().open(f"sqlite:///{tmp_path}/m.db")
    mail(ready=250).store(driver)
    crew(driver, NOW, web=(0.0, 0.0))
    return driver


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, object]:
    assert main([*arguments, "--json"]) == 0
    found: dict[str, object] = json.loads(capsys.readouterr().out)
    return found


def test_record_trends_does_its_minute_once(store: StorageDriver, capsys: pytest.CaptureFixture[str]) -> None:
    before = general(store)
    trial = told(capsys, "record-trends", "--dry-run", "--store", store.url)
    assert (trial["done"], trial["queues"], trial["servers"], trial["baselines"]) == (False, 1, 1, 2)
    assert general(store) == before
    answers = [told(capsys, "record-trends", "--store", store.url) for _ in range(3)]
    # The three calls may fall into two minutes.
    assert answers[0]["done"] is True
    assert {answer["minute"] for answer in answers if answer["done"]} == {answer["minute"] for answer in answers}
    assert store.count_sorted_set("server_minutes:web") == len({answer["minute"] for answer in answers})
    assert main(["record-trends", "--store", store.url]) == 0
    assert "looked at 1 queues, 1 processes" in capsys.readouterr().out


def test_record_trends_leaves_it_to_the_collector_that_has_the_lease(store: StorageDriver, capsys: pytest.CaptureFixture[str]) -> None:
    assert store.lease(LEASE, "another", 60.0)
    answer = told(capsys, "record-trends", "--store", store.url)
    assert (answer["done"], "another collector" in str(answer["message"])) == (False, True)
    assert general(store) == {}


def test_record_trends_says_when_the_store_is_away(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["record-trends", "--store", "redis://127.0.0.1:1"]) == 3
    assert "queue-metrics doctor" in capsys.readouterr().err
