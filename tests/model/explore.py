"""Breadth-first over all states in bounds, with a shortest trace to the first state in which a promise is broken."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable
from dataclasses import dataclass
from enum import Enum
from functools import cache, partial
from typing import Any, TypeVar

from tests.model import protocol, shards
from tests.model.state import AS_PROMISED, CHOICES, Bounds, Rules

Trail = dict[int, tuple[int, tuple[Enum, int, object] | None]]
"""Hash of a state -> hash of the state before it, and what happened in between; the states themselves are let go."""

World = TypeVar("World", bound=Hashable)


@dataclass(frozen=True)
class Found:
    """What an exploration saw; `trace` leads to the first violation and is empty when there is none."""

    states: int
    quiet: int  # states in which only faults could still change anything
    violation: str | None
    trace: tuple[str, ...]

    def __str__(self) -> str:
        if self.violation is None:
            return f"{self.states:,} states, {self.quiet:,} of them at rest, 0 violations"
        lines = "\n".join(f"  {number:2}. {label}" for number, label in enumerate(self.trace, 1))
        return f"{self.violation} (after {self.states:,} states)\n{lines}"


@cache
def explore(bounds: Bounds, rules: Rules = AS_PROMISED) -> Found:
    """Visit every state of `protocol` that can be reached, and stop at the first that breaks a promise."""
    steps = partial(protocol.steps, bounds, rules)
    return _search(protocol.first(bounds), steps, CHOICES, protocol.overcounted, partial(protocol.differs, bounds))


@cache
def explore_shards(bounds: shards.Bounds, rules: shards.Rules = shards.AS_PROMISED) -> Found:
    """The same of `shards`."""
    steps = partial(shards.steps, bounds, rules)
    return _search(shards.first(bounds), steps, shards.CHOICES, shards.overcounted, partial(shards.differs, bounds))


def _search(
    begin: World,
    steps: Callable[[World], Iterable[Any]],
    choices: Collection[Enum],
    overcounted: Callable[[World], str | None],
    differs: Callable[[World], str | None],
) -> Found:
    """
    Args:
        choices: what need not happen.
        overcounted: must be None in every state.
        differs: must be None in states in which only choices are left.

    Visited states are kept as 64-bit hashes: at a million states the chance that one is missed is below 1 in 10 million.
    """
    came_from: Trail = {hash(begin): (0, None)}
    frontier, quiet = [begin], 0
    while frontier:
        following: list[World] = []
        for state in frontier:
            here, rests = hash(state), True
            for step in steps(state):
                there = hash(step.after)
                if there == here:
                    continue
                rests = rests and step.do in choices
                if there not in came_from:
                    came_from[there] = (here, step[:3])
                    following.append(step.after)
                    broken = overcounted(step.after)
                    if broken:
                        return Found(len(came_from), quiet, broken, _trace(came_from, there))
            if rests:
                quiet += 1
                broken = differs(state)
                if broken:
                    return Found(len(came_from), quiet, "at rest, " + broken, _trace(came_from, here))
        frontier = following
    return Found(len(came_from), quiet, None, ())


def _trace(came_from: Trail, end: int) -> tuple[str, ...]:
    lines = []
    before, what = came_from[end]
    while what is not None:
        do, number, detail = what
        lines.append(do.value.format(number, detail))
        before, what = came_from[before]
    return tuple(reversed(lines))
