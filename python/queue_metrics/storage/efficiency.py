"""
What workers spent their time on, minute by minute, as the collector stores it: differences of their counters, never lifetime ratios.

Of all workers, of each server and of each queue in sets of their own, so that a week of one is not read through the others.
"""

from __future__ import annotations

import json
import math
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from operator import itemgetter
from typing import Any, TypeAlias

from queue_metrics._core import Moments, Series, row_columns
from queue_metrics.config import TimeToLive
from queue_metrics.storage.base import HOUR, MINUTE
from queue_metrics.storage.general import Call, GeneralOperations

ALL_KEY, SERVERS_KEY, QUEUES_KEY = "worker_efficiency", "worker_efficiency_servers", "worker_efficiency_queues"
COUNTERS_KEY = "worker_counters"
_WEEK = TimeToLive().workers
QUEUES_KEPT = 6 * HOUR
"""Seconds that rows of queues are kept at most: queues are many, and a row with all of them is long."""
_VERSION = 2
"""Of a row of all workers: a list of numbers, since a week of them is read at once. The first was an object as those of servers are."""
_AT = "at"  # a field beside those of workers, whose ids hold colons

Queue: TypeAlias = tuple[str, str]
PassTime: TypeAlias = tuple[float, float, float, float]
"""The moment of a pass, seconds since the pass before, and busy and idle seconds of a crew in between."""


@dataclass(frozen=True, slots=True)
class Spent:
    """Time of workers with and without a running job, seconds."""

    busy_seconds: float
    idle_seconds: float

    @property
    def seconds(self) -> float:
        """All of it."""
        return self.busy_seconds + self.idle_seconds

    @property
    def ratio(self) -> float | None:
        """The busy share, 0-1; None when there was no time."""
        return self.busy_seconds / self.seconds if self.seconds > 0 else None

    @staticmethod
    def total(parts: Iterable[Spent]) -> Spent:
        """All of them together."""
        busy = idle = 0.0
        for part in parts:
            busy, idle = busy + part.busy_seconds, idle + part.idle_seconds
        return Spent(busy, idle)


@dataclass(frozen=True, slots=True)
class Crew:
    """Some workers between two passes of the collector."""

    spent: Spent
    rss_mean_bytes: float | None
    cpu_mean_ratio: float | None
    """Means over the live ones that could be read; 1 is one core."""
    live: int
    busy: int
    idle: int
    """At the moment of the pass; those that are starting are live, too."""


@dataclass(frozen=True, slots=True)
class EfficiencyRow:
    """One pass of the collector."""

    at: float
    """Its moment, seconds since 1970."""
    seconds: float
    """Since the pass before: what the differences are over. A minute, and longer after a gap."""
    all: Crew
    servers: Mapping[str, Crew]
    """By hostname."""
    queues: Mapping[Queue, Crew]
    """By connection and queue; a worker that serves several stands in each, one that serves all in none."""

    @property
    def minute(self) -> int:
        """The minute it is kept under, seconds since 1970."""
        return int(self.at) // MINUTE * MINUTE


@dataclass(frozen=True, slots=True)
class Counted:
    """The counters of a worker at the last pass, and at the pass before if it was seen then."""

    spent: Spent
    before: Spent | None


@dataclass(frozen=True, slots=True)
class Counters:
    """The counters of all workers at the last pass."""

    at: float
    """The moment of the pass, seconds since 1970."""
    before: float | None
    """The moment of the pass before; None: that was the first."""
    workers: Mapping[str, Counted]

    def earlier(self, worker: str, started: float) -> tuple[float, float] | None:
        """
        Busy and idle seconds of a worker at the earliest pass that is known: nothing for one that began after the last one.

        None: it was there and nobody counted.
        """
        known = self.workers.get(worker)
        if known is None:
            return (0.0, 0.0) if started >= self.at else None
        spent = known.before or known.spent
        return spent.busy_seconds, spent.idle_seconds

    def twice(self, worker: str) -> bool:
        """Whether a worker was seen at both passes."""
        known = self.workers.get(worker)
        return known is not None and known.before is not None


@dataclass(frozen=True, slots=True)
class CrewMinute:
    """One row of one crew, as read for a window."""

    at: float
    seconds: float
    crew: Crew

    @property
    def time(self) -> PassTime:
        """What it says of time."""
        return self.at, self.seconds, self.crew.spent.busy_seconds, self.crew.spent.idle_seconds


@dataclass(frozen=True, slots=True)
class FleetRows:
    """What all workers did until each pass of the collector, oldest first, as far as a trend needs it; columns of one length."""

    at: Series
    """The moment of the pass, seconds since 1970."""
    busy_seconds: Series
    idle_seconds: Series
    rss_mean_bytes: Series
    """NaN where it is not known, as in the next."""
    cpu_mean_ratio: Series
    seconds: Series
    """Since the pass before."""

    @property
    def times(self) -> Iterator[PassTime]:
        """What each says of time."""
        return zip(self.at, self.seconds, self.busy_seconds, self.idle_seconds, strict=True)

    def between(self, start: float, end: float, *, before: float) -> FleetRows:
        """
        What they tell of the time from `start` to `end`: of the first and the last that part alone which is in it.

        A pass behind the end stands at it, and always earlier than `before`.
        """
        until = min(end, math.nextafter(before, -math.inf))
        found = self._each(itemgetter(slice(bisect_right(self.at, start), bisect_right(self.at, until) + 1)))
        return found.cut({0: start})._until(until) if found.at else found

    def cut(self, starts: Mapping[int, float]) -> FleetRows:
        """With that part alone of the time of some rows, by their place, which is not before a moment; as if it was spent evenly."""
        longer = {place: start for place, start in starts.items() if self.at[place] - self.seconds[place] < start}
        if not longer:
            return self
        parts = [1.0] * len(self.at)
        for place, start in longer.items():
            parts[place] = (self.at[place] - start) / self.seconds[place]
        seconds, busy, idle = (column * Series(parts) for column in (self.seconds, self.busy_seconds, self.idle_seconds))
        return replace(self, seconds=seconds, busy_seconds=busy, idle_seconds=idle)

    def of_workers(self) -> FleetRows:
        """Those in which a worker spent any time."""
        worked = self.busy_seconds + self.idle_seconds
        if not worked or (Moments(worked).min or 0.0) > 0:
            return self
        places = [place for place, seconds in enumerate(worked) if seconds > 0]
        return self._each(lambda numbers: numbers.take(places))

    def _until(self, end: float) -> FleetRows:
        """With the last as if it passed at a moment, where it passed later and tells of time before; what it saw then is of later."""
        at, seconds = self.at[-1], self.seconds[-1]
        if at <= end:
            return self
        if seconds <= at - end:
            return self._each(itemgetter(slice(-1)))
        others = len(self.at) - 1
        parts, unknown = Series([*[1.0] * others, 1 - (at - end) / seconds]), Series([*[0.0] * others, math.nan])
        return FleetRows(
            at=self.at - Series([*[0.0] * others, at - end]),
            busy_seconds=self.busy_seconds * parts,
            idle_seconds=self.idle_seconds * parts,
            rss_mean_bytes=self.rss_mean_bytes + unknown,
            cpu_mean_ratio=self.cpu_mean_ratio + unknown,
            seconds=self.seconds * parts,
        )

    def _each(self, part: Callable[[Series], Series]) -> FleetRows:
        return FleetRows(*(part(getattr(self, name)) for name in self.__slots__))


def add_efficiency(store: GeneralOperations, row: EfficiencyRow, kept: int = _WEEK) -> None:
    """Put a row in place of that of its minute and let go of what is older than `kept` seconds: nine operations, for one transaction."""
    at, seconds = round(row.at, 3), round(row.seconds, 3)
    head = {"t": row.minute, "at": at, "s": seconds}
    members: dict[str, Any] = {
        ALL_KEY: [_VERSION, row.minute, at, seconds, *_row(row.all)],
        SERVERS_KEY: {**head, "servers": {host: _row(crew) for host, crew in row.servers.items()}},
        QUEUES_KEY: {**head, "queues": {"\x00".join(queue): _row(crew) for queue, crew in row.queues.items()}},
    }
    for key, member in members.items():
        of_key = min(kept, QUEUES_KEPT) if key == QUEUES_KEY else kept
        store.trim_sorted_set_by_score(key, row.minute, row.minute)
        store.add_to_sorted_set(key, {_dumped(member): row.minute}, ttl=of_key)
        store.trim_sorted_set_by_score(key, 0, row.minute - of_key)


def add_counters(store: GeneralOperations, counters: Counters | None) -> None:
    """
    Put the counters in place of those of the last pass, None: nothing; in the transaction of `add_efficiency`, or a minute counts twice
    or not.
    """
    if counters is None:
        store.delete(COUNTERS_KEY)
        return
    fields = {_AT: _dumped([counters.at, counters.before])}
    for worker, counted in counters.workers.items():
        pairs = (counted.spent,) if counted.before is None else (counted.spent, counted.before)
        fields[worker] = _dumped([round(number, 3) for pair in pairs for number in (pair.busy_seconds, pair.idle_seconds)])
    store.delete(COUNTERS_KEY)
    store.set_hash(COUNTERS_KEY, fields)


def reading_counters() -> Call:
    """The call whose answer `counters_of` reads."""
    return Call("get_hash", (COUNTERS_KEY,))


def reading_rows(key: str, start: float, end: float) -> Call:
    """The call whose answer holds the rows of a key that tell of the time from `start` to `end`, seconds since 1970."""
    return Call("get_sorted_set_by_score", (key, float(int(start) // MINUTE * MINUTE), float(end), False, 0, None))


def reading_next_row(key: str, end: float) -> Call:
    """The call whose answer holds the first row behind those of `reading_rows`, which may tell of the time before `end`, as after a gap."""
    return Call("get_sorted_set_by_score", (key, float(int(end) + 1), math.inf, False, 0, 1))


LAST_ROW = Call("get_sorted_set_by_rank", (ALL_KEY, -1, -1, False))
"""The call whose answer holds the newest row of all workers, for `fleet_minutes`."""


def counters_of(answer: Mapping[str, str]) -> Counters | None:
    """Counters out of the answer of `get_hash(COUNTERS_KEY)`; None when there was no pass, or it was damaged."""
    try:
        at, before = json.loads(answer[_AT])
        workers = {worker: _counted(json.loads(told)) for worker, told in answer.items() if worker != _AT}
        return Counters(float(at), None if before is None else float(before), workers)
    except (KeyError, ValueError, TypeError, IndexError):
        return None


def fleet_minutes(members: Iterable[tuple[str, float]]) -> list[CrewMinute]:
    """Of all workers, out of `get_sorted_set_by_score(ALL_KEY, ...)`, in its order; damaged ones are left out."""
    return [CrewMinute(at, seconds, crews["all"]) for at, seconds, crews in _rows(members, "all")]


def fleet_rows(members: Sequence[tuple[str, float]]) -> FleetRows:
    """The same as `fleet_minutes`, thousands at once: no object is made of a row, unless one is of another version or damaged."""
    version, _, at, seconds, busy, idle, rss, cpu = row_columns([member for member, _ in members], 8)
    whole = (at + seconds + busy + idle).known()
    if list(version).count(_VERSION) == len(whole) == len(members):
        return FleetRows(at, busy, idle, rss, cpu, seconds)
    minutes = fleet_minutes(members)
    crews = [each.crew for each in minutes]
    return FleetRows(
        at=Series([each.at for each in minutes]),
        busy_seconds=Series([crew.spent.busy_seconds for crew in crews]),
        idle_seconds=Series([crew.spent.idle_seconds for crew in crews]),
        rss_mean_bytes=Series([math.nan if crew.rss_mean_bytes is None else crew.rss_mean_bytes for crew in crews]),
        cpu_mean_ratio=Series([math.nan if crew.cpu_mean_ratio is None else crew.cpu_mean_ratio for crew in crews]),
        seconds=Series([each.seconds for each in minutes]),
    )


def server_crews(members: Iterable[tuple[str, float]]) -> dict[str, list[CrewMinute]]:
    """Of each server, by hostname, out of `get_sorted_set_by_score(SERVERS_KEY, ...)`."""
    found: dict[str, list[CrewMinute]] = {}
    for at, seconds, crews in _rows(members, "servers"):
        for name, crew in crews.items():
            found.setdefault(name, []).append(CrewMinute(at, seconds, crew))
    return found


def queue_crew(members: Iterable[tuple[str, float]], queue: Queue) -> list[CrewMinute]:
    """Of one queue, out of `get_sorted_set_by_score(QUEUES_KEY, ...)`; queues are many, so nothing is made of the others."""
    name = "\x00".join(queue)
    return [CrewMinute(at, seconds, crews[name]) for at, seconds, crews in _rows(members, "queues", only=name) if crews]


def _rows(members: Iterable[tuple[str, float]], part: str, only: str | None = None) -> Iterator[tuple[float, float, dict[str, Crew]]]:
    for member, _ in members:
        try:
            told = _told(json.loads(member))
            crews = {part: told[part]} if part == "all" else told[part]
            wanted = crews if only is None else {only: crews[only]} if only in crews else {}
            yield float(told["at"]), float(told["s"]), {name: _crew(crew) for name, crew in wanted.items()}
        except (ValueError, KeyError, TypeError, AttributeError):
            continue


def _told(row: Any) -> Any:
    """A row with names, also where it is a list of numbers; one of a newer version has none."""
    if not isinstance(row, list):
        return row
    return {"at": row[2], "s": row[3], "all": row[4:]} if row[:1] == [_VERSION] else {}


def _row(crew: Crew) -> list[Any]:
    rss, cpu = crew.rss_mean_bytes, crew.cpu_mean_ratio
    return [
        *(round(number, 3) for number in (crew.spent.busy_seconds, crew.spent.idle_seconds)),
        *(None if rss is None else round(rss), None if cpu is None else round(cpu, 6)),
        *(crew.live, crew.busy, crew.idle),
    ]


def _crew(told: list[Any]) -> Crew:
    busy, idle, rss, cpu, live, working, waiting = told[:7]  # a newer version may say more
    return Crew(Spent(float(busy), float(idle)), rss, cpu, live, working, waiting)


def _counted(told: list[float]) -> Counted:
    return Counted(Spent(told[0], told[1]), Spent(told[2], told[3]) if len(told) > 2 else None)


def _dumped(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))
