"""How the clocks of hosts differ from the reader's, by heartbeats: they carry their host's moment, and the store tells their age."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from queue_metrics._core import decode_heartbeat
from queue_metrics.errors import DecodeError
from queue_metrics.insights.layout import MICROSECONDS
from queue_metrics.storage.base import Beat

_NOISE_SECONDS = 30.0
"""
A heartbeat is dated when it is looked at, and stored a little later, or much on a busy machine: a difference below this is none, and an
age below zero by less is of now. It is half of what makes a depth stale by default, so a backlog stays in sight all the same.
"""


@dataclass(frozen=True, slots=True)
class Clocks:
    """Of one reading."""

    now: float
    """The moment of reading by the reader's clock, seconds since 1970."""
    behind: Mapping[str, tuple[float, ...]]
    """By connection, how many seconds the clock of each of its hosts is behind the reader's."""
    agents: tuple[float, ...] = ()
    """The same of hosts with an agent, which may ask for any connection."""

    @classmethod
    def of(cls, beats: Iterable[Beat], now: float) -> Clocks:
        """What heartbeats of workers tell; nothing of a host where no drainer looked at them."""
        hosts: dict[str, tuple[float, float]] = {}  # age of the youngest heartbeat, difference
        places: dict[str, set[str]] = {}
        agents: set[str] = set()
        for beat in beats:
            try:
                page = decode_heartbeat(beat.payload)
            except DecodeError:
                continue
            if page["seen"] is not None:
                host = page["host"]
                off = now - beat.age - page["seen"] / MICROSECONDS
                told = (beat.age, off if abs(off) > _NOISE_SECONDS else 0.0)
                hosts[host] = min(hosts.get(host, told), told)
                (agents if page["role"] == "agent" else places.setdefault(page["connection"], set())).add(host)
        return cls(
            now,
            {connection: tuple(hosts[host][1] for host in those) for connection, those in places.items()},
            tuple(hosts[host][1] for host in agents),
        )

    def age(self, connection: str, moment: float) -> float:
        """
        Seconds since a moment by the clock of some host of a connection, or by the reader's.

        Where they differ nobody says whose it was, since who asks need not have a heartbeat: the smallest age that is not in the
        future holds, so what is old may be taken for younger by as much as they differ.
        """
        ages = [self.now - moment - each for each in (0.0, *self._of(connection))]
        past = [age for age in ages if age >= -_NOISE_SECONDS]
        return max(min(past) if past else max(ages), 0.0)

    def ahead(self, connection: str) -> float:
        """How many seconds the clock of a host of a connection is ahead of the reader's at most."""
        return max((-each for each in self._of(connection)), default=0.0)

    def _of(self, connection: str) -> tuple[float, ...]:
        return (*self.behind.get(connection, ()), *self.agents)
