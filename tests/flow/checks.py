"""What must hold for a store and the logs after a trial, beside the demo's equations."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from queue_metrics import _core
from queue_metrics.demo.ledger import RETRY, Ledger
from queue_metrics.demo.options import Options
from queue_metrics.storage.base import DAY, HOUR, MINUTE, TASK
from queue_metrics.storage.manager import StorageManager
from queue_metrics.storage.spools import spool_reports

# docs/stored-values.md
COUNTERS = (
    *("started", "succeeded", "failed", "retried", "timed_out", "cancelled", "lost", "arrivals", "retries_following", "result_errors"),
    *("clock_skews", "revoked", "expired", "rejected", "skipped", "unknown"),
)
AHEAD = 86_400


class Claim(NamedTuple):
    """As `demo.audit.Equation`, in the form in which it goes from process to process."""

    promise: str
    numbers: str
    holds: bool


def broken(claims: Iterable[Sequence[Any]]) -> list[str]:
    """The claims that do not hold, with their numbers."""
    return [f"{promise}: {numbers}" for promise, numbers, holds in claims if not holds]


def stored(store: str) -> dict[int, dict[tuple[str, ...], dict[str, int]]]:
    """By step, 0 for the totals: what is counted for each (connection, queue, task), counters above 0 only."""
    driver = StorageManager().open(store)
    labels = {series.id: series.labels for series in driver.known_series() if series.kind == TASK}
    now = int(_core.clock_us() / 1e6)
    values: dict[int, dict[int, list[bytes]]] = {0: {key: [value] for key, value in driver.read_totals(list(labels)).items()}}
    for step in (MINUTE, HOUR, DAY):
        points = driver.read_series(list(labels), step, (now - AHEAD) // step * step, now + AHEAD)
        values[step] = {key: [value for _, value in found] for key, found in points.items()}
    driver.close()
    return {
        step: {labels[key]: _added(blobs) for key, blobs in found.items() if blobs}  #
        for step, found in values.items()
    }


def _added(blobs: list[bytes]) -> dict[str, int]:
    sums: Counter[str] = Counter()
    for blob in blobs:
        value = _core.Value.decode(blob)
        sums.update({name: value.counter(index) for index, name in enumerate(COUNTERS)})
    return dict(+sums)


def steps_agree(store: str) -> list[Claim]:
    """Minutes, hours, days and totals count the same."""
    total, *others = (found for _, found in sorted(stored(store).items()))
    return [Claim("minutes, hours, days and totals agree", f"{len(total)} tasks", all(other == total for other in others))]


def nothing_missing(store: str) -> list[Claim]:
    """No spool dropped a record or found one damaged: a kill may hide what a swallowed END would do to the numbers."""
    driver = StorageManager().open(store)
    reports = spool_reports(driver.read_heartbeats())
    driver.close()
    missing = sum(report.damaged + sum(report.drops.values()) for report in reports)
    return [Claim("no record damaged or dropped", f"{missing} in {len(reports)} spools", missing == 0 and len(reports) == 1)]


def arrivals(options: Options, answer: dict[str, Any]) -> list[Claim]:
    """Each job arrived once, and once more for each retry that was really enqueued."""
    arrived = sum(counts.get("arrivals", 0) for counts in stored(options.store)[0].values())
    jobs, retries = answer["jobs"], Ledger(options.ledger).ends()[RETRY]
    return [Claim("jobs <= arrivals <= jobs + retries", f"{jobs} <= {arrived} <= {jobs} + {retries}", jobs <= arrived <= jobs + retries)]


def warnings_a_minute(directory: Path, seconds: float) -> list[Claim]:
    """A process warns of its store at most once a minute, and somebody does."""
    warned: Counter[tuple[str, str]] = Counter()
    for log in directory.glob("*.log"):
        for line in log.read_text(errors="replace").splitlines():
            # A process without a configured log says the bare text.
            if found := re.match(r"(?:\S+ \S+ (\d+) queue_metrics WARNING )?queue_metrics: the store", line):
                warned[log.name, found[1] or ""] += 1
    worst, most = max(warned.values(), default=0), 1 + int(seconds // 60)
    return [Claim("0 < warnings of a process <= one a minute", f"0 < {worst} <= {most}", 0 < worst <= most)]
