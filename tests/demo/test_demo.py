"""The demo against real workers: exact without and with kills, wrong when something is broken, gone without a trace."""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
import urllib.request
from pathlib import Path

import pytest

from tests.demo.running import Ended, eventually, line_with, processes_with, run, started
from tests.support.patience import PATIENCE
from tests.support.servers import binary

pytestmark = pytest.mark.long

SCALE = float(os.environ.get("QM_TEST_SCALE", "1"))
KEYS = [
    "jobs", "begun", "ended", "started", "succeeded", "failed", "retried", "timed_out", "cancelled", "lost", "discarded", "kills",
    "store_requests", "flushes", "wall_seconds", "exact",
]  # fmt: skip
FAULTS = str(Path(__file__).parent / "faults")


def assert_exact(ended: Ended, jobs: int) -> None:
    answer = ended.answer
    assert list(answer) == KEYS
    assert list(answer["ended"]) == ["ok", "raised", "retry", "timeout"]
    assert (answer["exact"], ended.code) == (True, 0), ended.err
    assert answer["jobs"] == jobs
    assert answer["discarded"] == answer["cancelled"] == 0


def test_a_run_with_huey_is_exact(tmp_path: Path) -> None:
    """Everything that began is counted once, in the outcome it had; few requests were needed for that."""
    jobs = int(80 * SCALE) or 20
    ended = run(tmp_path, "--jobs", str(jobs), "--json")
    assert_exact(ended, jobs)
    answer = ended.answer
    assert answer["kills"] == answer["lost"] == 0
    assert answer["started"] == answer["begun"] == jobs + answer["retried"]
    assert 0 < answer["flushes"] <= answer["store_requests"]


def test_a_run_with_kills_is_exact(tmp_path: Path) -> None:
    """Processes of the pool are killed for about 20 seconds: what they ran is lost, and nothing else."""
    jobs = int(350 * SCALE) or 60
    ended = run(tmp_path, "--jobs", str(jobs), "--json", "--kill-every", "0.5")
    assert_exact(ended, jobs)
    answer = ended.answer
    assert answer["kills"] > 0
    assert 0 < answer["lost"] <= answer["kills"]


def test_a_run_with_celery_is_exact(tmp_path: Path) -> None:
    """Celery prefork on a redis-server of the demo's own."""
    binary("redis-server")
    jobs = int(60 * SCALE) or 20
    assert_exact(run(tmp_path, "--jobs", str(jobs), "--json", "--library", "celery"), jobs)


def test_a_celery_run_with_kills_is_exact(tmp_path: Path) -> None:
    binary("redis-server")
    jobs = int(150 * SCALE) or 40
    ended = run(tmp_path, "--jobs", str(jobs), "--json", "--library", "celery", "--kill-every", "0.7")
    assert_exact(ended, jobs)
    assert ended.answer["lost"] > 0


@pytest.mark.parametrize("fault", ["start", "end", "double"])
def test_a_fault_turns_the_exit_code_to_1(tmp_path: Path, fault: str) -> None:
    """A dropped record, a swallowed END, a doubled batch: each is found."""
    path = os.pathsep.join(filter(None, (FAULTS, os.environ.get("PYTHONPATH"))))
    ended = run(tmp_path, "--jobs", "12", "--json", extra={"QM_DEMO_FAULT": fault, "PYTHONPATH": path})
    assert (ended.code, ended.answer["exact"]) == (1, False), ended.err
    assert "BROKEN" in ended.err


def test_numbers_from_before_in_a_store_are_not_counted_again(tmp_path: Path) -> None:
    """A store that outlives the run is named on the command line, and used twice."""
    store = tmp_path / "kept.db"
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    for _ in range(2):
        assert_exact(run(temporary, "--jobs", "5", "--json", "--store", f"sqlite:///{store}"), 5)
    with sqlite3.connect(store) as connection:
        assert connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] > 0
    connection.close()


def test_kept_files_stay_and_are_not_mixed_with_another_run(tmp_path: Path) -> None:
    temporary, kept = tmp_path / "temporary", tmp_path / "kept"
    temporary.mkdir()
    assert_exact(run(temporary, "--jobs", "5", "--json", "--keep", str(kept)), 5)
    assert (kept / "metrics.db").exists()
    again = run(temporary, "--jobs", "5", "--json", "--keep", str(kept))
    assert (again.code, list(json.loads(again.out))) == (2, ["error"])
    assert "not empty" in again.err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_endless_demo_serves_its_page_and_leaves_nothing_behind(tmp_path: Path, number: signal.Signals) -> None:
    """The port it was given is taken, so the page is on the next; a signal ends every process and removes every file."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with started(tmp_path, "--port", str(port), "--workers", "2") as process:
            address = line_with(process, "page").split()[1]
            assert not address.endswith(f":{port}/")

            def recorded() -> bool:
                with urllib.request.urlopen(f"{address}v1/tasks", timeout=PATIENCE) as answer:
                    return "shop.send_mail" in json.dumps(json.load(answer))

            eventually(recorded, "a task on the page")
            process.send_signal(number)
            assert process.wait(timeout=PATIENCE) == 0
    assert list(tmp_path.iterdir()) == []
    assert processes_with(str(tmp_path)) == []


def test_a_killed_demo_leaves_no_process(tmp_path: Path) -> None:
    """Not even the pool of its worker, which would otherwise live on and take jobs for ever."""
    with started(tmp_path, "--workers", "2", "--port", "0") as process:
        # producer, and the worker with its scheduler and two processes of the pool
        eventually(lambda: len(processes_with(str(tmp_path))) >= 5, "all processes of the demo")
        process.kill()
        process.wait()
        eventually(lambda: processes_with(str(tmp_path)) == [], "no process left")


@pytest.mark.parametrize("library", ["huey", "celery"])
def test_a_broker_that_is_not_there_is_3_in_one_line(tmp_path: Path, library: str) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        broker = f"redis://:hunter2@127.0.0.1:{free.getsockname()[1]}/0"
    ended = run(tmp_path, "--exit", "--jobs", "2", "--library", library, "--broker", broker)
    assert ended.code == 3
    assert "cannot be used" in ended.err
    assert "Traceback" not in ended.err
    assert "hunter2" not in ended.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--store", "memory://"], "sqlite:///"),
        (["--store", "nosuch://x"], "nosuch"),
        (["--library", "celery", "--broker", "sqlite:///x"], "redis://"),
        (["--jobs", "0"], "'0'"),
        (["--jobs", "-3"], "-3"),
        (["--kill-every", "nan"], "'nan'"),
        (["--port", "70000"], "'70000'"),
        (["--library", "rq"], "huey"),
    ],
)
def test_wrong_use_says_what_would_be_right(tmp_path: Path, arguments: list[str], said: str) -> None:
    ended = run(tmp_path, "--exit", *arguments)
    assert ended.code == 2
    assert said in ended.err
    assert "Traceback" not in ended.err


def test_celery_without_a_broker_says_what_to_install(tmp_path: Path) -> None:
    ended = run(tmp_path, "--exit", "--library", "celery", extra={"PATH": str(tmp_path)})
    assert ended.code != 0
    assert "redis-server" in ended.err
    assert "--broker" in ended.err


def test_configuration_of_real_queues_is_left_alone(tmp_path: Path) -> None:
    """What the environment says about a store, or about recording at all, is not for the demo."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    real = tmp_path / "real.db"
    ended = run(
        temporary,
        *("--jobs", "3", "--json"),
        extra={"QUEUE_METRICS_STORE": f"sqlite:///{real}", "QUEUE_METRICS_ENABLED": "false"},
    )
    assert_exact(ended, 3)
    assert not real.exists()
