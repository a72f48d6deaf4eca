"""What is an event and what is none: every threshold on both sides."""

from __future__ import annotations

from dataclasses import replace

import pytest

from queue_metrics.insights import changes, connect
from queue_metrics.insights.baselines import Calculated
from queue_metrics.model import QueueAnswer
from queue_metrics.model.baselines import Baseline
from queue_metrics.storage.efficiency import Counted, Counters, Crew, CrewMinute, EfficiencyRow, Spent
from queue_metrics.storage.events import ToldHealth
from queue_metrics.storage.memory import MemoryStorageDriver
from tests.collector.stored import mail
from tests.support.fleet import NOW


def queue(ready: int) -> QueueAnswer:
    driver = MemoryStorageDriver()
    mail(ready).store(driver)
    return connect(driver, now=lambda: NOW).queue("broker", "mail")


@pytest.mark.parametrize(("ready", "over"), [(0, None), (100, None), (101, 1.0), (250, 150.0)])
def test_a_queue_is_too_deep_above_a_hundred_ready_jobs(ready: int, over: float | None) -> None:
    events = changes.depth_events([queue(ready)], NOW)
    if over is None:
        assert events == []
        return
    (event,) = events
    assert (event.kind, event.at) == ("queue_depth_threshold_exceeded", NOW)
    assert set(event.data) == {"depth", "threshold", "percentage_over"}
    assert (event.data["threshold"], event.data["percentage_over"]) == (100, over)
    depth = event.data["depth"]
    assert (depth["connection"], depth["queue"], depth["pending_jobs"], depth["reserved_jobs"], depth["delayed_jobs"]) == (
        *("broker", "mail", ready),
        *(None, 3),
    )


def scored(score: int) -> QueueAnswer:
    answer = queue(0)
    return replace(answer, health=replace(answer.health, score=score))


@pytest.mark.parametrize(
    ("before", "after", "severity"),
    [
        (100, 86, None),
        (100, 85, "info"),
        (85, 100, "info"),
        (100, 81, "info"),
        (100, 80, "warning"),
        (100, 71, "warning"),
        (100, 70, "critical"),
    ],
)
def test_health_is_told_from_a_change_of_15_on(before: int, after: int, severity: str | None) -> None:
    told = {("broker", "mail"): ToldHealth(before, NOW - 60)}
    events, now_told = changes.health_events([scored(after)], told, NOW)
    if severity is None:
        assert (events, now_told) == ([], told)
        return
    (event,) = events
    assert event.data == {
        "connection": "broker",
        "queue": "mail",
        "current": after,
        "previous": before,
        "status": "healthy",
        "severity": severity,
    }
    assert now_told == {("broker", "mail"): ToldHealth(after, NOW)}


def test_a_slide_in_small_steps_is_told_too_and_a_score_of_an_hour_ago_is_forgotten() -> None:
    told: dict[tuple[str, str], ToldHealth] = {}
    heard = []
    for number, score in enumerate((100, 94, 88, 82, 76)):
        events, told = changes.health_events([scored(score)], told, NOW + 60 * number)
        heard.append([(event.data["previous"], event.data["current"]) for event in events])
    assert heard == [[], [], [], [(100, 82)], []]
    old = {("broker", "mail"): ToldHealth(100, NOW - 3601)}
    assert changes.health_events([scored(10)], old, NOW) == ([], {("broker", "mail"): ToldHealth(10, NOW)})


def row(busy: float, *, live: int = 4, at: float = NOW) -> EfficiencyRow:
    return EfficiencyRow(at, 60.0, Crew(Spent(busy, 100.0 - busy), None, None, live, 0, 0), {}, {})


def minute_of(busy: float, at: float = NOW - 60) -> CrewMinute:
    return CrewMinute(at, 60.0, row(busy).all)


def counters(*idle_shares: float) -> Counters:
    workers = {str(number): Counted(Spent(60 * (1 - share), 60 * share), Spent(0.0, 0.0)) for number, share in enumerate(idle_shares)}
    return Counters(NOW, NOW - 60, workers)


@pytest.mark.parametrize(("before", "after", "fires"), [(50.0, 59.9, False), (50.0, 60.0, True), (60.0, 50.0, True), (60.0, 50.1, False)])
def test_efficiency_is_told_from_ten_points_on(before: float, after: float, fires: bool) -> None:
    events = changes.efficiency_events(minute_of(before), row(after), counters(0.81, 0.8), NOW)
    assert [event.data for event in events] == [
        {"current": after, "previous": before, "change": 10.0, "active": 4, "idle": 1, "advice": "maintain"} for _ in range(fires)
    ]


def test_efficiency_is_not_compared_over_a_gap() -> None:
    assert changes.efficiency_events(minute_of(10.0, NOW - 121), row(90.0), counters(), NOW) == []
    assert len(changes.efficiency_events(minute_of(10.0, NOW - 120), row(90.0), counters(), NOW)) == 1
    assert changes.efficiency_events(None, row(90.0), counters(), NOW) == []


@pytest.mark.parametrize(
    ("busy", "active", "idle", "advice"),
    [
        (90.0, 10, 0, "maintain"),
        (90.1, 10, 0, "scale_up"),
        (99.0, 10, 1, "maintain"),
        (50.0, 10, 9, "maintain"),
        (49.9, 10, 4, "scale_down"),
        (49.9, 10, 3, "maintain"),
    ],
)
def test_advice_is_in_percent_on_both_sides_of_its_thresholds(busy: float, active: int, idle: int, advice: str) -> None:
    """L22: percent was divided by 100 and compared with 90 and 50, so it always said to reduce."""
    assert changes.advice(busy, active, idle) == advice


def test_a_baseline_is_told_of_queues_and_of_tasks_that_cost_something_else() -> None:
    def made(task: str | None, changed: bool) -> Calculated:
        return Calculated(Baseline("broker", "mail", task, 0.25, 0.5, 3 * 2**20, 300, 1.0, NOW, False), changed)

    events = changes.baseline_events([made("send", False), made("bounce", True), made(None, False)], NOW)
    assert [(event.data["baseline"]["job_class"], event.data["significant_change"]) for event in events] == [("bounce", True), ("", True)]
    baseline = events[0].data["baseline"]
    assert set(events[0].data) == {"connection", "queue", "baseline", "significant_change"}
    assert {name: baseline[name] for name in ("cpu_percent_per_job", "memory_mb_per_job", "avg_duration_ms", "sample_count")} == {
        "cpu_percent_per_job": 50.0,
        "memory_mb_per_job": 3.0,
        "avg_duration_ms": 250.0,
        "sample_count": 300,
    }
    assert [event.data["significant_change"] for event in changes.baseline_events([made("send", False), made(None, False)], NOW)] == [False]
