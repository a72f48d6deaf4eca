"""A killed child beside living siblings: its execution is called lost soon, and nothing else is touched."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from tests.flow import telling
from tests.flow.shown import CELERY, HUEY, Place, celery_worker, huey_worker, until
from tests.hooks.processes import Worker
from tests.support.servers import RedisServer

SOON = 15.0
"""Seconds from a death to its verdict that are promised, ten of them for what the dead may still have said."""


def waiting_in(place: Place) -> list[int]:
    return [int(path.name.rpartition("-")[2]) for path in place.directory.glob("begun-waits-*")]


def waits(place: Place) -> dict[str, int]:
    found = [counts for labels, counts in telling.by_the_store(place.store).items() if labels[2].endswith("waits")]
    return {name: count for name, count in (found[0] if found else {}).items() if name != "arrivals"}


def test_the_execution_of_a_killed_child_is_lost_within_15_seconds_and_its_sibling_goes_on(tmp_path: Path) -> None:
    with RedisServer(tmp_path) as broker, RedisServer(tmp_path) as server:
        huey = Place(tmp_path / "huey", f"sqlite:///{tmp_path}/metrics.db", tmp_path / "state")
        celery = Place(tmp_path / "celery", server.url, tmp_path / "state")
        with huey_worker(huey) as of_huey, celery_worker(celery, broker.url) as of_celery:
            of_huey.run(HUEY, "waits", "waits")
            of_celery.run(CELERY, "waits", "waits")
            workers: list[tuple[Place, Worker, str]] = [(huey, of_huey, HUEY), (celery, of_celery, CELERY)]
            killed = {place.directory: (waited_for(place, running), time.monotonic()) for place, running, _ in workers}
            for place, running, _ in workers:
                victim, at = killed[place.directory]
                until(running, lambda place=place: waits(place).get("lost"), "lost", at + SOON - time.monotonic())  # type: ignore[misc]
                assert waits(place) == {"started": 2, "lost": 1}, "the sibling still runs"
                assert place.begun("waited") == 0
                (sibling,) = set(waiting_in(place)) - {victim}
                os.kill(sibling, 0)
            for place, running, app in workers:
                (place.directory / "go").touch()
                running.run(app, "quiet")
                until(running, lambda place=place: waits(place) == {"started": 2, "lost": 1, "succeeded": 1}, "it ends")  # type: ignore[misc]
                until(running, lambda place=place: place.begun("quiet"), "the next job runs")  # type: ignore[misc]
                assert place.begun("waited") == 1


def waited_for(place: Place, running: Worker) -> int:
    """The pid of one of two children with a job each, as it is killed."""
    until(running, lambda: len(waiting_in(place)) == 2 and waits(place) == {"started": 2}, "both children wait")
    victim = waiting_in(place)[0]
    os.kill(victim, signal.SIGKILL)
    return victim
