"""What values, points, totals and names become: told once and run on each driver; the one in memory is the reference."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from queue_metrics import _core
from queue_metrics.errors import StoreRefused
from queue_metrics.storage import Series, StorageDriver
from queue_metrics.storage.base import DAY, EXCEPTION, HOUR, MINUTE, QUEUE, RETENTION, SERVER, SERVER_TASK, TASK, TOTAL, expires_at
from tests.storage.batches import (
    HOSTILE,
    NOW,
    A,
    B,
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
    flat, moved = [n for one in parts for n in one], [n for one in changes for n in one]
    assert value.measure(0) == (len(flat), sum(flat), min(flat), max(flat))
    assert value.measure(4) == (len(moved), sum(moved), min(moved), max(moved))


@pytest.mark.parametrize("one", [2**32 - 1, -(2**32), -1, 0, 2**52 - 1])
@pytest.mark.parametrize("two", [1, 2**32, -1, -(2**32) + 1])
def test_sums_carry_between_their_halves(driver: StorageDriver, one: int, two: int) -> None:
    value = merged(driver, _core.Value.from_parts([], {4: [one]}), _core.Value.from_parts([], {4: [two]}))
    assert value.measure(4) == (2, one + two, min(one, two), max(one, two))


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
    labels = {TASK: A, QUEUE: A[:2], EXCEPTION: (*A, "E"), SERVER: ("web",), SERVER_TASK: ("web", *A)}[kind]
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
