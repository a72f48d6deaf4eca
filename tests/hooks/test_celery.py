"""Celery 5.7 with a real prefork pool on a real Redis: each way a job can go is recorded as what it was, once."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.hooks.apps.celery_names import HOSTILE
from tests.hooks.journal import NO_TIME, Journal, eventually
from tests.hooks.processes import Worker, worker
from tests.support.servers import RedisServer

APP = ("celery", "-A", "tests.hooks.apps.celery_app", "worker", "--without-gossip", "--without-mingle", "-l", "INFO")
SEND = "tests.hooks.apps.celery_send"
SECOND = 1_000_000

PLAIN = [
    "ok", "fail", "retry", "autoretry", "ignore", "reject", "requeue", "soft", "unencodable", "body_cannot_encode", "needs_arguments",
    "outer", "recursive", "shared", "own_call", "class_based", "late", "hostile", "errors",
]  # fmt: skip
DEADLY = ["hard", "killed", "exits", "vanishes"]


def send(task: str, job: str | None = None, arguments: list[Any] | None = None, **options: Any) -> list[Any]:
    return ["send", job or task, task, arguments or [], options]


@dataclass
class Story:
    """What is left of a worker and its jobs."""

    journal: Journal
    worker: Worker

    def begun(self, name: str) -> int:
        path = self.worker.directory / f"begun-{name}"
        return path.stat().st_size if path.exists() else 0


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server


def ready(running: Worker) -> None:
    eventually(lambda: " ready." in running.log() or running.process.poll() is not None, about=running.log)
    assert running.process.poll() is None, running.log()


def ended(running: Worker, *jobs: str) -> None:
    """Wait until each job has as many ends as starts, and at least one."""

    def claim() -> bool:
        journal = Journal(running.spool)
        return all(journal.outcomes(job) and "open" not in journal.outcomes(job) for job in jobs)

    eventually(claim, about=lambda: ({job: Journal(running.spool).outcomes(job) for job in jobs}, running.log()[-3000:]))


@pytest.fixture(scope="module")
def story(redis: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """One prefork worker that lives through every kind of job, and is stopped warmly."""
    directory = tmp_path_factory.mktemp("prefork")
    with worker(directory, *APP, "-P", "prefork", "-c", "3", HOOK_TEST_BROKER=redis.url) as running:
        ready(running)
        plan = [
            ["revoke", "revoked", None, None, None],
            send("ok", "revoked"),
            send("ok", "expired", expires=-10),
            send("ok", "countdown", countdown=1.5),
            send("nobody.knows", "unknown"),
            send("long", "terminated", ["terminated"]),
            *(send(task) for task in PLAIN),
        ]
        running.run(SEND, json.dumps(plan))
        eventually((directory / "begun-terminated").exists, about=running.log)
        running.run(SEND, json.dumps([["terminate", "terminated", None, None, None], *(send(task) for task in DEADLY)]))
        ended(running, "countdown", "exits", *PLAIN)
        eventually(lambda: len(Journal(running.spool).outcomes("retry")) == 2)
        eventually(lambda: Journal(running.spool).of("HINT", "killed"), about=running.log)
        eventually(lambda: Journal(running.spool).of("HINT", "vanishes"), about=running.log)
        eventually(lambda: Journal(running.spool).of("HINT", "terminated"), about=running.log)
        eventually(lambda: Journal(running.spool).of("HINT", "hard"), about=running.log)
        running.stop(signal.SIGTERM)
        yield Story(Journal(running.spool), running)


@pytest.mark.parametrize(
    ("job", "outcomes"),
    [
        ("ok", ["succeeded"]),
        ("fail", ["failed"]),
        ("retry", ["retried+", "succeeded"]),
        ("autoretry", ["retried+", "failed"]),
        ("ignore", ["succeeded"]),
        ("reject", ["failed"]),
        ("requeue", ["retried+", "succeeded"]),
        ("soft", ["timed_out"]),
        ("exits", ["failed"]),
        ("needs_arguments", ["failed"]),
        ("unencodable", ["succeeded"]),
        ("body_cannot_encode", ["failed"]),
        ("shared", ["succeeded"]),
        ("own_call", ["succeeded"]),
        ("class_based", ["succeeded"]),
        ("late", ["succeeded"]),
        ("hostile", ["succeeded"]),
        ("countdown", ["succeeded"]),
    ],
)
def test_each_execution_has_the_outcome_of_its_function(story: Story, job: str, outcomes: list[str]) -> None:
    assert story.journal.outcomes(job) == outcomes


def test_the_exception_is_named(story: Story) -> None:
    assert story.journal.exceptions("fail") == ["ValueError"]
    assert story.journal.exceptions("soft") == ["SoftTimeLimitExceeded"]
    assert story.journal.exceptions("ok") == [None]


def test_direct_calls_recursion_and_apply_inside_a_task_are_no_executions(story: Story) -> None:
    assert story.journal.outcomes("outer") == ["succeeded"]
    assert story.journal.outcomes("recursive") == ["succeeded"]
    assert story.journal.outcomes("nested") == []
    ok = [start for start in story.journal.of("START") if story.journal.series(start)[2] == "ok"]
    assert len(ok) == 2, "ok itself and its countdown"
    assert story.begun("ok") == len(ok) + 3, "three of the calls were made inside outer"


def test_a_class_with_its_own_call_runs_once(story: Story) -> None:
    assert story.begun("own_call") == story.begun("own_call_body") == 1


@pytest.mark.parametrize(("job", "reason"), [("revoked", "revoked"), ("expired", "expired"), ("unknown", "unknown")])
def test_a_job_that_never_ran_is_discarded_with_its_reason(story: Story, job: str, reason: str) -> None:
    assert story.journal.outcomes(job) == []
    assert story.journal.discards(job) == [reason]


def test_a_result_that_cannot_be_stored_is_counted_once_and_apart(story: Story) -> None:
    assert story.journal.discards("unencodable") == ["result_error"]
    assert story.journal.discards("body_cannot_encode") == [], "the body itself failed to encode"
    assert story.journal.discards("fail") == []


@pytest.mark.parametrize("job", ["killed", "vanishes"])
def test_a_dead_child_leaves_its_start_open_and_main_hints_lost(story: Story, job: str) -> None:
    assert story.journal.outcomes(job) == ["open"]
    assert story.journal.hints(job) == {"lost"}


def test_a_hard_limit_is_hinted_and_the_childs_own_end_is_provisional(story: Story) -> None:
    assert story.journal.hints("hard") == {"timed_out"}
    assert story.journal.outcomes("hard") in (["cancelled?"], ["open"])


def test_a_terminated_job_is_hinted_and_the_childs_own_end_is_provisional(story: Story) -> None:
    assert story.journal.hints("terminated") == {"cancelled"}
    assert story.journal.outcomes("terminated") in (["cancelled?"], ["open"])


def test_wait_counts_from_the_moment_the_job_could_run(story: Story) -> None:
    (arrival,) = story.journal.of("ARRIVE", "countdown")
    (start,) = story.journal.of("START", "countdown")
    assert 1.4 * SECOND < arrival.ready_at - arrival.at <= 1.5 * SECOND
    assert start.ready_at == arrival.ready_at <= start.at
    (arrival,) = story.journal.of("ARRIVE", "ok")
    (start,) = story.journal.of("START", "ok")
    assert start.ready_at == arrival.ready_at <= arrival.at


def test_a_retry_arrives_again_and_waits_from_its_eta(story: Story) -> None:
    first, second = story.journal.of("ARRIVE", "retry")
    assert (first.small, second.small) == (0, 1)
    begun, again = story.journal.of("START", "retry")
    assert (begun.small, again.small) == (0, 1)
    assert again.ready_at == second.ready_at > begun.at + 0.9 * SECOND
    assert again.at >= again.ready_at


def test_every_sent_job_arrived_once_and_nothing_else(story: Story) -> None:
    arrived = [record.job for record in story.journal.of("ARRIVE")]
    assert len(set(arrived)) == len(PLAIN) + len(DEADLY) + 5
    assert len(arrived) == len(set(arrived)) + 2, "retry and autoretry twice"


def test_series_are_named_after_app_queue_and_task(story: Story) -> None:
    for kind in ("ARRIVE", "START"):
        (record,) = story.journal.of(kind, "hostile")
        assert story.journal.series(record) == ("shop", "celery", HOSTILE)
    (discard,) = story.journal.of("DISCARD", "unknown")
    assert story.journal.series(discard) == ("shop", "celery", "nobody.knows")


def test_cpu_time_is_that_of_the_child(story: Story) -> None:
    (start,) = story.journal.of("START", "ok")
    end = story.journal.end(start)
    assert end is not None
    assert 0 <= end.cpu <= end.runtime + 20_000_000  # the process clock is coarser than the wall clock


def test_main_is_told_before_any_child_and_each_executing_child_once(story: Story) -> None:
    said = story.worker.said()
    pids = {"main": story.worker.process.pid}
    words = [(word, pid) for word, pid in said if pid == pids["main"] or word == "child"]
    assert words[0] == ("main", pids["main"])
    assert [word for word, _ in words[1:]] == ["child"] * (len(words) - 1)
    children = [pid for word, pid in words if word == "child"]
    assert len(set(children)) == len(children) >= 3 + len(DEADLY)
    executing = {record.pid for record in story.journal.of("WORKER") if record.flags == 2}
    assert executing <= set(children)


def test_a_publishing_process_is_a_producer(story: Story) -> None:
    assert [word for word, pid in story.worker.said() if word == "producer"] == ["producer"] * 2


def test_nothing_went_wrong_inside_the_hook(story: Story) -> None:
    assert [path.name for path in story.worker.directory.glob("begun-errors-*")] == ["begun-errors-0"]
    assert "Signal handler" not in story.worker.log()


@pytest.mark.parametrize("how", ["sentry_before", "sentry_after", "fallback", "protocol1,named", "threads"])
def test_other_ways_to_instrument_record_the_same(redis: RedisServer, tmp_path: Path, how: str) -> None:
    """Sentry's tracer in between, an unknown tracer, the old protocol, other pools: one start and end for each execution."""
    pool = ("-P", "threads", "-c", "2") if how == "threads" else ("-P", "solo")
    jobs = ["ok", "fail", "retry", "own_call", "class_based", "shared", "late", "recursive", "outer", "errors"]
    queue = f"q-{how.partition(',')[0]}"
    with worker(tmp_path, *APP, *pool, "-Q", queue, HOOK_TEST_BROKER=redis.url, HOOK_TEST_WITH=how) as running:
        ready(running)
        running.run(SEND, json.dumps([send(job, queue=queue) for job in jobs]))
        ended(running, *jobs)
        eventually(lambda: len(Journal(running.spool).outcomes("retry")) == 2)
        ended(running, "retry")
        running.stop()
    journal = Journal(running.spool)
    failed = {"fail": ["failed"], "retry": ["retried+", "succeeded"]}
    assert {job: journal.outcomes(job) for job in jobs} == {job: failed.get(job, ["succeeded"]) for job in jobs}
    assert len(journal.of("START")) == len(jobs) + 1
    assert {journal.series(start)[:2] for start in journal.of("START")} == {("named" if "named" in how else "shop", queue)}
    assert all(start.ready_at != NO_TIME for start in journal.of("START"))
    assert [word for word, pid in running.said() if pid == running.process.pid] == ["main"]
    assert [path.name for path in tmp_path.glob("begun-errors-*")] == ["begun-errors-0"]


def test_children_that_leave_in_an_orderly_way_say_so(redis: RedisServer, tmp_path: Path) -> None:
    """
    A new child for each job: max_tasks_per_child=1, with Sentry and late acknowledgement. They leave while main lives, so Celery's own
    stop, which may hang, has no part in it. Then SIGQUIT, a cold stop, ends the running job as a provisional cancellation.
    """

    def left() -> bool:
        journal = Journal(running.spool)
        executed = {start.worker for job in jobs for start in journal.of("START", job)}
        return len(executed) == len(jobs) and executed <= {stop.worker for stop in journal.of("STOP")}

    jobs = [f"one-{number}" for number in range(4)]
    words = ("-P", "prefork", "-c", "3", "--max-tasks-per-child", "1", "-Q", "one")
    with worker(tmp_path, *APP, *words, HOOK_TEST_BROKER=redis.url, HOOK_TEST_WITH="late,sentry_before") as running:
        ready(running)
        running.run(SEND, json.dumps([*(send("ok", job, queue="one") for job in jobs), send("long", queue="one")]))
        ended(running, *jobs)
        eventually(left, about=running.log)
        eventually((tmp_path / "begun-long").exists, about=running.log)
        running.process.send_signal(signal.SIGQUIT)
        gone = running.process.poll
        eventually(lambda: "open" not in Journal(running.spool).outcomes("long") or gone() is not None, about=running.log)
    journal = Journal(running.spool)
    assert [journal.outcomes(job) for job in jobs] == [["succeeded"]] * 4
    assert journal.outcomes("long") in (["cancelled?"], ["open"])
