"""Stores in which everything varies with a seed: names, numbers, moments, states, and which of them there are; says not what is true."""

from __future__ import annotations

import random
import typing
from collections.abc import Iterator
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any, get_args, get_origin, get_type_hints

from queue_metrics.config import BaselineRules
from queue_metrics.errors import StoreUnavailable
from queue_metrics.model import Baseline, ServerSample
from queue_metrics.model.servers import Room
from queue_metrics.storage.base import EXCEPTION, SERVER, SERVER_TASK, StorageDriver
from queue_metrics.storage.baselines import write
from queue_metrics.storage.collector import CollectorState, write_state
from queue_metrics.storage.efficiency import Counted, Counters, Crew, EfficiencyRow, Spent, add_counters, add_efficiency
from queue_metrics.storage.servers import server_beat
from queue_metrics.storage.spools import spool_beat
from queue_metrics.storage.view import View
from tests.http.asking import ROUTES
from tests.support.fleet import COUNTERS, NOW, Fleet, minute

MEASURES = {0: 9_000_000, 1: 2_000_000, 2: 900_000, 3: 1 << 30, 4: 1 << 24}
"""Of each measure the most, µs and bytes."""
STATES = ("busy", "idle", "starting", "stopped", "busy", "lost", "idle", "idle")
SEEDS = range(8)
"""As many as there are things of two or four kinds that must come together in some store and not in others."""


@StorageDriver.register
class Store:
    """A driver whose heartbeats are as old as was said, since a real one needs minutes for that; and which can be sent away."""

    def __init__(self, driver: StorageDriver, ages: dict[str, float]) -> None:
        self._driver = driver
        self._ages = ages
        self.away = False

    def __getattr__(self, name: str) -> Any:
        if self.away and name not in ("url", "close"):
            raise StoreUnavailable("away")
        return getattr(self._driver, name)

    def read_view(self, *ranges: Any, **more: Any) -> View:
        view = self.__getattr__("read_view")(*ranges, **more)
        assert isinstance(view, View)
        # A server that began with the test has heard of nobody so old, and would be taken for one that was away.
        return replace(view, uptime_seconds=None, beats=[replace(beat, age=self._ages.get(beat.worker_id, 0.0)) for beat in view.beats])


@dataclass
class Varied:
    """What one seed makes; it may be put into any driver."""

    seed: int
    dice: random.Random
    fleet: Fleet = field(default_factory=Fleet)
    ages: dict[str, float] = field(default_factory=dict)
    """Of heartbeats by their id, seconds."""
    rows: list[EfficiencyRow] = field(default_factory=list)
    baselines: list[Baseline] = field(default_factory=list)
    spent: dict[str, Counted] = field(default_factory=dict)

    @property
    def now(self) -> float:
        """When it is read: in another minute for each seed, and another second of it."""
        return NOW - 61 * self.seed

    def minute(self, back: int) -> int:
        """The start of the minute of `now`, or of one before it."""
        return minute(back + self.seed)

    @property
    def well(self) -> bool:
        """Hardly anything fails, and little waits."""
        return self.seed % 2 == 0

    @property
    def oldest(self) -> int:
        """Minutes ago when recording began."""
        return 40 + 2 * self.seed

    def name(self, word: str) -> str:
        return f"{word}.{self.seed}"

    @property
    def main(self) -> tuple[str, str, str]:
        """The queue and task about which most is known."""
        return self.name("broker"), self.name("mail"), self.name("app.send")

    @property
    def others(self) -> list[tuple[str, str, str]]:
        found = [(self.main[0], self.name("bulk"), self.main[2]), (self.name("other"), self.name("a/b:c%"), self.name("app.resize"))]
        return [*found, *((self.name("other"), f"more {number}", f"app.more{number}") for number in range(self.seed % 3))]

    @property
    def silent(self) -> tuple[str, str]:
        """A queue of which nothing is known but its name, and in some stores that it was asked about once."""
        return self.name("other"), self.name("silent")

    @property
    def hosts(self) -> tuple[str, str, str]:
        """The last was sampled long ago."""
        return self.name("web-1"), self.name("web-10"), self.name("gone")

    @property
    def worker(self) -> str:
        """The id of one."""
        return f"{self.hosts[0]}:{100 + self.seed}:77"

    def store(self, driver: StorageDriver) -> Store:
        """Put it into a driver."""
        self.fleet.store(driver)
        for row in self.rows:
            add_efficiency(driver, row)
        driver.baselines = BaselineRules(deviation_threshold=2 + self.seed / 10)
        add_counters(driver, Counters(self.now - 25, self.now - 85, self.spent))
        write(driver, self.baselines)
        write_state(driver, CollectorState(self.now - (600 if self.seed % 4 == 3 else 10) - self.seed, NOW - 3600, self.hosts[0], 0))
        return Store(driver, self.ages)


def vary(seed: int) -> Varied:
    """A store of its own for each seed."""
    made = Varied(seed, random.Random(seed))
    for number, place in enumerate((made.main, *made.others)):
        _tasks(made, place)
        _queue(made, place[:2], number)
        for host in made.hosts:
            made.fleet.series(SERVER_TASK, (host, *place), made.minute(made.dice.randint(0, 30) + 60 * seed), *_happened(made))
    for number in range(seed % 3):
        long_ago, asked = made.minute(60 * 24 * 2 + seed * 60), made.minute(20 + seed)
        made.fleet.queue((made.silent[0], made.silent[1] + "." * number), long_ago, counts={"started": 1})
        if seed % 3 == 2:
            made.fleet.queue((made.silent[0], made.silent[1]), asked, gauges={0: [(asked * 1_000_000, 1)]})
    for number in range(made.dice.randint(6, len(STATES))):
        _worker(made, number)
    for number, host in enumerate(made.hosts):
        made.fleet.series(SERVER, (host,), made.minute(made.dice.randint(1, 30)), *_happened(made))
        _beat(made, *server_beat(host, _sample(made, number)), made.dice.uniform(100, 200) if number == 2 else made.dice.uniform(1, 20))
    for number in range(seed % 3):
        _beat(made, *server_beat(f"more {number}", _sample(made, number)), 5)
    for number in range(2):
        status = {
            "waiting": made.dice.randint(1, 99),
            "drops": {made.name("full"): made.dice.randint(1, 99)} if seed else {},
            "damaged": made.dice.randint(1, 9),
        }
        _beat(made, *spool_beat(f"{number}{seed:031x}", status), made.dice.uniform(1, 9))
    _collected(made)
    return made


def _beat(made: Varied, id: str, payload: bytes, age: float) -> None:
    made.fleet.beats.append((id, payload))
    made.ages[id] = age


def _happened(made: Varied, ended: int = 0) -> tuple[dict[str, int], list[int], dict[int, list[int]]]:
    """What a minute may hold: counts, discarded jobs, measurements."""
    dice, most = made.dice, 9 + made.seed
    measures = {number: [dice.randint(1, most) for _ in range(dice.randint(1, 9))] for number, most in MEASURES.items()}
    counts = {name: dice.randint(0, most) for name in COUNTERS}
    if made.well:
        counts |= {name: int(dice.random() < 0.05) for name in ("failed", "timed_out", "lost")}
    counts["succeeded"] = ended or dice.randint(20, 60)
    discarded = [dice.randint(0, most) for _ in range(5)]
    counts["arrivals"] += counts["started"] + sum(discarded)
    return counts, discarded, measures


def _tasks(made: Varied, place: tuple[str, str, str]) -> None:
    """Of one store nothing within the last hour."""
    first = 90 if made.seed == 5 else 0
    for back in sorted(made.dice.sample(range(first, first + made.oldest), made.dice.randint(10, 20))):
        counts, discarded, measures = _happened(made)
        made.fleet.task(place, made.minute(back), counts=counts, discarded=discarded, measures=measures)
    for word in made.dice.sample(("ValueError", "KeyError", "OSError", "TypeError"), 2):
        labels = (*place, made.name(word))
        made.fleet.series(EXCEPTION, labels, made.minute(made.dice.randint(0, 600)), {"failed": made.dice.randint(1, 9)})


def _queue(made: Varied, queue: tuple[str, str], number: int) -> None:
    """Every minute of the last hour; by every other seed arrivals are told, what is done grows, and the broker was asked twice."""
    dice = made.dice
    depth, slope = (dice.randint(0, 30), dice.uniform(-1, 0)) if made.well else (900, (15, -15)[made.seed // 2 % 2])
    for back in range(made.oldest, -1, -1):
        counts, discarded, measures = _happened(made, 2 * (made.oldest - back) + 10 if made.seed % 4 == 2 else 0)
        if (made.seed // 2 + number) % 2:
            del counts["arrivals"]
        ready = max(0, round(depth + slope * (made.oldest - back) + dice.uniform(-9, 9)))
        age = dice.randint(1_000, 200_000_000 if made.well else 900_000_000)
        none = made.seed == 2 and back < 3
        due = dice.randint(1_000_000, 900_000_000)
        told = [0, 0, 0, 0, age, due] if none else [ready, dice.randint(0, 9), dice.randint(0, 50), dice.randint(0, 9), age, due]
        at = made.minute(back) + dice.randint(1, 20)
        gauges = {
            gauge: [(second * 1_000_000, value) for second in range(at, at + 1 + made.seed % 3)]
            for gauge, value in enumerate(told)
            if gauge != 3 or made.seed % 3
        }
        made.fleet.queue(queue, made.minute(back), counts=counts, discarded=discarded, measures=measures, gauges=gauges)


def _worker(made: Varied, number: int) -> None:
    """The first is the one that is asked for; they serve the main queue, all queues, or each one, by the seed."""
    dice, state, now = made.dice, "busy" if made.seed == 7 else STATES[(number + made.seed) % len(STATES)], made.now
    connection, queue = made.main[:2] if number % 2 or made.seed % 3 else made.others[0][:2]
    host, pid, main = made.hosts[number % 2], 100 + made.seed + 10 * number, number == (made.seed + 2) % 4
    busy, spent, idle, before = state == "busy", dice.uniform(100, 1000), dice.uniform(100, 1000), dice.uniform(1, 20)
    made.fleet.worker(
        state=state,
        role="main" if main else "child",
        host=host,
        pid=pid,
        parent_pid=100 + made.seed + 10 * ((made.seed + 2) % 4) if made.seed % 4 > 1 and not main else dice.randint(2, 50),
        process_started=now - dice.randint(1000, 9000),
        written=now,
        seen=now,
        state_changed=now - dice.randint(1, 900),
        job_started=now - (dice.randint(1, 50) if number else 700 + made.seed) if busy else None,
        task=made.name("app.send") if busy else "",
        job_id=f"job-{dice.randint(1, 999)}" if busy else "",
        running=dice.randint(1, 2 + made.seed) if busy else None,
        busy=spent,
        idle=idle,
        finished=dice.randint(1, 900),
        failed=dice.randint(1, 900),
        rss=dice.randint(1 << 24, 1 << 29),
        rss_peak=dice.randint(1 << 29, 1 << 30),
        cpu=dice.uniform(1, 900),
        cpu_share=(dice.randint(1, 400) / 100, 2.0) if number != made.seed % 3 else None,
        library=(f"library {made.seed}", "huey")[number % 2],
        connection=connection,
        queue="" if made.seed % 4 == 1 else queue,
    )
    id = f"{host}:{pid}:77"
    made.ages[id] = dice.choice((dice.uniform(0, 50), dice.uniform(0, 50), dice.uniform(61, 290)))
    if (number + made.seed) % 5 != 4:  # which the collector has not seen yet
        made.spent[id] = Counted(Spent(spent - 1, idle - 1), Spent(spent - before, idle - 30))


def _sample(made: Varied, number: int) -> ServerSample:
    """By chance, which is not well at all; every other one, and all of one store, have but a CPU that is busy."""
    sample = invented(ServerSample, made.dice, made.name("x"))
    assert isinstance(sample, ServerSample)
    if (number + made.seed) % 2 and made.seed:
        return sample
    return replace(
        sample,
        cpu=replace(sample.cpu, usage_ratio=made.dice.uniform(0.71, 0.89)),
        load=replace(sample.load, over_1_minute=made.dice.uniform(0.01, 0.02)),
        memory=replace(sample.memory, usage_ratio=made.dice.uniform(0.1, 0.7)),
        disks=tuple(replace(each, usage_ratio=made.dice.uniform(0.1, 0.8)) for each in sample.disks or ()),
        cpu_room=Room(),
        memory_room=Room(),
    )


def invented(kind: Any, dice: random.Random, word: str, name: str = "") -> Any:
    """Something of a type, each part of it by chance: whoever adds a field has it filled."""
    if get_origin(kind) in (typing.Union, type(int | None)):
        return invented(get_args(kind)[0], dice, word, name)
    if is_dataclass(kind):
        hints = get_type_hints(kind)
        return kind(**{each.name: invented(hints[each.name], dice, word, each.name) for each in fields(kind)})  # type: ignore[operator]
    if get_origin(kind) is tuple:
        return tuple(invented(get_args(kind)[0], dice, word, name) for _ in range(dice.randint(1, 2)))
    if get_origin(kind) is not None:
        return {f"{name}.{dice.randint(1, 9)}": word}
    if kind is str:
        return f"{name}-{word}-{dice.randint(1, 999)}"
    if kind is bool:
        return dice.random() < 0.5
    if kind is int:
        return dice.randint(1, 1 << 36)
    return round(dice.random(), 4) if name.endswith("ratio") else dice.uniform(1, 64)


def _collected(made: Varied) -> None:
    """What a collector keeps; of one store in four there was none, of the others efficiency grows, is high or is low."""
    dice, minutes = made.dice, 20 + made.seed

    def crew(share: float) -> Crew:
        spent = Spent(60 * share + dice.random(), 60 * (1 - share) + dice.random())
        return Crew(spent, dice.uniform(1e7, 1e9), dice.uniform(0.01, 2.0), dice.randint(3, 9), dice.randint(1, 9), dice.randint(1, 9))

    queues = [place[:2] for place in (made.main, *made.others)]
    for back in range(minutes, 0, -1) if made.seed % 4 != 3 else ():
        share = ((minutes - back if made.seed else back) / (minutes + 1), 0.97, 0.1)[made.seed % 4]
        parts = {host: crew(share) for host in made.hosts}, {queue: crew(share) for queue in queues}
        made.rows.append(EfficiencyRow(float(made.minute(back)) + 1.5, 60.0, crew(share), *parts))
    for labels in (made.main, *made.others[1:], *(queue for queue in queues if queue != made.others[0][:2])):
        # Near to what is measured now, or far from it.
        near = dice.random() < 0.5
        made.baselines.append(
            Baseline(
                labels[0],
                labels[1],
                labels[2] if len(labels) == 3 else None,
                duration_seconds=dice.uniform(4, 5) if near else dice.uniform(50, 90),
                cpu_ratio=0.1 if near else dice.uniform(0.01, 1),
                memory_bytes=float(1 << 29) if near else dice.uniform(1e7, 1e9),
                sample_count=dice.randint(1, 500 if made.seed % 3 else 99),
                confidence=round(dice.random(), 2),
                calculated_at=made.now - dice.randint(1, 9_000 if made.seed % 3 else 200_000),
                deviates=dice.random() < 0.5,
                since=made.now - 86_400 * dice.randint(7, 9),
                cpu_sample_count=dice.randint(1, 500),
                memory_sample_count=dice.randint(1, 500),
                duration_error_seconds=dice.uniform(0.001, 1),
                cpu_error=dice.uniform(0.001, 0.1),
                memory_error_bytes=dice.uniform(1e4, 1e6),
            )
        )


def names(made: Varied) -> dict[str, str]:
    """What stands in the paths of routes, about what is known best."""
    connection, queue, task = made.main
    return {"connection": connection, "queue": queue, "task": task, "class": task, "hostname": made.hosts[0], "id": made.worker}


def targets(path: str, made: Varied) -> Iterator[str]:
    """
    What to ask of a route: all that its parameters can turn, so that each of its shapes is seen.

    Names stand in braces, as in the route.
    """
    n, place = made.seed, f"connection={made.main[0]}&queue={made.main[1]}"
    minutes = 60 * 24 * 20 if n == 7 else 60 * 24 if n == 6 else 30 + n
    match path:
        case "/overview":
            yield from (path, f"{path}?full=1")
        case "/workers/detect-stale":
            yield f"{path}?threshold={60 + 20 * n}"
        case "/workers/status/{id}" if n % 4 == 2:
            return  # a main process, which executes nothing
        case "/server" | "/server/health":
            yield from (f"{path}?hostname={host}" for host in made.hosts)
        case "/v1/series" if n % 2:
            yield f"{path}?{place}&minutes={30 + n}"
            yield f"{path}?{place}&kind=server_task&server={made.hosts[0]}&task={made.main[2]}&step=3600&minutes=1440"
        case "/v1/series":
            yield f"{path}?{place}&minutes={30 + n}"
            yield f"{path}?{place}&kind=task&task={made.main[2]}&step={(60, 3600, 86400)[n % 3]}&minutes={60 * (1 + n % 3)}"
            yield f"{path}?kind=server&server={made.hosts[0]}"
        case "/v1/baselines/{connection}/{queue}":
            yield from (path, f"{path}?task={made.main[2]}", path.replace("{queue}", made.others[0][1]))
        case "/v1/tasks/{task}":
            yield from (f"{path}?minutes={minutes}", f"{path}?minutes={minutes}&{place}")
        case _ if "/trends/" in path:
            interval = f"&interval={70 if n % 2 else 60 * (1 + n)}" if "interval" in {each.name for each in ROUTES[path].parameters} else ""
            yield f"{path}?period={3600 - 60 * n}{interval}"
            yield from (f"{silent}?period={60 + n}" for silent in _of_the_silent(path, made))
        case _ if "minutes" in {each.name for each in ROUTES[path].parameters}:
            yield f"{path}?minutes={minutes}"
            yield from _of_the_silent(path, made)
        case _:
            yield path
            yield from _of_the_silent(path, made)


def _of_the_silent(path: str, made: Varied) -> Iterator[str]:
    """The same of a queue of which nothing is known, where the store has one; a trend of efficiency over too short a time."""
    if "efficiency" in path:
        yield path
    elif "{queue}" in path and made.seed % 3:
        yield path.replace("{connection}", made.silent[0]).replace("{queue}", made.silent[1])
