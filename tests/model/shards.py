"""
The marks of a store in shards (`recording/shards.py`) as a machine of its own: two shards, each with its mark, its numbers and its faults.

Only what shards add is here. What is folded is one number for each record, since a shard's part of a batch is the same fold with the rows
of others left out; open executions, HINTs and verdicts are those of `protocol`, which knows one shard. Positions are one number a segment.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

Positions = tuple[int, ...]


@dataclass(frozen=True)
class Bounds:
    """How large the explored world is."""

    records: tuple[tuple[int, ...], ...] = ((1, 0), (1,))
    """For each segment the shards that its records are counted in."""
    shards: int = 2
    crashes: int = 1
    rollbacks: int = 1  # times that a single shard goes back
    late: int = 1
    unknown: int = 1


@dataclass(frozen=True)
class Rules:
    """The promises; each can be broken to see what it is for."""

    begin_at_the_furthest: bool = True  # broken: where shard 0 is
    catch_up: bool = True
    own_mark_each: bool = True  # broken: the mark of shard 0 is compared for all
    compare_positions: bool = True
    level_before_deleting: bool = True  # broken: the mark of shard 0 speaks for all
    ask_all_before_deleting: bool = True
    keep_window: bool = True


AS_PROMISED = Rules()


class Mark(NamedTuple):
    sequence: int
    positions: Positions


class Shard(NamedTuple):
    """A mark and the records counted, as (segment, number), repeated when counted twice."""

    mark: Mark
    counts: tuple[tuple[int, int], ...] = ()


class Part(NamedTuple):
    """What is sent to one shard."""

    shard: int
    mark: Mark  # that it expects
    positions: Positions
    counts: tuple[tuple[int, int], ...]


class Drainer(NamedTuple):
    """Marks as it believes them, where it is, and the parts of a batch that are still to be sent, to `goal`."""

    marks: tuple[Mark, ...]
    positions: Positions
    goal: Positions = ()
    parts: tuple[Part, ...] = ()
    catching: bool = False


class State(NamedTuple):
    """The whole world at one moment."""

    written: Positions
    deleted: int  # bits of segments
    shards: tuple[Shard, ...]
    older: tuple[Shard, ...] | None  # what each shard can go back to
    drainer: Drainer | None
    flying: Part | None
    faults: tuple[int, ...]  # left: crashes, rollbacks, late, unknown


class Do(Enum):
    """What can happen next."""

    WRITE = "segment {0}: one more record"
    TAKE_OVER = "a drainer takes over"
    CRASH = "the drainer is killed"
    KEEP = "the shards could go back to here"
    GO_BACK = "shard {0} goes back"
    DELIVER = "a late part for shard {0} {1}"
    FOLD = "fold up to {1}"
    RESTORE = "the marks are read anew"
    APPLY = "part applied by shard {0}"
    UNANSWERED = "part applied by shard {0}, the answer is lost"
    REFUSE = "part refused by shard {0}"
    DELAY = "the part for shard {0} is late"
    DELETE = "segment {0} deleted"


CHOICES = frozenset({Do.CRASH, Do.KEEP, Do.GO_BACK, Do.DELIVER, Do.UNANSWERED, Do.DELAY})


class Step(NamedTuple):
    do: Do
    number: int
    detail: object
    after: State


def first(bounds: Bounds) -> State:
    """Nothing has been written, nobody drains."""
    nothing = (0,) * len(bounds.records)
    shards = (Shard(Mark(0, nothing)),) * bounds.shards
    faults = (bounds.crashes, bounds.rollbacks, bounds.late, bounds.unknown)
    return State(nothing, 0, shards, shards if bounds.rollbacks else None, None, None, faults)


def overcounted(state: State) -> str | None:
    """What is counted twice; must be None in every state."""
    for number, shard in enumerate(state.shards):
        if len(set(shard.counts)) != len(shard.counts):
            return f"shard {number} counts a record twice"
    return None


def differs(bounds: Bounds, state: State) -> str | None:
    """What is not counted when only faults could still change anything."""
    for number, shard in enumerate(state.shards):
        wanted = [
            (segment, at)
            for segment, records in enumerate(bounds.records)
            for at, home in enumerate(records)
            if home == number and at < state.written[segment]
        ]
        if sorted(shard.counts) != wanted:
            return f"shard {number} counts {shard.counts} instead of {wanted}"
    return None


def steps(bounds: Bounds, rules: Rules, state: State) -> Iterator[Step]:
    """Every step from a state, faults included."""
    for segment, records in enumerate(bounds.records):
        if state.written[segment] < len(records):
            yield Step(Do.WRITE, segment, None, state._replace(written=_with(state.written, segment, state.written[segment] + 1)))
    if state.drainer is None:
        yield Step(Do.TAKE_OVER, 0, None, _restored(bounds, rules, state, _marks(state)))
    else:
        if state.faults[0]:
            yield Step(Do.CRASH, 0, None, _spent(state, 0)._replace(drainer=None))
        yield from _draining(bounds, rules, state, state.drainer)
    if state.flying is not None:
        applied, after = _applied(rules, state, state.flying)
        answer = "is applied" if applied else "is refused"
        yield Step(Do.DELIVER, state.flying.shard, answer, after._replace(flying=None))
    if state.older is not None:
        yield Step(Do.KEEP, 0, None, state._replace(older=state.shards))
        for number, before in enumerate(state.older):
            if before != state.shards[number]:
                back = _spent(state, 1)
                shards = (*state.shards[:number], before, *state.shards[number + 1 :])
                yield Step(Do.GO_BACK, number, None, back._replace(shards=shards, older=state.older if back.faults[1] else None))


def _draining(bounds: Bounds, rules: Rules, state: State, drainer: Drainer) -> Iterator[Step]:
    if drainer.parts:
        yield from _send(bounds, rules, state, drainer)
        return
    if _marks(state) != drainer.marks:
        yield Step(Do.RESTORE, 0, None, _restored(bounds, rules, state, _marks(state)))
    for goal in {(*state.written[:1], *drainer.positions[1:]), (*drainer.positions[:1], *state.written[1:]), state.written}:
        if goal != drainer.positions:
            yield Step(Do.FOLD, 0, goal, state._replace(drainer=_folded(bounds, rules, state, drainer, goal)))
    yield from _tidy(bounds, rules, state, drainer)


def _folded(bounds: Bounds, rules: Rules, state: State, drainer: Drainer, goal: Positions) -> Drainer:
    """The parts of a batch: shards with rows in order, shard 0 last and in any case."""
    parts = [
        Part(shard, _believed(rules, drainer.marks, shard), goal, counts)
        for shard in [*range(1, bounds.shards), 0]
        if (counts := _between(bounds, state, shard, drainer.positions, goal)) or shard == 0
    ]
    return drainer._replace(goal=goal, parts=tuple(parts))


def _send(bounds: Bounds, rules: Rules, state: State, drainer: Drainer) -> Iterator[Step]:
    part, *rest = drainer.parts
    applied, after = _applied(rules, state, part)
    found = after.shards[part.shard].mark
    marks = (*drainer.marks[: part.shard], found, *drainer.marks[part.shard + 1 :])
    if applied or found == Mark(part.mark.sequence + 1, part.positions):
        done = drainer._replace(marks=marks, parts=tuple(rest))
        if not rest:
            done = done._replace(positions=drainer.goal, goal=(), catching=False)
        yield Step(Do.APPLY, part.shard, None, after._replace(drainer=done))
        if applied and state.faults[3]:
            yield Step(Do.UNANSWERED, part.shard, None, _spent(after, 3))
    else:
        # A batch begins anew from the marks that it knows of; who catches up reads them all.
        known = _marks(state) if drainer.catching else marks
        yield Step(Do.REFUSE, part.shard, None, _restored(bounds, rules, state, known))
    if state.faults[2] and state.flying is None:
        yield Step(Do.DELAY, part.shard, None, _spent(state, 2)._replace(flying=part))


def _restored(bounds: Bounds, rules: Rules, state: State, marks: tuple[Mark, ...]) -> State:
    """A drainer that begins from marks, first with the parts that bring each shard to where the furthest is."""
    reached = [mark.positions for mark in marks]
    goal = tuple(map(max, *reached)) if rules.begin_at_the_furthest else reached[0]
    parts = tuple(
        Part(shard, _believed(rules, marks, shard), goal, _between(bounds, state, shard, mark.positions, goal))
        for shard, mark in enumerate(marks)
        if mark.positions != goal and rules.catch_up and rules.begin_at_the_furthest
    )
    return state._replace(drainer=Drainer(marks, goal, goal if parts else (), parts, bool(parts)))


def _tidy(bounds: Bounds, rules: Rules, state: State, drainer: Drainer) -> Iterator[Step]:
    behind = [shard for shard, mark in enumerate(drainer.marks) if mark.positions != drainer.positions]
    if behind and rules.level_before_deleting:
        # Shards for which nothing came are moved to where shard 0 is.
        parts = tuple(Part(shard, _believed(rules, drainer.marks, shard), drainer.positions, ()) for shard in behind)
        yield Step(Do.FOLD, 0, drainer.positions, state._replace(drainer=drainer._replace(goal=drainer.positions, parts=parts)))
        return
    speaking = range(bounds.shards) if rules.level_before_deleting else range(1)
    marks = [drainer.marks[shard].positions for shard in speaking]
    if rules.ask_all_before_deleting:
        marks += [state.shards[shard].mark.positions for shard in speaking]
    if rules.keep_window and state.older is not None:
        marks += [shard.mark.positions for shard in state.older]
    for segment, records in enumerate(bounds.records):
        whole = state.written[segment] == len(records) and not state.deleted >> segment & 1
        if whole and all(positions[segment] == len(records) for positions in marks):
            yield Step(Do.DELETE, segment, None, state._replace(deleted=state.deleted | 1 << segment))


def _applied(rules: Rules, state: State, part: Part) -> tuple[bool, State]:
    """Compare and set, in one shard: its numbers and its mark together, or nothing."""
    shard = state.shards[part.shard]
    expected = state.shards[part.shard if rules.own_mark_each else 0].mark
    same = expected == part.mark if rules.compare_positions else expected.sequence == part.mark.sequence
    if not same:
        return False, state
    changed = Shard(Mark(part.mark.sequence + 1, part.positions), tuple(sorted(shard.counts + part.counts)))
    return True, state._replace(shards=(*state.shards[: part.shard], changed, *state.shards[part.shard + 1 :]))


def _believed(rules: Rules, marks: tuple[Mark, ...], shard: int) -> Mark:
    return marks[shard if rules.own_mark_each else 0]


def _between(bounds: Bounds, state: State, shard: int, begin: Positions, end: Positions) -> tuple[tuple[int, int], ...]:
    """The records of a shard from positions to others, of the segments that are still there."""
    return tuple(
        (segment, at)
        for segment, records in enumerate(bounds.records)
        if not state.deleted >> segment & 1
        for at in range(begin[segment], end[segment])
        if records[at] == shard
    )


def _marks(state: State) -> tuple[Mark, ...]:
    return tuple(shard.mark for shard in state.shards)


def _spent(state: State, fault: int) -> State:
    return state._replace(faults=_with(state.faults, fault, state.faults[fault] - 1))


def _with(values: tuple[int, ...], index: int, value: int) -> tuple[int, ...]:
    return (*values[:index], value, *values[index + 1 :])


WEAKENED = {
    "a drainer begins where shard 0 is": Rules(begin_at_the_furthest=False),
    "a shard that stayed behind is left there": Rules(catch_up=False),
    "all shards go by the mark of shard 0": Rules(own_mark_each=False),
    "a shard compares the sequence number alone": Rules(compare_positions=False),
    "the mark of shard 0 speaks for all when a segment is deleted": Rules(level_before_deleting=False),
    "a segment is deleted without asking all shards": Rules(ask_all_before_deleting=False),
    "a segment is deleted that an older mark of a shard needs": Rules(keep_window=False),
}
"""One promise broken, each of which must be found."""
