"""A fleet made of random numbers, each of them remembered, so that what an endpoint must answer is counted in plain Python."""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from typing import Any

from queue_metrics.model import Baseline, ServerSample
from queue_metrics.model.servers import CpuUse, DiskUse, Interface, Load, MemoryUse
from queue_metrics.storage.base import EXCEPTION
from queue_metrics.storage.baselines import write
from queue_metrics.storage.efficiency import Crew, EfficiencyRow, Spent, add_efficiency
from queue_metrics.storage.memory import MemoryStorageDriver
from queue_metrics.storage.servers import server_beat
from queue_metrics.storage.view import View
from tests.support.fleet import NOW, Fleet, minute

PLACES = (("broker", "mail", "app.send"), ("broker", "bulk", "app.send"), ("broker", "mail", "app.resize"), ("other", "a/b:c%", "app.send"))
QUEUES = tuple(dict.fromkeys(place[:2] for place in PLACES))
OLDEST = 55
"""Minutes ago when recording began."""
DECIDED = ("succeeded", "failed", "timed_out", "lost")
OUTCOMES = (*DECIDED, "retried", "cancelled")
EXCEPTIONS = ("ValueError", "KeyError", "OSError")


@dataclass(frozen=True)
class Job:
    """One execution; µs and bytes."""

    place: tuple[str, str, str]
    back: int
    """Minutes ago when it ended."""
    outcome: str
    runtime: int
    cpu: int
    peak: int
    change: int


@dataclass
class Invented:
    """What was put into the store."""

    jobs: list[Job] = field(default_factory=list)
    discards: dict[tuple[str, str, str], int] = field(default_factory=dict)
    gauges: dict[tuple[str, str], list[tuple[int, int, int, int, float]]] = field(default_factory=dict)
    """Of each minute, newest last: when it was asked (s), ready, reserved, scheduled, age of the oldest (s)."""
    due: dict[tuple[str, str], int] = field(default_factory=dict)
    """In how many seconds the next scheduled job is due, as of when it was asked last."""
    workers: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By id; with the age of the heartbeat."""
    samples: dict[str, ServerSample] = field(default_factory=dict)
    server_jobs: dict[str, list[Job]] = field(default_factory=dict)
    rows: list[EfficiencyRow] = field(default_factory=list)
    baselines: list[Baseline] = field(default_factory=list)
    exceptions: dict[tuple[str, str, str], tuple[int, str]] = field(default_factory=dict)
    """The newest of each place: hours ago, and its type."""

    def of(self, **names: Any) -> list[Job]:
        """The executions of a connection, queue, task, outcome."""
        at = {"connection": 0, "queue": 1, "task": 2}
        return [job for job in self.jobs if all(job.place[at[name]] == wanted for name, wanted in names.items())]


class Aged(MemoryStorageDriver):
    """A store whose heartbeats are as old as a test says: the real one needs minutes for that."""

    def __init__(self) -> None:
        super().__init__()
        self.ages: dict[str, float] = {}
        self.looks = 0

    def read_view(self, *ranges: Any, **more: Any) -> View:
        self.looks += 1
        view = super().read_view(*ranges, **more)
        return replace(view, beats=[replace(beat, age=self.ages.get(beat.worker_id, 0.0)) for beat in view.beats])


def invent(seed: int) -> tuple[Invented, Aged]:
    """A store, and what is in it."""
    dice, known, fleet, driver = random.Random(seed), Invented(), Fleet(), Aged()
    for place in PLACES:
        _jobs(dice, known, fleet, place)
    for queue in QUEUES:
        _queue(dice, known, fleet, queue)
    for number in range(dice.randint(4, 7)):
        _worker(dice, known, fleet, driver, number)
    for host in ("web-1", "web-10"):
        _server(dice, known, fleet, host)
    fleet.store(driver)
    for back in range(30, 0, -1):
        crew = Crew(Spent(dice.uniform(1, 100), dice.uniform(1, 100)), dice.uniform(1e7, 1e9), dice.uniform(0.01, 2.0), 2, 1, 1)
        known.rows.append(EfficiencyRow(float(minute(back)) + 1.5, 60.0, crew, {}, {}))
        add_efficiency(driver, known.rows[-1])
    for labels in (*PLACES, *QUEUES):
        known.baselines.append(
            Baseline(
                labels[0],
                labels[1],
                labels[2] if len(labels) == 3 else None,
                duration_seconds=dice.uniform(0.1, 9),
                cpu_ratio=dice.uniform(0.01, 1),
                memory_bytes=dice.uniform(1e7, 1e9),
                sample_count=dice.randint(1, 500),
                confidence=round(dice.random(), 2),
                calculated_at=NOW - dice.randint(1, 90_000),
                deviates=False,
                since=NOW - 86_400 * dice.randint(7, 9),
                cpu_sample_count=dice.randint(1, 500),
                memory_sample_count=dice.randint(1, 500),
                duration_error_seconds=dice.uniform(0.001, 1),
                cpu_error=dice.uniform(0.001, 0.1),
                memory_error_bytes=dice.uniform(1e4, 1e6),
            )
        )
    write(driver, known.baselines)
    return known, driver


def _jobs(dice: random.Random, known: Invented, fleet: Fleet, place: tuple[str, str, str]) -> None:
    newer = dice.random() < 0.5
    made = [
        Job(
            place,
            dice.choice(
                (0, 1, dice.randint(2, OLDEST - 1)) if newer else (dice.randint(0, 2), *(dice.randint(30, OLDEST - 1) for _ in range(4)))
            ),
            dice.choice(("succeeded", "succeeded", *OUTCOMES)),
            dice.randint(1_000, 9_000_000),
            dice.randint(1_000, 900_000),
            dice.randint(1 << 24, 1 << 30),
            dice.randint(-(1 << 20), 1 << 24),
        )
        for _ in range(dice.randint(5, 25))
    ]
    known.jobs += made
    known.discards[place] = dice.randint(0, 5)
    for job in made:
        measures = {0: [job.runtime], 2: [job.cpu], 3: [job.peak], 4: [job.change]}
        fleet.task(place, minute(job.back), counts={"started": 1, job.outcome: 1}, measures=measures)
        fleet.queue(place[:2], minute(job.back), counts={"started": 1, job.outcome: 1, "arrivals": 1}, measures={0: [job.runtime]})
    fleet.task(place, minute(3), discarded=[0, 0, known.discards[place], 0, 0])
    hours, name = dice.randint(0, 20), dice.choice(EXCEPTIONS)
    known.exceptions[place] = hours, name
    fleet.series(EXCEPTION, (*place, name), minute(60 * hours), {"failed": 1})


def _queue(dice: random.Random, known: Invented, fleet: Fleet, queue: tuple[str, str]) -> None:
    asked = []
    depth = dice.randint(0, 300)
    slope = dice.uniform(-8, 12)
    for back in range(OLDEST, -1, -1):
        at = minute(back) + dice.randint(1, 20)
        ready = max(0, round(depth + slope * (OLDEST - back) + dice.uniform(-9, 9)))
        told = (at, ready, dice.randint(0, 9), dice.randint(0, 50), dice.randint(1, 900_000) / 1000)
        asked.append(told)
        gauges = {number: [(at * 1_000_000, value)] for number, value in enumerate(told[1:4])} | {4: [(at * 1_000_000, int(told[4] * 1e6))]}
        if told[3]:
            known.due[queue] = 60 + 7 * told[3] + ready
            gauges[5] = [(at * 1_000_000, known.due[queue] * 1_000_000)]
        else:
            known.due.pop(queue, None)
        fleet.queue(queue, minute(back), gauges=gauges)
    known.gauges[queue] = asked


def _worker(dice: random.Random, known: Invented, fleet: Fleet, driver: Aged, number: int) -> None:
    connection, queue = dice.choice(QUEUES)
    state = ("busy", "idle", "idle", "stopped", "busy", "lost", "idle")[number]
    child = dice.random() < 0.5
    told: dict[str, Any] = {
        "state": state,
        "role": "child" if child else "main",
        "host": dice.choice(("web-1", "web-10")),
        "pid": 100 * dice.randint(10, 300) + number,
        "parent_pid": dice.randint(2, 50),
        "process_started": NOW - dice.randint(1000, 9000),
        "written": NOW,
        "seen": NOW,
        "state_changed": NOW - dice.randint(1, 900),
        "job_started": NOW - dice.randint(1, 50) if state == "busy" else None,
        "task": dice.choice(("app.send", "app.resize")) if state == "busy" else "",
        "job_id": f"job-{dice.randint(1, 999)}" if state == "busy" else "",
        "busy": dice.randint(1, 10_000) / 10,
        "idle": dice.randint(1, 10_000) / 10,
        "finished": dice.randint(1, 900),
        "rss": dice.randint(1 << 24, 1 << 29),
        "rss_peak": dice.randint(1 << 29, 1 << 30),
        "cpu": 9.0,
        "cpu_share": (dice.randint(1, 400) / 100, 2.0),
        "library": dice.choice(("huey", "celery")),
        "connection": connection,
        "queue": queue,
    }
    id = f"{told['host']}:{told['pid']}:77"
    fleet.worker(**told)
    age = dice.choice((dice.uniform(0, 50), dice.uniform(0, 50), dice.uniform(61, 290)))
    driver.ages[id] = age
    known.workers[id] = {**told, "age": age}


def _server(dice: random.Random, known: Invented, fleet: Fleet, host: str) -> None:
    def bytes_() -> int:
        return dice.randint(1 << 30, 1 << 36)

    def ratio() -> float:
        return round(dice.random(), 4)

    known.samples[host] = ServerSample(
        taken_at_seconds=NOW - 2,
        interval_seconds=10.0,
        cpu=CpuUse(ratio(), ratio(), ratio(), ratio(), ratio(), ratio(), cores=dice.randint(1, 64) / 2, host_cores=dice.randint(32, 64)),
        load=Load(*(round(dice.uniform(0, 200), 2) for _ in range(3))),
        memory=MemoryUse(bytes_(), bytes_(), bytes_(), ratio(), bytes_(), bytes_(), bytes_(), bytes_()),
        disks=tuple(
            DiskUse(f"/data-{dice.randint(1, 9)}", dice.choice(("ext4", "xfs")), bytes_(), bytes_(), bytes_(), ratio())
            for _ in range(dice.randint(1, 2))
        ),
        interfaces=(Interface(f"eth{dice.randint(0, 9)}", *(dice.randint(1, 1 << 40) for _ in range(8))),),
    )
    fleet.beats.append(server_beat(host, known.samples[host]))
    known.server_jobs[host] = []
    for _ in range(dice.randint(3, 20)):
        job = Job(("", "", ""), dice.randint(0, OLDEST - 1), dice.choice(OUTCOMES), dice.randint(1_000, 9_000_000), 0, 0, 0)
        known.server_jobs[host].append(job)
        fleet.server(host, minute(job.back), counts={"started": 1, job.outcome: 1}, measures={0: [job.runtime]})
