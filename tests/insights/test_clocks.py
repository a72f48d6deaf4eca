"""Clocks of hosts differ: what a queue's host tells is of now by the store's clock, whatever its own says."""

from __future__ import annotations

import pytest

from queue_metrics.insights import connect
from queue_metrics.insights.clocks import Clocks
from queue_metrics.insights.window import Asked
from queue_metrics.model import Overview, Status
from queue_metrics.storage.base import Beat, StorageDriver
from tests.support.fleet import NOW, Fleet, heartbeat

QUEUE = ("broker", "mail")


def told(driver: StorageDriver, off: float, *, ago: float = 0.0, host: bool = True, others: tuple[float, ...] = ()) -> Overview:
    """500 ready jobs by a host whose clock is `off` seconds ahead, asked `ago`; workers of it and of others live."""
    asked = NOW + off - ago
    fleet = Fleet()
    fleet.queue(QUEUE, int(asked) // 60 * 60, counts={"started": 1, "succeeded": 1, "arrivals": 1}, gauges={0: [(round(asked * 1e6), 500)]})
    for number, each in enumerate((off, *others) if host else ()):
        fleet.worker(host=f"web-{number}", queue="mail", seen=NOW + each, written=NOW + each)
    fleet.store(driver)
    return connect(driver, now=lambda: NOW).overview()


@pytest.mark.parametrize("off", [-250.0, -120.0, -40.0, 0.0, 20.0, 40.0, 120.0, 250.0])
def test_a_backlog_by_another_clock_is_a_backlog_of_now(driver: StorageDriver, off: float) -> None:
    whole = told(driver, off)
    queue = connect(driver, now=lambda: NOW).queue(*QUEUE)
    assert (queue.ready, queue.depth_reason, queue.health.score) == (500, None, 70)
    assert queue.depth_age_seconds == pytest.approx(0.0, abs=5.0)
    assert (whole.ready, whole.health.status, whole.health.score) == (500, Status.WARNING, 70)
    assert [reason.code for reason in whole.health.reasons] == ["queue"]


@pytest.mark.parametrize(("off", "ago"), [(-120.0, 150.0), (0.0, 150.0), (120.0, 270.0)])
def test_a_depth_that_is_old_by_every_clock_is_not_known(driver: StorageDriver, off: float, ago: float) -> None:
    """Of a clock that is ahead it is old by that much later: the reader's own may be that of who asked."""
    whole = told(driver, off, ago=ago)
    queue = connect(driver, now=lambda: NOW).queue(*QUEUE)
    assert queue.ready is None
    assert queue.depth_age_seconds == pytest.approx(150.0, abs=5.0)
    assert queue.depth_reason
    assert [(reason.code, reason.points) for reason in queue.health.reasons] == [("depth_unknown", 5)]
    assert queue.depth_reason in queue.health.reasons[0].text
    assert (whole.health.status, [(reason.code, reason.points) for reason in whole.health.reasons]) == (
        Status.WARNING,
        [("depth_unknown", 5)],
    )


@pytest.mark.parametrize(("off", "others"), [(0.0, (120.0, -120.0)), (120.0, (0.0,)), (-120.0, (0.0,))])
def test_of_hosts_that_differ_any_may_have_asked(driver: StorageDriver, off: float, others: tuple[float, ...]) -> None:
    assert told(driver, off, others=others).ready == 500


def test_a_heartbeat_that_was_stored_late_makes_no_depth_younger(driver: StorageDriver) -> None:
    fleet = Fleet()
    fleet.queue(QUEUE, int(NOW - 20) // 60 * 60, gauges={0: [(round((NOW - 20) * 1e6), 500)]})
    fleet.worker(queue="mail", seen=NOW - 25, written=NOW - 25)
    fleet.store(driver)
    assert connect(driver, now=lambda: NOW).queue(*QUEUE).depth_age_seconds == pytest.approx(20.0)


def test_a_clock_too_far_ahead_is_named_as_the_reason(driver: StorageDriver) -> None:
    told(driver, 1200.0)
    reason = connect(driver, now=lambda: NOW).queue(*QUEUE).depth_reason
    assert reason is not None
    assert "20 min" in reason
    assert "ahead" in reason
    assert "nobody" not in reason


def test_without_a_heartbeat_a_depth_shortly_ahead_is_of_now_and_one_behind_is_old(driver: StorageDriver) -> None:
    assert told(driver, 120.0, host=False).ready == 500


def test_a_depth_behind_of_which_no_host_is_known_is_a_reason_too(driver: StorageDriver) -> None:
    whole = told(driver, -120.0, host=False)
    assert whole.ready is None
    assert [reason.code for reason in connect(driver, now=lambda: NOW).queue(*QUEUE).health.reasons] == ["depth_unknown"]


def test_depths_of_many_queues_that_lapse_are_one_reason(driver: StorageDriver) -> None:
    fleet = Fleet()
    for number in range(30):
        at = NOW - 300
        fleet.queue(("broker", f"q{number}"), int(at) // 60 * 60, gauges={0: [(round(at * 1e6), 500)]})
    fleet.worker(queue="q0", seen=NOW, written=NOW)
    fleet.store(driver)
    health = connect(driver, now=lambda: NOW).health()
    assert [(reason.code, reason.points) for reason in health.reasons] == [("depth_unknown", 5)]
    assert "30 queues" in health.reasons[0].text


def test_a_depth_that_was_known_longer_ago_than_an_hour_is_not_missed(driver: StorageDriver) -> None:
    told(driver, 0.0, ago=4200.0)
    health = connect(driver, now=lambda: NOW).queue(*QUEUE, start=NOW - 6000, end=NOW - 3900).health
    assert [reason.code for reason in health.reasons] == ["unseen"]


@pytest.mark.parametrize(("late", "ready"), [(-2.0, 500), (2.0, None)])
@pytest.mark.parametrize("window", [{"minutes": 1}, {"start": NOW - 7200, "end": NOW - 5400}, {"minutes": 60}])
@pytest.mark.parametrize("stale", [30.0, 60.0, 400.0, 1800.0])
@pytest.mark.parametrize("off", [-290.0, 0.0, 290.0])
def test_a_depth_is_of_now_for_as_long_as_it_is_fresh_whatever_the_window(
    driver: StorageDriver, window: Asked, stale: float, off: float, late: float, ready: int | None
) -> None:
    """On both sides of the bound, by a clock that is right, and by one that is nearly as far off as is read."""
    # By a clock that is ahead it is old by that much later, since the reader's own may be that of who asked.
    told(driver, off, ago=stale + late + max(off, 0.0))
    metrics = connect(driver, now=lambda: NOW, stale_seconds=stale, lost_seconds=max(stale, 300.0))
    assert metrics.queue(*QUEUE, **window).ready == ready
    assert metrics.overview(**window).ready == ready
    assert metrics.scrape(**window).overview.ready == ready
    assert metrics.everything().overview.ready == ready


WINDOWS: list[Asked] = [
    *(Asked(minutes=each) for each in (1, 60, 361, 20_161)),
    *(Asked(start=NOW - first, end=NOW - last) for first, last in ((9_000, 6_600), (86_400, 3_600), (20 * 86_400, 3_600))),
]
"""By minute, hour and day; up to now, and over."""


@pytest.mark.parametrize("off", [0.0, 360.0, 1200.0, 2400.0])
@pytest.mark.parametrize("ago", [20.0, 600.0, 7260.0])
@pytest.mark.parametrize("host", [True, False])
def test_depth_its_age_and_health_are_of_now_whatever_the_window(driver: StorageDriver, off: float, ago: float, host: bool) -> None:
    """Asked lately, a while and two hours ago, by a clock that is right, and by one that is ahead by more than is read."""
    told(driver, off, ago=ago, host=host)
    metrics = connect(driver, now=lambda: NOW)
    usual, whole = metrics.queue(*QUEUE), metrics.health()
    for window in WINDOWS:
        queue = metrics.queue(*QUEUE, **window)
        assert (queue.ready, queue.depth_reason) == (usual.ready, usual.depth_reason)
        assert (queue.depth_age_seconds, queue.health) == (usual.depth_age_seconds, usual.health)
        assert metrics.health(**window).reasons == whole.reasons


def test_a_broker_that_was_asked_two_hours_ago_was_not_in_the_last_one(driver: StorageDriver) -> None:
    told(driver, 0.0, ago=7260.0)
    queue = connect(driver, now=lambda: NOW).queue(*QUEUE, start=NOW - 9_000, end=NOW - 6_600)
    assert queue.depth_age_seconds is None
    assert "in the last hour" in str(queue.depth_reason)


def test_the_youngest_heartbeat_tells_the_clock_of_a_host_and_an_agent_may_ask_for_all() -> None:
    beats = [
        Beat("a", heartbeat(host="web", connection="c", seen=NOW - 400), 100.0),
        Beat("b", heartbeat(host="web", connection="c", seen=NOW - 121), 1.0),
        Beat("c", heartbeat(host="aside", role="agent", connection="", seen=NOW + 58), 2.0),
        Beat("d", b"damaged", 0.0),
        Beat("e", heartbeat(host="unseen", connection="d"), 0.0),
    ]
    clocks = Clocks.of(beats, NOW)
    assert {connection: [round(each) for each in those] for connection, those in clocks.behind.items()} == {"c": [120]}
    assert [round(each) for each in clocks.agents] == [-60]
    assert clocks.age("c", NOW - 130) == pytest.approx(10.0)
    assert clocks.age("elsewhere", NOW + 50) == pytest.approx(10.0)
    assert clocks.ahead("elsewhere") == pytest.approx(60.0)
    assert Clocks.of([], NOW).age("c", NOW - 7) == pytest.approx(7.0)
