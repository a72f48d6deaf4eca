"""Breadth-first over all states in bounds, with a shortest trace to the first state in which a promise is broken."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from tests.model import protocol
from tests.model.state import AS_PROMISED, CHOICES, Bounds, Do, Rules, State

Trail = dict[int, tuple[int, tuple[Do, int, object] | None]]
"""Hash of a state -> hash of the state before it, and what happened in between; the states themselves are let go."""


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
    """
    Visit every state that can be reached, and stop at the first that breaks a promise.

    Visited states are kept as 64-bit hashes: at a million states the chance that one is missed is below 1 in 10 million.
    """
    begin = protocol.first(bounds)
    came_from: Trail = {hash(begin): (0, None)}
    frontier, quiet = [begin], 0
    while frontier:
        following: list[State] = []
        for state in frontier:
            here, rests = hash(state), True
            for step in protocol.steps(bounds, rules, state):
                there = hash(step.after)
                if there == here:
                    continue
                rests = rests and step.do in CHOICES
                if there not in came_from:
                    came_from[there] = (here, step[:3])
                    following.append(step.after)
                    broken = protocol.overcounted(step.after)
                    if broken:
                        return Found(len(came_from), quiet, broken, _trace(came_from, there))
            if rests:
                quiet += 1
                broken = protocol.differs(bounds, state)
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
