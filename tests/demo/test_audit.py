"""The equations of the audit: they hold for a good run, and each one is broken by the fault it is for."""

from __future__ import annotations

from typing import Any

import pytest

from queue_metrics.demo.audit import equations

ENDED = {"ok": 80, "raised": 10, "retry": 6, "timeout": 4}
COUNTS = {"started": 100, "succeeded": 80, "failed": 10, "retried": 6, "timed_out": 4, "cancelled": 0, "lost": 0, "discarded": 0}


def broken(jobs: int = 94, begun: int = 100, kills: int = 0, ended: dict[str, int] | None = None, **counts: int) -> list[str]:
    """The promises that do not hold for these numbers."""
    checks = equations(jobs, begun, {**ENDED, **(ended or {})}, {**COUNTS, **counts}, kills)
    return [check.promise for check in checks if not check.holds]


def test_a_run_without_kills_holds() -> None:
    assert broken() == []


def test_a_run_with_kills_holds_at_every_moment_a_process_can_die() -> None:
    # before the body began, while it ran, after it left and before its end was written
    assert broken(jobs=97, begun=102, kills=4, ended={"ok": 81}, started=103, lost=3) == []


@pytest.mark.parametrize(
    ("numbers", "promise"),
    [
        ({"started": 99, "succeeded": 79}, "started = begun = ended"),
        ({"succeeded": 79}, "started = finished + lost"),
        ({"started": 101, "succeeded": 81}, "succeeded <= ended_ok <= succeeded + lost"),
        ({"failed": 11, "succeeded": 79}, "failed <= ended_raised <= failed + lost"),
        ({"retried": 5, "failed": 11}, "retried <= ended_retry <= retried + lost"),
        ({"timed_out": 5, "succeeded": 79}, "timed_out <= ended_timeout <= timed_out + lost"),
        ({"jobs": 93}, "started - retried = jobs"),
        ({"lost": 1, "succeeded": 79}, "lost <= kills"),
        ({"begun": 101, "kills": 1}, "begun <= started <= begun + lost"),
        ({"jobs": 90, "kills": 3, "lost": 3, "started": 103, "begun": 103}, "jobs - kills <= started - retried <= jobs"),
        ({"jobs": 96, "kills": 9, "lost": 2, "started": 102, "begun": 102}, "a quarter of the kills hit a running job"),
    ],
)
def test_a_wrong_number_breaks_its_equation(numbers: dict[str, Any], promise: str) -> None:
    assert promise in broken(**numbers)
