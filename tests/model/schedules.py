"""Random walks through the model, for driving something real along them."""

from __future__ import annotations

import random
from dataclasses import dataclass

from tests.model import protocol, truth
from tests.model.state import AS_PROMISED, CHOICES, Bounds, Do, Rules, State, Step

LONGEST = 400


@dataclass(frozen=True)
class Schedule:
    """What happened, one after the other, until only choices of the world were left."""

    bounds: Bounds
    steps: tuple[Step, ...]
    last: State

    def __str__(self) -> str:
        return "\n".join(f"  {number:3}. {step}" for number, step in enumerate(self.steps, 1))


def walk(bounds: Bounds, seed: int) -> Schedule:
    """
    One random schedule, the same for the same seed; it ends at rest.

    The model's graces end one by one, real time runs for all: so nobody is judged and nothing is deleted (which both take
    time) before every grace that has begun is over.
    """
    dice = random.Random(seed)
    state = protocol.first(bounds)
    taken: list[Step] = []
    while True:
        options = [step for step in protocol.steps(bounds, AS_PROMISED, state) if step.after != state and _in_time(bounds, state, step)]
        needed = [step for step in options if step.do not in CHOICES]
        chosen = [step for step in options if step.do in CHOICES] if len(taken) < LONGEST else []
        if not needed and (not chosen or dice.random() < 0.5):
            return Schedule(bounds, tuple(taken), state)
        step = dice.choice(chosen if not needed or (chosen and dice.random() < 0.3) else needed)
        taken.append(step)
        state = step.after


def _in_time(bounds: Bounds, state: State, step: Step) -> bool:
    if step.do not in (Do.VERDICT, Do.DELETE):
        return True
    return truth.graces_over(bounds, state)


def follow(bounds: Bounds, rules: Rules, trace: tuple[str, ...]) -> Schedule:
    """The schedule of a trace that an exploration found; what workers were still going to write, and every grace, follow."""
    state = protocol.first(bounds)
    taken: list[Step] = []
    for line in trace:
        taken.append(next(step for step in protocol.steps(bounds, rules, state) if str(step) == line))
        state = taken[-1].after
    while rest := [step for step in protocol.steps(bounds, rules, state) if step.do in (Do.WRITE, Do.WAIT)]:
        taken.append(rest[0])
        state = rest[0].after
    return Schedule(bounds, tuple(taken), state)
