"""Draining segments of the map way: slots that are reserved and empty, sealed tails, an unclean boot, and files that lie."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from queue_metrics import _core
from queue_metrics.recording import spool as look
from tests.core.spools import SECOND, TASK, MapSegment, Segment, Store
from tests.core.writing import in_child, run_once, until
from tests.support.journal_oracle import HEADER, NO_U64, RECORD, SEALED, crc32c, encode, hash64, job_hash, label_list, read_spool

TOMBSTONE = 1
ENDED = {"started": 1, "succeeded": 1}


def end_of(segment: Segment, key: int) -> bytes:
    return encode(
        segment.id,
        "END",
        small=1,
        at=1,
        key=key,
        runtime=NO_U64,
        cpu=NO_U64,
        rss_peak=2**32 - 1,
        rss_change=-(2**31),
        exception=0,
        worker=0,
    )


def drained(spool: Path, drainer: _core.Drainer | None = None) -> tuple[Store, _core.Drainer]:
    store = Store()
    drainer = drainer or _core.Drainer(str(spool))
    store.drain(drainer)
    return store, drainer


def test_a_map_is_read_up_to_its_tail(tmp_path: Path) -> None:
    segment = MapSegment(tmp_path, 1)
    segment.start(1)
    segment.end(1)
    beyond = end_of(segment, 2)
    segment.fill(segment.at, beyond)
    store, drainer = drained(tmp_path)
    assert store.total(*TASK) == ENDED
    assert drainer.status()["duplicates"] == 0, "what lies behind the tail was not reserved"
    assert segment.tail == 3


def test_what_is_behind_an_empty_slot_waits_for_it_while_somebody_can_fill_it(tmp_path: Path) -> None:
    segment = MapSegment(tmp_path, 1)
    segment.start(1)
    hole = segment.reserve()
    segment.start(2)
    store, drainer = drained(tmp_path)
    assert store.total(*TASK) == {"started": 1}
    assert drainer.status()["waiting"] == 2
    segment.fill(hole, end_of(segment, 1))
    store.drain(drainer)
    assert store.total(*TASK) == {"started": 2, "succeeded": 1}
    assert drainer.status()["waiting"] == 0


def test_an_empty_slot_is_given_up_after_two_seconds_so_that_its_writer_learns_of_it(tmp_path: Path) -> None:
    segment = MapSegment(tmp_path, 1)
    segment.start(1)
    hole = segment.reserve()
    segment.end(1)
    store, drainer = drained(tmp_path)
    assert segment.word(hole) == 0
    until(lambda: store.drain(drainer) > 0)
    assert store.total(*TASK) == ENDED
    assert segment.word(hole) == TOMBSTONE
    assert drainer.status()["damaged"] == 0
    assert drained(tmp_path, store.restored(tmp_path))[0].values == {}


def test_an_empty_slot_that_nobody_can_fill_is_given_up_at_once(tmp_path: Path) -> None:
    segment = MapSegment(tmp_path, 1)
    segment.start(1)
    holes = [segment.reserve(), segment.reserve()]
    segment.fill(holes[1], bytes(8) + b"half a record".ljust(56, b"!"))
    segment.end(1)
    segment.release()
    store, drainer = drained(tmp_path)
    assert store.total(*TASK) == ENDED
    assert [segment.word(hole) for hole in holes] == [TOMBSTONE, TOMBSTONE]
    assert (drainer.status()["damaged"], drainer.status()["waiting"]) == (0, 0)


def test_an_end_is_no_duplicate_because_its_slot_is_old(tmp_path: Path) -> None:
    """Both were reserved before two looks; the END was filled after them, and its START written after them to a segment read before."""
    with_start, with_end = MapSegment(tmp_path, 1), MapSegment(tmp_path, 2)
    slot = with_end.reserve()
    drainer = _core.Drainer(str(tmp_path))
    assert [drainer.poll(), drainer.poll()] == [1, 1]
    with_start.start(1)
    with_end.fill(slot, end_of(with_end, 1))
    store = Store()
    while (batch := drainer.next_batch()) is not None:
        assert store.apply(batch)
        drainer.committed()
    assert store.total(*TASK) == ENDED
    assert drainer.status()["duplicates"] == 0


def test_a_hint_in_an_old_slot_stays_until_the_start_it_may_be_about_is_seen(tmp_path: Path) -> None:
    """All of its segment is counted before the START is even seen, and the spool is crowded."""
    with_start, with_hint = MapSegment(tmp_path, 1), MapSegment(tmp_path, 2)
    slots = [with_hint.reserve(), with_hint.reserve()]
    drainer = _core.Drainer(str(tmp_path), spool_bytes=1)
    assert [drainer.poll(), drainer.poll()] == [2, 2]
    with_start.start(1)
    task = hash64(label_list(1, *TASK))
    hint = encode(with_hint.id, "HINT", small=_core.TIMED_OUT, at=1, job=job_hash("job"), worker=2, exception=0)
    arrive = encode(with_hint.id, "ARRIVE", at=1, task=task, job=job_hash("other"), ready_at=1)
    for slot, data in zip(slots, (hint, arrive), strict=True):
        with_hint.fill(slot, data)
    store = Store()
    batch = drainer.next_batch()
    assert batch is not None
    assert store.apply(batch)
    drainer.committed()
    assert drainer.tidy(_core.clock_us()) == 0
    assert with_hint.path.exists()


def test_an_end_waits_for_a_start_that_lies_behind_an_empty_slot(tmp_path: Path) -> None:
    with_start, with_end = MapSegment(tmp_path, 1), Segment(tmp_path, 2)
    hole = with_start.reserve()
    with_start.start(1)
    with_end.end(1)
    store, drainer = drained(tmp_path)
    assert (store.values, drainer.status()["duplicates"]) == ({}, 0)
    with_start.fill(hole, encode(with_start.id, "PAD"))
    store.drain(drainer)
    assert store.total(*TASK) == ENDED


def test_an_end_of_nothing_is_a_duplicate_in_a_map_too(tmp_path: Path) -> None:
    segment = MapSegment(tmp_path, 1)
    segment.end(77)
    segment.start(1)
    segment.end(1)
    store, drainer = drained(tmp_path)
    assert store.total(*TASK) == ENDED
    assert drainer.status()["duplicates"] == 1


@pytest.mark.parametrize("tail", [0, 2, 60, SEALED | 3])
def test_after_an_unclean_boot_every_slot_is_read_whatever_the_tail_says(tmp_path: Path, tail: int) -> None:
    """Pages reach a disk in any order: records behind the tail, and pages that never came between them."""
    segment = MapSegment(tmp_path, 1, boot=bytes(range(16)))
    segment.start(1)
    for _ in range(20):
        segment.reserve()
    segment.end(1)
    segment.fill(segment.reserve(), b"torn".ljust(RECORD, b"!"))
    segment.start(2)
    last = segment.at
    segment.set_tail(tail)
    segment.release()
    before = segment.path.read_bytes()
    assert look.written(tmp_path) == {segment.id: last}
    store, drainer = drained(tmp_path)
    assert store.total(*TASK) == {"started": 2, "succeeded": 1}
    assert (drainer.status()["damaged"], drainer.status()["waiting"]) == (1, 0)
    assert look.waiting(look.written(tmp_path), store.positions) == 0
    assert segment.path.read_bytes() == before, "nothing is changed in it"
    assert drained(tmp_path, store.restored(tmp_path))[0].values == {}


def test_a_boot_of_another_machine_is_read_by_its_tail_while_its_lock_is_held(tmp_path: Path) -> None:
    segment = MapSegment(tmp_path, 1, boot=bytes(range(16)))
    segment.start(1)
    segment.fill(segment.at, end_of(segment, 1))
    store, _ = drained(tmp_path)
    assert store.total(*TASK) == {"started": 1}


@pytest.mark.parametrize("tail", [SEALED - 1, 2 * SEALED - 1, SEALED | 61])
def test_a_tail_that_lies_leads_nowhere(tmp_path: Path, tail: int) -> None:
    segment = MapSegment(tmp_path, 1)
    segment.start(1)
    segment.end(1)
    segment.set_tail(tail)
    segment.release()
    store, drainer = drained(tmp_path)
    assert store.total(*TASK) == ENDED
    assert drainer.status()["waiting"] == 0
    assert segment.path.stat().st_size == HEADER + RECORD * 60


@pytest.mark.parametrize("size", [0, 100, HEADER, HEADER + RECORD, HEADER + 3 * RECORD + 1])
def test_a_file_that_was_cut_harms_nobody(tmp_path: Path, size: int) -> None:
    segment, other = MapSegment(tmp_path, 1), MapSegment(tmp_path, 2)
    for each, key in ((segment, 1), (other, 2)):
        each.start(key)
        each.reserve()
        each.end(key)
    drainer = _core.Drainer(str(tmp_path))
    drainer.poll()
    os.truncate(segment.path, size)
    for each in (segment, other):
        each.release()
    store, drainer = drained(tmp_path, drainer)
    assert store.total(*TASK)["succeeded"] >= 1
    assert drainer.tidy(_core.clock_us()) == 0


def test_a_capacity_or_length_that_no_segment_has_is_set_aside(tmp_path: Path) -> None:
    large, long = MapSegment(tmp_path, 1), MapSegment(tmp_path, 2)
    head = bytearray(large.path.read_bytes()[:124])
    head[88:96] = (2**40).to_bytes(8, "little")
    large.put(0, bytes(head) + crc32c(bytes(head)).to_bytes(4, "little"))
    os.truncate(long.path, 2**40)
    _, drainer = drained(tmp_path)
    assert drainer.status()["set_aside"] == 2
    assert drainer.status()["bytes"] == 0


def test_an_idle_map_is_sealed_and_deleted_under_its_living_worker_which_goes_on_in_another(tmp_path: Path) -> None:
    recorder = _core.Recorder(str(tmp_path), "host", journal="map")
    handle = recorder.series(*TASK, _core.CLOCK_PROCESS)
    run_once(recorder, handle)
    store, drainer = drained(tmp_path)
    first = recorder.status()["segment"]
    assert drainer.tidy(_core.clock_us() + 7_200 * SECOND) == 1
    assert not (tmp_path / f"{first}.seg").exists()
    run_once(recorder, handle)
    assert recorder.status()["segment"] != first
    store.drain(drainer)
    assert store.total(*TASK) == {"started": 2, "succeeded": 2}


def test_a_map_that_is_needed_is_neither_sealed_nor_deleted(tmp_path: Path) -> None:
    recorder = _core.Recorder(str(tmp_path), "host", journal="map")
    slot = recorder.started(recorder.series(*TASK, _core.CLOCK_PROCESS), "job", 0, _core.NO_TIME)
    store, drainer = drained(tmp_path)
    assert drainer.tidy(_core.clock_us() + 7_200 * SECOND) == 0
    first = recorder.status()["segment"]
    recorder.finished(slot, _core.SUCCEEDED, None, 0)
    assert recorder.status()["segment"] == first
    store.drain(drainer)
    assert store.total(*TASK) == ENDED


def test_the_map_of_a_worker_with_an_open_execution_elsewhere_keeps_its_lock(tmp_path: Path) -> None:
    """A drainer in another container sees by that lock alone that the worker lives."""
    recorder = _core.Recorder(str(tmp_path), "host", segment_bytes=8_192, journal="map")
    handle = recorder.series(*TASK, _core.CLOCK_NONE)
    long = recorder.started(handle, "long", 0, _core.NO_TIME)
    first = recorder.status()["segment"]
    while recorder.status()["segment"] == first:
        run_once(recorder, handle)
    second = tmp_path / f"{recorder.status()['segment']}.seg"
    store, drainer = drained(tmp_path)
    assert drainer.tidy(_core.clock_us() + 7_200 * SECOND) == 0
    assert second.exists()
    recorder.finished(long, _core.SUCCEEDED, None, 0)
    assert second.stem == recorder.status()["segment"], "it was not sealed either"
    store.drain(drainer)
    assert drainer.tidy(_core.clock_us() + 7_200 * SECOND) == 2
    assert not second.exists()


def test_a_map_whose_writers_are_gone_gives_back_what_it_never_used(tmp_path: Path) -> None:
    def child() -> None:
        recorder = _core.Recorder(str(tmp_path), "host", journal="map")
        run_once(recorder, recorder.series(*TASK, _core.CLOCK_PROCESS))

    assert in_child(child) == 0
    (path,) = tmp_path.glob("*.seg")
    records = len(read_spool(tmp_path))
    assert path.stat().st_size == 64 * 1024
    store, drainer = drained(tmp_path)
    assert drainer.tidy(_core.clock_us()) == 0
    assert path.stat().st_size == HEADER + RECORD * records
    store.drain(drainer)
    assert drainer.status()["bytes"] == path.stat().st_size
    assert store.total(*TASK) == ENDED
    again = store.restored(tmp_path)
    assert (again.poll(), again.next_batch()) == (0, None)
    assert again.tidy(_core.clock_us() + 7_200 * SECOND) == 1
