"""The original's score of a server, with its thresholds, and its advice on the number of workers. Knows samples and ratios only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from queue_metrics.insights.wording import duration, name
from queue_metrics.model import Advice, Capacity, Reason, ServerHealth, ServerSample, ServerStatus, Status


class Limits(NamedTuple):
    """From above which reading on an issue is critical or a warning, and what each takes from the score."""

    critical: float
    critical_points: int
    warning: float
    warning_points: int


CPU = Limits(0.90, 40, 0.70, 20)
MEMORY = Limits(0.90, 40, 0.80, 20)
DISK = Limits(0.95, 30, 0.85, 10)
LOAD_PER_CORE = Limits(2.0, 30, 1.5, 15)
HEALTHY_FROM, DEGRADED_FROM, WARNING_FROM = 80, 60, 40
BUSY_ABOVE, QUIET_BELOW = 0.9, 0.3
"""Busy shares, 0-1: above the one workers are missing, below the other there are more than needed."""


def server_health(sample: ServerSample | None, age: float | None, *, stale_seconds: float) -> ServerHealth:
    """
    The health of a server by its last sample; unknown, with a score of 0, without one that is fresh and tells anything.

    Args:
        sample: the last one.
        age: seconds since it arrived.
        stale_seconds: from which age on it says nothing about now.

    Source:
        The original: 100 less the points of CPU, memory, each disk, and load by cores, at least 0.
    """
    if sample is None or age is None:
        return _unknown("Nobody on this server reports how it is.")
    if age > stale_seconds:
        return _unknown(f"The last sample of this server is {duration(age)} old.")
    readings = (sample.cpu_ratio, sample.memory_ratio, sample.load_per_core, *(disk.usage_ratio for disk in sample.disks or ()))
    if all(reading is None for reading in readings):
        why = next((reason for part in (sample.cpu, sample.memory, sample.load, sample) for reason in part.unread.values()), "")
        return _unknown(f"Nothing of this server could be read{f': {why}' if why else ''}.")
    issues = sorted(_issues(sample), key=lambda issue: -issue.points)
    score = max(100 - sum(issue.points for issue in issues), 0)
    return ServerHealth(status_of(score), score, tuple(issues))


def status_of(score: int) -> ServerStatus:
    """What a score comes to."""
    if score >= HEALTHY_FROM:
        return ServerStatus.HEALTHY
    if score >= DEGRADED_FROM:
        return ServerStatus.DEGRADED
    return ServerStatus.WARNING if score >= WARNING_FROM else ServerStatus.CRITICAL


def capacity(busy_ratio: float | None) -> Capacity | None:
    """
    Whether a server has the right number of workers; None where nobody knows how busy they are.

    Args:
        busy_ratio: the busy share of its workers, 0-1.
    """
    if busy_ratio is None:
        return None
    percent = f"{busy_ratio * 100:.1f} %"
    if busy_ratio > BUSY_ABOVE:
        return Capacity(Advice.ADD, f"The workers are busy {percent} of the time: add workers or servers.", busy_ratio)
    if busy_ratio < QUIET_BELOW:
        return Capacity(Advice.REDUCE, f"The workers are busy {percent} of the time: fewer of them would do.", busy_ratio)
    return Capacity(Advice.KEEP, f"The workers are busy {percent} of the time.", busy_ratio)


def _issues(sample: ServerSample) -> Iterator[Reason]:
    yield from _issue(sample.cpu_ratio, CPU, "cpu", "CPU usage")
    yield from _issue(sample.memory_ratio, MEMORY, "memory", "memory usage")
    for disk in sample.disks or ():
        yield from _issue(disk.usage_ratio, DISK, "disk", f"disk usage on {name(disk.mountpoint)}")
    load, cores = sample.load.over_1_minute, sample.cpu.host_cores
    for severity, points in _severities(sample.load_per_core, LOAD_PER_CORE):
        text = f"{severity.capitalize()}: load average {load:.2f} on {cores} {'core' if cores == 1 else 'cores'}"
        yield Reason(severity, "load", text, points)


def _issue(reading: float | None, limits: Limits, code: str, resource: str) -> Iterator[Reason]:
    for severity, points in _severities(reading, limits):
        yield Reason(severity, code, f"{severity.capitalize()}: {resource} {100 * (reading or 0.0):.1f}%", points)


def _severities(reading: float | None, limits: Limits) -> Sequence[tuple[Status, int]]:
    """The severity and points of a reading; none where it is within its limits, or not known."""
    if reading is None or not reading > limits.warning:
        return ()
    if reading > limits.critical:
        return ((Status.CRITICAL, limits.critical_points),)
    return ((Status.WARNING, limits.warning_points),)


def _unknown(why: str) -> ServerHealth:
    return ServerHealth(ServerStatus.UNKNOWN, 0, (Reason(Status.UNKNOWN, "unavailable", why, 0),))
