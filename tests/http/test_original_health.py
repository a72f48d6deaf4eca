"""The original's health of a queue, rows 38 and 39: every limit on both sides, and worked out again from what the answer shows."""

from __future__ import annotations

from typing import Any

import pytest

from queue_metrics.http import asgi_app
from queue_metrics.insights.health import original_score, original_status
from queue_metrics.model import Status
from queue_metrics.storage.memory import MemoryStorageDriver
from tests.http.asking import ask
from tests.support.fleet import NOW, Fleet, minute


@pytest.mark.parametrize(
    ("depth", "age", "failures", "workers", "score"),
    [
        (0, None, None, 0, 100),
        (100, 300.0, 0.0, 1, 100),
        (101, None, None, 1, 99.9),
        (109, None, None, 1, 99.1),
        (399, None, None, 1, 70.1),
        (400, None, None, 1, 70),
        (9_000, None, None, 1, 70),
        (1, 301.0, None, 1, 100 - 1 / 60),
        (1, 330.0, None, 1, 99.5),
        (1, 2_099.0, None, 1, 70 + 1 / 60),
        (1, 2_100.0, None, 1, 70),
        (1, 90_000.0, None, 1, 70),
        (0, None, 0.04, 1, 96),
        (0, None, 0.1, 1, 90),
        (0, None, 0.199, 1, 80.1),
        (0, None, 0.2, 1, 80),
        (0, None, 0.5, 1, 80),
        (0, None, None, 1, 100),
        (1, None, None, 1, 100),
        (1, None, None, 0, 80),
        (None, None, 0.0, 0, 100),
        (400, 2_100.0, 0.5, 0, 0),
        (9_000, 90_000.0, 1.0, 0, 0),
    ],
)
def test_each_part_of_the_score(depth: int | None, age: float | None, failures: float | None, workers: int, score: float) -> None:
    assert original_score(depth, age, failures, workers) == pytest.approx(score)


@pytest.mark.parametrize(
    ("score", "status"),
    [
        (100.0, Status.HEALTHY),
        (80.0, Status.HEALTHY),
        (79.99, Status.WARNING),
        (50.0, Status.WARNING),
        (49.99, Status.CRITICAL),
        (0.0, Status.CRITICAL),
        (None, Status.UNKNOWN),
    ],
)
def test_the_status_is_of_the_score_alone(score: float | None, status: Status) -> None:
    assert original_status(score) is status


def health(ready: int | None, ended: dict[str, int], back: int, workers: int) -> tuple[Any, Any]:
    """Of the root, and of `/v1`."""
    fleet, driver = Fleet(), MemoryStorageDriver()
    gauges = None if ready is None else {0: [(int((NOW - 5) * 1e6), ready)]}
    fleet.queue(("broker", "mail"), minute(0), gauges=gauges)
    fleet.queue(("broker", "mail"), minute(90), counts={"started": 98, "succeeded": 98})
    fleet.queue(("broker", "mail"), minute(back), counts={"started": sum(ended.values()), **ended})
    for pid in range(workers):
        fleet.worker(pid=10 + pid, connection="broker", queue="mail")
    fleet.store(driver)
    app = asgi_app(driver, now=lambda: NOW)
    return ask(app, "/queues/broker/mail").json()["data"], ask(app, "/v1/queues/broker/mail").json()


def test_the_rate_that_is_shown_is_the_one_that_is_scored() -> None:
    """Two of four failed in the last hour, two of 102 ever: a queue that is failing now is not well for its past."""
    root, _ = health(0, {"succeeded": 2, "failed": 2}, 5, workers=1)
    assert (root["health"]["failure_rate"], root["health"]["score"], root["health"]["status"]) == (50, 80, "healthy")
    assert root["failure_rate"] == 1.96
    root, _ = health(0, {"succeeded": 9, "failed": 1}, 5, workers=1)
    assert (root["health"]["failure_rate"], root["health"]["score"]) == (10, 90)


def test_failures_of_long_ago_take_nothing() -> None:
    root, _ = health(0, {"failed": 98}, 80, workers=1)
    assert (root["health"]["failure_rate"], root["health"]["score"], root["failure_rate"]) == (None, 100, 50)


def test_where_ours_is_stricter_it_is_under_v1() -> None:
    """A backlog without a worker loses 20 points, which the original still calls healthy."""
    root, ours = health(5, {"succeeded": 1}, 5, workers=0)
    assert (root["health"]["score"], root["health"]["status"]) == (80, "healthy")
    assert (ours["health"]["score"], ours["health"]["status"]) == (80, "critical")


def test_a_queue_of_which_nothing_is_known_is_unknown() -> None:
    root, _ = health(None, {"succeeded": 1}, 80, workers=0)
    assert (root["health"]["score"], root["health"]["status"]) == (None, "unknown")
