"""
A worker whose spool is on a disk that is full for a while: `python -m tests.flow.full_disk DIRECTORY` prints what was seen as JSON.

To be run in a mount namespace of its own, in which `DIRECTORY/state` is a small file system.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from tests.flow import telling
from tests.flow.shown import HUEY, Place, huey_worker, until

JOBS = 600  # more than the first mapped segment, which has its room from the beginning, can take
BEFORE = 10


def fill(path: Path) -> None:
    """Take what the file system has left."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        while os.write(descriptor, bytes(4096)):
            pass
    except OSError:
        os.close(descriptor)


def main() -> None:
    directory = Path(sys.argv[1])
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
        seen = {"begun": place.begun("quiet"), "started": started(), "dropped": telling.dropped(place.store)}
        print(json.dumps({**seen, "problems": place.problems(), "page": telling.page(place.store)}))


if __name__ == "__main__":
    main()
