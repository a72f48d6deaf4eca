"""Counts of the last minute, hour and day at the root, by hand: of no more than a window, divided by the window alone."""

from __future__ import annotations

from typing import Any

import pytest

from queue_metrics.http import asgi_app
from queue_metrics.http.app import Application
from queue_metrics.storage.memory import MemoryStorageDriver
from tests.http.asking import ask
from tests.support.fleet import NOW, Fleet, minute

PLACE = ("broker", "mail", "app.send")


def served(*ended: tuple[int, int]) -> Application:
    """An app over a store in which so many executions of 2 s ended so many minutes ago."""
    fleet, driver = Fleet(), MemoryStorageDriver()
    for back, number in ended:
        counts = {"started": number, "succeeded": number, "arrivals": number}
        fleet.task(PLACE, minute(back), counts=counts, measures={0: [2_000_000] * number})
        fleet.queue(PLACE[:2], minute(back), counts=counts, measures={0: [2_000_000] * number})
    fleet.store(driver)
    return asgi_app(driver, now=lambda: NOW)


def job(app: Application) -> Any:
    return ask(app, "/jobs").json()["data"]["app.send"]


def test_a_store_of_ten_minutes_counts_what_ran_and_blows_nothing_up() -> None:
    app = served((0, 7), (1, 100), (10, 211))
    assert job(app)["throughput"] == {"per_minute": 100, "per_hour": 311, "per_day": 318}
    trend = ask(app, "/trends/throughput/broker/mail").json()
    assert trend["statistics"]["jobs_per_hour"] == trend["statistics"]["total_jobs"] == 311
    assert [(each["window_seconds"], each["jobs_processed"], each["throughput"]) for each in job(app)["window_stats"]] == [
        (60, 100, 100),
        (300, 100, 20),
        (900, 311, 20.73),
        (3600, 311, 5.18),
        (86400, 318, 0.22),
    ]


@pytest.mark.parametrize(
    ("back", "window", "inside"),
    [
        (0, 60, False),
        (1, 60, True),
        (2, 60, False),
        (5, 300, True),
        (6, 300, False),
        (15, 900, True),
        (16, 900, False),
        (60, 3600, True),
        (61, 3600, False),
    ],
)
def test_a_window_has_its_whole_minutes_and_no_other(back: int, window: int, inside: bool) -> None:
    """NOW is in the middle of a minute, which belongs to no window of minutes yet."""
    (told,) = (each for each in job(served((back, 3)))["window_stats"] if each["window_seconds"] == window)
    assert (told["jobs_processed"], told["avg_duration"]) == ((3, 2000) if inside else (0, None))


def test_a_day_has_24_hours_with_the_open_one() -> None:
    open_hour = int(NOW) % 3600 // 60
    assert job(served((0, 3)))["throughput"]["per_day"] == 3
    assert job(served((23 * 60 + open_hour, 3)))["throughput"]["per_day"] == 3
    assert job(served((0, 1), (23 * 60 + open_hour + 1, 3)))["throughput"]["per_day"] == 1


def test_a_queue_and_the_overview_count_the_same_minute() -> None:
    app = served((0, 7), (1, 4), (2, 90))
    assert ask(app, "/queues/broker/mail").json()["data"]["throughput_per_minute"] == 4
    assert ask(app, "/queues/all").json()["data"]["broker:mail"]["performance_60s"]["throughput_per_minute"] == 4
    overview = ask(app, "/overview").json()["data"]
    assert overview["queues"]["broker:mail"]["throughput_per_minute"] == overview["jobs"]["app.send"]["throughput_per_minute"] == 4
    assert ask(app, "/jobs/app.send").json()["data"]["throughput_per_minute"] == 4
