"""The score from live inputs, each with what it takes; and what is wrong with the whole."""

from __future__ import annotations

from typing import Any

import pytest

from queue_metrics.insights import Metrics, connect
from queue_metrics.insights.health import overall_health, queue_health
from queue_metrics.insights.measures import share
from queue_metrics.insights.window import Asked
from queue_metrics.model import Health, Status, WorkerCounts
from queue_metrics.storage.base import StorageDriver
from tests.support.fleet import NOW, Fleet, minute

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


WINDOWS: list[Asked] = [{}, {"minutes": 1}, {"minutes": 1000}, {"minutes": 30_000}, {"start": NOW - 7200, "end": NOW - 5400}]


def of_every_window(metrics: Metrics) -> Health:
    """The health of the only queue, which is the same whatever window is asked about."""
    (health, *others) = (metrics.queue("broker", "mail", **window).health for window in WINDOWS)
    assert others == [health] * len(others)
    overall, *same = (metrics.health(**window) for window in WINDOWS)
    assert same == [overall] * len(same)
    return health


def test_health_is_of_now_whatever_window_is_asked_about(driver: StorageDriver) -> None:
    fleet = Fleet()
    fleet.queue(("broker", "mail"), minute(100), counts={"started": 10, "failed": 10})
    fleet.queue(("broker", "mail"), minute(4), counts={"started": 9, "succeeded": 9}, gauges={0: [(int((NOW - 5) * 1e6), 50)]})
    fleet.store(driver)
    health = of_every_window(connect(driver, now=lambda: NOW))
    assert [reason.code for reason in health.reasons] == ["no_worker"], "what failed before the last hour is no fault of now"


def test_failures_of_the_last_hour_are_of_now_and_so_is_a_depth_that_was_told_in_it(driver: StorageDriver) -> None:
    fleet = Fleet()
    fleet.queue(("broker", "mail"), minute(40), counts={"started": 10, "failed": 10}, gauges={0: [(int((NOW - 2400) * 1e6), 3)]})
    fleet.store(driver)
    health = of_every_window(connect(driver, now=lambda: NOW))
    assert [reason.code for reason in health.reasons] == ["failures", "depth_unknown"]


def test_what_arrived_and_was_not_started_in_the_last_hour_is_of_now(driver: StorageDriver) -> None:
    fleet = Fleet()
    fleet.queue(("broker", "mail"), minute(100), counts={"started": 1, "succeeded": 1})
    fleet.queue(("broker", "mail"), minute(40), counts={"arrivals": 5})
    fleet.store(driver)
    assert [reason.code for reason in of_every_window(connect(driver, now=lambda: NOW)).reasons] == ["no_worker"]
