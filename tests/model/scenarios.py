"""The worlds that are explored, and the protocol with one promise broken at a time."""

from __future__ import annotations

from tests.model.state import CANCELLED, END, FAILED, PROVISIONAL, SUCCEEDED, TIMED_OUT, Bounds, Execution, Rules

SUCCEEDS, FAILS, TORN_DOWN = (END, SUCCEEDED), (END, FAILED), (PROVISIONAL, FAILED)


def runs(worker: int, *ends: tuple[str, int], hint: int = 0, job: int = -1) -> Execution:
    """An execution that starts and then writes `ends`."""
    return Execution(worker, (("START", 0), *ends), hint, job)


def worlds(scale: int = 1) -> dict[str, Bounds]:
    """Bounds by name; a larger scale allows more faults (scale 2 takes some minutes)."""
    two = (runs(0, SUCCEEDS), runs(1, FAILS))
    more = scale - 1
    return {
        # Two workers in one segment, every fault of the hand-over.
        "hand-over": Bounds(two, ((0,), (0,)), kills=1, crashes=1 + more, rollbacks=1 + more, late=1, unknown=1),
        # A worker that changes its segment and writes two ENDs, one that shares the second segment; torn polls.
        "hold-back": Bounds((runs(0, SUCCEEDS, FAILS), runs(1, FAILS)), ((0, 1), (1,)), kills=1 + more, crashes=1, torn=True),
        # Two workers that change to each other's segment, two ENDs each.
        "crossing": Bounds((runs(0, SUCCEEDS, SUCCEEDS), runs(1, FAILS, FAILS)), ((0, 1), (1, 0)), kills=1, crashes=1, most=2),
        # A torn-down execution with a HINT beside a plain one, segments that change, batches of a few records.
        "verdicts": Bounds(
            (runs(0, TORN_DOWN, hint=TIMED_OUT), runs(1, SUCCEEDS)), ((0, 1), (1,)), listener=1, kills=1, crashes=1 + more, most=3
        ),
        # A HINT for an execution that ends by itself, is torn down, or is killed.
        "hints": Bounds(
            (runs(0, SUCCEEDS, hint=CANCELLED), runs(1, TORN_DOWN, hint=TIMED_OUT)), ((0,), (1,)), listener=0, kills=1 + more, crashes=0
        ),
        # Two executions of one job, both may be killed.
        "one job": Bounds(
            (runs(0, TORN_DOWN, hint=TIMED_OUT, job=1), runs(1, SUCCEEDS, job=1)), ((0,), (1,)), listener=0, kills=2, crashes=1
        ),
        # Segments that are deleted while the store can go back; START and END in different ones.
        "deletion": Bounds(two, ((0, 1), (0, 2)), kills=1, crashes=1 + more, rollbacks=1, tidy=True),
        # The same with a late batch.
        "deletion, late": Bounds(two, ((0,), (1,)), kills=1, crashes=1, rollbacks=1, late=1, tidy=True),
        # Segments with a suggestion or a HINT that an open execution still needs.
        "deletion, verdict": Bounds(
            (runs(0, TORN_DOWN, hint=TIMED_OUT),), ((0, 1),), listener=2, kills=1, crashes=1 + more, rollbacks=1, late=1, tidy=True
        ),
    }


WEAKENED: dict[str, tuple[str, Rules]] = {
    "the mark moves in a second transaction": ("hand-over", Rules(one_transaction=False)),
    "no sequence number": ("hand-over", Rules(compare_sequence=False)),
    "the store compares the sequence number alone": ("hand-over", Rules(compare_positions=False)),
    "a refused batch is renumbered and sent again": ("hand-over", Rules(restore_after_refusal=False)),
    "an idle drainer does not look at the mark": ("hand-over", Rules(idle_reads_mark=False)),
    "an END of an unknown key is dropped at once": ("hold-back", Rules(hold_back=False)),
    "an END is held back until the others are folded, not read": ("crossing", Rules(hold_until_read=False)),
    "lost without grace": ("verdicts", Rules(grace=False)),
    "a HINT alone counts": ("hints", Rules(hint_waits=False)),
    "a provisional END counts at once": ("verdicts", Rules(provisional_waits=False)),
    "a verdict before everything is read": ("verdicts", Rules(verdict_reads_first=False)),
    "a segment is deleted with an open START": ("deletion", Rules(keep_open=False)),
    "a segment is deleted with the HINT of an open execution": ("deletion, verdict", Rules(keep_named=False)),
    "a segment is deleted before the store has its numbers": (
        "deletion",
        Rules(keep_uncommitted=False, keep_window=False, ask_before_deleting=False),
    ),
    "a segment is deleted that a process can append to": ("deletion", Rules(keep_writable=False)),
    "a segment is deleted that an older mark needs": ("deletion", Rules(keep_window=False)),
    "a segment is deleted without asking the store for its mark": ("deletion", Rules(ask_before_deleting=False)),
    "an END is deleted before its START and nobody remembers": ("deletion", Rules(note_closed=False)),
}
"""One promise broken: the world that shows it, and the rules."""
