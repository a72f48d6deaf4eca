"""Who keeps what readers cannot keep: whether a collector runs, and what one pass of it did."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class CollectorAnswer:
    """Whether somebody collects."""

    running: bool
    """Whether there was a pass in the last two minutes."""
    last_pass_seconds: float | None
    """Since the last pass; None: there never was one."""
    message: str
    """One sentence for people; names the command where none runs."""


@dataclass(frozen=True, slots=True)
class PassAnswer:
    """What one pass of the collector did, or would have done."""

    done: bool
    """Whether it is written; False: it was not due, or only tried."""
    message: str
    """Why nothing was written, or that it was."""
    minute: int
    """The minute that it is about, seconds since 1970."""
    queues: int
    workers: int
    servers: int
    """What was looked at: known queues, workers with a heartbeat, servers of which a minute is kept."""
    baselines: int
    """Baselines that were calculated, of tasks and of queues."""
    forgotten: int
    """Baselines that nobody had renewed."""
    events: Mapping[str, int]
    """Events that were raised, by kind."""
    requests: int
    """To the store."""
    seconds: float
    """How long it took, without asking brokers."""
    asked: int = 0
    """Queues whose depth a broker of the configuration told before the pass, and that was kept."""
    away: Mapping[str, str] = field(default_factory=dict)
    """Connections of the configuration that did not answer, each with the reason."""
    spool: str = ""
    """Why what brokers told could not be kept, and what to do; empty: it was, or nobody told anything."""
