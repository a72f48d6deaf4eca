"""One look at a store answers what the operations one by one answer, on every driver, and in how many requests."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from queue_metrics.storage import RedisStorageDriver, StorageDriver
from queue_metrics.storage.base import DAY, EXCEPTION, HOUR, MINUTE, QUEUE, RETENTION, TASK
from queue_metrics.storage.general import Call
from queue_metrics.storage.view import Range, Total, View
from tests.storage.batches import HOSTILE, A, B, batch, bucket, eventually, everything, ones, row, send, series
from tests.storage.general import GeneralOverMemory

Open = Callable[..., StorageDriver]

Q, E = A[:2], (*A, "ValueError")
CALLS = [
    Call("get_hash", ("collector",)),
    Call("get_sorted_set_by_score", ("events", float("-inf"), float("inf"), True, 0, 2)),
    Call("get_key", ("nothing",)),
    Call("exists", ("events",)),
    Call("ttl", ("collector",)),
    Call("get_hash_field", ("collector", "owner")),
]


def filled(driver: StorageDriver) -> None:
    rows = [*everything(A, ones(1)), *everything(B, ones(2)), *everything(Q, ones(3), QUEUE), *everything(E, ones(4), EXCEPTION)]
    rows += [row(A, ones(8), at=bucket(MINUTE, back)) for back in (1, 5, 59, 61, 300)]
    rows += [row(Q, ones(16), at=bucket(MINUTE, back), kind=QUEUE) for back in (2, 90)]
    rows += [row(A, ones(32), HOUR, bucket(HOUR, back)) for back in (1, 20)]
    send(driver, rows)
    driver.heartbeat_many([("b", b"\0\xff"), ("a", b"first")], 60.0)
    driver.set_hash("collector", {"owner": "me", "last_pass": "1"})
    driver.add_to_sorted_set("events", {"one": 1.0, "two": 2.0, "three": 3.0})


def ranges() -> list[Range]:
    return [
        Range((TASK, QUEUE), MINUTE, bucket(MINUTE, 59), bucket(MINUTE) + MINUTE),
        Range((TASK, EXCEPTION), HOUR, bucket(HOUR, 23), bucket(HOUR) + HOUR),
        Range((TASK,), MINUTE, bucket(MINUTE, 5), bucket(MINUTE), lambda one: one.labels[2] == "task.a"),
        Range((TASK, QUEUE, EXCEPTION), DAY, -(2**40), 2**41),
        Range((EXCEPTION,), MINUTE, bucket(MINUTE, 5), bucket(MINUTE)),
        Range((QUEUE,), 17, 0, 2**41),
        Range((QUEUE,), MINUTE, bucket(MINUTE), bucket(MINUTE)),
    ]


def parts(driver: StorageDriver) -> dict[str, Any]:
    """The same by the operations one by one."""
    known = driver.known_series()
    points = []
    for one in ranges():
        ids = [each.id for each in known if each.kind in one.kinds and (one.where is None or one.where(each))]
        points.append(driver.read_series(ids, one.step, one.start, one.end))
    return {
        "series": sorted(known, key=lambda one: one.id),
        "points": tuple(points),
        "totals": driver.read_totals([one.id for one in known if one.kind in (TASK, EXCEPTION)]),
        "beats": [(beat.worker_id, beat.payload) for beat in driver.read_heartbeats()],
        "answers": driver.execute(CALLS),
    }


def seen(view: View) -> dict[str, Any]:
    return {
        "series": sorted(view.series, key=lambda one: one.id),
        "points": view.points,
        "totals": view.totals,
        "beats": [(beat.worker_id, beat.payload) for beat in view.beats],
        "answers": view.answers,
    }


def test_a_view_answers_what_the_operations_one_by_one_answer(driver: StorageDriver) -> None:
    filled(driver)
    view = driver.read_view(ranges(), totals=(TASK, EXCEPTION), calls=CALLS)
    assert seen(view) == parts(driver)
    minutes = view.points[0]
    assert [at for at, _ in minutes[series(A)]] == [bucket(MINUTE, back) for back in (59, 5, 1, 0)]
    assert [at for at, _ in view.points[2][series(A)]] == [bucket(MINUTE, 5), bucket(MINUTE, 1)]
    assert list(view.points[2]) == [series(A)]
    assert view.points[4] == {series(E, EXCEPTION): []}
    assert set(view.totals) == {series(A), series(B), series(E, EXCEPTION)}
    assert view.answers == [{"owner": "me", "last_pass": "1"}, [("three", 3.0), ("two", 2.0)], None, True, float("inf"), "me"]


def test_a_driver_that_never_read_anything_sees_it_too(open_driver: Open) -> None:
    filled(open_driver())
    other = open_driver()
    assert seen(other.read_view(ranges(), totals=(TASK, EXCEPTION), calls=CALLS)) == parts(open_driver())


def test_an_empty_store_is_seen_as_empty(driver: StorageDriver) -> None:
    view = driver.read_view(ranges(), totals=(TASK,), calls=CALLS)
    assert replace(view, uptime_seconds=None) == View([], ({},) * len(ranges()), {}, [], [{}, [], None, False, None, None])


def test_only_what_is_asked_for_is_answered(driver: StorageDriver) -> None:
    filled(driver)
    assert driver.read_view(heartbeats=False) == View([], (), {}, [], [])
    assert [beat.worker_id for beat in driver.read_view().beats] == ["a", "b"]
    view = driver.read_view(totals=(QUEUE,), heartbeats=False)
    assert [one.labels for one in view.series] == [Q]
    assert (set(view.totals), view.points, view.beats) == ({series(Q, QUEUE)}, (), [])


def test_a_server_tells_for_how_long_it_has_been_up_with_the_heartbeats_and_a_file_does_not(driver: StorageDriver) -> None:
    filled(driver)
    uptime = driver.read_view().uptime_seconds
    assert (uptime is not None) == (driver.capabilities()["name"] in ("redis", "valkey", "postgresql", "mariadb", "mysql"))
    assert uptime is None or 0 < uptime < 1e7
    assert driver.read_view(heartbeats=False).uptime_seconds is None


def test_totals_of_some_series_are_read_and_no_others(driver: StorageDriver) -> None:
    filled(driver)

    def totals(*asked: int | Total) -> set[int]:
        return set(driver.read_view(totals=asked, heartbeats=False).totals)

    one = Total(TASK, lambda each: each.labels == A)
    assert totals(one) == {series(A)}
    assert totals(one, EXCEPTION) == {series(A), series(E, EXCEPTION)}
    assert totals(one, Total(TASK, lambda each: each.labels == B)) == totals(one, TASK) == {series(A), series(B)}
    assert totals(Total(QUEUE, lambda each: False)) == set()


def test_expired_points_and_heartbeats_are_not_seen(driver: StorageDriver) -> None:
    edge = int(time.time()) // MINUTE * MINUTE - RETENTION[TASK, MINUTE]  # by the clock of this moment: stores have no other
    gone, seen = edge - 5 * MINUTE, edge + 5 * MINUTE
    send(driver, [row(A, ones(1), at=gone), row(A, ones(2), at=seen)])
    driver.heartbeat_many([("short", b"1")], 0.05)
    driver.heartbeat_many([("long", b"2")], 60.0)

    def beats() -> list[str]:
        return [beat.worker_id for beat in driver.read_view().beats]

    eventually(lambda: beats() == ["long"])
    (points,) = driver.read_view([Range((TASK,), MINUTE, gone - HOUR, seen + HOUR)]).points
    assert [at for at, _ in points[series(A)]] == [seen]


@pytest.mark.parametrize("name", HOSTILE)
def test_any_name_is_seen(driver: StorageDriver, name: str) -> None:
    labels = (name, name, name)
    send(driver, everything(labels, ones(5)))
    view = driver.read_view([Range((TASK,), HOUR, bucket(HOUR), bucket(HOUR) + HOUR)], totals=(TASK,))
    assert [one.labels for one in view.series] == [labels]
    assert len(view.points[0][series(labels)]) == len(view.totals) == 1


@pytest.mark.parametrize("call", [Call("set_key", ("a", "b", None)), Call("delete", (("a",),)), Call("scan_keys", ("*",))])
def test_a_view_writes_nothing_and_scans_nothing(driver: StorageDriver, call: Call) -> None:
    with pytest.raises(ValueError, match=call.name):
        driver.read_view(calls=[Call("get_key", ("a",)), call])
    assert driver.get_key("a") is None


def test_a_view_is_one_transaction_or_two_round_trips_and_one_where_only_heartbeats_are_asked(driver: StorageDriver) -> None:
    filled(driver)
    if isinstance(driver, GeneralOverMemory):
        return  # a request for each part, as it says
    driver.read_view()
    before = driver.requests
    driver.read_view(ranges(), totals=(TASK, EXCEPTION), calls=CALLS)
    both = driver.requests - before
    driver.read_view()
    alone = driver.requests - before - both
    assert (both, alone) == ((2, 1) if isinstance(driver, RedisStorageDriver) else (0, 0) if driver.url == "memory://" else (1, 1))


def test_series_of_many_shards_are_seen_by_who_did_not_know_their_number(cluster: Any, prefix: str) -> None:
    writer, reader = (RedisStorageDriver(cluster.url, prefix, shards=shards) for shards in (8, 1))
    tasks = [("c", "q", f"task {number}") for number in range(40)]
    of_shard: dict[int, list[Any]] = {}
    for labels in tasks:
        of_shard.setdefault(series(labels) % 8, []).extend(everything(labels, ones(3)))
    for shard, rows in of_shard.items():
        assert writer.apply_batch(shard, batch(1, rows)).applied
    whole = Range((TASK,), MINUTE, bucket(MINUTE), bucket(MINUTE) + MINUTE)
    for driver in (writer, reader):
        view = driver.read_view([whole], totals=(TASK,))
        assert sorted(one.labels for one in view.series) == sorted(tasks)
        assert [len(found) for found in view.points[0].values()] == [1] * 40
        assert len(view.totals) == 40
        before = driver.requests
        driver.read_view([whole], totals=(TASK,))
        assert driver.requests - before <= 2 * 3  # two for each of the three nodes
        driver.close()
