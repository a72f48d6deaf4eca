"""
When a process hands over again: while the store takes batches, and after it did not. Knows no clock, no chance and no store.

The rule in words is in docs/stores.md, for who runs many hosts on one store.
"""

from __future__ import annotations

from dataclasses import dataclass

SHARE = 0.1
"""Of its time that a store spends with one spool at most: a batch that took 0.1 s is followed by a pause of 1 s."""
FEW_RECORDS = 100
"""A batch of fewer costs the store as much as a full one, so they are to be half as frequent when it is slow."""
ROOM_RECORDS = (256 << 20) // 64 // 10
"""
Records that may come between two turns: a tenth of a spool. What is drained is kept in three quarters of it at most, so nine tenths are
never reached while the store takes batches.
"""
SPREAD = 0.25
"""Part of each pause that chance adds or takes away, so that hosts do not fall into step."""
FIRST_RETRY_SECONDS = 1.0
OUTAGE_SECONDS = 5.0
"""A store that fails for longer was away, and all hosts have something for it when it is back."""
RETURN_SECONDS = 30.0
"""In which they return then, each at a moment of its own."""


@dataclass(frozen=True, slots=True)
class Handed:
    """What a turn handed to the store."""

    batches: int
    records: int
    store_seconds: float
    """That the store took for them."""
    gathered_seconds: float
    """In which the records came: since the turn before."""


def next_interval(before: float, handed: Handed, shortest: float, longest: float) -> float:
    """
    Seconds from this turn to the next, before chance is added.

    Slower when the store needs long, above all for little; quicker when it does not, or when the spool would fill. By a factor of two at
    most, so that one odd answer changes little. Where nothing was handed over nothing was learnt, and nothing saved by waiting.
    """
    interval = before
    if handed.batches:
        share = SHARE if handed.records >= FEW_RECORDS else SHARE / 2
        interval = min(max(handed.store_seconds / share, before / 2), 2 * before)
    if handed.records:
        interval = min(interval, handed.gathered_seconds * ROOM_RECORDS / handed.records)
    return max(shortest, min(interval, longest))


def spread(seconds: float, chance: float) -> float:
    """
    A pause with chance in it.

    Args:
        chance: from 0 to 1.
    """
    return seconds * (1 - SPREAD + 2 * SPREAD * chance)


def next_retry(before: float) -> float:
    """The pause after one that did not help, before chance is added."""
    return min(2 * before, OUTAGE_SECONDS)


def until_retry(failing_seconds: float, pause: float, moment: float, chance: float) -> float:
    """
    Seconds until the store is tried again.

    A short trouble is over after short pauses. In an outage each host tries once in `RETURN_SECONDS`, always at its own moment in them: so
    the first try after the store is back comes at a random moment within that time, however long it was away.

    Args:
        failing_seconds: since the first failure.
        pause: from `next_retry`; `FIRST_RETRY_SECONDS` for the first.
        moment: of this host, drawn from 0 to `RETURN_SECONDS` when the trouble began.
        chance: from 0 to 1.
    """
    if failing_seconds < OUTAGE_SECONDS:
        return spread(pause, chance)
    return (moment - failing_seconds) % RETURN_SECONDS or RETURN_SECONDS
