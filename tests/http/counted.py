"""What endpoints of the original must answer about an invented fleet, counted in plain Python."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Any

import pytest

from queue_metrics.http import asgi_app
from tests.http.asking import ROUTES, ask
from tests.http.invented import DECIDED, OLDEST, Aged, Invented, Job, invent
from tests.support.fleet import NOW

SEEDS = range(8)
MB = 1 << 20
NAMED = {"class": "app.send", "connection": "broker", "queue": "mail"}


@cache
def world(seed: int) -> tuple[Invented, Aged, Any]:
    known, driver = invent(seed)
    return known, driver, asgi_app(driver, now=lambda: NOW)


def told(seed: int, path: str) -> Any:
    known, _, app = world(seed)
    bare = path.partition("?")[0]
    answer = ask(app, path.format_map({**NAMED, "id": next(iter(known.workers)).replace(":", "%3A")}), method=ROUTES[bare].method)
    assert answer.status == 200, (path, answer.text)
    return answer.json()


def iso(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="seconds")


def failures(jobs: Sequence[Job]) -> int:
    return sum(job.outcome in ("failed", "timed_out", "lost") for job in jobs)


def succeeded(jobs: Sequence[Job]) -> int:
    return sum(job.outcome == "succeeded" for job in jobs)


def rate(jobs: Sequence[Job]) -> float | None:
    decided = sum(job.outcome in DECIDED for job in jobs)
    return round(100 * failures(jobs) / decided, 2) if decided else None


def mean(numbers: Sequence[float], scale: float) -> Any:
    return pytest.approx(statistics.fmean(numbers) / scale, abs=0.006)


def quantile(numbers: Sequence[float], ratio: float, scale: float) -> Any:
    """Between the neighbours of the rank, 2 % beyond them: what a sketch may say."""
    ordered = sorted(numbers)
    at = ratio * (len(ordered) - 1)
    low, high = ordered[int(at)] * 0.98 / scale, ordered[min(int(at) + 1, len(ordered) - 1)] * 1.02 / scale
    return pytest.approx((low + high) / 2, abs=(high - low) / 2 + 0.01)


def lately(jobs: Sequence[Job], minutes: int) -> list[Job]:
    """Of the last so many whole minutes: NOW is in the middle of one, which is not whole."""
    return [job for job in jobs if 1 <= job.back <= minutes]


def per_minute(count: int, minutes: int) -> float:
    return round(count / minutes, 2)


def observed_per_minute(count: int) -> float:
    """By the time since recording began."""
    return round(count / (60 * OLDEST + 30) * 60, 2)


def live(known: Invented, connection: str, queue: str) -> list[dict[str, Any]]:
    serving = [each for each in known.workers.values() if (each["connection"], each["queue"]) == (connection, queue)]
    return [each for each in serving if each["state"] in ("idle", "busy") and each["age"] <= 60]


def busy_now(workers: Sequence[dict[str, Any]]) -> float | None:
    return round(100 * sum(each["state"] == "busy" for each in workers) / len(workers), 2) if workers else None


def busy_ever(workers: Sequence[dict[str, Any]]) -> Any:
    busy, idle = (sum(each[name] for each in workers) for name in ("busy", "idle"))
    return pytest.approx(100 * busy / (busy + idle), abs=0.006) if workers else None


def state_of(worker: dict[str, Any]) -> str:
    if worker["state"] in ("stopped",):
        return "stopped"
    return "crashed" if worker["state"] == "lost" or worker["age"] > 60 else str(worker["state"])


def about(moment: float) -> set[str]:
    """A moment is told in whole seconds."""
    return {iso(moment), iso(moment - 0.001), iso(moment + 0.001)}


def check_baseline(known: Invented, entry: dict[str, Any], *labels: str) -> None:
    (usual,) = (each for each in known.baselines if each.labels == labels)
    assert entry == {
        "connection": usual.connection,
        "queue": usual.queue,
        "job_class": usual.task,
        "cpu_percent_per_job": round((usual.cpu_ratio or 0) * 100, 2),
        "memory_mb_per_job": round((usual.memory_bytes or 0) / MB, 2),
        "avg_duration_ms": round(usual.duration_seconds * 1000, 2),
        "sample_count": usual.sample_count,
        "confidence_score": usual.confidence,
        "calculated_at": iso(usual.calculated_at),
    }
