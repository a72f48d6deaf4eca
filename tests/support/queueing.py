"""Queues simulated event by event, and their hour as a journal by the independent writer: what must be told of them is known."""

from __future__ import annotations

import heapq
import math
import random
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.support.journal_oracle import NO_TIME, NO_U64, encode, encode_definition, encode_header, hash64, job_hash, label_list

SEGMENT = 1_000
"""Records of a segment, of which it holds 1,023."""


@dataclass(frozen=True)
class Job:
    """Moments in seconds from the start of the simulation; infinity: not yet."""

    arrived: float
    started: float
    ended: float


@dataclass(frozen=True)
class Hour:
    """A queue for `seconds`; first come, first served."""

    jobs: list[Job]
    seconds: float

    def depths(self, step: float = 10.0) -> list[tuple[float, int]]:
        """What a broker answers each `step` seconds: (moment, jobs that wait)."""
        arrived = sorted(job.arrived for job in self.jobs)
        started = sorted(job.started for job in self.jobs)
        moments = [step * number for number in range(1, int(self.seconds / step))]
        return [(at, bisect_right(arrived, at) - bisect_right(started, at)) for at in moments]


def in_equilibrium(chance: random.Random, load: float, workers: int) -> int:
    """How many jobs an M/M/c queue holds: Erlang (1917)."""
    offered = load * workers
    weights = [offered**n / math.factorial(n) for n in range(workers)]
    busy = offered**workers / math.factorial(workers) / (1 - load)
    number = chance.random() * (sum(weights) + busy)
    for n, weight in enumerate(weights):
        if number < weight:
            return n
        number -= weight
    return workers + int(math.log(1 - chance.random()) / math.log(load))


def simulate(
    chance: random.Random,
    *,
    load: float,
    workers: int = 4,
    mean: float = 10.0,
    seconds: float = 3600.0,
    present: int = 0,
    runtime: Callable[[], float] | None = None,
) -> Hour:
    """
    An M/G/c queue: Poisson arrivals of `load` by what `workers` can do.

    Args:
        mean: of the run times, seconds.
        present: jobs at the start, as if all had arrived just then.
        runtime: draws one; exponential by default.
    """
    drawn = runtime or (lambda: chance.expovariate(1 / mean))
    arrivals = [0.0] * present
    at = 0.0
    while (at := at + chance.expovariate(load * workers / mean)) < seconds:
        arrivals.append(at)
    free = [0.0] * workers
    jobs = []
    for arrived in arrivals:
        started = max(arrived, heapq.heappop(free))
        ended = started + drawn()
        heapq.heappush(free, ended)
        jobs.append(Job(arrived, started, ended))
    return Hour([job for job in jobs if job.arrived < seconds], seconds)


def write_journal(
    spool: Path,
    hour: Hour,
    begin: float,
    *,
    connection: str,
    queue: str,
    task: str = "app.work",
    arrivals: bool = True,
    depths: bool = True,
) -> None:
    """
    The hour as segments of a spool.

    Args:
        spool: its directory.
        begin: seconds since 1970 at which the simulation starts.
        arrivals: whether producers record.
        depths: whether somebody asks the broker.
    """
    labels, of_queue = label_list(1, connection, queue, task), label_list(2, connection, queue)
    events: list[tuple[float, str, int]] = []
    for number, job in enumerate(hour.jobs):
        if arrivals and job.arrived > 0:  # those that were there arrived before
            events.append((job.arrived, "ARRIVE", number))
        events += [(moment, kind, number) for moment, kind in ((job.started, "START"), (job.ended, "END")) if moment < hour.seconds]
    if depths:
        events += [(at, "GAUGE", depth) for at, depth in hour.depths()]
    events.sort()
    spool.mkdir(parents=True, exist_ok=True)
    names = [hash64(labels), hash64(of_queue)]
    for first in range(0, len(events), SEGMENT):
        segment = (first // SEGMENT + 1).to_bytes(16, "big")
        parts = [encode_header(segment, created=first // SEGMENT + 1), *encode_definition(segment, labels)]
        parts += encode_definition(segment, of_queue)
        parts += [_record(segment, names, event, hour, begin) for event in events[first : first + SEGMENT]]
        (spool / f"{segment.hex()}.seg").write_bytes(b"".join(parts))


def _record(segment: bytes, names: list[int], event: tuple[float, str, int], hour: Hour, begin: float) -> bytes:
    moment, kind, number = event
    at = round((begin + moment) * 1_000_000)
    if kind == "GAUGE":
        return encode(segment, kind, flags=1, at=at, queue=names[1], ready=number, reserved=0, scheduled=0, running=0, age=0)
    if kind == "ARRIVE":
        return encode(segment, kind, at=at, task=names[0], job=job_hash(str(number)), ready_at=at)
    if kind == "START":
        return encode(segment, kind, at=at, key=number + 1, task=names[0], job=job_hash(str(number)), ready_at=NO_TIME, worker=1)
    job = hour.jobs[number]
    runtime = round((job.ended - job.started) * 1e9)
    return encode(
        segment,
        kind,
        small=1,
        at=at,
        key=number + 1,
        runtime=runtime,
        cpu=NO_U64,
        rss_peak=2**32 - 1,
        rss_change=-(2**31),
        exception=0,
        worker=1,
    )
