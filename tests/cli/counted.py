"""A store whose numbers were counted by hand, for the commands that read."""

from __future__ import annotations

from queue_metrics.storage.manager import StorageManager
from tests.http.asking import small_fleet
from tests.support.fleet import Fleet, minute

COLLECT = "`queue-metrics record-trends` each minute"
"""How the command is named where no collector runs."""


def filled(url: str, fleet: Fleet) -> str:
    driver = StorageManager().open(url)
    fleet.store(driver)
    driver.close()
    return url


def counted_fleet() -> Fleet:
    """The small fleet, with a server that did four jobs, one of them failed, and half an hour in which a depth grew by ten a minute."""
    fleet = small_fleet()
    fleet.server("web-1", minute(2), counts={"succeeded": 3, "failed": 1}, measures={0: [1_000_000, 3_000_000]})
    for back in range(1, 31):
        counts, gauges = {"arrivals": 20, "started": 10, "succeeded": 10}, {0: [(int((minute(back) + 30) * 1e6), 400 - back * 10)]}
        fleet.queue(("grows", "mail"), minute(back), counts=counts, gauges=gauges)
    return fleet
