"""The commands of the collector: what they print, and what they do to a store."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from queue_metrics.cli import main
from queue_metrics.collector import LEASE
from queue_metrics.http import asgi_app
from queue_metrics.insights import connect
from queue_metrics.model import Baseline
from queue_metrics.storage.base import StorageDriver
from queue_metrics.storage.baselines import write
from queue_metrics.storage.events import EVENTS, events_of
from queue_metrics.storage.manager import StorageManager
from tests.collector.stored import crew, general, mail
from tests.http.asking import ask
from tests.support.fleet import NOW, Fleet
from tests.support.patience import PATIENCE

pytestmark = pytest.mark.usefixtures("unconfigured")


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


def test_a_store_that_nobody_used_is_not_made_by_looking_after_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    url = f"sqlite:///{tmp_path}/never.db"
    answer = told(capsys, "record-trends", "--store", url)
    assert (answer["done"], "nothing was ever recorded" in str(answer["message"])) == (False, True)
    assert main(["calculate", "--store", url]) == 0
    assert capsys.readouterr().out.startswith("No queue was ever recorded in this store.\n  No collector has ever run, ")
    assert list(tmp_path.iterdir()) == []


def test_calculate_shows_the_last_minute_of_a_queue(store: StorageDriver, capsys: pytest.CaptureFixture[str]) -> None:
    answer = told(capsys, "calculate", "--store", store.url, "--connection", "broker", "--queue", "mail")
    assert isinstance(answer["queues"], list)
    (queue,) = answer["queues"]
    assert {name: queue[name] for name in ("connection", "queue", "ready", "failure_rate", "total_processed", "total_failed")} == {
        "connection": "broker",
        "queue": "mail",
        "ready": 250,
        "failure_rate": 0.0,
        "total_processed": 300,
        "total_failed": 0,
    }
    assert main(["calculate", "--store", store.url]) == 0
    assert "mail · broker" in capsys.readouterr().out


def test_calculate_has_the_numbers_of_the_endpoints_of_the_original(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of six executions four succeeded, one failed, one is tried again."""
    driver, now = StorageManager().open(f"sqlite:///{tmp_path}/numbers.db"), int(time.time())
    fleet, ended = Fleet(), {"started": 6, "succeeded": 4, "failed": 1, "retried": 1}
    fleet.task(("broker", "mail", "app.send"), now // 60 * 60 - 300, counts=ended, measures={0: [2_000_000] * 6})
    fleet.queue(("broker", "mail"), now // 60 * 60 - 300, counts=ended, measures={0: [2_000_000] * 6})
    fleet.store(driver)
    answer = told(capsys, "calculate", "--store", driver.url)
    assert isinstance(answer["queues"], list)
    (row,) = answer["queues"]
    assert {name: row[name] for name in ("total_processed", "total_failed", "failure_rate")} == {
        "total_processed": 4,
        "total_failed": 1,
        "failure_rate": 20.0,
    }
    assert row["last_processed_at"] == datetime.fromtimestamp(now // 60 * 60 - 300, UTC).isoformat()
    jobs = ask(asgi_app(driver), "/jobs").json()["data"]["app.send"]["execution"]
    assert {name: row[name] for name in ("total_processed", "total_failed", "failure_rate")}.items() <= jobs.items()


@pytest.mark.parametrize("command", ["calculate", "calculate-baselines"])
def test_a_queue_needs_its_connection(store: StorageDriver, capsys: pytest.CaptureFixture[str], command: str) -> None:
    assert main([command, "--store", store.url, "--queue", "mail"]) == 2
    assert "--queue needs --connection" in capsys.readouterr().err


def test_a_queue_that_nobody_knows_is_a_bad_answer(store: StorageDriver, capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("calculate", "calculate-baselines"):
        assert main([command, "--store", store.url, "--connection", "broker", "--queue", "mial"]) == 1
        assert main([command, "--store", store.url, "--connection", "brocker"]) == 1
        capsys.readouterr()


def test_calculate_baselines_obeys_the_schedule_unless_a_queue_is_named(store: StorageDriver, capsys: pytest.CaptureFixture[str]) -> None:
    before = general(store)
    trial = told(capsys, "calculate-baselines", "--dry-run", "--store", store.url)
    assert (trial["count"], trial["written"], trial["mean_confidence"], trial["next_interval_minutes"]) == (2, False, 1.0, 60)
    assert general(store) == before
    assert told(capsys, "calculate-baselines", "--store", store.url)["written"] is True
    assert told(capsys, "calculate-baselines", "--store", store.url)["count"] == 0
    named = told(capsys, "calculate-baselines", "--store", store.url, "--connection", "broker", "--queue", "mail")
    assert (named["count"], named["written"]) == (2, True)
    assert [event.kind for event in events_of(store.get_sorted_set_by_rank(EVENTS))] == ["baseline_recalculated"] * 2
    assert main(["calculate-baselines", "--store", store.url, "--connection", "broker"]) == 0
    assert "mail · send" in capsys.readouterr().out


def test_silent_workers_are_found_and_forgotten_and_one_that_beats_again_is_there_again(
    store: StorageDriver, capsys: pytest.CaptureFixture[str]
) -> None:
    (beat,) = [beat for beat in store.read_heartbeats() if beat.worker_id == "web:100:77"]
    assert main(["detect-stale-workers", "--store", store.url, "--threshold", "1000"]) == 0
    capsys.readouterr()
    deadline = time.monotonic() + PATIENCE
    while main(["detect-stale-workers", "--store", store.url, "--threshold", "1", "--json"]) == 0:
        capsys.readouterr()
        assert time.monotonic() < deadline
        time.sleep(0.1)
    found = json.loads(capsys.readouterr().out)
    assert (found["count"], found["workers"][0]["id"], found["threshold_seconds"]) == (1, "web:100:77", 1.0)
    assert told(capsys, "cleanup-stale-workers", "--store", store.url, "--threshold", "1", "--dry-run")["count"] == 1
    assert [worker.id for worker in connect(store).workers()] == ["web:100:77"]
    assert told(capsys, "cleanup-stale-workers", "--store", store.url)["count"] == 0, "by default only who is lost"
    assert told(capsys, "cleanup-stale-workers", "--store", store.url, "--threshold", "1")["count"] == 1
    assert connect(store).workers() == ()
    store.heartbeat_many([(beat.worker_id, beat.payload)], 600.0)
    assert [(worker.id, worker.state) for worker in connect(store).workers()] == [("web:100:77", "idle")]


def test_cleanup_removes_what_has_expired(store: StorageDriver, capsys: pytest.CaptureFixture[str]) -> None:
    store.heartbeat_many([(f"old:{number}", b"x") for number in range(25)], 0.001)
    old = Baseline("broker", "mail", None, 1.0, None, None, 1, 0.1, NOW - 31 * 86400, False)
    write(store, [old, replace(old, task="send", calculated_at=NOW)])
    removed = told(capsys, "cleanup", "--chunk", "10", "--store", store.url)
    assert removed == {"expired": 25, "baselines": 1}
    assert told(capsys, "cleanup", "--store", store.url) == {"expired": 0, "baselines": 0}


def test_what_looks_after_a_store_makes_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "new.db"
    for command in ("record-trends", "calculate-baselines", "detect-stale-workers", "cleanup-stale-workers", "cleanup"):
        assert main([command, "--store", f"sqlite:///{file}"]) == 0, command
        assert not file.exists(), command


@pytest.mark.parametrize("command", [["serve", "--port", "0"], ["agent"]], ids=["serve", "agent"])
def test_a_server_and_an_agent_collect(store: StorageDriver, command: list[str]) -> None:
    program = [sys.executable, "-c", "import sys; from queue_metrics.cli import main; sys.exit(main())"]
    assert not connect(store).collector().running
    running = subprocess.Popen([*program, *command, "--store", store.url], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + PATIENCE
        while not connect(store).collector().running:
            assert running.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.1)
        running.send_signal(signal.SIGTERM)
        running.wait(PATIENCE)
    finally:
        running.kill()
        running.wait()
    assert store.count_sorted_set("server_minutes:web") >= 1
    assert store.lease(LEASE, "next", 1.0), "who leaves in good order keeps nobody waiting"
