"""The score from live inputs, each with what it takes; and what is wrong with the whole."""

from __future__ import annotations

from typing import Any

import pytest

from queue_metrics.insights.health import overall_health, queue_health
from queue_metrics.insights.measures import share
from queue_metrics.model import Status, WorkerCounts

NOTHING = share(0, 0)
NOBODY = WorkerCounts(starting=0, idle=0, busy=0, stopped=0, stale=0, lost=0)
SOMEBODY = WorkerCounts(starting=0, idle=1, busy=0, stopped=0, stale=0, lost=0)


@pytest.mark.parametrize(
    ("given", "score", "status"),
    [
        ({}, 100, Status.HEALTHY),
        ({"ready": 100, "age": 300.0}, 100, Status.HEALTHY),
        ({"ready": 200}, 90, Status.HEALTHY),
        ({"ready": 400}, 70, Status.WARNING),
        ({"ready": 200, "age": 900.0}, 80, Status.HEALTHY),
        ({"ready": 250, "age": 900.0}, 75, Status.WARNING),
        ({"ready": 100_000}, 70, Status.WARNING),
        ({"age": 2100.0}, 70, Status.WARNING),
        ({"failure": share(500, 1000)}, 80, Status.WARNING),
        ({"ready": 5, "workers": 0}, 80, Status.CRITICAL),
        ({"ready": 400, "age": 2100.0, "failure": share(500, 1000), "workers": 0}, 0, Status.CRITICAL),
    ],
)
def test_every_input_takes_its_points_and_says_so(given: dict[str, Any], score: int, status: Status) -> None:
    health = queue_health(**{"ready": 0, "age": None, "failure": NOTHING, "workers": 1, "starting": False, **given})
    assert (health.score, health.status) == (score, status)
    assert sum(reason.points for reason in health.reasons) == 100 - score
    assert all(reason.text.endswith(".") for reason in health.reasons)


def test_a_few_failures_prove_nothing() -> None:
    assert queue_health(0, None, share(2, 20), 1, False).status is Status.HEALTHY
    assert queue_health(0, None, share(200, 2000), 1, False).status is Status.WARNING


def test_a_queue_that_is_worked_on_has_a_worker_even_if_none_says_so() -> None:
    assert queue_health(5, None, NOTHING, 0, True).status is Status.HEALTHY


def test_a_queue_of_which_nothing_is_known_is_unknown() -> None:
    health = queue_health(None, None, NOTHING, 0, False)
    assert (health.status, health.score) == (Status.UNKNOWN, None)
    assert [reason.code for reason in health.reasons] == ["unseen"]


@pytest.mark.parametrize(
    ("age", "workers", "code"),
    [
        (5.0, SOMEBODY, None),
        (60.0, SOMEBODY, None),
        (60.1, SOMEBODY, "no_drainer"),
        (None, NOBODY, "no_drainer"),
        (500.0, WorkerCounts(starting=0, idle=0, busy=0, stopped=3, stale=0, lost=0), "all_stopped"),
        (500.0, WorkerCounts(starting=0, idle=0, busy=0, stopped=3, stale=1, lost=0), "no_drainer"),
    ],
)
def test_numbers_that_stand_still_are_told(age: float | None, workers: WorkerCounts, code: str | None) -> None:
    health = overall_health(
        queues=(), failure=NOTHING, workers=workers, drainer_age=age, stale_seconds=60.0, dropped=None, unreadable=0, recorded=True
    )
    found = {reason.code for reason in health.reasons} - {"workers_stale"}
    assert found == ({code} if code else set())
    assert (health.status is Status.CRITICAL) == (code == "no_drainer")


@pytest.mark.parametrize(("stale", "code"), [(0, "all_stopped"), (1, "no_drainer")])
def test_who_said_goodbye_left_in_good_order_also_when_its_heartbeat_has_expired(stale: int, code: str) -> None:
    workers = WorkerCounts(starting=0, idle=0, busy=0, stopped=0, stale=stale, lost=0)
    health = overall_health(
        queues=(),
        failure=NOTHING,
        workers=workers,
        drainer_age=7_200.0,
        stale_seconds=60.0,
        dropped=None,
        unreadable=0,
        recorded=True,
        goodbye=True,
    )
    assert health.reasons[0].code == code


@pytest.mark.parametrize("age", [None, 1.0, 5000.0])
def test_a_store_with_nothing_in_it_is_unknown_also_when_an_agent_came_and_went(age: float | None) -> None:
    health = overall_health(
        queues=(), failure=NOTHING, workers=NOBODY, drainer_age=age, stale_seconds=60.0, dropped=None, unreadable=0, recorded=False
    )
    assert (health.status, health.score, [reason.code for reason in health.reasons]) == (Status.UNKNOWN, None, ["empty"])


def test_an_empty_store_is_no_excuse_for_dropped_records() -> None:
    health = overall_health(
        queues=(), failure=NOTHING, workers=NOBODY, drainer_age=1.0, stale_seconds=60.0, dropped={"full": 1}, unreadable=0, recorded=False
    )
    assert (health.status, [reason.code for reason in health.reasons]) == (Status.CRITICAL, ["dropped"])


def test_dropped_records_are_critical_and_come_first() -> None:
    health = overall_health(
        queues=(),
        failure=share(300, 1000),
        workers=WorkerCounts(starting=0, idle=1, busy=0, stopped=0, stale=2, lost=1),
        drainer_age=1.0,
        stale_seconds=60.0,
        dropped={"spool_full": 1200, "overflow": 3},
        unreadable=2,
        recorded=True,
    )
    assert [reason.code for reason in health.reasons] == ["dropped", "workers_lost", "failures", "workers_stale", "heartbeats_unreadable"]
    assert health.reasons[0].text == "Records were dropped, so the numbers are too low: overflow 3, spool_full 1,200."
    assert health.status is Status.CRITICAL


def test_jobs_that_arrive_where_no_worker_was_ever_started_are_critical_though_nobody_can_ask_the_broker() -> None:
    health = queue_health(None, None, NOTHING, 0, False, unstarted=45)
    assert health.status is Status.CRITICAL
    assert "45 jobs arrived, none was started" in health.reasons[0].text
    assert queue_health(None, None, NOTHING, 1, False, unstarted=45).status is Status.UNKNOWN, "a worker is there and may begin"
    assert queue_health(0, None, NOTHING, 0, False, unstarted=45).status is Status.HEALTHY, "the broker says that none is left"
