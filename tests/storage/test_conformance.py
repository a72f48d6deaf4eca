"""What every driver promises, told once and run on each of them; the driver in memory is the reference."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from queue_metrics import _core
from queue_metrics.errors import StoreRefused
from queue_metrics.storage import Applied, Mark, Series, StorageDriver
from queue_metrics.storage.base import DAY, EXCEPTION, HOUR, MINUTE, QUEUE, RETENTION, TASK, TOTAL, expires_at, shard_of
from tests.storage.batches import (
    HOSTILE,
    NOW,
    SPOOL,
    Row,
    batch,
    bucket,
    content,
    everything,
    ones,
    plain,
    row,
    send,
    series,
    starts,
)

Open = Callable[..., StorageDriver]

A, B = ("conn", "queue", "task.a"), ("conn", "queue", "task.b")


def eventually(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "did not come true"
        time.sleep(0.01)


# Nothing stored yet


def test_an_empty_store_answers_nothing_to_every_question(driver: StorageDriver) -> None:
    assert driver.read_mark(SPOOL, 0) == Mark(0, b"")
    assert driver.known_series() == []
    assert driver.read_series([1, 2], MINUTE, 0, NOW) == {1: [], 2: []}
    assert driver.read_series([], MINUTE, 0, NOW) == {}
    assert driver.read_totals([1]) == {}
    assert driver.read_totals([]) == {}
    assert driver.read_heartbeats() == []
    assert driver.sweep() == 0


# Marks


def test_the_first_batch_is_number_one_and_the_next_ones_follow(driver: StorageDriver) -> None:
    for sequence in range(1, 4):
        sent = batch(sequence, everything(A, ones()))
        assert driver.apply_batch(0, sent) == Applied(True, Mark(sequence, sent.positions))
        assert driver.read_mark(SPOOL, 0) == Mark(sequence, sent.positions)
    assert starts(driver, series(A)) == 3


@pytest.mark.parametrize("sequence", [0, 1, 2, 4, 5, 2**40], ids=["zero", "long-past", "repeated", "gap", "wide-gap", "huge"])
def test_a_batch_out_of_order_changes_nothing_and_learns_the_mark(driver: StorageDriver, sequence: int) -> None:
    for good in (1, 2):
        driver.apply_batch(0, batch(good, everything(A, ones())))
    before = content(driver)
    late = batch(sequence, [*everything(A, ones()), *everything(B, ones())])
    assert driver.apply_batch(0, late) == Applied(False, Mark(2, batch(2).positions))
    assert content(driver) == before


def test_a_repeated_first_batch_on_an_empty_store_counts_once(driver: StorageDriver) -> None:
    sent = batch(1, everything(A, ones()))
    assert [driver.apply_batch(0, sent).applied for _ in range(3)] == [True, False, False]
    assert starts(driver, series(A)) == 1


def test_a_batch_without_rows_moves_the_mark(driver: StorageDriver) -> None:
    assert driver.apply_batch(0, batch(1)).applied
    assert driver.read_mark(SPOOL, 0).sequence == 1


@pytest.mark.parametrize("positions", [b"", b"\0" * 24, bytes(range(256)) * 40, b"7:8:9", b"12"])
def test_positions_come_back_byte_for_byte(driver: StorageDriver, positions: bytes) -> None:
    driver.apply_batch(0, batch(1, positions=positions))
    assert driver.read_mark(SPOOL, 0) == Mark(1, positions)
    assert driver.apply_batch(0, batch(1)).mark == Mark(1, positions)


def test_two_spools_have_marks_of_their_own_and_add_to_the_same_numbers(driver: StorageDriver) -> None:
    one, other = "1" * 32, "2" * 32
    for sequence in (1, 2):
        assert driver.apply_batch(0, batch(sequence, everything(A, ones()), one)).applied
    assert driver.apply_batch(0, batch(1, everything(A, ones(10)), other)).applied
    assert (driver.read_mark(one, 0).sequence, driver.read_mark(other, 0).sequence) == (2, 1)
    assert starts(driver, series(A)) == 12


def test_two_shards_have_marks_of_their_own(open_driver: Open) -> None:
    driver = open_driver(shards=2)
    names = [("c", "q", f"task {n}") for n in range(20)]
    by_shard = [[labels for labels in names if shard_of(series(labels), 2) == shard] for shard in (0, 1)]
    assert all(by_shard)
    for sequence in (1, 2):
        rows = [one for labels in by_shard[0] for one in everything(labels, ones())]
        assert driver.apply_batch(0, batch(sequence, rows)).applied
    assert driver.apply_batch(1, batch(1, [one for labels in by_shard[1] for one in everything(labels, ones(5))])).applied
    assert (driver.read_mark(SPOOL, 0).sequence, driver.read_mark(SPOOL, 1).sequence) == (2, 1)
    assert {one.labels for one in driver.known_series()} == set(names)
    assert {labels: starts(driver, series(labels)) for labels in names} == {labels: 2 if labels in by_shard[0] else 5 for labels in names}
    ids = [series(labels) for labels in names]
    assert [len(points) for points in driver.read_series(ids, MINUTE, 0, NOW + 60).values()] == [1] * 20


# Merging


def test_values_of_one_step_are_added_and_steps_kept_apart(driver: StorageDriver) -> None:
    send(driver, [row(A, ones(1), at=bucket(MINUTE)), row(A, ones(2), at=bucket(MINUTE, 1)), row(A, ones(4), at=bucket(MINUTE))])
    send(driver, [row(A, ones(8), at=bucket(MINUTE)), row(A, ones(16), HOUR)])
    found = content(driver)["points"]
    assert {place: value["counters"] for place, value in found.items()} == {
        (series(A), MINUTE, bucket(MINUTE)): {0: 13},
        (series(A), MINUTE, bucket(MINUTE, 1)): {0: 2},
        (series(A), HOUR, bucket(HOUR)): {0: 16},
    }


def merged(driver: StorageDriver, *values: _core.Value) -> _core.Value:
    """What the driver makes of values that come in batches of their own."""
    for value in values:
        send(driver, [row(A, value)])
    ((_, packed),) = driver.read_series([series(A)], MINUTE, bucket(MINUTE), bucket(MINUTE) + 1)[series(A)]
    return _core.Value.decode(packed)


def test_measures_keep_exact_sums_above_and_below_zero_least_and_greatest(driver: StorageDriver) -> None:
    big = 2**52 - 1
    parts = [[big, 7], [0], [2**32 - 1, 1], [3]]
    changes = [[-5, -(2**40)], [2**32], [-1], [-(2**33) - 1, 12]]
    values = [_core.Value.from_parts([], {0: a, 4: b}) for a, b in zip(parts, changes, strict=True)]
    value = merged(driver, *values)
    flat, moved = sum(parts, []), sum(changes, [])
    assert value.measure(0) == (len(flat), sum(flat), min(flat), max(flat))
    assert value.measure(4) == (len(moved), sum(moved), min(moved), max(moved))


def test_a_sum_may_grow_past_what_a_double_can_tell(driver: StorageDriver) -> None:
    one = _core.Value.from_parts([], {3: [2**53 - 1] * 300})
    value = merged(driver, one, one, _core.Value.from_parts([], {3: [1]}))
    assert value.measure(3) == (601, 600 * (2**53 - 1) + 1, 1, 2**53 - 1)


def test_a_gauge_keeps_the_latest_reading_whatever_comes_last(driver: StorageDriver) -> None:
    at = NOW * 1_000_000
    value = merged(
        driver,
        _core.Value.from_parts([], {}, {0: [(at + 2, 40)], 4: [(at, 0)]}),
        _core.Value.from_parts([], {}, {0: [(at + 1, 99), (at, 0)]}),
        _core.Value.from_parts([], {}, {0: [(at + 2, 41)], 1: [(at, 5)]}),
    )
    assert value.gauge(0) == (4, 180, 0, 99, 41, at + 2)
    assert value.gauge(1) == (1, 5, 5, 5, 5, at)
    assert value.gauge(4) == (1, 0, 0, 0, 0, at)


def test_sketches_of_different_scales_meet_at_the_coarser_one(driver: StorageDriver) -> None:
    fine = _core.Value.from_parts([], {0: [0, 1, 2, 3, 1000, 1001, 5_000_000]}, {}, 5)
    coarse = _core.Value.from_parts([], {0: [1, 1000, 77]}, {}, 4)
    value = merged(driver, fine, coarse, fine)
    assert value.sketch(0) == fine.merge(coarse).merge(fine).sketch(0)
    assert value.sketch(0)[0] == 4  # type: ignore[index]


def test_a_sketch_of_too_many_buckets_collapses_the_lowest_and_says_so(driver: StorageDriver) -> None:
    # One number in the middle of each of 1,200 buckets at scale 5, sent interleaved so that no single batch collapses.
    numbers = sorted({round(2 ** ((index + 0.5) / 32)) for index in range(200, 1500)})
    halves = [_core.Value.from_parts([], {0: numbers[start::2]}, {}, 5) for start in (0, 1)]
    assert not any(half.sketch(0)[1] for half in halves)  # type: ignore[index]
    value = merged(driver, *halves)
    scale, collapsed, zeros, buckets = value.sketch(0)  # type: ignore[misc]
    assert (scale, collapsed, zeros, len(buckets)) == (5, True, 0, 1024)
    assert sum(count for _, count in buckets) == len(numbers)
    assert value.sketch(0) == halves[0].merge(halves[1]).sketch(0)
    assert merged(driver, halves[0]).sketch(0) == value.merge(halves[0]).sketch(0)


def test_counters_of_totals_only_keep_their_places(driver: StorageDriver) -> None:
    value = _core.Value.from_parts([0] * 32 + [1, 2] + [0] * 20 + [3])
    send(driver, everything(A, value))
    send(driver, everything(A, value))
    assert plain(driver.read_totals([series(A)])[series(A)])["counters"] == {32: 2, 33: 4, 54: 6}


# All or nothing


def hostile_row(name: str) -> Row:
    """A row in the middle of a batch that cannot be stored."""
    good = everything(B, ones())[0]
    if name == "labels of another":
        return (series(A), _core.label_list(TASK, B), MINUTE, bucket(MINUTE), ones().encode())
    if name == "damaged":
        return (*good[:4], b"\x93\x01\x02")
    if name == "newer":
        return (*good[:4], b"\x92\x02\x91\x01")
    if name == "damaged total":
        return (good[0], good[1], TOTAL, 0, b"\xff")
    if name == "no such step":
        return row(B, ones(), HOUR * 7)
    if name == "sum leaves its bits":
        return row(A, _core.Value.from_parts([], {4: [2**53 - 1] * 600}))
    return row(A, _core.Value.from_parts([2**62]), TOTAL)


@pytest.mark.parametrize(
    "name", ["labels of another", "damaged", "newer", "damaged total", "no such step", "sum leaves its bits", "total leaves its bits"]
)
def test_a_row_that_cannot_be_stored_undoes_the_whole_batch(driver: StorageDriver, name: str) -> None:
    big = _core.Value.from_parts([2**62], {4: [2**53 - 1] * 600})
    send(driver, [row(A, _core.Value.from_parts([1], {4: [2**53 - 1] * 600})), row(A, big, TOTAL)])
    before = content(driver)
    new = everything(("c", "q", "new"), ones())
    with pytest.raises(StoreRefused):
        driver.apply_batch(0, batch(2, [*new, hostile_row(name), *everything(("c", "q", "newer"), ones())]))
    assert content(driver) == before
    assert driver.apply_batch(0, batch(2, new)).applied


def test_a_refused_first_batch_leaves_the_store_empty(driver: StorageDriver) -> None:
    with pytest.raises(StoreRefused):
        driver.apply_batch(0, batch(1, [*everything(A, ones()), hostile_row("damaged")]))
    assert content(driver)["series"] == []
    assert driver.read_mark(SPOOL, 0).sequence == 0


# Names


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_names_come_back_and_reach_no_other_series(driver: StorageDriver, name: str) -> None:
    names = [(name, "q", "t"), ("c", name, "t"), ("c", "q", name), (name, name, name)]
    for count, labels in enumerate(names, 1):
        send(driver, everything(labels, ones(count)))
    assert sorted(one.labels for one in driver.known_series()) == sorted(names)
    for count, labels in enumerate(names, 1):
        assert starts(driver, series(labels)) == count
        (point,) = driver.read_series([series(labels)], MINUTE, 0, NOW + MINUTE)[series(labels)]
        assert plain(point[1])["counters"] == {0: count}


def test_labels_that_join_to_the_same_text_are_different_series(driver: StorageDriver) -> None:
    names = [("a:b", "c", "d"), ("a", "b:c", "d"), ("a:b:c", "", "d"), ("a", "b", "c:d")]
    for count, labels in enumerate(names, 1):
        send(driver, everything(labels, ones(count)))
    assert [starts(driver, series(labels)) for labels in names] == [1, 2, 3, 4]


def test_known_series_tell_id_kind_and_labels(driver: StorageDriver) -> None:
    kinds = {TASK: A, QUEUE: ("conn", "queue"), EXCEPTION: ("conn", "queue", "task", "ValueError")}
    for kind, labels in kinds.items():
        send(driver, everything(labels, ones(), kind))
    send(driver, everything(A, ones()))
    known = sorted(driver.known_series(), key=lambda one: one.kind)
    assert known == [Series(series(labels, kind), kind, labels) for kind, labels in kinds.items()]


def test_a_spool_may_have_any_name(driver: StorageDriver) -> None:
    for count, spool in enumerate(HOSTILE, 1):
        for sequence in range(1, count + 1):
            assert driver.apply_batch(0, batch(sequence, [], spool)).applied
    assert [driver.read_mark(spool, 0).sequence for spool in HOSTILE] == list(range(1, len(HOSTILE) + 1))


# Points


def test_points_lie_in_a_half_open_range_in_order_of_time(driver: StorageDriver) -> None:
    minutes = [bucket(MINUTE, back) for back in (0, 59, 1, 60, 61, 119, 120, 121, 2)]
    send(driver, [row(A, ones(), at=at) for at in minutes])
    ordered = sorted(minutes)
    for first in range(len(ordered)):
        for last in range(first, len(ordered)):
            found = driver.read_series([series(A)], MINUTE, ordered[first], ordered[last])[series(A)]
            assert [at for at, _ in found] == ordered[first:last]
    assert [at for at, _ in driver.read_series([series(A)], MINUTE, ordered[0] + 1, ordered[2] + 1)[series(A)]] == ordered[1:3]
    assert driver.read_series([series(A)], MINUTE, ordered[3], ordered[3]) == {series(A): []}
    assert driver.read_series([series(A)], MINUTE, ordered[3], ordered[0]) == {series(A): []}


def test_a_range_without_bounds_finds_every_point(driver: StorageDriver) -> None:
    days = [bucket(DAY, back) for back in (399, 250, 100, 99, 1, 0)]
    send(driver, [row(A, ones(), DAY, at) for at in days])
    send(driver, [row(A, ones(), MINUTE)])
    assert [at for at, _ in driver.read_series([series(A)], DAY, -(2**40), 2**41)[series(A)]] == days
    assert [at for at, _ in driver.read_series([series(A)], MINUTE, -(2**40), 2**41)[series(A)]] == [bucket(MINUTE)]


def test_many_series_are_answered_at_once_each_with_its_own(driver: StorageDriver) -> None:
    names = [("c", "q", f"t{n}") for n in range(50)]
    send(driver, [row(labels, ones(count + 1)) for count, labels in enumerate(names)])
    ids = [series(labels) for labels in names]
    found = driver.read_series([*ids, 12345, ids[0]], MINUTE, bucket(MINUTE), bucket(MINUTE) + MINUTE)
    assert set(found) == {*ids, 12345}
    assert found[12345] == []
    assert [plain(found[one][0][1])["counters"][0] for one in ids] == list(range(1, 51))


@pytest.mark.parametrize(("kind", "step"), list(RETENTION))
def test_a_point_is_seen_for_its_retention_and_not_longer(driver: StorageDriver, kind: int, step: int) -> None:
    labels = {TASK: A, QUEUE: A[:2], EXCEPTION: (*A, "E")}[kind]
    now = int(time.time())
    oldest = now - RETENTION[kind, step] - step
    oldest += step - oldest % step  # the first whose expiry is ahead, by up to a step
    if expires_at(kind, step, oldest) - now < 30:
        oldest += step  # not one that expires while we look
    gone = [now - now % step - RETENTION[kind, step] - step * back for back in (1, 2, 200)] + [0]
    send(driver, [row(labels, ones(), step, at, kind) for at in [*gone, oldest, bucket(step)]])
    send(driver, [row(labels, ones(), step, at, kind) for at in [*gone, oldest, bucket(step)]])
    found = driver.read_series([series(labels, kind)], step, 0, NOW + step)[series(labels, kind)]
    assert [(at, plain(value)["counters"][0]) for at, value in found] == [(oldest, 2), (bucket(step), 2)]


@pytest.mark.parametrize("at", [-(2**62), -MINUTE, 2**41, 2**62], ids=str)
def test_a_clock_gone_wild_neither_breaks_a_batch_nor_hides_its_other_numbers(driver: StorageDriver, at: int) -> None:
    send(driver, [row(A, ones(), at=at - at % MINUTE), *everything(A, ones())])
    assert starts(driver, series(A)) == 1
    assert [found for found, _ in driver.read_series([series(A)], MINUTE, 0, NOW + MINUTE)[series(A)]] == [bucket(MINUTE)]


# Totals


def test_totals_are_exact_far_past_2_to_the_53(driver: StorageDriver) -> None:
    for count in (2**53, 1, 2**60 - 1, 1):
        send(driver, [row(A, _core.Value.from_parts([count], {0: [count % 2**53], 4: [-(count % 2**53)]}), TOTAL)])
    value = _core.Value.decode(driver.read_totals([series(A)])[series(A)])
    assert value.counter(0) == 2**53 + 1 + 2**60
    total = sum(count % 2**53 for count in (2**53, 1, 2**60 - 1, 1))
    assert value.measure(0) == (4, total, None, None)
    assert value.measure(4) == (4, -total, None, None)


def test_totals_reach_the_last_number_of_64_bits_and_not_one_further(driver: StorageDriver) -> None:
    top = _core.Value.from_parts([2**63 - 2], {4: [-(2**63) + 1]})
    send(driver, [row(A, top, TOTAL)])
    send(driver, [row(A, _core.Value.from_parts([1], {4: [-1]}), TOTAL)])
    before = content(driver)
    value = _core.Value.decode(driver.read_totals([series(A)])[series(A)])
    assert (value.counter(0), value.measure(4)) == (2**63 - 1, (2, -(2**63), None, None))
    for more in (_core.Value.from_parts([1]), _core.Value.from_parts([], {4: [-1]})):
        with pytest.raises(StoreRefused):
            driver.apply_batch(0, batch(3, [*everything(B, ones()), row(A, more, TOTAL)]))
        assert content(driver) == before


def test_a_total_has_no_gauges_sketches_least_or_greatest(driver: StorageDriver) -> None:
    send(driver, [row(A, _core.Value.from_parts([1], {0: [5, 9]}, {0: [(1, 2)]}), TOTAL)])
    found = plain(driver.read_totals([series(A)])[series(A)])
    assert found == {"counters": {0: 1}, "measures": {0: (2, 14, None, None)}, "gauges": {}, "sketches": {}}


def test_totals_of_many_series_leave_out_the_unknown(driver: StorageDriver) -> None:
    send(driver, [row(A, ones(3), TOTAL), row(B, ones(4), MINUTE)])
    assert set(driver.read_totals([series(A), series(B), 99, series(A)])) == {series(A)}


# Heartbeats and leases


def test_the_latest_heartbeat_of_each_worker_is_kept_in_order_of_ids(driver: StorageDriver) -> None:
    driver.heartbeat_many([("b", b"old"), ("a", bytes(range(256))), ("c", b":x:")], 60)
    driver.heartbeat_many([("b", b"")], 60)
    found = driver.read_heartbeats()
    assert [(beat.worker_id, beat.payload) for beat in found] == [("a", bytes(range(256))), ("b", b""), ("c", b":x:")]
    assert all(0 <= beat.age < 60 for beat in found)


def test_heartbeats_grow_older_and_are_forgotten_after_their_time(driver: StorageDriver) -> None:
    driver.heartbeat_many([("long", b"1")], 60)
    driver.heartbeat_many([("short", b"2")], 0.3)
    eventually(lambda: [beat.worker_id for beat in driver.read_heartbeats()] == ["long"])
    (beat,) = driver.read_heartbeats()
    assert beat.age > 0.2
    driver.heartbeat_many([("short", b"3")], 60)
    assert [beat.payload for beat in driver.read_heartbeats()] == [b"1", b"3"]


def test_a_short_heartbeat_does_not_take_long_ones_with_it(driver: StorageDriver) -> None:
    driver.heartbeat_many([("long", b"1")], 60)
    driver.heartbeat_many([("short", b"2")], 0.05)
    eventually(lambda: len(driver.read_heartbeats()) == 1)
    assert driver.read_heartbeats()[0].worker_id == "long"


def test_heartbeats_of_hostile_ids_and_of_nobody(driver: StorageDriver) -> None:
    driver.heartbeat_many([], 60)
    assert driver.read_heartbeats() == []
    driver.heartbeat_many([(name, name.encode()) for name in HOSTILE], 60)
    assert [(beat.worker_id, beat.payload.decode()) for beat in driver.read_heartbeats()] == [(name, name) for name in sorted(HOSTILE)]


def test_a_lease_belongs_to_one_owner_until_it_runs_out(driver: StorageDriver) -> None:
    assert driver.lease("duty", "me", 60)
    assert not driver.lease("duty", "you", 60)
    assert driver.lease("other duty", "you", 60)
    assert driver.lease("duty", "me", 0.1)  # shorter again: how it is given back early
    eventually(lambda: driver.lease("duty", "you", 60))
    assert not driver.lease("duty", "me", 60)


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_leases_of_hostile_names_are_apart(driver: StorageDriver, name: str) -> None:
    assert driver.lease(name, "me" + name, 60)
    assert not driver.lease(name, "you", 60)
    assert driver.lease(name + "x", "you", 60)


def test_of_many_that_want_a_lease_at_once_one_gets_it(open_driver: Open) -> None:
    got: list[str] = []
    barrier = threading.Barrier(8)

    def want(owner: str) -> None:
        mine = open_driver()
        barrier.wait()
        if mine.lease("duty", owner, 60):
            got.append(owner)

    threads = [threading.Thread(target=want, args=(f"owner {n}",)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == 1


# Life of a store


def test_a_sweep_takes_what_expired_bite_by_bite_and_nothing_else(driver: StorageDriver) -> None:
    old = [row(A, ones(), at=bucket(MINUTE, back)) for back in range(1000, 1300)]
    send(driver, [*everything(A, ones()), *old])
    driver.heartbeat_many([("gone", b"")], 0.01)
    driver.lease("gone", "me", 0.01)
    eventually(lambda: driver.read_heartbeats() == [])
    before = content(driver)
    swept = []
    while (count := driver.sweep(120)) > 0:
        swept.append(count)
    assert all(count <= 120 for count in swept)
    assert sum(swept) in ((0,) if driver.capabilities()["expires_itself"] else (301, 302))  # the lease may have been given meanwhile
    assert content(driver) == before


def test_stores_of_different_prefixes_do_not_see_each_other(open_driver: Open) -> None:
    one, other = open_driver("one"), open_driver("one_two")
    send(one, everything(A, ones(3)))
    one.heartbeat_many([("w", b"")], 60)
    assert one.lease("duty", "me", 60)
    assert content(other)["series"] == []
    assert other.read_mark(SPOOL, 0) == Mark(0, b"")
    assert other.read_totals([series(A)]) == {}
    assert other.read_heartbeats() == []
    assert other.lease("duty", "you", 60)
    send(other, everything(A, ones(4)))
    assert (starts(one, series(A)), starts(other, series(A))) == (3, 4)


def test_what_one_wrote_another_reads(open_driver: Open) -> None:
    writer, reader = open_driver(), open_driver()
    send(writer, everything(A, ones(3)))
    assert content(reader) == content(writer)
    assert starts(reader, series(A)) == 3


def test_threads_with_spools_of_their_own_lose_and_double_nothing(open_driver: Open) -> None:
    rounds, spools = 25, [f"{n}" * 32 for n in range(4)]
    shared = open_driver()
    failures: list[BaseException] = []

    def drain(spool: str) -> None:
        try:
            for sequence in range(1, rounds + 1):
                sent = batch(sequence, [*everything(A, ones()), *everything(B, ones(2))], spool)
                assert shared.apply_batch(0, sent).applied
                assert not shared.apply_batch(0, sent).applied
        except BaseException as error:
            failures.append(error)
            raise

    threads = [threading.Thread(target=drain, args=(spool,)) for spool in spools]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert (starts(shared, series(A)), starts(shared, series(B))) == (rounds * 4, rounds * 8)
    found = content(shared, [(spool, 0) for spool in spools])
    assert {mark.sequence for mark in found["marks"].values()} == {rounds}
    assert found["points"][series(A), HOUR, bucket(HOUR)]["counters"] == {0: rounds * 4}


def test_a_closed_driver_opens_again_when_used(driver: StorageDriver) -> None:
    send(driver, everything(A, ones()))
    driver.close()
    driver.close()
    assert starts(driver, series(A)) == 1
    driver.close()
    send(driver, everything(A, ones()))
    assert starts(driver, series(A)) == 2


def test_capabilities_say_what_doctor_shows_and_size_grows(driver: StorageDriver) -> None:
    told = driver.capabilities()
    assert {"name", "version", "durable", "expires_itself", "exact"} <= set(told)
    assert told["exact"] is True or told["reason"]
    before = driver.size()
    for n in range(30):
        send(driver, everything(("c", "q", f"t{n}"), _core.Value.from_parts([1] * 16, {0: list(range(100, 4000, 37))})))
    assert driver.size() > before + 10_000
