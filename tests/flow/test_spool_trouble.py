"""Real workers over a spool that cannot be written, is full or holds damaged files: jobs run on, and every surface says what is missing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.core.spools import Segment, T
from tests.flow import telling
from tests.flow.shown import HUEY, Place, huey_worker, until
from tests.recording.tools import environment

pytestmark = pytest.mark.long

JOBS = 40


def test_without_a_place_for_the_spool_jobs_run_on_and_the_drops_are_shown(tmp_path: Path) -> None:
    """A file where the directory should be stops root too."""
    place = Place(tmp_path / "worker", f"sqlite:///{tmp_path}/metrics.db", tmp_path / "state")
    place.state.write_text("no directory")
    with huey_worker(place) as running:
        running.run(HUEY, *["quiet"] * JOBS)
        until(running, lambda: place.begun("quiet") == JOBS, "all jobs run")
        until(running, lambda: sum(telling.dropped(place.store).values()) >= 2 * JOBS, "each START and END is told as dropped")
        assert telling.by_the_store(place.store) == {}
        (reason,) = telling.dropped(place.store)
        assert f"were dropped, so the numbers are too low: {reason}" in telling.page(place.store)
        until(running, lambda: reason in place.problems(), "the doctor knows of them")


@pytest.mark.parametrize("store", ["there", "away"])
def test_a_full_disk_stops_no_job_and_the_drops_are_shown_until_it_has_room_again(tmp_path: Path, store: str) -> None:
    """A file system of 400 KiB in a mount namespace of its own, which root and unprivileged users may have."""
    (tmp_path / "state").mkdir()
    mounted = 'mount -t tmpfs -o size=400k,mode=700 none "$1/state" && exec "$0" -m tests.flow.full_disk "$@"'
    done = subprocess.run(
        ["unshare", "--map-root-user", "--mount", "sh", "-c", mounted, sys.executable, os.fspath(tmp_path), *["away"][: store == "away"]],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    seen = json.loads(done.stdout)
    dropped = seen["dropped"]["disk_full"]
    assert 0 < seen["begun"] - seen["started"] <= dropped, "what is not counted was told as dropped"
    assert "records were dropped" in seen["problems"]
    assert "disk_full" in seen["problems"]
    assert "were dropped, so the numbers are too low: disk_full" in seen["page"]


def test_damaged_files_in_a_live_spool_are_set_aside_and_what_is_readable_is_counted(tmp_path: Path) -> None:
    place = Place(tmp_path / "worker", f"sqlite:///{tmp_path}/metrics.db", tmp_path / "state")
    task = ("broker", "default", "app.other")
    with huey_worker(place) as running:
        running.run(HUEY, "quiet")
        until(running, lambda: telling.by_the_store(place.store), "it is counted")
        (place.spool / ("ab" * 16 + ".seg")).write_bytes(b"\x13" * 8192)
        staged = tmp_path / "staged"
        staged.mkdir()
        segment = Segment(staged, 77)
        for number in range(1, 11):
            segment.start(number, T, task=task, job=str(number))
            segment.end(number, T)
        segment.raw(bytes(range(64)))
        segment.release()
        os.rename(segment.path, place.spool / segment.path.name)
        running.run(HUEY, *["quiet"] * JOBS)
        by_hand = {
            ("huey", "rough", "deeds.quiet"): {"started": JOBS + 1, "succeeded": JOBS + 1, "arrivals": JOBS + 1},
            task: {"started": 10, "succeeded": 10},
        }
        until(running, lambda: telling.by_the_store(place.store) == by_hand, "everything readable is counted")
        until(running, lambda: "1 slots of segments are damaged" in place.problems(), "the doctor knows of the slot")
        until(running, lambda: "1 segments could not be read and were set aside" in place.problems(), "and of the segment")
    assert place.begun("quiet") == JOBS + 1
    assert [path.name for path in (place.spool / "damaged").iterdir()] == ["ab" * 16 + ".seg"]
