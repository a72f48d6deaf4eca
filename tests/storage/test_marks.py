"""Batches and their marks, all or nothing: told once and run on each driver; the one in memory is the reference."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from queue_metrics import _core
from queue_metrics.errors import StoreRefused
from queue_metrics.storage import Applied, Mark, StorageDriver
from queue_metrics.storage.base import HOUR, MINUTE, TASK, TOTAL, shard_of
from tests.storage.batches import (
    NOW,
    SPOOL,
    A,
    B,
    Row,
    batch,
    bucket,
    content,
    everything,
    ones,
    row,
    send,
    series,
    starts,
)

Open = Callable[..., StorageDriver]


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


def test_a_batch_of_the_right_number_made_from_other_positions_changes_nothing(driver: StorageDriver) -> None:
    """A store that went back and came forward has the old number again, but not the old numbers."""
    driver.apply_batch(0, batch(1, everything(A, ones())))
    before = content(driver)
    for base in (b"", b"of an earlier life", batch(1).positions + b"\0", batch(1).positions[:-1]):
        late = batch(2, everything(A, ones()), base=base)
        assert driver.apply_batch(0, late) == Applied(False, Mark(1, batch(1).positions))
    assert driver.apply_batch(0, batch(1, everything(A, ones()), "9" * 32, base=b"never")) == Applied(False, Mark(0, b""))
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
