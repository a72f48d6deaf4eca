"""Breadth-first over all states in bounds, with a shortest trace to the first state in which a promise is broken."""

from __future__ import annotations

from dataclasses import dataclass

from tests.model import protocol
from tests.model.state import AS_PROMISED, Bounds, Rules, State


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


def explore(bounds: Bounds, rules: Rules = AS_PROMISED) -> Found:
    """
    Visit every state that can be reached, and stop at the first that breaks a promise.

    Visited states are kept as 64-bit hashes: at a million states the chance that one is missed is below 1 in 10 million.
    """
    begin = protocol.first(bounds)
    came_from: dict[int, tuple[int, str]] = {hash(begin): (0, "")}
    frontier, quiet = [begin], 0
    while frontier:
        following: list[State] = []
        for state in frontier:
            here, rests = hash(state), True
            for label, is_fault, after in protocol.steps(bounds, rules, state):
                there = hash(after)
                if there == here:
                    continue
                rests = rests and is_fault
                if there not in came_from:
                    came_from[there] = (here, label)
                    following.append(after)
                    broken = protocol.overcounted(after)
                    if broken:
                        return Found(len(came_from), quiet, broken, _trace(came_from, there))
            if rests:
                quiet += 1
                broken = protocol.differs(bounds, state)
                if broken:
                    return Found(len(came_from), quiet, "at rest, " + broken, _trace(came_from, here))
        frontier = following
    return Found(len(came_from), quiet, None, ())


def _trace(came_from: dict[int, tuple[int, str]], end: int) -> tuple[str, ...]:
    labels = []
    while came_from[end][1]:
        end, label = came_from[end]
        labels.append(label)
    return tuple(reversed(labels))
