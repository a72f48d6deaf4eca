"""Jobs known to the microsecond, written as records by the independent writer and drained into a store; their sums in plain Python."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from queue_metrics import _core
from queue_metrics.storage.base import StorageDriver
from tests.core.spools import Segment
from tests.support.fleet import NOW
from tests.support.journal_oracle import NO_TIME, job_hash

NAMES = {1: "succeeded", 2: "failed", 3: "retried", 4: "timed_out", 5: "cancelled", 6: "lost"}
FAILURES = ("failed", "timed_out", "lost")
DISCARDS = ("revoked", "expired", "rejected", "skipped", "unknown")
TASKS = ("app.send", "app.resize")
QUEUES = ("mail", "bulk")
SERVERS = ("web-1", "web-10")


@dataclass(frozen=True)
class Job:
    """One execution; times in µs, `at` its end, since 1970."""

    queue: str
    task: str
    at: int
    outcome: str
    runtime: int
    cpu: int
    wait: int
    peak: int
    change: int
    exception: str | None
    retry: bool
    server: str


@dataclass
class Known:
    """What happened, and all of it in a spool."""

    jobs: list[Job] = field(default_factory=list)
    discards: list[tuple[int, str, str, str]] = field(default_factory=list)
    """µs, queue, task, reason."""

    def of(self, task: str, start: float, end: float, queue: str | None = None) -> list[Job]:
        """The executions of a task that ended in a stretch of time, seconds since 1970."""
        return [job for job in self.jobs if job.task == task and queue in (None, job.queue) and start <= job.at / 1e6 < end]

    def last(self, task: str, happened: Callable[[Job], bool]) -> int | None:
        """µs at which it happened last."""
        return max((job.at for job in self.jobs if job.task == task and happened(job)), default=None)


def invented(seed: int, jobs: int = 200, quiet: float = 0.0) -> Known:
    """Executions of two tasks on two queues from seconds to weeks ago, most of them lately; none in the last `quiet` seconds."""
    chance = random.Random(seed)
    known = Known()
    for _ in range(jobs):
        ago = quiet + 10 ** chance.uniform(0.5, chance.choice((3.4, 4.9, 6.6)))
        outcome = chance.choices(list(NAMES.values()), (60, 12, 8, 6, 3, 4))[0]
        runtime = round(10 ** chance.uniform(3, 7))
        raised = outcome in ("failed", "retried", "timed_out")
        known.jobs.append(
            Job(
                queue=chance.choice(QUEUES),
                task=chance.choices(TASKS, (3, 1))[0],
                at=round((NOW - ago) * 1e6),
                outcome=outcome,
                runtime=runtime,
                cpu=round(runtime * chance.uniform(0.01, 0.9)),
                wait=round(10 ** chance.uniform(2, 7)),
                peak=chance.randrange(10_000, 500_000),
                change=chance.randrange(-5_000, 50_000),
                exception=chance.choice(("ValueError", "KeyError", "shop.Broke")) if raised else None,
                server=chance.choices(SERVERS, (1, 2) if seed % 2 else (2, 1))[0],
                retry=outcome == "retried" or (outcome == "failed" and chance.random() < 0.3),
            )
        )
    for _ in range(jobs // 8):
        moment = round((NOW - quiet - 10 ** chance.uniform(0.5, 5)) * 1e6)
        known.discards.append((moment, chance.choice(QUEUES), chance.choice(TASKS), chance.choice(DISCARDS)))
    return known


def drained(known: Known, spool: Path, driver: StorageDriver) -> None:
    """Write the records and hand them over as a drainer does."""
    spool.mkdir()
    segment = Segment(spool, 1)
    for key, server in enumerate(SERVERS, 1):
        identity = segment.define(4, server, str(key), "77")
        start = {"at": round(NOW * 1e6), "parent": 1, "start_ticks": 77, "pid_namespace": 1, "boot": 1}
        segment.write("WORKER", flags=2, worker=key, pid=key, identity=identity, **start)
    codes = {name: code for code, name in NAMES.items()}
    for number, job in enumerate(known.jobs, 1):
        begun = job.at - job.runtime
        task = segment.define(1, "broker", job.queue, job.task)
        name = 0 if job.exception is None else segment.define(7, job.exception)
        segment.write("ARRIVE", at=begun - job.wait, task=task, job=job_hash(str(number)), ready_at=NO_TIME)
        segment.start(
            number,
            begun,
            task=("broker", job.queue, job.task),
            job=str(number),
            ready_at=begun - job.wait,
            worker=1 + SERVERS.index(job.server),
        )
        segment.write(
            "END",
            small=codes[job.outcome],
            flags=_core.RETRY_FOLLOWS if job.retry else 0,
            at=job.at,
            key=number,
            runtime=job.runtime * 1000,
            cpu=job.cpu * 1000,
            rss_peak=job.peak,
            rss_change=job.change,
            exception=name,
            worker=0,
        )
    for moment, queue, task_name, reason in known.discards:
        task = segment.define(1, "broker", queue, task_name)
        segment.write("DISCARD", small=DISCARDS.index(reason) + 1, at=moment, task=task, job=job_hash("none"))
    drainer = _core.Drainer(str(spool))
    drainer.poll()
    while (batch := drainer.next_batch()) is not None:
        assert driver.apply_batch(0, batch).applied
        drainer.committed()
    segment.release()


def failed(jobs: Iterable[Job]) -> int:
    """How many of them failed, timed out or were lost."""
    return sum(job.outcome in FAILURES for job in jobs)
