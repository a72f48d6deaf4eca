"""`make torture SECONDS=n`: one line a test with its counts, exit code 1 when anything is not exact."""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
import traceback
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from queue_metrics.demo.options import LIBRARIES
from tests.demo.watched import Watched
from tests.flow.checks import broken
from tests.flow.running import Running
from tests.flow.trial import PLANS
from tests.torture import decoders, estimators, file_systems, full_disks, full_size, segment_storm, soak, torn_images
from tests.torture.outage import WHOLE_SECONDS, Outage
from tests.torture.storm import storm

TRIALS = 0.6
"""Part of the time. The trials run side by side, since mostly they wait; the storm that is drained has the rest, or ends before it."""
BESIDE = 25.0
"""Seconds that a trial takes beside its trouble: to start, and to wait for the verdicts at its end."""
SHORTEST = 20.0
"""Seconds in which each trouble of a trial happens at least once, also to a slow machine."""
SHORTEST_STORM = SHORTEST_OUTAGE = 10.0
AFTER_OUTAGE = 90.0
"""Seconds that the outage takes beside itself: to start, to catch up, and to compare."""
KILLS = 10_000
SEGMENT_STORM = 10.0
"""So many times the 2,000 kills of the suite, where there are ten minutes."""

INTERVALS = 1_000
"""Simulations of each law, autocorrelation and size, where there are ten minutes."""
TORN_IMAGES = 100.0
"""So many times the 10,000 images of each way of the suite, where there are ten minutes."""


class Report:
    """Says each result as soon as it is there, and remembers the bad ones."""

    def __init__(self) -> None:
        self.bad = 0

    def add(self, name: str, answer: Callable[[], dict[str, Any]]) -> bool:
        """Ask for a result and say it; whether it is exact."""
        try:
            found = answer()
            problems, numbers = broken(found["claims"]), _line(found["answer"])
        except Exception:
            traceback.print_exc()
            problems, numbers = ["it did not come to an end"], ""
        self.bad += bool(problems)
        print(f"{'DIFFERS' if problems else 'exact  '}  {name}: {numbers}{'; ' if problems else ''}{'; '.join(problems)}", flush=True)
        return not problems

    @staticmethod
    def omit(name: str, reason: str) -> None:
        """Say that a test cannot run here, and why; that is no result."""
        print(f"not run  {name}: {reason}", flush=True)


def _line(answer: dict[str, Any]) -> str:
    told = {name: value for name, value in answer.items() if type(value) in (int, float) and value}
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in told.items())


def torture(seconds: float, seed: int, directory: Path) -> int:
    """Run everything; returns how many tests were not exact. The files of those stay."""
    report = Report()
    trouble = max(SHORTEST, seconds * TRIALS - BESIDE)
    trials = [Running(name, directory / f"trial-{number}", trouble, seed + number) for number, name in enumerate(PLANS)]
    demos = [Watched(directory / f"demo-{library}", library) for library in LIBRARIES]
    outage = Outage(directory / "outage", min(WHOLE_SECONDS, max(SHORTEST_OUTAGE, seconds - AFTER_OUTAGE)))
    try:
        report.add("sketches merged in many orders", lambda: estimators.sketches(seed))
        report.add("points through a sliding window", lambda: estimators.window(seed))
        report.add("intervals of 90 %", lambda: estimators.intervals(max(100, round(INTERVALS * min(1.0, seconds / 600)))))
        report.add("kills inside of an append to a shared map", lambda: segment_storm.storm(min(SEGMENT_STORM, seconds / 60)))
        report.add("torn images of segments", lambda: torn_images.torn(min(TORN_IMAGES, seconds / 6)))
        for kind in full_disks.SIZES:
            _full_disk(report, kind, directory / f"disk-{kind}")
        _ways(report, directory)
        for number, part in enumerate(full_size.PARTS):
            report.add(part.name, partial(full_size.run, part, min(1.0, seconds / WHOLE_SECONDS), directory / f"part-{number}"))
        place, fuzzed = directory / "decoders", decoders.SECONDS * min(1.0, seconds / WHOLE_SECONDS)
        if report.add("any bytes for the decoders", lambda: decoders.fuzz(max(1.0, fuzzed), seed, place)):
            shutil.rmtree(place, ignore_errors=True)
        place, many = directory / "soak", round(soak.EXECUTIONS * min(1.0, seconds / WHOLE_SECONDS))
        if report.add("memory of a worker over many executions", lambda: soak.soak(place, many)):
            shutil.rmtree(place, ignore_errors=True)
        for demo in demos:
            report.add(demo.name, demo.answer)
        for number, trial in enumerate(trials):
            if report.add(trial.name, trial.answer):
                shutil.rmtree(directory / f"trial-{number}", ignore_errors=True)
        place = directory / "storm"
        rest = max(SHORTEST_STORM, seconds * (1 - TRIALS) - BESIDE)
        if report.add("kills in a shared segment, drained", lambda: storm(place, rest, KILLS, random.Random(seed))):
            shutil.rmtree(place, ignore_errors=True)
        if report.add("1,000 jobs a second without a store", outage.answer):
            shutil.rmtree(directory / "outage", ignore_errors=True)
    finally:
        for beside in (*trials, *demos, outage):
            beside.end()
    return report.bad


def _ways(report: Report, directory: Path) -> None:
    for number, kind in enumerate(file_systems.KINDS):
        if reason := file_systems.missing(kind):
            print(f"not here {kind.name}: {reason}", flush=True)
        else:
            report.add(f"appended by {kind.way} on {kind.name}", partial(file_systems.check, kind, directory / f"way-{number}"))


def _full_disk(report: Report, kind: str, place: Path) -> None:
    if reason := full_disks.missing(kind):
        report.omit(f"a full {kind}", reason)
    elif report.add(f"a full {kind}", lambda: full_disks.full_disk(kind, place)):
        shutil.rmtree(place, ignore_errors=True)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.torture", description=__doc__)
    parser.add_argument(
        "--seconds", type=float, default=720.0, help="how long all of it takes, about; ten minutes without a store need 690"
    )
    parser.add_argument("--seed", type=int, default=None, help="of the random moments; another run is never quite the same, though")
    options = parser.parse_args(arguments)
    seed = random.randrange(2**31) if options.seed is None else options.seed
    directory = Path(tempfile.mkdtemp(prefix="queue-metrics-torture-"))
    print(f"torture for {options.seconds:g} s, seed {seed}", flush=True)
    bad = torture(options.seconds, seed, directory)
    if bad:
        print(f"{bad} tests are not exact; their files are in {directory}", flush=True)
        return 1
    shutil.rmtree(directory, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
