"""
A worker whose spool is on a disk that is full for a while: `python -m tests.flow.full_disk DIRECTORY [away]` prints what was seen as JSON.

To be run in a mount namespace of its own, in which `DIRECTORY/state` is a small file system. `away`: the store is away all the while.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from queue_metrics.recording.spool import read_reports
from tests.flow import telling
from tests.flow.shown import HUEY, Place, huey_worker, until
from tests.support.servers import RedisServer

JOBS = 1_500  # more than the first mapped segments of both children, which have their room from the beginning, can take
BEFORE = 10


def fill(path: Path) -> None:
    """Take what the file system has left."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        while os.write(descriptor, bytes(4096)):
            pass
    except OSError:
        os.close(descriptor)


def with_the_store(directory: Path) -> dict[str, Any]:
    """The store is there, and is told."""
    place = Place(directory / "worker", f"sqlite:///{directory}/metrics.db", directory / "state")
    ballast = place.state / "ballast"

    def started() -> int:
        return sum(counts.get("started", 0) for counts in telling.by_the_store(place.store).values())

    with huey_worker(place) as running:
        running.run(HUEY, *["quiet"] * BEFORE)
        until(running, lambda: started() == BEFORE, "the first jobs are counted")
        fill(ballast)
        running.run(HUEY, *["quiet"] * JOBS)
        until(running, lambda: place.begun("quiet") == BEFORE + JOBS, "jobs run on")
        until(running, lambda: telling.dropped(place.store), "drops are told")
        until(running, lambda: "disk_full" in place.problems(), "the doctor knows of them")
        while_full = started()
        ballast.unlink()

        def counted_again() -> bool:
            running.run(HUEY, "quiet")
            return started() > while_full

        until(running, counted_again, "jobs are counted again")
        return shown(place, started())


def without_a_store(directory: Path) -> dict[str, Any]:
    """What fills a spool: the store is away, so only this machine can tell, until it is back."""
    server = RedisServer(directory / "redis")
    place = Place(directory / "worker", server.url, directory / "state")
    ballast = place.state / "ballast"

    def started() -> int:
        return sum(counts.get("started", 0) for counts in telling.by_the_store(place.store).values())

    with huey_worker(place) as running:
        running.run(HUEY, *["quiet"] * BEFORE)
        until(running, lambda: place.begun("quiet") == BEFORE, "the first jobs run")
        fill(ballast)
        running.run(HUEY, *["quiet"] * JOBS)
        until(running, lambda: place.begun("quiet") == BEFORE + JOBS, "jobs run on")
        until(running, lambda: "records are dropped" in running.log(), "a log says so")
        problems = place.problems()
        assert "disk_full" not in (reported(place.spool) or {}), "there was room for a report"
        ballast.unlink()
        until(running, lambda: (reported(place.spool) or {}).get("disk_full"), "the report file tells it too, once it has room")
        with server:
            until(running, lambda: started() > 0 and telling.dropped(place.store), "the store is told of both")
            until(running, lambda: not place.doctor()["spools"][0]["waiting"], "all that waited is there")
            return {**shown(place, started()), "problems": problems}


def reported(spool: Path) -> dict[str, int] | None:
    """The drops in the report file of who drains."""
    drops: dict[str, int] | None = (read_reports(spool).get("drainer") or {}).get("drain", {}).get("drops")
    return drops


def shown(place: Place, started: int) -> dict[str, Any]:
    seen = {"begun": place.begun("quiet"), "started": started, "dropped": telling.dropped(place.store)}
    return {**seen, "problems": place.problems(), "page": telling.page(place.store)}


def main() -> None:
    directory, *away = sys.argv[1:]
    print(json.dumps((without_a_store if away else with_the_store)(Path(directory))))


if __name__ == "__main__":
    main()
