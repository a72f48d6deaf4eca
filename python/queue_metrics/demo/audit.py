"""
Compares what is in the store with what really ran: `python -m queue_metrics.demo.audit DIRECTORY` prints one JSON object.

A process of its own, which ran no job: it trusts the store, the ledger and the empty broker, and nothing that was in memory.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from queue_metrics import _core
from queue_metrics.demo.ledger import OK, RAISED, RETRY, TIMEOUT, Ledger
from queue_metrics.demo.options import CONNECTION, Options
from queue_metrics.storage import StorageManager
from queue_metrics.storage.base import TASK, StorageDriver

# The counters of a stored value, by their numbers in docs/stored-values.md.
COUNTERS: Final[Mapping[str, tuple[int, ...]]] = {
    "started": (0,),
    "succeeded": (1,),
    "failed": (2,),
    "retried": (3,),
    "timed_out": (4,),
    "cancelled": (5,),
    "lost": (6,),
    "discarded": (11, 12, 13, 14, 15),
}
# Which outcome is recorded for a body that left in which way.
OUTCOME_OF_FATE: Final = {OK: "succeeded", RAISED: "failed", RETRY: "retried", TIMEOUT: "timed_out"}
LEAST_HITS: Final = 0.25
"""Share of the kills that must have hit a running job, else the run shows nothing."""


@dataclass(frozen=True, slots=True)
class Equation:
    """One promise, with the numbers put in, and whether it holds."""

    promise: str
    numbers: str
    holds: bool


def counted(driver: StorageDriver) -> dict[str, int]:
    """What a store has counted, ever, for the demo's tasks."""
    sums = dict.fromkeys(COUNTERS, 0)
    ours = [series.id for series in driver.known_series() if series.kind == TASK and series.labels[0] == CONNECTION]
    for total in driver.read_totals(ours).values():
        value = _core.Value.decode(total)
        for name, indexes in COUNTERS.items():
            sums[name] += sum(value.counter(index) for index in indexes)
    return sums


def equations(jobs: int, begun: int, ended: Mapping[str, int], counts: Mapping[str, int], kills: int) -> list[Equation]:
    """Every promise about the numbers of a run that ended with an empty broker, schedule and spool."""
    started, lost, retried = counts["started"], counts["lost"], counts["retried"]
    finished = sum(counts[name] for name in ("succeeded", "failed", "retried", "timed_out", "cancelled"))
    first_attempts = started - retried
    total_ended = sum(ended.values())
    checks = [
        Equation("started = finished + lost", f"{started} = {finished} + {lost}", started == finished + lost),
        Equation("begun <= started <= begun + lost", f"{begun} <= {started} <= {begun} + {lost}", begun <= started <= begun + lost),
        Equation("lost <= kills", f"{lost} <= {kills}", lost <= kills),
    ]
    for fate, outcome in OUTCOME_OF_FATE.items():
        checks.append(
            Equation(
                f"{outcome} <= ended_{fate} <= {outcome} + lost",
                f"{counts[outcome]} <= {ended[fate]} <= {counts[outcome]} + {lost}",
                counts[outcome] <= ended[fate] <= counts[outcome] + lost,
            )
        )
    if kills:
        checks += [
            Equation(
                "jobs - kills <= started - retried <= jobs",
                f"{jobs} - {kills} <= {first_attempts} <= {jobs}",
                jobs - kills <= first_attempts <= jobs,
            ),
            Equation("a quarter of the kills hit a running job", f"{lost} of {kills}", lost >= LEAST_HITS * kills),
        ]
    else:
        checks += [
            Equation(
                "started = begun = ended",
                f"{started} = {begun} = {total_ended}",
                started == begun == total_ended,
            ),
            Equation("started - retried = jobs", f"{started} - {retried} = {jobs}", first_attempts == jobs),
        ]
    return checks


def report(options: Options, run: Mapping[str, Any]) -> dict[str, Any]:
    """
    The answer of a run.

    Args:
        run: what the demo knows: `kills`, `wall_seconds`, `store_requests`, `flushes`, `before` (counts in the store before it), `left`
            (what was left at its end, in words).
    """
    ledger = Ledger(options.ledger)
    driver = StorageManager().open(options.store)
    try:
        now = counted(driver)
    finally:
        driver.close()
    counts = {name: now[name] - run["before"][name] for name in COUNTERS}
    jobs, begun, ended, kills = ledger.count("sent"), ledger.count("begun"), ledger.ends(), int(run["kills"])
    checks = equations(jobs, begun, ended, counts, kills)
    checks.append(Equation("broker, schedule, executions and spool are empty", run["left"] or "nothing left", not run["left"]))
    answer: dict[str, Any] = {"jobs": jobs, "begun": begun, "ended": ended, **counts, "kills": kills}
    answer |= {name: run[name] for name in ("store_requests", "flushes", "wall_seconds")}
    answer["exact"] = all(check.holds for check in checks)
    return {"answer": answer, "equations": [[check.promise, check.numbers, check.holds] for check in checks]}


def main() -> int:
    """Print the report of the run in a directory."""
    directory = sys.argv[1]
    run = json.loads((Path(directory) / "run.json").read_text())
    print(json.dumps(report(Options.load(directory), run)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
