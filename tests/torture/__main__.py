"""Run the failure tests for a long time: a line a test with its counts, exit code 1 when one shows a difference."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.flow.checks import broken
from tests.flow.running import Running
from tests.flow.trial import PLANS
from tests.torture.storm import storm

STORM_SHARE = 0.1
AT_ONCE = 2
"""Trials side by side; each is several processes that mostly wait."""
SHORTEST = 20.0
"""Seconds in which each trouble happens at least once, also to a slow machine."""
END_SECONDS = 20.0
"""What a trial takes besides its trouble: to start, and to count to the end."""


def trials(directory: Path, seconds: float, seed: int) -> Iterator[tuple[bool, str]]:
    """Every plan of `tests.flow.trial`, with an equal share of the time."""
    names = list(PLANS)
    turns = -(-len(names) // AT_ONCE)
    each = max(SHORTEST, seconds / turns - END_SECONDS)
    for first in range(0, len(names), AT_ONCE):
        running = [
            Running(name, directory / f"trial {name}", each, seed + number)
            for number, name in enumerate(names[first : first + AT_ONCE], first)
        ]
        try:
            for one in running:
                try:
                    answer = one.answer()
                except Exception as error:
                    yield False, f"{one.name}: did not come to an end: {error}"
                    continue
                wrong = broken(answer["claims"])
                counts = answer["answer"]
                told = ", ".join(
                    f"{counts[key]:,} {key}" for key in ("begun", "started", "succeeded", "failed", "retried", "timed_out", "lost", "kills")
                )
                yield not wrong, f"{one.name}: {each:.0f} s, {told}" + "".join(f"; BROKEN {claim}" for claim in wrong)
        finally:
            for one in running:
                one.end()


def main() -> int:
    """The time is divided among the tests; it is a guide, not a limit: each counts to its end."""
    parser = argparse.ArgumentParser(prog="python -m tests.torture", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0, metavar="N", help="about how long all tests take together (default: 600)")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="of what is random; printed, to try the same again")
    arguments = parser.parse_args()
    print(f"torture: {arguments.seconds:.0f} s, seed {arguments.seed}", flush=True)
    failed = 0
    with tempfile.TemporaryDirectory(prefix="qm-torture-", ignore_cleanup_errors=True) as name:
        directory = Path(name)
        found = storm(directory / "storm", STORM_SHARE * arguments.seconds, arguments.seed)
        counts = ", ".join(f"{count:,} {what}" for what, count in found._asdict().items())
        failed += _say(found.torn == found.outside == 0, f"children on one segment, killed while they write: {counts}")
        for fine, line in trials(directory, (1 - STORM_SHARE) * arguments.seconds, arguments.seed):
            failed += _say(fine, line)
    print(f"torture: {failed} failed" if failed else "torture: no difference")
    return 1 if failed else 0


def _say(fine: bool, line: str) -> int:
    print("ok    " if fine else "FAILED", line, flush=True)
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
