"""
What the model of docs/protocol.md is made of: bounds, rules and states; knows nothing of the package.

A state is a tuple of plain values, so that it can be hashed; a step is what happens and the next state. Executions are small
numbers; times are left out, as the protocol uses them only through the two waits (grace, replay window) whose end is a step
or a condition here.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

SUCCEEDED, FAILED, RETRIED, TIMED_OUT, CANCELLED, LOST = 1, 2, 3, 4, 5, 6
NAMES = {1: "succeeded", 2: "failed", 3: "retried", 4: "timed_out", 5: "cancelled", 6: "lost"}
RANK = {outcome: rank for rank, outcome in enumerate((LOST, TIMED_OUT, CANCELLED, RETRIED, FAILED, SUCCEEDED))}

STARTED = 0  # what is counted of an execution: STARTED or an outcome
START, END, PROVISIONAL, HINT = "START", "END", "PROVISIONAL", "HINT"


class Record(NamedTuple):
    """One record: of one execution, or for a HINT of all executions of the job that had started."""

    kind: str
    keys: tuple[int, ...]
    outcome: int

    def __str__(self) -> str:
        return f"{self.kind} {','.join(map(str, self.keys))}" + (f" {NAMES[self.outcome]}" if self.outcome else "")


class Execution(NamedTuple):
    """What a worker is going to write of one execution, and what another process may hear of it (0: nothing)."""

    worker: int
    steps: tuple[tuple[str, int], ...]
    hint: int = 0
    job: int = -1  # executions of the same job share a number; -1: a job of its own


@dataclass(frozen=True)
class Bounds:
    """How large the explored world is."""

    executions: tuple[Execution, ...]
    homes: tuple[tuple[int, ...], ...]  # per worker: the segments it appends to, one after the other; forked workers share
    listener: int = -1  # the segment of the process that writes HINTs
    kills: int = 0  # workers killed, each before any of its records
    crashes: int = 0  # drainers killed at any step, another takes over
    rollbacks: int = 0  # times the store goes back to an older state, numbers and mark together
    late: int = 0  # batches delivered at any later moment
    unknown: int = 0  # batches applied without an answer
    tidy: bool = False  # segments are deleted
    torn: bool = False  # a poll looks at one segment after the other while workers write
    most: int = 99  # records in one batch

    @property
    def own(self) -> int:
        """The segment of the first drainer; each later one has the next."""
        return 1 + max([self.listener, *(segment for home in self.homes for segment in home)])

    @property
    def segments(self) -> int:
        return self.own + 1 + self.crashes


@dataclass(frozen=True)
class Rules:
    """The promises of the protocol; each can be broken to see what it is for."""

    one_transaction: bool = True
    compare_sequence: bool = True
    compare_positions: bool = True
    restore_after_refusal: bool = True
    idle_reads_mark: bool = True
    hold_back: bool = True
    hold_until_read: bool = True  # broken: until folded
    grace: bool = True
    hint_waits: bool = True
    provisional_waits: bool = True
    verdict_reads_first: bool = True
    keep_open: bool = True
    keep_named: bool = True
    keep_uncommitted: bool = True
    keep_writable: bool = True
    keep_window: bool = True
    ask_before_deleting: bool = True
    note_closed: bool = True


AS_PROMISED = Rules()


Counts = tuple[tuple[int, int], ...]  # (execution, STARTED or outcome), sorted, repeated when counted twice
Positions = tuple[int, ...]


class Store(NamedTuple):
    """The mark and the numbers."""

    sequence: int
    positions: Positions
    counts: Counts


class Batch(NamedTuple):
    """What a drainer hands over; `half` when its numbers are in the store and its mark is not (broken rule only)."""

    sequence: int
    base: Positions
    positions: Positions
    counts: Counts
    half: bool = False


class Drainer(NamedTuple):
    """What the living drainer has in memory."""

    number: int
    sequence: int  # the mark it believes in
    base: Positions
    positions: Positions  # folded, perhaps not committed
    seen: Positions  # sizes it looked at
    open: frozenset[tuple[int, int]]  # (execution, suggested outcome or 0)
    hints: frozenset[tuple[int, int]]
    fences: tuple[int, ...]  # per segment that is held back: bits of the segments to look at again; -1: not held back
    batch: Batch | None = None
    looking: int = -1  # next segment of a torn poll


class State(NamedTuple):
    """The whole world at one moment."""

    segments: tuple[tuple[Record, ...] | None, ...]  # None: deleted
    homes: tuple[int, ...]  # per worker: which of its segments it is at
    dead: int  # bits of killed workers
    done: tuple[int, ...]  # per execution: records written
    hinted: int  # bits of executions
    elapsed: int  # bits of executions whose grace is over
    closed: frozenset[int]  # ledger: ended executions whose START is kept and whose END is deleted
    drainer: Drainer | None
    drainers: int  # ever started
    store: Store
    older: Store | None  # the state the store can go back to
    flying: Batch | None
    faults: tuple[int, ...]  # left: kills, crashes, rollbacks, late, unknown


class Do(Enum):
    """What can happen next, in words; the numbers are of a worker, execution, segment, batch or drainer."""

    WRITE = "worker {0}: {1}"
    ROTATE = "worker {0} rotates"
    KILL = "worker {0} killed"
    HEAR = "{1}"
    WAIT = "grace of {0} over"
    TAKE_OVER = "drainer {0} takes over"
    CRASH = "drainer {0} killed"
    KEEP = "the store could go back to here"
    GO_BACK = "the store goes back"
    DELIVER = "late batch {0} {1}"
    LOOK = "look at segment {0}{1}"
    POLL = "poll and fold"
    RESTORE = "restore from the mark"
    APPLY = "batch {0} applied"
    UNANSWERED = "batch {0} applied, the answer is lost"
    REFUSE = "batch {0} refused, restore"
    DELAY = "batch {0} is late"
    VERDICT = "verdict {0} {1}"
    DELETE = "segment {0} deleted"
    NUMBERS = "numbers of batch {0} set"  # broken rules only, as the next two
    MARK = "mark {0} set"
    RENUMBER = "batch {0} refused, renumbered"


CHOICES = frozenset({Do.ROTATE, Do.KILL, Do.HEAR, Do.CRASH, Do.KEEP, Do.GO_BACK, Do.DELIVER, Do.UNANSWERED, Do.DELAY})
"""Faults and choices of the world, which need not happen; the protocol has to get everywhere without them."""


class Step(NamedTuple):
    """One thing that can happen, and the world after it."""

    do: Do
    number: int
    detail: object
    after: State

    def __str__(self) -> str:
        return self.do.value.format(self.number, self.detail)


def replaced(values: tuple[int, ...], index: int, value: int) -> tuple[int, ...]:
    return (*values[:index], value, *values[index + 1 :])


def appended(state: State, segment: int, record: Record) -> State:
    """The state after a record; appending to a deleted file succeeds, and nobody will read it."""
    content = state.segments[segment]
    if content is None:
        return state
    return state._replace(segments=(*state.segments[:segment], (*content, record), *state.segments[segment + 1 :]))
