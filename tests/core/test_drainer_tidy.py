"""Segments are deleted when nobody needs them, and never before; what goes is noted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from queue_metrics import _core
from tests.core.spools import SECOND, TASK, Segment, Store

HOUR = 3600 * SECOND


def later(seconds: float = 2 * 3600) -> int:
    return _core.clock_us() + int(seconds * SECOND)


def drained(spool: Path, **options: Any) -> tuple[Store, _core.Drainer]:
    store, drainer = Store(), _core.Drainer(str(spool), **options)
    store.drain(drainer)
    return store, drainer


def test_a_segment_goes_when_it_was_superfluous_for_the_window(tmp_path: Path) -> None:
    segment = Segment(tmp_path, 1)
    segment.start(1)
    segment.end(1)
    store, drainer = drained(tmp_path)
    assert drainer.tidy(later()) == 0, "somebody can append"
    segment.release()
    assert drainer.tidy(later(3500)) == 0
    assert segment.path.exists()
    assert drainer.tidy(later()) == 1
    assert not segment.path.exists()
    words = (tmp_path / "ledger").read_text().split()
    assert words[:3] == [segment.id.hex(), "3", "1"]
    assert drainer.status()["segments"] == 0
    again = store.restored(tmp_path)
    assert (again.poll(), again.status()["lost_to_rollback"]) == (0, 0)


def test_the_window_counts_from_the_takeover_not_from_the_age_of_the_file(tmp_path: Path) -> None:
    segment = Segment(tmp_path, 1)
    segment.start(1)
    segment.end(1)
    segment.release()
    store, _ = drained(tmp_path, window=0)
    other = store.restored(tmp_path)
    store.drain(other)
    assert other.tidy(later(1800)) == 0
    assert other.tidy(later()) == 1


@pytest.mark.parametrize("what", ["start", "hint", "provisional"])
def test_what_an_open_execution_needs_stays(tmp_path: Path, what: str) -> None:
    segment, other = Segment(tmp_path, 1), Segment(tmp_path, 2)
    (segment if what == "start" else other).start(1)
    if what == "hint":
        segment.hint(2**60, _core.TIMED_OUT)
    if what == "provisional":
        segment.end(1, flags=_core.PROVISIONAL)
    segment.release()
    store, drainer = drained(tmp_path)
    assert drainer.tidy(later()) == 0
    other.end(1)
    store.drain(drainer)
    assert drainer.tidy(later()) + drainer.tidy(later()) == 1
    assert not segment.path.exists()


def test_a_segment_that_grew_is_needed_again(tmp_path: Path) -> None:
    """Nothing may go while the batch that ends its execution is not in the store."""
    segment, other = Segment(tmp_path, 1), Segment(tmp_path, 2)
    segment.start(1)
    segment.end(1)
    store, drainer = drained(tmp_path, window=0)
    assert drainer.tidy(later()) == 0
    segment.start(2)
    segment.release()
    store.drain(drainer)
    other.end(2)
    drainer.poll()
    assert drainer.next_batch() is not None
    assert drainer.tidy(later()) == 0
    store.drain(store.restored(tmp_path))
    assert store.total(*TASK) == {"started": 2, "succeeded": 2}


def test_uncounted_records_at_the_end_are_brought_into_the_mark_before_they_go(tmp_path: Path) -> None:
    """A last STOP counts nothing; a batch without rows moves the mark, else the ledger would call it lost."""
    segment = Segment(tmp_path, 1)
    segment.start(1)
    segment.end(1)
    store, drainer = drained(tmp_path)
    segment.write("STOP", at=1, worker=1)
    assert store.drain(drainer) == 0, "somebody may still append: no request for nothing"
    segment.release()
    assert store.drain(drainer) == 1
    assert drainer.tidy(later()) == 1
    assert store.restored(tmp_path).status()["lost_to_rollback"] == 0


def test_a_crowded_spool_keeps_nothing_superfluous(tmp_path: Path) -> None:
    """Oldest first, and only as many as it takes."""
    segments = [Segment(tmp_path, number) for number in range(1, 5)]
    for segment in segments:
        segment.start(segment.id[-1])
        segment.end(segment.id[-1])
        segment.release()
    size = segments[0].path.stat().st_size
    _, drainer = drained(tmp_path, spool_bytes=size * 3)
    assert drainer.tidy(_core.clock_us()) == 0 or not segments[0].path.exists()
    drainer.tidy(_core.clock_us())
    assert [segment.path.exists() for segment in segments] == [False, False, True, True]


def test_what_a_store_misses_that_went_back_is_an_exact_number(tmp_path: Path) -> None:
    first, second = Segment(tmp_path, 1), Segment(tmp_path, 2)
    store, drainer = Store(), _core.Drainer(str(tmp_path), window=0)
    states = [store.copy()]
    for number, segment in ((1, first), (2, second)):
        segment.start(number)
        store.drain(drainer)
        states.append(store.copy())
        segment.end(number)
        segment.release()
        store.drain(drainer)
    assert drainer.tidy(later()) + drainer.tidy(later()) == 2
    third = Segment(tmp_path, 3)
    third.start(3)
    store.drain(drainer)
    states.append(store.copy())
    assert [state.restored(tmp_path).status()["lost_to_rollback"] for state in states] == [6, 4, 1, 0]
    assert states[0].restored(tmp_path).status()["starts_lost_to_rollback"] == 2

    back = states[1]
    drainer = back.restored(tmp_path)
    third.end(3)
    back.drain(drainer)
    assert drainer.status()["lost_to_rollback"] == 4
    assert back.restored(tmp_path).status()["lost_to_rollback"] == 4, "the mark remembers"
    assert back.total(*TASK) == {"started": 2, "succeeded": 1}


def test_an_end_that_was_deleted_is_remembered(tmp_path: Path) -> None:
    """Its START stays for the sake of another execution, and does not look open after a takeover."""
    kept, gone = Segment(tmp_path, 1), Segment(tmp_path, 2)
    kept.start(1)
    kept.start(2)
    gone.end(2)
    gone.release()
    store, drainer = drained(tmp_path)
    assert drainer.tidy(later()) == 1
    assert kept.path.exists()
    other = store.restored(tmp_path)
    assert other.status()["open"] == 1
    store.drain(other)
    assert store.total(*TASK) == {"started": 2, "succeeded": 1}


def test_a_deletion_that_was_cut_short_counts_once(tmp_path: Path) -> None:
    """The line is there, the file too: nothing is lost, and the line is not written again."""
    segment = Segment(tmp_path, 1)
    segment.start(1)
    segment.end(1)
    content = segment.path.read_bytes()
    segment.release()
    store, drainer = drained(tmp_path)
    assert drainer.tidy(later()) == 1
    segment.path.write_bytes(content)
    empty = Store()
    other = empty.restored(tmp_path)
    assert other.status()["lost_to_rollback"] == 0
    empty.drain(other)
    assert empty.values == store.values
    assert other.tidy(later()) == 1
    assert len((tmp_path / "ledger").read_text().splitlines()) == 1
    assert empty.restored(tmp_path).status()["lost_to_rollback"] == 0


def test_a_segment_that_somebody_removed_is_forgotten(tmp_path: Path) -> None:
    segment, other = Segment(tmp_path, 1), Segment(tmp_path, 2)
    for one in (segment, other):
        one.start(one.id[-1])
    store, drainer = drained(tmp_path)
    segment.path.unlink()
    other.end(1)
    other.end(2)
    store.drain(drainer)
    assert store.total(*TASK) == {"started": 2, "succeeded": 2}
    assert drainer.status()["segments"] == 1
