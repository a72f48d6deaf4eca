"""Who lives, what it does, who has gone quiet: from heartbeats of any age."""

from __future__ import annotations

from typing import Any

import pytest

from queue_metrics.insights.workers import Serving, by_state, workers
from queue_metrics.model import WorkerAnswer
from queue_metrics.storage.base import Beat
from tests.support.fleet import NOW, heartbeat


def answered(*beats: Beat) -> tuple[WorkerAnswer, ...]:
    return workers(beats, NOW, stale_seconds=60.0, lost_seconds=300.0)[0]


@pytest.mark.parametrize(
    ("told", "age", "state"),
    [
        ("busy", 0.0, "busy"),
        ("busy", 60.0, "busy"),
        ("busy", 60.1, "stale"),
        ("idle", 300.0, "stale"),
        ("starting", 300.1, "lost"),
        ("stopped", 4000.0, "stopped"),
        ("lost", 1.0, "lost"),
    ],
)
def test_a_living_worker_turns_stale_then_lost_and_a_dead_one_stays_what_it_is(told: str, age: float, state: str) -> None:
    (answer,) = answered(Beat("w", heartbeat(state=told), age))
    assert answer.state == state
    assert answer.last_seen_seconds == age


def test_a_worker_busy_for_an_hour_shows_its_job_and_how_long_it_runs() -> None:
    page = heartbeat(
        state="busy",
        written=NOW - 3600,  # it writes its page between jobs only
        job_started=NOW - 3600,
        process_started=NOW - 7300,
        busy=50.0,
        idle=3650.0,
        finished=9,
        failed=2,
        rss=1000,
        rss_peak=3000,
        cpu=12.5,
        task="app.report",
        job_id="job-7",
    )
    (answer,) = answered(Beat("web-1:100:77", page, 4.0))
    assert (answer.state, answer.task, answer.job_id, answer.running) == ("busy", "app.report", "job-7", 1)
    assert answer.elapsed_seconds == pytest.approx(3596.0)
    assert answer.busy_ratio == pytest.approx((50 + 3596) / (50 + 3596 + 3650))
    assert (answer.jobs, answer.failures, answer.rss_bytes, answer.rss_peak_bytes, answer.cpu_seconds) == (9, 2, 1000, 3000, 12.5)
    assert answer.uptime_seconds == pytest.approx(7296.0)
    assert (answer.host, answer.pid, answer.library) == ("web-1", 100, "huey")


def test_what_a_heartbeat_does_not_know_is_unknown() -> None:
    (answer,) = answered(Beat("w", heartbeat(state="idle", written=NOW), 0.0))
    assert (answer.rss_bytes, answer.rss_peak_bytes, answer.cpu_seconds, answer.task, answer.job_id, answer.elapsed_seconds) == (None,) * 6
    assert answer.busy_ratio is None


@pytest.mark.parametrize(
    ("fields", "share", "reason"),
    [
        ({"cpu": 9.0, "cpu_share": (15.0, 10.0)}, 1.5, None),
        ({"cpu": 9.0, "cpu_share": (0.0, 10.0)}, 0.0, None),
        ({"cpu": 9.0}, None, "it was read once, and a share needs two readings"),
        ({"cpu": 9.0, "cpu_share": (0.0, 0.0)}, None, "it was read once, and a share needs two readings"),
        ({}, None, "its CPU time cannot be read"),
        ({"cpu": 9.0, "cpu_share": (15.0, 10.0), "state": "lost"}, None, "the process is lost"),
    ],
)
def test_the_share_of_cpu_is_of_the_last_two_readings_or_says_why_not(fields: dict[str, Any], share: float | None, reason: str) -> None:
    (answer,) = answered(Beat("w", heartbeat(**fields), 1.0))
    assert (answer.cpu_ratio, answer.cpu_reason) == (share, reason)


def test_clocks_of_two_machines_give_no_negative_times() -> None:
    (answer,) = answered(Beat("w", heartbeat(state="busy", job_started=NOW + 90, process_started=NOW + 90, written=NOW + 90), 1.0))
    assert (answer.elapsed_seconds, answer.uptime_seconds) == (0.0, 0.0)


def test_a_dead_worker_runs_nothing() -> None:
    (answer,) = answered(Beat("w", heartbeat(state="lost", running=1, job_started=NOW - 5, task="app.send", job_id="j"), 0.0))
    assert (answer.running, answer.task, answer.elapsed_seconds) == (0, None, None)


def test_only_processes_that_execute_count() -> None:
    answers = answered(
        Beat("main", heartbeat(role="main", pid=10), 0.0),
        Beat("child", heartbeat(role="child", pid=11, parent_pid=10, state="busy"), 0.0),
        Beat("solo", heartbeat(role="main", pid=20), 0.0),
        Beat("elsewhere", heartbeat(role="main", pid=10, host="web-2"), 0.0),
        Beat("producer", heartbeat(role="producer", pid=30), 0.0),
        Beat("agent", heartbeat(role="agent", pid=40), 0.0),
    )
    assert {answer.id: answer.role for answer in answers} == {
        "main": "supervisor",
        "child": "worker",
        "solo": "worker",
        "elsewhere": "worker",
        "producer": "producer",
        "agent": "agent",
    }
    assert {answer.id for answer in answers if answer.state == "up"} == {"main", "producer", "agent"}
    counted = by_state(answers)
    assert (counted.busy, counted.idle, counted.live) == (1, 2, 3)


def test_what_needs_a_look_comes_first() -> None:
    answers = answered(
        Beat("idle", heartbeat(), 0.0),
        Beat("short", heartbeat(state="busy", job_started=NOW - 1), 0.0),
        Beat("long", heartbeat(state="busy", job_started=NOW - 100), 0.0),
        Beat("stopped", heartbeat(state="stopped"), 0.0),
        Beat("quiet", heartbeat(), 100.0),
        Beat("dead", heartbeat(state="lost"), 0.0),
    )
    assert [answer.id for answer in answers] == ["dead", "quiet", "long", "short", "idle", "stopped"]


@pytest.mark.parametrize("payload", [b"", b"\x01", heartbeat()[:100], b"\xff\xff" + heartbeat()[2:], heartbeat()[:-1]])
def test_a_heartbeat_that_cannot_be_read_is_counted_and_hides_no_other(payload: bytes) -> None:
    answers, unreadable = workers([Beat("bad", payload, 0.0), Beat("good", heartbeat(), 0.0)], NOW, stale_seconds=60, lost_seconds=300)
    assert ([answer.id for answer in answers], unreadable) == (["good"], 1)


def test_the_newest_of_several_main_processes_with_one_pid_says_what_its_children_serve() -> None:
    """A container that starts again has the same pids under the same name."""
    answers = answered(
        Beat("before", heartbeat(role="main", pid=10, queue="old"), 50.0),
        Beat("now", heartbeat(role="main", pid=10, queue="mail,reports"), 1.0),
        Beat("child", heartbeat(pid=11, parent_pid=10, state="busy", queue="mail"), 1.0),
        Beat("other app", heartbeat(pid=12, parent_pid=10, queue="x", connection="b"), 1.0),
        Beat("orphan", heartbeat(pid=13, parent_pid=99, queue="x"), 1.0),
    )
    assert {answer.id: answer.queue for answer in answers if answer.id not in ("before", "now")} == {
        "child": "mail,reports",
        "other app": "x",
        "orphan": "x",
    }


def test_a_worker_serves_the_queues_that_it_names_or_all_of_its_connection() -> None:
    answers = answered(
        Beat("1", heartbeat(connection="a", queue="x,y"), 0.0),
        Beat("2", heartbeat(connection="a", queue=""), 0.0),
        Beat("3", heartbeat(connection="b", queue="x"), 0.0),
        Beat("4", heartbeat(connection="a", queue="x", state="stopped"), 0.0),
    )
    assert [[each.id for each in Serving(answers).of("a", queue)] for queue in ("x", "y", "z")] == [["1", "2"], ["1", "2"], ["2"]]
