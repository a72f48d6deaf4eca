"""Huey 3.5 with real process and thread consumers on SQLite: each way a job can go is recorded as what it was, once."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from tests.hooks.journal import NO_TIME, Journal, eventually
from tests.hooks.processes import Worker, worker
from tests.support.patience import PATIENCE

CONSUME, SEND = "tests.hooks.apps.huey_consume", "tests.hooks.apps.huey_send"
SECOND = 1_000_000

OUTCOMES = {
    "ok": ["succeeded"],
    "fail": ["failed"],
    "retries": ["retried+", "retried+", "failed"],
    "delayed_retry": ["retried+", "succeeded"],
    "retry_task": ["retried+", "succeeded"],
    "cancels": ["cancelled"],
    "cancels_for_good": ["cancelled"],
    "cancels_once": ["cancelled+", "succeeded"],
    "with_context": ["succeeded"],
    "locked": ["failed"],
    "limited": ["failed"],
    "limited_retry": ["retried+"],
    "outer": ["succeeded"],
    "ClassBased": ["succeeded"],
    "Derived": ["succeeded"],
    "late": ["succeeded"],
    "errors": ["succeeded"],
    "ok@1.5": ["succeeded"],
}
TIMED = {"times_out": ["timed_out"], "times_out_once": ["timed_out+", "succeeded"]}  # no timeouts in threads
DISCARDED = {"revoked": "revoked", "expires": "expired", "refused": "skipped"}


@dataclass
class Story:
    journal: Journal
    worker: Worker
    jobs: dict[str, list[str]]

    def begun(self, name: str) -> int:
        path = self.worker.directory / f"begun-{name}"
        return path.stat().st_size if path.exists() else 0


def started(running: Worker) -> None:
    eventually(lambda: running.said() or running.process.poll() is not None, about=running.log)
    assert running.process.poll() is None, running.log()


def finished(running: Worker, jobs: dict[str, list[str]]) -> None:
    def claim() -> bool:
        journal = Journal(running.spool)
        return all(len(journal.outcomes(job)) == len(words) and "open" not in journal.outcomes(job) for job, words in jobs.items())

    def different() -> object:
        journal = Journal(running.spool)
        return {job: journal.outcomes(job) for job, words in jobs.items() if journal.outcomes(job) != words}, running.log()[-2000:]

    eventually(claim, about=different)


@pytest.fixture(scope="module", params=["process", "thread"])
def story(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """A consumer that lives through every kind of job and is stopped gracefully."""
    directory = tmp_path_factory.mktemp(request.param)
    jobs = OUTCOMES | (TIMED if request.param == "process" else {})
    with worker(directory, CONSUME, request.param) as running:
        started(running)
        running.run(SEND, *jobs, *DISCARDED)
        finished(running, jobs)
        eventually(lambda: all(Journal(running.spool).discards(job) for job in DISCARDED), about=running.log)
        running.stop(signal.SIGINT)
        yield Story(Journal(running.spool), running, jobs)


def test_each_execution_has_the_outcome_of_its_function(story: Story) -> None:
    assert {job: story.journal.outcomes(job) for job in story.jobs} == story.jobs


def test_nested_and_direct_calls_are_no_executions(story: Story) -> None:
    assert story.begun("ok") == 2 + len(story.journal.of("START", "ok")) + len(story.journal.of("START", "ok@1.5"))
    assert story.begun("ClassBased") == 2, "once by itself, once through its subclass"
    assert len(story.journal.of("START")) == sum(map(len, story.jobs.values()))


def test_a_body_that_never_ran_is_no_success(story: Story) -> None:
    assert story.begun("locked") == story.begun("limited") == story.begun("limited_retry") == 0
    assert story.journal.exceptions("locked") == ["TaskLockedException"]
    assert story.journal.exceptions("limited") == ["RateLimitExceeded"]


@pytest.mark.parametrize(("job", "reason"), DISCARDED.items())
def test_a_job_that_never_ran_is_discarded_with_its_reason(story: Story, job: str, reason: str) -> None:
    assert story.journal.outcomes(job) == []
    assert story.journal.discards(job) == [reason]
    assert story.begun(job) == 0


def test_what_ran_is_not_discarded(story: Story) -> None:
    assert [story.journal.discards(job) for job in story.jobs] == [[]] * len(story.jobs)


def test_a_job_arrives_once_for_each_attempt(story: Story) -> None:
    """Moving a scheduled job into the queue is no arrival; a retry is, whether scheduled or at once."""
    counted = {job: [record.small for record in story.journal.of("ARRIVE", job)] for job in story.jobs}
    expected = {job: list(range(len(outcomes))) for job, outcomes in story.jobs.items()}
    expected["limited_retry"] = [0, 1]  # its second attempt waits in the schedule
    assert counted == expected


def test_attempts_are_counted_up_from_zero(story: Story) -> None:
    for job in ("retries", "retry_task", "cancels_once"):
        assert [record.small for record in story.journal.of("START", job)] == list(range(len(story.jobs[job])))


def test_wait_counts_from_the_moment_the_job_was_enqueued(story: Story) -> None:
    (arrival,) = story.journal.of("ARRIVE", "ok")
    (start,) = story.journal.of("START", "ok")
    assert abs(start.ready_at - arrival.ready_at) < SECOND
    assert start.ready_at <= start.at


def test_wait_of_a_scheduled_job_counts_from_its_eta(story: Story) -> None:
    (arrival,) = story.journal.of("ARRIVE", "ok@1.5")
    (start,) = story.journal.of("START", "ok@1.5")
    assert start.ready_at == arrival.ready_at > arrival.at + SECOND
    assert start.at >= start.ready_at


def test_wait_of_a_retry_counts_from_when_it_is_due(story: Story) -> None:
    first, second = story.journal.of("START", "delayed_retry")
    end = story.journal.end(first)
    assert end is not None
    assert second.ready_at >= end.at + 0.9 * SECOND
    again, last = story.journal.of("START", "retries")[1:]
    assert again.ready_at <= again.at <= last.ready_at <= last.at, "an immediate retry is ready at once"


def test_series_are_named_after_queue_and_task(story: Story) -> None:
    (start,) = story.journal.of("START", "ok")
    assert story.journal.series(start) == ("huey", "mail", "tests.hooks.apps.huey_app.ok")
    (start,) = story.journal.of("START", "Derived")
    assert story.journal.series(start) == ("huey", "mail", "tests.hooks.apps.huey_app.Derived")


def test_main_is_told_first_and_each_process_worker_is_a_child(story: Story) -> None:
    said = [(word, pid) for word, pid in story.worker.said() if word != "producer"]
    assert said[0] == ("main", story.worker.process.pid)
    children = [pid for word, pid in said[1:] if word == "child"]
    assert len(said) == 1 + len(children)
    assert len(children) == len(set(children))
    workers = {record.worker for record in story.journal.of("START")}
    assert len(workers) <= max(1, len(children))
    assert [word for word, pid in story.worker.said() if pid not in children][1:] == ["producer"]


def test_nothing_went_wrong_inside_the_hook(story: Story) -> None:
    assert [path.name for path in story.worker.directory.glob("begun-errors-*")] == ["begun-errors-0"]
    assert "Error occurred in receiver" not in story.worker.log()


def test_process_workers_that_leave_in_an_orderly_way_say_so(story: Story) -> None:
    children = [pid for word, pid in story.worker.said() if word == "child"]
    stopped = {record.worker for record in story.journal.of("STOP")}
    executed = {record.worker for record in story.journal.of("START")}
    assert executed <= stopped if children else not stopped


def test_a_dead_worker_leaves_its_start_open_and_orphans_go_on(tmp_path: Path) -> None:
    """SystemExit ends a process worker with a failed job, SIGKILL says nothing; without a main the workers take jobs for ever."""
    with worker(tmp_path, CONSUME, "process") as running:
        started(running)
        running.run(SEND, "exits", "killed")
        finished(running, {"exits": ["failed"]})
        eventually(lambda: Journal(running.spool).outcomes("killed") == ["open"], about=running.log)
        eventually(lambda: len([word for word, _ in running.said() if word == "child"]) >= 4, about=running.log)
        running.children()
        os.kill(running.process.pid, signal.SIGKILL)
        running.process.wait()
        running.run(SEND, "ok")
        finished(running, {"ok": ["succeeded"]})
        (start,) = Journal(running.spool).of("START", "ok")
        (record,) = [r for r in Journal(running.spool).of("WORKER") if r.worker == start.worker][:1]
        assert psutil.pid_exists(record.pid)
        assert record.flags == 2, "a child"


def test_an_interrupted_job_is_cancelled(tmp_path: Path) -> None:
    """SIGTERM does not wait for process workers: they get KeyboardInterrupt."""
    with worker(tmp_path, CONSUME, "process") as running:
        started(running)
        running.run(SEND, "long")
        eventually((tmp_path / "begun-long").exists, about=running.log)
        running.stop(signal.SIGTERM)
        assert Journal(running.spool).outcomes("long") == ["cancelled"]


def test_interrupted_threads_leave_a_hint(tmp_path: Path) -> None:
    with worker(tmp_path, CONSUME, "thread") as running:
        started(running)
        running.run(SEND, "long")
        eventually((tmp_path / "begun-long").exists, about=running.log)
        running.stop(signal.SIGTERM)
        assert Journal(running.spool).outcomes("long") == ["open"]
        assert Journal(running.spool).hints("long") == {"cancelled"}


def test_executed_by_hand_a_task_is_recorded_when_it_came_out_of_a_message(tmp_path: Path) -> None:
    """In a process that is no consumer; docs/hooks.md says so."""
    program = (
        "import huey, queue_metrics as qm\n"
        "app = huey.SqliteHuey('mail', filename='huey.db')\n"
        "handle = qm.instrument(app, store='sqlite:///metrics.db', state_dir='state')\n"
        "f = app.task()(lambda number: number)\n"
        "def started():\n"
        "    assert handle.flush(30)\n"
        "    return sum(task.counts.started for task in qm.connect('sqlite:///metrics.db').tasks())\n"
        "assert app.execute(f.s(1)) == 1\n"
        "by_hand = started()\n"
        "f(2)\n"
        "assert app.execute(app.dequeue()) == 2\n"
        "print(by_hand, started())\n"
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith("QUEUE_METRICS_")}
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**environment, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        timeout=PATIENCE,
        check=False,
    )
    assert done.stdout.split() == ["0", "1"], done.stderr


def test_compressed_messages_are_left_alone(tmp_path: Path) -> None:
    """Wait is then known for scheduled jobs only; everything else is recorded all the same."""
    with worker(tmp_path, CONSUME, "process", HOOK_TEST_WITH="compressed,periodic") as running:
        started(running)
        running.run(SEND, "ok", "retries", "ok@1.5")
        finished(running, {"ok": ["succeeded"], "retries": ["retried+"] * 2 + ["failed"], "ok@1.5": ["succeeded"]})
        eventually((tmp_path / "begun-periodic").exists, about=running.log)
        running.stop(signal.SIGINT)
    journal = Journal(running.spool)
    assert journal.of("START", "ok")[0].ready_at == NO_TIME
    assert journal.of("START", "ok@1.5")[0].ready_at == journal.of("ARRIVE", "ok@1.5")[0].ready_at
    names = [journal.series(start)[2] for start in journal.of("START")]
    assert "tests.hooks.apps.huey_app.periodic" in names
    with sqlite3.connect(tmp_path / "huey.db") as database:
        assert database.execute("select count(*) from task").fetchone() == (0,)
