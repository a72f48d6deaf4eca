"""Heartbeats, leases, sweeping, sharing a store: told once and run on each driver; the one in memory is the reference."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from queue_metrics import _core
from queue_metrics.storage import Mark, StorageDriver
from queue_metrics.storage.base import HOUR, MINUTE
from tests.storage.batches import (
    HOSTILE,
    SPOOL,
    A,
    B,
    batch,
    bucket,
    content,
    eventually,
    everything,
    ones,
    row,
    send,
    series,
    starts,
)

Open = Callable[..., StorageDriver]


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
